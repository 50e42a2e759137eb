//! What a GGUF file says of its tokenizer.

use crate::weights::{Gguf, GgufValue};

/// What a GGUF file says of its tokenizer: the keys `tokenizer.ggml.*` and `tokenizer.chat_template`.
#[derive(Clone, Debug, Default)]
pub struct GgufVocabulary {
    /// The file, for errors.
    pub origin: String,
    /// `general.architecture`.
    pub architecture: String,
    /// `tokenizer.ggml.model`: `gpt2` (byte-level BPE), `llama` (SentencePiece BPE) or `t5` (unigram).
    pub model: String,
    /// `tokenizer.ggml.pre`: how text is cut into words.
    pub pre: Option<String>,
    /// `tokens`, by id.
    pub tokens: Vec<String>,
    /// `scores`; empty where the file has none.
    pub scores: Vec<f32>,
    /// `token_type`; empty where the file has none.
    pub types: Vec<i32>,
    /// `merges`: two pieces with a space between, the first one first.
    pub merges: Vec<String>,
    /// `bos_token_id`.
    pub bos: Option<u32>,
    /// `eos_token_id`.
    pub eos: Option<u32>,
    /// `eot_token_id` and `eom_token_id`.
    pub end_of_turn: Vec<u32>,
    /// `unknown_token_id`.
    pub unk: Option<u32>,
    /// `padding_token_id`.
    pub pad: Option<u32>,
    /// `add_bos_token`.
    pub add_bos: Option<bool>,
    /// `add_eos_token`.
    pub add_eos: Option<bool>,
    /// `add_space_prefix`.
    pub add_space_prefix: Option<bool>,
    /// `remove_extra_whitespaces`.
    pub remove_extra_whitespaces: bool,
    /// `precompiled_charsmap`.
    pub charsmap: Vec<u8>,
    /// `tokenizer.chat_template`.
    pub chat_template: Option<String>,
}

impl GgufVocabulary {
    /// What `file` says.
    pub fn read(file: &Gguf, origin: &str) -> Self {
        let key = |name: &str| file.value(&format!("tokenizer.ggml.{name}"));
        let id = |name: &str| u32::try_from(key(name)?.int()?).ok();
        let text = |value: Option<&GgufValue>| value.and_then(|it| it.text().map(str::to_owned));
        let texts = |name: &str| -> Vec<String> {
            let texts = key(name).and_then(GgufValue::texts).unwrap_or_default();
            let texts = texts
                .iter()
                .map(|it| String::from_utf8_lossy(it).into_owned());
            texts.collect()
        };
        let scores = key("scores")
            .and_then(GgufValue::floats)
            .unwrap_or_default();
        let types = key("token_type")
            .and_then(GgufValue::ints)
            .unwrap_or_default();
        let charsmap = key("precompiled_charsmap")
            .and_then(GgufValue::ints)
            .unwrap_or_default();
        let flag = |name: &str| key(name).and_then(GgufValue::bool);
        Self {
            origin: origin.to_owned(),
            architecture: text(file.value("general.architecture")).unwrap_or_default(),
            model: text(key("model")).unwrap_or_default(),
            pre: text(key("pre")),
            tokens: texts("tokens"),
            scores: scores.iter().map(|&score| score as f32).collect(),
            types: types
                .iter()
                .map(|&kind| i32::try_from(kind).unwrap_or(1))
                .collect(),
            merges: texts("merges"),
            bos: id("bos_token_id"),
            eos: id("eos_token_id"),
            end_of_turn: ["eot_token_id", "eom_token_id"]
                .iter()
                .filter_map(|name| id(name))
                .collect(),
            unk: id("unknown_token_id"),
            pad: id("padding_token_id"),
            add_bos: flag("add_bos_token"),
            add_eos: flag("add_eos_token"),
            add_space_prefix: flag("add_space_prefix"),
            remove_extra_whitespaces: flag("remove_extra_whitespaces").unwrap_or(false),
            charsmap: charsmap.iter().map(|&byte| byte as u8).collect(),
            chat_template: text(file.value("tokenizer.chat_template")),
        }
    }
}
