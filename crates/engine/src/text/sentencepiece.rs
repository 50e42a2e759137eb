//! SentencePiece's `tokenizer.model`: a protocol buffer `ModelProto` (sentencepiece_model.proto), unigram or BPE.

use std::collections::HashMap;

use tokenizers::normalizers::precompiled::Precompiled;
use tokenizers::normalizers::prepend::Prepend;
use tokenizers::normalizers::replace::{Replace, ReplacePattern};
use tokenizers::normalizers::strip::Strip;
use tokenizers::normalizers::{NormalizerWrapper, Sequence};
use tokenizers::{AddedToken, models::unigram};

use super::TextError;
use super::added::{Added, AddedTokens};
use super::bytes::{Pieces, SPACE, TokenBytes};
use super::charsmap;
use super::hub::{self, AssembleFrom};
use super::protobuf::{Value, fields};
use super::spm::{Prefix, Spm};
use super::tokenizer::{Model, SpecialTokens, Tokenizer};

/// Kinds of pieces.
const UNKNOWN: u64 = 2;
const CONTROL: u64 = 3;
const USER_DEFINED: u64 = 4;
const BYTE: u64 = 6;

/// The parts of `ModelProto` that matter, with the defaults of the format.
struct Proto {
    pieces: Vec<(String, f32, u64)>,
    bpe: bool,
    other_kind: bool,
    byte_fallback: bool,
    unk: i64,
    bos: i64,
    eos: i64,
    pad: i64,
    charsmap: Vec<u8>,
    prefix: bool,
    remove_extra_whitespaces: bool,
}

/// See [`Tokenizer::from_sentencepiece`].
pub(super) fn read(bytes: &[u8], origin: &str) -> Result<Tokenizer, TextError> {
    let broken = || {
        TextError::malformed(
            origin,
            "it is not a whole SentencePiece model; download or copy it again",
        )
    };
    let proto = parse(bytes).filter(|proto| !proto.pieces.is_empty());
    let proto = proto.ok_or_else(broken)?;
    if proto.other_kind {
        return Err(TextError::malformed(
            origin,
            "it is a word or character model, and only unigram and BPE are known",
        ));
    }
    let known = |id: i64| {
        u32::try_from(id)
            .ok()
            .filter(|&id| (id as usize) < proto.pieces.len())
    };
    let unk = known(proto.unk);
    let mut tokenizer = match proto.bpe {
        true => bpe(&proto, unk, origin)?,
        false => {
            let pieces = proto.pieces.iter();
            let model = Unigram {
                pieces: pieces
                    .map(|(piece, score, _)| (piece.clone(), f64::from(*score)))
                    .collect(),
                unk,
                byte_fallback: proto.byte_fallback,
                control: (0..proto.pieces.len())
                    .filter(|&id| matches!(proto.pieces[id].2, UNKNOWN | CONTROL))
                    .collect(),
                charsmap: &proto.charsmap,
                prefix: proto.prefix,
                remove_extra_whitespaces: proto.remove_extra_whitespaces,
            };
            hub::assemble(AssembleFrom {
                model: model.build(origin)?,
                pieces: &Pieces::SentencePiece,
                // Looked for in the normalized text: a space before one stays a token of its own.
                added: in_normalized(added(&proto)),
                table: proto
                    .pieces
                    .iter()
                    .map(|it| it.0.as_str())
                    .zip(0..)
                    .collect(),
                origin,
            })?
        }
    };
    tokenizer.strip_first_space = proto.prefix;
    let eos = known(proto.eos);
    tokenizer.special = SpecialTokens {
        bos: known(proto.bos),
        eos,
        unk,
        pad: known(proto.pad),
        end: eos.into_iter().collect(),
    };
    // The file does not say; the models that have a begin token put it before a text, and T5 an end token after it.
    tokenizer.around = match (known(proto.bos), eos) {
        (Some(bos), _) => (vec![bos], Vec::new()),
        (None, eos) => (Vec::new(), eos.into_iter().collect()),
    };
    Ok(tokenizer)
}

fn bpe(proto: &Proto, unk: Option<u32>, origin: &str) -> Result<Tokenizer, TextError> {
    let mut pieces = HashMap::new();
    let mut bytes = TokenBytes::default();
    for ((piece, score, kind), id) in proto.pieces.iter().zip(0u32..) {
        match *kind {
            UNKNOWN | CONTROL | USER_DEFINED => bytes.push(piece.as_bytes()),
            _ => bytes.push(&Pieces::SentencePiece.bytes(piece)),
        }
        if !matches!(*kind, UNKNOWN | CONTROL) {
            pieces.insert(piece.clone(), (id, *score));
        }
    }
    let model = Spm::new(pieces, unk, proto.byte_fallback)
        .with_prefix(if proto.prefix {
            Prefix::Once
        } else {
            Prefix::Never
        })
        .with_normalizer(
            normalizer(&proto.charsmap, origin)?,
            proto.remove_extra_whitespaces,
        );
    Ok(Tokenizer {
        origin: origin.to_owned(),
        model: Model::Spm(model),
        added: AddedTokens::new(added(proto), origin)?,
        bytes,
        special: SpecialTokens::default(),
        around: Default::default(),
        strip_first_space: false,
        template: None,
    })
}

fn added(proto: &Proto) -> Vec<Added> {
    let pieces = proto.pieces.iter().zip(0u32..);
    let added = pieces.filter(|((piece, _, kind), _)| {
        !piece.is_empty() && matches!(*kind, UNKNOWN | CONTROL | USER_DEFINED)
    });
    let added = added.map(|((piece, _, kind), id)| {
        let special = *kind != USER_DEFINED;
        Added {
            id,
            token: AddedToken::from(piece.as_str(), special).normalized(false),
            pattern: piece.clone(),
            control: special,
        }
    });
    added.collect()
}

/// The same tokens, looked for after the normalizer, as SentencePiece does.
pub(super) fn in_normalized(mut added: Vec<Added>) -> Vec<Added> {
    added.iter_mut().for_each(|it| it.token.normalized = true);
    added
}

/// The table of what characters become; none where it is empty.
pub(super) fn normalizer(charsmap: &[u8], origin: &str) -> Result<Option<Precompiled>, TextError> {
    if charsmap.is_empty() {
        return Ok(None);
    }
    charsmap::check(charsmap).map_err(|reason| TextError::malformed(origin, reason))?;
    let table = Precompiled::from(charsmap);
    table
        .map(Some)
        .map_err(|cause| TextError::malformed(origin, format!("{cause:?}")))
}

/// A unigram model (Kudo 2018, arXiv 1804.10959).
pub(super) struct Unigram<'a> {
    pub pieces: Vec<(String, f64)>,
    pub unk: Option<u32>,
    pub byte_fallback: bool,
    /// Pieces that no text is cut into.
    pub control: Vec<usize>,
    pub charsmap: &'a [u8],
    pub prefix: bool,
    pub remove_extra_whitespaces: bool,
}

impl Unigram<'_> {
    /// It as a pipeline.
    pub fn build(self, origin: &str) -> Result<tokenizers::Tokenizer, TextError> {
        let wrong = |cause: tokenizers::Error| TextError::malformed(origin, cause);
        // Only these names are kept apart from what text may spell; normalized text has no space.
        let mut pieces = self.pieces;
        for (id, (piece, _)) in pieces.iter_mut().enumerate() {
            if self.control.contains(&id) {
                *piece = format!(" {id}");
            }
        }
        let unk = self.unk.map(|id| id as usize);
        let model = unigram::Unigram::from(pieces, unk, self.byte_fallback).map_err(wrong)?;
        let mut model = tokenizers::Tokenizer::new(model);
        let mut steps: Vec<NormalizerWrapper> = Vec::new();
        steps.extend(normalizer(self.charsmap, origin)?.map(NormalizerWrapper::from));
        if self.remove_extra_whitespaces {
            let runs = ReplacePattern::Regex(" {2,}".to_owned());
            steps.push(Strip::new(true, true).into());
            steps.push(Replace::new(runs, " ").map_err(wrong)?.into());
        }
        if self.prefix {
            steps.push(Prepend::new(" ".to_owned()).into());
        }
        let space = ReplacePattern::String(" ".to_owned());
        steps.push(
            Replace::new(space, SPACE.to_string())
                .map_err(wrong)?
                .into(),
        );
        model
            .with_normalizer(Some(Sequence::new(steps)))
            .map_err(wrong)?;
        Ok(model)
    }
}

/// `None` where the message is not whole.
fn parse(bytes: &[u8]) -> Option<Proto> {
    let mut proto = Proto {
        pieces: Vec::new(),
        bpe: false,
        other_kind: false,
        byte_fallback: false,
        unk: 0,
        bos: 1,
        eos: 2,
        pad: -1,
        charsmap: Vec::new(),
        prefix: true,
        remove_extra_whitespaces: true,
    };
    for field in fields(bytes) {
        match field? {
            (1, Value::Bytes(piece)) => proto.pieces.push(parse_piece(piece)?),
            (2, Value::Bytes(trainer)) => {
                for field in fields(trainer) {
                    let (number, value) = field?;
                    let id = || value.integer().map(|id| id as i64);
                    match number {
                        3 => {
                            proto.bpe = value.integer()? == 2;
                            proto.other_kind = value.integer()? > 2;
                        }
                        35 => proto.byte_fallback = value.integer()? != 0,
                        40 => proto.unk = id()?,
                        41 => proto.bos = id()?,
                        42 => proto.eos = id()?,
                        43 => proto.pad = id()?,
                        _ => {}
                    }
                }
            }
            (3, Value::Bytes(normalizer)) => {
                for field in fields(normalizer) {
                    match field? {
                        (2, value) => proto.charsmap = value.bytes()?.to_vec(),
                        (3, value) => proto.prefix = value.integer()? != 0,
                        (4, value) => proto.remove_extra_whitespaces = value.integer()? != 0,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    Some(proto)
}

fn parse_piece(bytes: &[u8]) -> Option<(String, f32, u64)> {
    let (mut piece, mut score, mut kind) = (String::new(), 0.0, 1);
    for field in fields(bytes) {
        match field? {
            (1, value) => piece = String::from_utf8_lossy(value.bytes()?).into_owned(),
            (2, value) => score = value.float()?,
            (3, value) => kind = value.integer()?,
            _ => {}
        }
    }
    (kind <= BYTE).then_some((piece, score, kind))
}
