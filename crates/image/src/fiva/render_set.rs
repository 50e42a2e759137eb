//! A set of training pictures out of drawn things and [`render`]: files and records that `data pairs` reads.

use std::path::Path;

use base::command::Failure;
use base::files::{make_folder, write_bytes};
use base::job::jsonl;
use base::media::{Image, png_bytes};
use base::rng::Rng;
use serde_json::json;

use super::render::{any_look, attributes, render};

/// The list of records in a set's folder.
pub const RECORDS: &str = "records.jsonl";

/// A picture of something on white.
#[derive(Clone, Debug)]
pub struct Thing {
    /// What it is.
    pub subject: String,
    /// The major subject that it belongs to.
    pub major: String,
    /// The picture.
    pub picture: Image,
}

/// Renders each thing with so many looks into `folder`, and lists them in [`RECORDS`]; gives the number of pictures.
///
/// # Errors
/// When the folder cannot be written, or holds a set already.
pub fn write_set(
    things: &[Thing],
    looks: usize,
    folder: &Path,
    rng: &Rng,
) -> Result<usize, Failure> {
    if folder.join(RECORDS).exists() {
        return Err(Failure::input(format!(
            "`{}` holds a set already: choose another `--out`, or remove it",
            folder.display()
        )));
    }
    make_folder(folder)?;
    let mut records = Vec::with_capacity(things.len() * looks);
    for number in 0..things.len() * looks {
        let thing = &things[number / looks];
        let look = any_look(&mut rng.item(number as u64));
        let named = attributes(look);
        let image = format!("{number:05}.png");
        let picture = render(&thing.picture, look);
        write_bytes(folder.join(&image), &png_bytes(&picture, &[])?)?;
        let mut words: Vec<&str> = named.iter().map(|(_, entry)| entry.as_str()).collect();
        words.push(&thing.subject);
        records.push(json!({
            "idx": number, "image": image, "major": thing.major, "subject": thing.subject,
            "prompt": words.join(", "), "attributes": named,
        }));
    }
    jsonl::write(&folder.join(RECORDS), &records)?;
    Ok(records.len())
}
