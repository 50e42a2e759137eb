//! The vocabulary of a GGUF file as a tokenizer.

use std::collections::HashMap;

use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{AddedToken, PreTokenizerWrapper, SplitDelimiterBehavior};

use super::added::{Added, AddedTokens};
use super::bytes::{Pieces, TokenBytes};
use super::hub::{self, AssembleFrom};
use super::patterns::patterns;
use super::sentencepiece::{self, Unigram};
use super::spm::{Prefix, Spm};
use super::tokenizer::{Model, SpecialTokens, Tokenizer};
use super::{GgufVocabulary, TextError};

/// Kinds of tokens in `tokenizer.ggml.token_type`.
const UNKNOWN: i32 = 2;
const CONTROL: i32 = 3;
const USER_DEFINED: i32 = 4;
const BYTE: i32 = 6;

/// Tokens that end an answer under whatever model they occur, as llama.cpp has them.
const END_MARKERS: [&str; 9] = [
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<|eom_id|>",
    "<EOT>",
    "<end_of_utterance>",
];

impl GgufVocabulary {
    /// See [`Tokenizer::from_gguf`].
    pub(super) fn tokenizer(&self) -> Result<Tokenizer, TextError> {
        if self.tokens.is_empty() {
            return Err(self.malformed("the file has no tokens: take one that was converted whole"));
        }
        let wrong = |len: usize| len != 0 && len != self.tokens.len();
        if wrong(self.types.len()) || wrong(self.scores.len()) {
            return Err(
                self.malformed("it has as many types or scores as no vocabulary of its size")
            );
        }
        let mut tokenizer = match self.model.as_str() {
            "gpt2" => self.byte_level()?,
            "llama" => self.spm()?,
            "t5" => self.unigram()?,
            other => {
                return Err(self.malformed(format!(
                    "vocabularies of the kind `{other}` are not known (known: gpt2, llama, t5); use the model's `tokenizer.json`"
                )));
            }
        };
        tokenizer.special = self.special();
        tokenizer.around = self.around(&tokenizer.special);
        if let Some(source) = &self.chat_template {
            tokenizer.set_chat_template(source)?;
        }
        Ok(tokenizer)
    }

    fn malformed(&self, reason: impl std::fmt::Display) -> TextError {
        TextError::malformed(&self.origin, reason)
    }

    fn kind(&self, id: usize) -> i32 {
        self.types.get(id).copied().unwrap_or(1)
    }

    /// Byte-level BPE: GPT-2 and most models since.
    fn byte_level(&self) -> Result<Tokenizer, TextError> {
        let name = self.pre.as_deref().unwrap_or("default");
        let Some(cut) = patterns(name) else {
            return Err(self.malformed(format!(
                "its way to cut words, `{name}`, is not known; use the model's `tokenizer.json`"
            )));
        };
        let wrong_merge =
            |merge: &str| self.malformed(format!("`{merge}` is not a merge of two pieces"));
        let merges = self.merges.iter().map(|merge| {
            // A piece may itself begin with a space.
            let space = merge.char_indices().skip(1).find(|(_, c)| *c == ' ');
            let (at, _) = space.ok_or_else(|| wrong_merge(merge))?;
            Ok((merge[..at].to_owned(), merge[at + 1..].to_owned()))
        });
        let merges: Vec<(String, String)> = merges.collect::<Result<_, TextError>>()?;
        let ids = 0u32..;
        let vocabulary: Vocab = self.tokens.iter().cloned().zip(ids).collect();
        let model = BPE::builder()
            .vocab_and_merges(vocabulary, merges)
            .ignore_merges(cut.whole_words)
            .build()
            .map_err(|cause| self.malformed(cause))?;
        let split = |pattern: &&str| {
            let pattern = SplitPattern::Regex((*pattern).to_owned());
            Split::new(pattern, SplitDelimiterBehavior::Isolated, false)
                .map(PreTokenizerWrapper::from)
                .map_err(|cause| self.malformed(cause))
        };
        let mut steps: Vec<PreTokenizerWrapper> =
            cut.patterns.iter().map(split).collect::<Result<_, _>>()?;
        let prefix = self.add_space_prefix == Some(true);
        steps.push(ByteLevel::new(prefix, false, false).into());
        let mut model = tokenizers::Tokenizer::new(model);
        model.with_pre_tokenizer(Some(Sequence::new(steps)));
        let mut tokenizer = self.assemble(model, &Pieces::ByteLevel)?;
        tokenizer.strip_first_space = prefix;
        Ok(tokenizer)
    }

    /// SentencePiece BPE: Llama 2, Mistral, Phi-3, Gemma.
    fn spm(&self) -> Result<Tokenizer, TextError> {
        let byte_fallback = (0..self.tokens.len()).any(|id| self.kind(id) == BYTE);
        let prefix = self.add_space_prefix.unwrap_or(true);
        let model = Spm::new(self.normal_pieces(), self.unk, byte_fallback)
            .with_prefix(if prefix {
                Prefix::AfterAdded
            } else {
                Prefix::Never
            })
            .with_normalizer(
                sentencepiece::normalizer(&self.charsmap, &self.origin)?,
                self.remove_extra_whitespaces,
            );
        let mut bytes = TokenBytes::default();
        for (id, piece) in self.tokens.iter().enumerate() {
            match self.kind(id) {
                UNKNOWN | CONTROL | USER_DEFINED => bytes.push(piece.as_bytes()),
                _ => bytes.push(&Pieces::SentencePiece.bytes(piece)),
            }
        }
        Ok(Tokenizer {
            origin: self.origin.clone(),
            model: Model::Spm(model),
            added: AddedTokens::new(self.added(), &self.origin)?,
            bytes,
            special: SpecialTokens::default(),
            around: Default::default(),
            strip_first_space: prefix,
            template: None,
        })
    }

    /// SentencePiece unigram: T5.
    fn unigram(&self) -> Result<Tokenizer, TextError> {
        let score = |id: usize| f64::from(self.scores.get(id).copied().unwrap_or(0.0));
        let pieces = self.tokens.iter().enumerate();
        let model = Unigram {
            pieces: pieces
                .map(|(id, piece)| (piece.clone(), score(id)))
                .collect(),
            unk: self.unk,
            byte_fallback: (0..self.tokens.len()).any(|id| self.kind(id) == BYTE),
            control: (0..self.tokens.len())
                .filter(|&id| matches!(self.kind(id), UNKNOWN | CONTROL))
                .collect(),
            charsmap: &self.charsmap,
            prefix: self.add_space_prefix.unwrap_or(true),
            remove_extra_whitespaces: self.remove_extra_whitespaces,
        };
        let mut tokenizer = self.assemble(model.build(&self.origin)?, &Pieces::SentencePiece)?;
        tokenizer.strip_first_space = self.add_space_prefix.unwrap_or(true);
        Ok(tokenizer)
    }

    fn assemble(
        &self,
        model: tokenizers::Tokenizer,
        pieces: &Pieces,
    ) -> Result<Tokenizer, TextError> {
        hub::assemble(AssembleFrom {
            model,
            pieces,
            added: match self.model.as_str() {
                "t5" => sentencepiece::in_normalized(self.added()),
                _ => self.added(),
            },
            table: self.tokens.iter().map(String::as_str).zip(0..).collect(),
            origin: &self.origin,
        })
    }

    /// Pieces that text may be cut into, with their scores.
    fn normal_pieces(&self) -> HashMap<String, (u32, f32)> {
        let pieces = self.tokens.iter().zip(0u32..);
        let pieces = pieces.filter(|(_, id)| !matches!(self.kind(*id as usize), UNKNOWN | CONTROL));
        let score = |id: u32| self.scores.get(id as usize).copied().unwrap_or(0.0);
        pieces
            .map(|(piece, id)| (piece.clone(), (id, score(id))))
            .collect()
    }

    /// Control tokens, and tokens that come before all merging.
    fn added(&self) -> Vec<Added> {
        // The official Phi-3 tokenizer lets its markers take the white space that follows them.
        let strip = self.architecture == "phi3";
        let tokens = self.tokens.iter().zip(0u32..);
        let added = tokens.filter_map(|(text, id)| {
            let ends = END_MARKERS.contains(&text.as_str());
            let kind = self.kind(id as usize);
            let special = ends || matches!(kind, UNKNOWN | CONTROL);
            if text.is_empty() || !(special || kind == USER_DEFINED) {
                return None;
            }
            let plain = matches!(text.as_str(), "<unk>" | "<s>" | "<|endoftext|>");
            let token = AddedToken::from(text.as_str(), special)
                .normalized(false)
                .rstrip(strip && !plain);
            Some(Added {
                id,
                token,
                pattern: text.clone(),
                control: special,
            })
        });
        added.collect()
    }

    fn special(&self) -> SpecialTokens {
        let known = |id: &u32| (*id as usize) < self.tokens.len();
        let marked = self.tokens.iter().zip(0u32..);
        let marked = marked.filter(|(text, _)| END_MARKERS.contains(&text.as_str()));
        let ids = marked.map(|(_, id)| id).chain(self.eos);
        let mut end: Vec<u32> = ids
            .chain(self.end_of_turn.iter().copied())
            .filter(known)
            .collect();
        end.sort_unstable();
        end.dedup();
        let spm = self.model == "llama";
        SpecialTokens {
            bos: self.bos.or(spm.then_some(1)).filter(known),
            eos: self.eos.or(spm.then_some(2)).filter(known),
            unk: self.unk.or(spm.then_some(0)).filter(known),
            pad: self.pad.filter(known),
            end,
        }
    }

    fn around(&self, special: &SpecialTokens) -> (Vec<u32>, Vec<u32>) {
        let usual = self.model == "llama"
            || matches!(
                self.pre.as_deref(),
                Some("tekken" | "llama-bpe" | "llama3" | "llama-v3")
            );
        let bos = self.add_bos.unwrap_or(usual).then_some(special.bos);
        let eos = self
            .add_eos
            .unwrap_or(self.model == "t5")
            .then_some(special.eos);
        let list = |id: Option<Option<u32>>| id.flatten().into_iter().collect();
        (list(bos), list(eos))
    }
}
