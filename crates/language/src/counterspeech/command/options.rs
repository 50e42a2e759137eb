//! Options that several verbs have.

use std::path::{Path, PathBuf};

use base::command::{Failure, number_in, warn};
use clap::Args;

use crate::counterspeech::{Drawing, Prompts, Record, Replier, read_records};

/// The model and its adapters.
#[derive(Args, Debug)]
pub(super) struct Model {
    /// A chat model: `smollm2`, OWNER/NAME on the hub, a directory or a .gguf file; see `orrery pull`
    #[arg(long, value_name = "MODEL", default_value = "smollm2")]
    model: String,
    /// A LoRA adapter in PEFT's files, by name; without a name, what follows the last `_` of the folder's. May be given again
    #[arg(long, value_name = "[NAME=]DIR", value_parser = adapter)]
    adapter: Vec<(String, PathBuf)>,
}

impl Model {
    pub(super) fn open(&self) -> Result<Replier, Failure> {
        Ok(Replier::open(&self.model, &self.adapter)?)
    }
}

fn adapter(text: &str) -> Result<(String, PathBuf), String> {
    let (name, path) = match text.split_once('=') {
        Some((name, path)) => (name.to_owned(), path),
        None => {
            let folder = Path::new(text)
                .file_name()
                .unwrap_or_default()
                .to_string_lossy();
            let name = folder.rsplit('_').next().unwrap_or_default();
            (name.to_owned(), text)
        }
    };
    match !path.is_empty() && !name.is_empty() && name.chars().all(char::is_alphanumeric) {
        true => Ok((name, PathBuf::from(path))),
        false => {
            Err("give NAME=DIR with a name of letters and digits, such as `Mu=adapters/mu`".into())
        }
    }
}

/// How replies are drawn.
#[derive(Args, Debug)]
pub(super) struct Draw {
    /// 0 takes the most probable words
    #[arg(long, value_name = "T", default_value_t = 0.7, value_parser = |text: &str| number_in(text, 0.0, 100.0))]
    temperature: f32,
    /// Nucleus
    #[arg(long, value_name = "P", default_value_t = 0.9, value_parser = nucleus)]
    top_p: f32,
    /// Tokens of a reply at most
    #[arg(long, value_name = "N", default_value_t = 160, value_parser = clap::value_parser!(u32).range(1..))]
    max_tokens: u32,
}

fn nucleus(text: &str) -> Result<f32, String> {
    match number_in(text, 0.0, 1.0) {
        Ok(p) if p > 0.0 => Ok(p),
        _ => Err("give a number above 0, up to 1".into()),
    }
}

impl Draw {
    pub(super) fn drawing(&self) -> Drawing {
        Drawing {
            temperature: self.temperature,
            top_p: self.top_p,
            max_tokens: self.max_tokens as usize,
        }
    }
}

/// Prompts of the user's, or the built-in ones.
pub(super) fn prompts(path: Option<&Path>) -> Result<Prompts, Failure> {
    match path {
        Some(path) => Ok(Prompts::open(path)?),
        None => Ok(Prompts::default()),
    }
}

/// Records; a warning for each that is left out.
pub(super) fn records(path: &Path) -> Result<Vec<Record>, Failure> {
    let (records, wrong) = read_records(path)?;
    warn(&wrong);
    Ok(records)
}
