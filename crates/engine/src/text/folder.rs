//! Tokenizers as model hubs lay them out: a file, and the ones beside it that say what its tokens are for.

use std::path::Path;

use serde_json::Value;

use super::tokenizer::Tokenizer;
use super::{GgufVocabulary, TextError, clip, hub, sentencepiece};
use crate::weights::Gguf;

/// Largest tokenizer file that is read, in bytes; the largest known one has about 35 MB.
const LARGEST: u64 = 256 << 20;

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
        hub::from_json(&read(&json)?, &origin)?
    } else if model.extension().is_some_and(|it| it == "model") && model.exists() {
        sentencepiece::read(&read(&model)?, &origin)?
    } else if folder && path.join("vocab.json").exists() && path.join("merges.txt").exists() {
        let [vocabulary, merges] = ["vocab.json", "merges.txt"].map(|name| read(&path.join(name)));
        hub::from_json(&clip::as_json(&vocabulary?, &merges?, &origin)?, &origin)?
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
fn read(path: &Path) -> Result<Vec<u8>, TextError> {
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
    base::files::read(path).map_err(failed)
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
