//! BERT's uncased WordPiece from the `vocab.txt` that its checkpoints hold.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::{TextError, Tokenizer};

/// Stands for words that the vocabulary cannot write.
const UNKNOWN: &str = "[UNK]";

impl Tokenizer {
    /// BERT's uncased tokenizer (accents taken off, signs apart, words in pieces that go on with `##`) from the bytes of a
    /// `vocab.txt`: a piece a line, its id the line's number. `origin` names it in errors.
    ///
    /// # Errors
    /// [`TextError::Malformed`] when it is not UTF-8, a piece stands twice, or `[UNK]` is missing.
    pub fn from_wordpiece(bytes: &[u8], origin: &str) -> Result<Self, TextError> {
        let text = std::str::from_utf8(bytes)
            .map_err(|_| TextError::malformed(origin, "it is not UTF-8 text"))?;
        let pieces: Vec<&str> = text
            .lines()
            .map(|line| line.trim_end_matches('\r'))
            .collect();
        let mut seen = HashSet::new();
        if let Some(twice) = pieces.iter().find(|piece| !seen.insert(**piece)) {
            return Err(TextError::malformed(
                origin,
                format!(
                    "the piece `{twice}` stands in it twice; take `vocab.txt` of an uncased BERT"
                ),
            ));
        }
        if !seen.contains(UNKNOWN) {
            return Err(TextError::malformed(
                origin,
                format!("it has no `{UNKNOWN}`; take `vocab.txt` of an uncased BERT"),
            ));
        }
        let vocabulary: Map<String, Value> = pieces
            .iter()
            .enumerate()
            .map(|(id, piece)| ((*piece).to_owned(), json!(id)))
            .collect();
        let added: Vec<Value> = pieces
            .iter()
            .enumerate()
            .filter(|(_, piece)| is_control(piece))
            .map(|(id, piece)| {
                json!({
                    "id": id, "content": piece, "single_word": false, "lstrip": false, "rstrip": false,
                    "normalized": false, "special": true,
                })
            })
            .collect();
        let whole = json!({
            "version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
            "normalizer": {
                "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null,
                "lowercase": true,
            },
            "pre_tokenizer": { "type": "BertPreTokenizer" },
            "post_processor": null,
            "decoder": { "type": "WordPiece", "prefix": "##", "cleanup": true },
            "model": {
                "type": "WordPiece", "unk_token": UNKNOWN, "continuing_subword_prefix": "##",
                "max_input_chars_per_word": 100, "vocab": vocabulary,
            },
        });
        let json =
            serde_json::to_vec(&whole).map_err(|error| TextError::malformed(origin, error))?;
        Self::from_json(&json, origin)
    }
}

/// The pieces of BERT that no text becomes.
fn is_control(piece: &str) -> bool {
    ["[PAD]", UNKNOWN, "[CLS]", "[SEP]", "[MASK]"].contains(&piece)
}
