//! What a hypernetwork is trained on: subjects and styles by name, each with a prompt, a LoRA and pictures.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::SystemError;
use super::adapter::LoraFile;

/// Where the LoRA called `NAME` may be below the folder of LoRAs: a file, a run of `orrery sd train-lora`, a run of diffusers.
const PLACES: [&str; 3] = [
    "NAME.safetensors",
    "NAME/lora.safetensors",
    "NAME/pytorch_lora_weights.safetensors",
];
/// Key in the metadata of a LoRA that holds its prompt.
const PROMPT: &str = "prompt";

/// The caption file of the official code: `{"subjects": {NAME: {"instance_prompt": …}}, "styles": {…}}`.
#[derive(Debug, Deserialize)]
struct Captions {
    subjects: BTreeMap<String, Caption>,
    styles: BTreeMap<String, Caption>,
}

#[derive(Debug, Deserialize)]
struct Caption {
    instance_prompt: Option<String>,
}

/// A subject or a style.
#[derive(Debug)]
pub struct Named {
    /// Its name in the caption file.
    pub name: String,
    /// What its pictures show.
    pub prompt: String,
    /// Its adapter.
    pub lora: LoraFile,
    /// The folder of its pictures.
    pub pictures: PathBuf,
}

/// Subjects and styles that the caption file at `path` names: LoRAs are below `loras`, pictures in `data/subjects/NAME` and
/// `data/styles/NAME`.
///
/// # Errors
/// [`SystemError`] where the file is none, names nothing, or a LoRA or prompt is missing.
pub fn read(path: &Path, loras: &Path, data: &Path) -> Result<[Vec<Named>; 2], SystemError> {
    let unread = |cause: String| {
        SystemError::path(
            path,
            format!(
                "{cause}: write {{\"subjects\": {{\"NAME\": {{\"instance_prompt\": \"a sks dog\"}}}}, \"styles\": {{…}}}}"
            ),
        )
    };
    let text = base::files::read_to_string(path).map_err(|cause| unread(cause.to_string()))?;
    let captions: Captions =
        serde_json::from_str(&text).map_err(|cause| unread(cause.to_string()))?;
    if captions.subjects.is_empty() || captions.styles.is_empty() {
        return Err(unread("it names no subject, or no style".into()));
    }
    let all = |kind: &str, named: BTreeMap<String, Caption>| {
        let each = named.into_iter();
        each.map(|(name, caption)| one(name, caption, loras, &data.join(kind)))
            .collect::<Result<Vec<_>, _>>()
    };
    Ok([
        all("subjects", captions.subjects)?,
        all("styles", captions.styles)?,
    ])
}

fn one(name: String, caption: Caption, loras: &Path, data: &Path) -> Result<Named, SystemError> {
    let places: Vec<PathBuf> = PLACES
        .iter()
        .map(|place| loras.join(place.replace("NAME", &name)))
        .collect();
    let Some(place) = places.iter().find(|place| place.is_file()) else {
        return Err(SystemError::path(
            &places[0],
            format!(
                "there is no LoRA of `{name}`: train one with `orrery sd train-lora --out {}`",
                loras.join(&name).display()
            ),
        ));
    };
    let lora = LoraFile::open(place)?;
    Ok(Named {
        prompt: prompt(caption.instance_prompt, &lora).ok_or_else(|| {
            SystemError::input(format!(
                "nothing says what `{name}` shows: give it an `instance_prompt`"
            ))
        })?,
        pictures: data.join(&name),
        lora,
        name,
    })
}

/// The prompt that is given, else the one that the LoRA was trained with.
pub fn prompt(given: Option<String>, lora: &LoraFile) -> Option<String> {
    let found = given.or_else(|| lora.metadata().get(PROMPT).cloned());
    found.filter(|prompt| !prompt.trim().is_empty())
}
