//! GGUF files of stable-diffusion.cpp: the tensors of a single-file checkpoint under their original names, or under those that
//! its conversions give text encoders.

use std::path::Path;

use super::DiffusionError;
use super::single_file::{TOWERS_L, TOWERS_OPEN, UNET, VAE};
use crate::weights::{Gguf, GgufValue, TensorKind, TensorSource, View, Weights};

/// OpenCLIP's names in transformers' words and in its own, behind `text_model.`.
const OPEN_CLIP: [(&str, &str); 4] = [
    (
        "embeddings.token_embedding.weight",
        "token_embedding.weight",
    ),
    (
        "embeddings.position_embedding.weight",
        "positional_embedding",
    ),
    ("final_layer_norm.", "ln_final."),
    ("text_projection", "text_projection"),
];
/// The same for what is in a layer.
const LAYER: [(&str, &str); 6] = [
    ("self_attn.in_proj.", "attn.in_proj_"),
    ("self_attn.", "attn."),
    ("layer_norm1.", "ln_1."),
    ("layer_norm2.", "ln_2."),
    ("mlp.fc1.", "mlp.c_fc."),
    ("mlp.fc2.", "mlp.c_proj."),
];
/// A tensor by which an OpenCLIP tower in transformers' words is known: CLIP-L has three in its place.
const OPEN: &str = "text_model.encoder.layers.0.self_attn.in_proj.weight";

/// Whether the file at `path` is, or is meant to be, a GGUF file.
pub(super) fn is_one(path: &Path) -> bool {
    let mut first = [0; 4];
    let read = std::fs::File::open(path)
        .and_then(|mut file| std::io::Read::read_exact(&mut file, &mut first));
    let named = path
        .extension()
        .is_some_and(|end| end.eq_ignore_ascii_case("gguf"));
    named || (read.is_ok() && &first == b"GGUF")
}

/// The tensors of the file at `path` under the names of single files.
pub(super) fn open(path: &Path) -> Result<Weights, DiffusionError> {
    let file = Gguf::open(path)?;
    let weights = file.weights();
    if file
        .shape(&format!("{UNET}input_blocks.0.0.weight"))
        .is_none()
    {
        let has = |name: &str| file.shape(name).is_some();
        let kind = file.value("general.architecture").and_then(GgufValue::text);
        let found = match kind {
            _ if has("token_embd.weight") => format!(
                "it is a language model (`{}`)",
                base::command::one_line(kind.unwrap_or("of no name"))
            ),
            _ if has("input_blocks.0.0.weight") => {
                "it holds a U-Net alone, without autoencoder and text encoder".to_owned()
            }
            Some(kind) => format!(
                "it is a model of the kind `{}`",
                base::command::one_line(kind)
            ),
            None => format!("it has no `{UNET}input_blocks.0.0.weight`"),
        };
        return Err(DiffusionError::model(
            path,
            format!(
                "{found}, not a checkpoint of Stable Diffusion; give a GGUF file that stable-diffusion.cpp made of a whole \
                 checkpoint of version 1, 2 or XL"
            ),
        ));
    }
    for name in file.names() {
        let parts = [UNET, VAE].into_iter().chain(TOWERS_L).chain(TOWERS_OPEN);
        let needed = parts.into_iter().any(|part| name.starts_with(part));
        let whole = [".weight", ".bias"].iter().any(|end| name.ends_with(end));
        if let TensorKind::Other(kind) = file.stored(&name)?.kind
            && needed
            && whole
        {
            let reason = format!(
                "`{name}` is of the type {kind}, which is not read; give a file of F32, F16, BF16, Q8_0, Q4_0 or a K type"
            );
            return Err(file.unfit(reason).into());
        }
    }
    let views: Vec<View> = weights
        .names()
        .map(|name| View::whole(original(&weights, name), name))
        .collect();
    Ok(weights.viewed(views))
}

/// What single files call the tensor that this file calls `name`.
fn original(file: &Weights, name: &str) -> String {
    let places = [
        ("cond_stage_model.1.transformer.", TOWERS_OPEN[1]),
        ("cond_stage_model.transformer.", TOWERS_OPEN[0]),
    ];
    for (place, original) in places {
        if file.contains(&format!("{place}{OPEN}"))
            && let Some(rest) = name.strip_prefix(place)
        {
            let rest = rest.strip_prefix("text_model.").unwrap_or(rest);
            return format!("{original}{}", open_clip(rest));
        }
    }
    name.to_owned()
}

/// A name of transformers, behind `text_model.`, in OpenCLIP's words.
fn open_clip(name: &str) -> String {
    if let Some((layer, rest)) = name
        .strip_prefix("encoder.layers.")
        .and_then(|rest| rest.split_once('.'))
    {
        return format!("transformer.resblocks.{layer}.{}", renamed(rest, &LAYER));
    }
    renamed(name, &OPEN_CLIP)
}

/// `name` with its beginning in the other words.
fn renamed(name: &str, words: &[(&str, &str)]) -> String {
    let found = words
        .iter()
        .find_map(|(from, to)| Some((to, name.strip_prefix(from)?)));
    found.map_or_else(|| name.to_owned(), |(to, rest)| format!("{to}{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_open_clip() {
        for (theirs, original) in [
            (
                "embeddings.position_embedding.weight",
                "positional_embedding",
            ),
            ("final_layer_norm.bias", "ln_final.bias"),
            (
                "encoder.layers.3.self_attn.in_proj.bias",
                "transformer.resblocks.3.attn.in_proj_bias",
            ),
            (
                "encoder.layers.11.self_attn.out_proj.weight",
                "transformer.resblocks.11.attn.out_proj.weight",
            ),
            (
                "encoder.layers.0.mlp.fc2.weight",
                "transformer.resblocks.0.mlp.c_proj.weight",
            ),
        ] {
            assert_eq!(open_clip(theirs), original);
        }
    }
}
