//! `tokenizer.json` and the files beside it, as model hubs lay them out.

use std::path::Path;

use serde_json::Value;
use tokenizers::{
    Encoding, Model as _, Normalizer as _, OffsetReferential, OffsetType, PostProcessor as _,
    PreTokenizedString, PreTokenizer as _, decoders::DecoderWrapper,
};

use super::added::{Added, AddedTokens, Control};
use super::bytes::{Pieces, TokenBytes};
use super::tokenizer::{Model, SpecialTokens, Tokenizer};
use super::{GgufVocabulary, TextError, sentencepiece};
use crate::weights::Gguf;

/// Largest tokenizer file that is read, in bytes; the largest known one has about 35 MB.
const LARGEST: u64 = 256 << 20;
/// Highest id of an added token: ids are indices of tables.
const HIGHEST_ID: u32 = 1 << 22;

/// See [`Tokenizer::open`].
pub(super) fn open(path: &Path) -> Result<Tokenizer, TextError> {
    let folder = path.is_dir();
    let origin = path.display().to_string();
    let json = match folder {
        true => path.join("tokenizer.json"),
        false => path.to_owned(),
    };
    let model = match folder {
        true => path.join("tokenizer.model"),
        false => path.to_owned(),
    };
    if path.extension().is_some_and(|it| it == "gguf") && !folder {
        let file = Gguf::open(path).map_err(TextError::Weights)?;
        return GgufVocabulary::read(&file, &origin).tokenizer();
    }
    let mut tokenizer = if json.extension().is_some_and(|it| it == "json") && json.exists() {
        from_json(&read(&json)?, &origin)?
    } else if model.extension().is_some_and(|it| it == "model") && model.exists() {
        sentencepiece::read(&read(&model)?, &origin)?
    } else if path.exists() {
        return Err(TextError::NoTokenizer { path: path.into() });
    } else {
        read(path)?;
        return Err(TextError::NoTokenizer { path: path.into() });
    };
    let beside = match folder {
        true => path,
        false => path.parent().unwrap_or(path),
    };
    configure(&mut tokenizer, beside)?;
    Ok(tokenizer)
}

/// Reads a file of bounded size.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, TextError> {
    let failed = |source| TextError::Read {
        path: path.into(),
        source,
    };
    let size = std::fs::metadata(path).map_err(failed)?.len();
    if size > LARGEST {
        return Err(TextError::malformed(
            &path.display().to_string(),
            format!(
                "it has {size} bytes, more than any tokenizer ({} MB)",
                LARGEST >> 20
            ),
        ));
    }
    std::fs::read(path).map_err(failed)
}

/// Special tokens and chat template from the files in `folder`.
fn configure(tokenizer: &mut Tokenizer, folder: &Path) -> Result<(), TextError> {
    let config = json_beside(folder, "tokenizer_config.json")?;
    let generation = json_beside(folder, "generation_config.json")?;
    let model = json_beside(folder, "config.json")?;
    let named = |name: &str| {
        let value = config.get(name)?;
        let text = value.as_str().or_else(|| value.get("content")?.as_str())?;
        tokenizer.added_id(text)
    };
    let ids = |value: &Value| -> Vec<u32> {
        let id = |value: &Value| u32::try_from(value.as_u64()?).ok();
        match value.get("eos_token_id") {
            Some(Value::Array(list)) => list.iter().filter_map(id).collect(),
            Some(value) => id(value).into_iter().collect(),
            None => Vec::new(),
        }
    };
    let (bos, eos) = (named("bos_token"), named("eos_token"));
    let (unk, pad) = (named("unk_token"), named("pad_token"));
    let mut end: Vec<u32> = ids(&generation);
    end.extend(ids(&model));
    let special = &mut tokenizer.special;
    special.bos = bos.or(special.bos);
    special.eos = eos.or(special.eos).or(end.first().copied());
    special.unk = unk.or(special.unk);
    special.pad = pad.or(special.pad);
    special.end.extend(end);
    special.end.extend(special.eos);
    special.end.sort_unstable();
    special.end.dedup();
    let size = tokenizer.bytes.len();
    tokenizer.special.end.retain(|&id| (id as usize) < size);
    let file = folder.join("chat_template.jinja");
    let source = match file.exists() {
        true => Some(String::from_utf8_lossy(&read(&file)?).into_owned()),
        false => template_of(&config),
    };
    source.map_or(Ok(()), |source| tokenizer.set_chat_template(&source))
}

/// The template in `tokenizer_config.json`: one, or the default one of several.
fn template_of(config: &Value) -> Option<String> {
    let template = config.get("chat_template")?;
    let text = match template.as_array() {
        Some(several) => {
            let default = several.iter().find(|it| it["name"] == "default");
            default.or(several.first())?.get("template")?.as_str()?
        }
        None => template.as_str()?,
    };
    Some(text.to_owned())
}

/// A JSON file in `folder`; null where there is none.
fn json_beside(folder: &Path, name: &str) -> Result<Value, TextError> {
    let path = folder.join(name);
    if !path.exists() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(&read(&path)?)
        .map_err(|cause| TextError::malformed(&path.display().to_string(), cause))
}

/// See [`Tokenizer::from_json`].
pub(super) fn from_json(bytes: &[u8], origin: &str) -> Result<Tokenizer, TextError> {
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
    let text = Encoding::from_tokens(
        vec![tokenizers::Token::new(u32::MAX, String::new(), (0, 0))],
        0,
    );
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
        parts.tokenize(|part| model.get_model().tokenize(part.get()))
    };
    run(&mut parts).map_err(TextError::encode)?;
    let splits = parts.get_splits(OffsetReferential::Normalized, OffsetType::None);
    let tokens = splits
        .into_iter()
        .flat_map(|(_, _, tokens)| tokens.iter().flatten());
    Ok(tokens.map(|token| token.id).collect())
}
