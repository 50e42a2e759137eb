//! `orrery fiva data render`.

use std::path::{Path, PathBuf};

use base::command::{Context, Failure, Output};
use base::media::{PICTURE_EXTENSIONS, read_image};
use base::rng::Rng;
use clap::Args;
use serde_json::json;

use crate::fiva::render_set::{RECORDS, Thing, write_set};

/// The major subject of things in a folder.
const MAJOR: &str = "drawn things";

/// Options of `render`.
#[derive(Args, Debug)]
pub struct Render {
    /// A folder of pictures of things on white, called after them: `cat.png`, `red apple.png`, `cat-2.png`
    #[arg(value_name = "DIR")]
    things: PathBuf,
    /// Pictures of each thing
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u16).range(1..=1000))]
    looks: u16,
    /// Seed
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The folder for pictures and records
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    output: Output,
}

impl Render {
    pub(super) fn run(&self, _: Context) -> Result<(), Failure> {
        let things = things(&self.things)?;
        let rng = &Rng::new(self.seed).child("render");
        let count = write_set(&things, usize::from(self.looks), &self.out, rng)?;
        let records = self.out.join(RECORDS).display().to_string();
        self.output.print(
            &json!({"records": records, "things": things.len(), "pictures": count}),
            &format!("{records}: {count} pictures of {} things", things.len()),
        )
    }
}

/// The pictures in a folder, in the order of their names.
fn things(folder: &Path) -> Result<Vec<Thing>, Failure> {
    let unread = |cause: &dyn std::fmt::Display| {
        Failure::input(format!(
            "cannot read the folder `{}`: {cause}; give a folder of pictures called after what they show",
            folder.display()
        ))
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|cause| unread(&cause))? {
        let path = entry.map_err(|cause| unread(&cause))?.path();
        let ending = path
            .extension()
            .and_then(|it| it.to_str())
            .unwrap_or_default();
        if PICTURE_EXTENSIONS.contains(&ending.to_lowercase().as_str()) {
            files.push(path);
        }
    }
    files.sort();
    if files.is_empty() {
        return Err(unread(&"it holds no picture"));
    }
    let thing = |path: &PathBuf| {
        Ok(Thing {
            subject: subject(path),
            major: MAJOR.to_owned(),
            picture: read_image(path)?,
        })
    };
    files.iter().map(thing).collect()
}

/// What a file's name says: without ending, and without a number behind a dash.
fn subject(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let numbered = stem.rsplit_once('-');
    let plain = numbered.filter(|(_, number)| number.parse::<u64>().is_ok());
    plain
        .map_or(stem.as_ref(), |(name, _)| name)
        .replace('_', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_there_is() {
        let of = |name: &str| subject(Path::new(name));
        assert_eq!([of("a/cat.png"), of("cat-17.png")], ["cat", "cat"]);
        assert_eq!(
            [of("red_apple.png"), of("t-shirt.png")],
            ["red apple", "t-shirt"]
        );
    }
}
