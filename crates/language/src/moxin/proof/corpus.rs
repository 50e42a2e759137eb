//! Text for the proof: WordNet's glosses, as documents and as questions about kinds of things.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use base::command::Failure;
use base::files::{write_bytes, write_swiftly};
use base::rng::Rng;
use engine::models::causal_lm::train_bpe;
use engine::text::Tokenizer;
use serde_json::json;

use crate::moxin::data::job::Job;
use crate::moxin::data::pack::{Joining, Pack, pack};
use crate::moxin::data::pieces::pieces;
use crate::moxin::wordnet::{self, Noun, NounTask};
use crate::moxin::{Question, SystemError};
pub(super) use crate::wordnet::ABSENT;
use crate::wordnet::folder;

/// WordNet's nouns.
pub(super) fn nouns() -> Option<Vec<Noun>> {
    wordnet::nouns(&folder(None)?)
}

/// Text, a vocabulary and packed corpora in a folder of their own, made once.
pub(super) struct Corpus {
    folder: PathBuf,
    /// Of the vocabulary.
    pub tokenizer: Tokenizer,
    /// Tokens of text that was held out.
    pub held_out: Vec<u32>,
    documents: Vec<String>,
    /// All senses.
    pub nouns: Vec<Noun>,
}

impl Corpus {
    /// Shuffles glosses into documents of about eight, holds out every twentieth and learns a vocabulary.
    pub fn open(out: &Path) -> Result<Option<Self>, Failure> {
        let Some(nouns) = nouns() else {
            return Ok(None);
        };
        let folder = out.join("runs").join("corpus");
        let vocabulary = folder.join("vocabulary");
        base::files::make_folder(&vocabulary)?;
        let mut order: Vec<&Noun> = nouns.iter().collect();
        Rng::new(0).child("glosses").shuffle(&mut order);
        let lines: Vec<String> = order
            .iter()
            .map(|noun| format!("{}: {}.", noun.word, noun.gloss))
            .collect();
        let all: Vec<String> = lines.chunks(8).map(|part| part.join("\n")).collect();
        let (mut documents, mut held) = (Vec::new(), Vec::new());
        for (at, document) in all.into_iter().enumerate() {
            match at % 20 {
                0 => held.push(document),
                _ => documents.push(document),
            }
        }
        let file = vocabulary.join("tokenizer.json");
        if !file.is_file() {
            let texts = documents.iter().map(String::as_str);
            let json = train_bpe(texts, 2048, &["<unk>", "<s>", "</s>"], Some("<s>"))
                .map_err(SystemError::from)?;
            let config = json!({"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"});
            write_bytes(
                vocabulary.join("tokenizer_config.json"),
                config.to_string().as_bytes(),
            )?;
            write_bytes(&file, json.as_bytes())?;
        }
        let tokenizer = Tokenizer::open(&vocabulary).map_err(SystemError::from)?;
        let mut held_out = Vec::new();
        for document in held.iter().take(150) {
            held_out.extend(
                tokenizer
                    .encode_prompt(document)
                    .map_err(SystemError::from)?,
            );
        }
        Ok(Some(Self {
            folder,
            tokenizer,
            held_out,
            documents,
            nouns,
        }))
    }

    /// Where the vocabulary lies.
    pub fn vocabulary(&self) -> PathBuf {
        self.folder.join("vocabulary")
    }

    /// All documents, packed.
    pub fn text(&self) -> Result<Pack, Failure> {
        self.packed("text", &self.documents)
    }

    /// Documents packed under a name; what is there is taken as it is.
    pub fn packed(&self, name: &str, documents: &[String]) -> Result<Pack, Failure> {
        let folder = self.folder.join(name);
        if let Ok(pack) = Pack::open(&folder, false) {
            return Ok(pack);
        }
        let file = self.folder.join(format!("{name}.jsonl"));
        write_swiftly(&file, |out| {
            documents
                .iter()
                .try_for_each(|text| writeln!(out, "{}", json!({"text": text})))
        })?;
        static NEVER: AtomicBool = AtomicBool::new(false);
        let job = Job {
            step: "pack",
            params: json!(name),
            pieces: pieces(&[file], 64 << 20)?,
            out: &folder,
            shard: None,
            stop: &NEVER,
        };
        pack(&job, &self.tokenizer, Joining::Stream, 0)?;
        Ok(Pack::open(&folder, false)?)
    }

    /// Some documents from the front.
    pub fn documents(&self) -> &[String] {
        &self.documents
    }

    /// Questions about kinds, of two halves of the words: for training and for the test. Wrong choices are kinds of other things.
    pub fn questions(&self, seed: u64, count: usize) -> [Vec<Question>; 2] {
        let mut rng = Rng::new(seed).child("questions");
        let usable = NounTask::Hypernym.usable(&self.nouns);
        let mut order = usable.clone();
        rng.shuffle(&mut order);
        let mut make = |noun: &&Noun| NounTask::Hypernym.question(noun, &usable, &mut rng);
        let test = order.iter().take(count).filter_map(&mut make).collect();
        let train = order.iter().skip(count).filter_map(&mut make).collect();
        [train, test]
    }
}
