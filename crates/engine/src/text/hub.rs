//! `tokenizer.json`: a pipeline of the `tokenizers` crate, with our rule for control tokens.

use tokenizers::{
    Encoding, Model as _, Normalizer as _, OffsetReferential, OffsetType, PostProcessor as _,
    PreTokenizedString, PreTokenizer as _, Token, decoders::DecoderWrapper,
};

use super::TextError;
use super::added::{Added, AddedTokens, Control};
use super::bytes::{Pieces, TokenBytes, is_byte_piece};
use super::charsmap;
use super::tokenizer::{Model, SpecialTokens, Tokenizer};

/// Highest id of an added token: ids are indices of tables.
const HIGHEST_ID: u32 = 1 << 22;

/// See [`Tokenizer::from_json`].
pub(super) fn from_json(bytes: &[u8], origin: &str) -> Result<Tokenizer, TextError> {
    // Tables of characters are looked through first; a key may be written with escapes.
    let has = |text: &[u8]| bytes.windows(text.len()).any(|it| it == text);
    if has(b"charsmap") || has(b"\\u00") {
        let json = serde_json::from_slice(bytes).unwrap_or_default();
        charsmap::check_all(&json).map_err(|reason| TextError::malformed(origin, reason))?;
    }
    let mut model = tokenizers::Tokenizer::from_bytes(bytes).map_err(|cause| {
        TextError::malformed(
            origin,
            format!("`tokenizer.json` is not whole ({cause}); download or copy it again"),
        )
    })?;
    // Both belong to training code and would silently change what is encoded.
    model.with_padding(None);
    model
        .with_truncation(None)
        .map_err(|cause| TextError::malformed(origin, cause))?;
    let pieces = pieces_of(&model);
    let strip = strips_first_space(&model);
    let vocabulary = model.get_model().get_vocab();
    let mut tokenizer = assemble(AssembleFrom {
        added: added_of(&model, origin)?,
        table: vocabulary
            .iter()
            .map(|(text, &id)| (text.as_str(), id))
            .collect(),
        model,
        pieces: &pieces,
        origin,
    })?;
    tokenizer.strip_first_space = strip;
    tokenizer.around = around(&tokenizer)?;
    Ok(tokenizer)
}

/// What a tokenizer around a pipeline is made of.
pub(super) struct AssembleFrom<'a> {
    pub model: tokenizers::Tokenizer,
    pub pieces: &'a Pieces,
    pub added: Vec<Added>,
    /// The model's pieces and their ids.
    pub table: Vec<(&'a str, u32)>,
    pub origin: &'a str,
}

/// A tokenizer around a pipeline, with the bytes of its tokens.
pub(super) fn assemble(from: AssembleFrom<'_>) -> Result<Tokenizer, TextError> {
    let mut table: Vec<Vec<u8>> = Vec::new();
    let added = from
        .added
        .iter()
        .map(|it| (it.token.content.as_str(), it.id));
    let pieces = from.table.iter().copied();
    let added = added.map(|(text, id)| (text, id, true));
    for (text, id, whole) in pieces.map(|(text, id)| (text, id, false)).chain(added) {
        if id > HIGHEST_ID {
            return Err(TextError::malformed(
                from.origin,
                format!("the token `{text}` has the id {id}"),
            ));
        }
        let at = id as usize;
        if at >= table.len() {
            table.resize(at + 1, Vec::new());
        }
        table[at] = match whole {
            true => text.as_bytes().to_vec(),
            false => from.pieces.bytes(text),
        };
    }
    let mut bytes = TokenBytes::default();
    table.iter().for_each(|token| bytes.push(token));
    Ok(Tokenizer {
        origin: from.origin.to_owned(),
        added: AddedTokens::new(from.added, from.origin)?,
        model: Model::Hub(Box::new(from.model)),
        bytes,
        special: SpecialTokens::default(),
        around: Default::default(),
        strip_first_space: false,
        template: None,
    })
}

/// The added tokens of a pipeline.
fn added_of(model: &tokenizers::Tokenizer, origin: &str) -> Result<Vec<Added>, TextError> {
    let tokens = model.get_added_vocabulary().get_added_tokens_decoder();
    let added = tokens.iter().map(|(&id, token)| {
        let mut pattern = tokenizers::NormalizedString::from(token.content.as_str());
        if let (true, Some(normalizer)) = (token.normalized, model.get_normalizer()) {
            let normalized = normalizer.normalize(&mut pattern);
            normalized.map_err(|cause| TextError::malformed(origin, cause))?;
        }
        Ok(Added {
            id,
            pattern: pattern.get().to_owned(),
            control: token.special,
            token: token.clone(),
        })
    });
    added.collect()
}

/// How the pipeline's decoder reads pieces.
fn pieces_of(model: &tokenizers::Tokenizer) -> Pieces {
    fn look(decoder: &DecoderWrapper) -> Option<Pieces> {
        match decoder {
            DecoderWrapper::ByteLevel(_) => Some(Pieces::ByteLevel),
            DecoderWrapper::Metaspace(_) | DecoderWrapper::ByteFallback(_) => {
                Some(Pieces::SentencePiece)
            }
            DecoderWrapper::WordPiece(_) => Some(Pieces::WordPiece),
            DecoderWrapper::BPE(bpe) => Some(Pieces::WordEnd(bpe.suffix.clone())),
            DecoderWrapper::Sequence(list) => list.get_decoders().iter().find_map(look),
            _ => None,
        }
    }
    let suffix = match model.get_model() {
        tokenizers::ModelWrapper::BPE(bpe) => bpe.end_of_word_suffix.clone(),
        _ => None,
    };
    match (model.get_decoder().and_then(look), suffix) {
        // CLIP: bytes of words that end in `</w>`.
        (Some(Pieces::ByteLevel), Some(suffix)) if !suffix.is_empty() => Pieces::WordEnd(suffix),
        (Some(pieces), _) => pieces,
        (None, _) => Pieces::Plain,
    }
}

/// Whether decoding drops the space that encoding put before the text.
fn strips_first_space(model: &tokenizers::Tokenizer) -> bool {
    fn look(decoder: &DecoderWrapper) -> bool {
        match decoder {
            DecoderWrapper::Metaspace(it) => {
                it.get_prepend_scheme()
                    != tokenizers::pre_tokenizers::metaspace::PrependScheme::Never
            }
            DecoderWrapper::Strip(it) => it.content == ' ' && it.start == 1,
            DecoderWrapper::WordPiece(_) => true,
            DecoderWrapper::Sequence(list) => list.get_decoders().iter().any(look),
            _ => false,
        }
    }
    model.get_decoder().is_some_and(look)
}

/// What the pipeline's post-processor puts before and after a text.
fn around(tokenizer: &Tokenizer) -> Result<(Vec<u32>, Vec<u32>), TextError> {
    let Model::Hub(model) = &tokenizer.model else {
        return Ok(Default::default());
    };
    let Some(processor) = model.get_post_processor() else {
        return Ok(Default::default());
    };
    // A text of one token that no vocabulary has shows what comes before and after.
    let text = Encoding::from_tokens(vec![Token::new(u32::MAX, String::new(), (0, 0))], 0);
    let whole = processor
        .process(text, None, true)
        .map_err(|cause| TextError::malformed(&tokenizer.origin, cause))?;
    let ids = whole.get_ids();
    let at = ids.iter().position(|&id| id == u32::MAX);
    let at = at.unwrap_or(ids.len());
    let after = ids.get(at + 1..).unwrap_or_default();
    let around = (ids[..at].to_vec(), after.to_vec());
    match around
        .0
        .iter()
        .chain(&around.1)
        .find(|&&id| id as usize >= tokenizer.len())
    {
        Some(&id) => Err(tokenizer.unknown(id)),
        None => Ok(around),
    }
}

/// The steps of `tokenizers`' own `encode`, with our rule for control tokens.
pub(super) fn encode(
    model: &tokenizers::Tokenizer,
    added: &AddedTokens,
    text: &str,
    control: Control<'_>,
) -> Result<Vec<u32>, TextError> {
    let mut parts = PreTokenizedString::from(text);
    let run = |parts: &mut PreTokenizedString| -> tokenizers::Result<()> {
        parts.split(|_, part| Ok(added.split(&part, false, control)))?;
        parts.split(|_, mut part| {
            if let Some(normalizer) = model.get_normalizer() {
                normalizer.normalize(&mut part)?;
            }
            Ok(added.split(&part, true, control))
        })?;
        if let Some(pre) = model.get_pre_tokenizer() {
            pre.pre_tokenize(parts)?;
        }
        parts.tokenize(|part| text_tokens(model, added, part.get()))
    };
    run(&mut parts).map_err(TextError::encode)?;
    let splits = parts.get_splits(OffsetReferential::Normalized, OffsetType::None);
    let tokens = splits
        .into_iter()
        .flat_map(|(_, _, tokens)| tokens.iter().flatten());
    Ok(tokens.map(|token| token.id).collect())
}

/// The model's tokens of `text`, which holds no added token any more. Some models know control tokens and bytes as pieces
/// like any other (unigram ones do): what a user spelled like one of these is cut into characters.
fn text_tokens(
    model: &tokenizers::Tokenizer,
    added: &AddedTokens,
    text: &str,
) -> tokenizers::Result<Vec<Token>> {
    let model = model.get_model();
    let tokens = model.tokenize(text)?;
    let spelled = |token: &Token| {
        let slice = text.get(token.offsets.0..token.offsets.1);
        let slice = slice.filter(|slice| added.is_control(token.id, slice) || is_byte_piece(slice));
        slice.filter(|slice| slice.chars().nth(1).is_some() && token.value == **slice)
    };
    if !tokens.iter().any(|token| spelled(token).is_some()) {
        return Ok(tokens);
    }
    let mut safe = Vec::with_capacity(tokens.len());
    for token in tokens {
        match spelled(&token) {
            None => safe.push(token),
            Some(slice) => {
                for (at, c) in slice.char_indices() {
                    safe.extend(model.tokenize(&slice[at..at + c.len_utf8()])?);
                }
            }
        }
    }
    Ok(safe)
}
