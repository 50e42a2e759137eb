//! Files of the Q-Former: which file, and which sizes.

use std::path::{Path, PathBuf};

use base::command::Failure;
use base::files::write_bytes;
use engine::models::qformer::{
    QFormer, QFormerConfig, QFormerTextConfig, QFormerVisionConfig, key_map,
};
use engine::weights::{Precision, TensorFile, Weights, WeightsError, collect};

use super::SystemError;

/// Width of a head in every published model.
const HEAD: usize = 64;
/// The part whose shape differs in files.
const PATCHES: &str = "patch_embedding";
/// Largest configuration that is read, in bytes.
const LARGEST: u64 = 1 << 20;

/// The file of weights at `path`, a file or a folder of diffusers, and the folder that it is in.
///
/// # Errors
/// [`SystemError::Input`] when there is none.
pub fn qformer_file(path: &Path) -> Result<(PathBuf, PathBuf), SystemError> {
    if !path.is_dir() {
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        return Ok((path.to_owned(), folder));
    }
    let names = [
        QFORMER,
        "model.safetensors",
        "diffusion_pytorch_model.safetensors",
        "pytorch_model_1.bin",
        "pytorch_model.bin",
        "diffusion_pytorch_model.bin",
    ];
    let file = names.map(|name| path.join(name)).into_iter();
    let file = file.into_iter().find(|file| file.exists());
    let file = file.ok_or_else(|| {
        SystemError::input(format!(
            "`{}` holds no weights of a Q-Former ({}): give the file itself",
            path.display(),
            names.join(", ")
        ))
    })?;
    Ok((file, path.to_owned()))
}

/// Sizes of the Q-Former in `weights`: from `config`, else `config.json` in `folder` where it is a Q-Former's, else read off the
/// weights.
///
/// # Errors
/// [`SystemError`] when a file cannot be understood, or the weights are not Q-Former's.
pub fn qformer_config(
    weights: &Weights,
    config: Option<&Path>,
    folder: &Path,
) -> Result<QFormerConfig, SystemError> {
    let beside = folder.join("config.json");
    let read = |path: &Path| -> Result<serde_json::Value, SystemError> {
        let unread = |cause: &dyn std::fmt::Display| {
            SystemError::input(format!("cannot read `{}`: {cause}", path.display()))
        };
        let size = std::fs::metadata(path)
            .map_err(|cause| unread(&cause))?
            .len();
        if size > LARGEST {
            return Err(unread(&"it is larger than any configuration"));
        }
        let bytes = base::files::read(path).map_err(|cause| unread(&cause))?;
        serde_json::from_slice(&bytes).map_err(|cause| unread(&cause))
    };
    let json = match config {
        Some(path) => Some(read(path)?),
        None if beside.exists() => {
            Some(read(&beside)?).filter(|json| json["qformer_config"].is_object())
        }
        None => None,
    };
    let found = sizes(weights)?;
    let Some(json) = json else {
        return Ok(found);
    };
    let config: QFormerConfig = serde_json::from_value(json).map_err(|cause| {
        SystemError::input(format!(
            "the Q-Former's `config.json` cannot be understood: {cause}"
        ))
    })?;
    let [mut declared, mut found] = [config.clone(), found];
    // What weights do not tell.
    for it in [&mut declared, &mut found] {
        let (vision, text) = (&mut it.vision_config, &mut it.qformer_config);
        (vision.num_attention_heads, text.num_attention_heads) = (1, 1);
        (vision.layer_norm_eps, text.layer_norm_eps) = (0.0, 0.0);
        (vision.hidden_act, text.hidden_act) = Default::default();
    }
    match declared == found {
        true => Ok(config),
        false => Err(weights
            .unfit(format!(
                "its `config.json` is another model's: it says {declared:?}, the weights have {found:?}"
            ))
            .into()),
    }
}

/// Sizes as the weights have them; heads of 64.
fn sizes(weights: &Weights) -> Result<QFormerConfig, WeightsError> {
    let shape = |name: &str, axes: usize| {
        let found = weights.shape(name).filter(|shape| shape.len() == axes);
        found.map(<[usize]>::to_vec).ok_or_else(|| {
            weights.unfit(format!(
                "it holds no `{name}`: give the Q-Former (`pytorch_model_1.bin`) as FiVA's code saves it"
            ))
        })
    };
    let count = |prefix: &str, name: &str| {
        (0..)
            .take_while(|at| weights.contains(&format!("{prefix}.{at}.{name}")))
            .count()
    };
    let queries = shape("query_tokens", 3)?;
    let words = shape("embeddings.word_embeddings.weight", 2)?;
    let places = shape("embeddings.position_embeddings.weight", 2)?;
    let hidden = shape("encoder.layer.0.intermediate.dense.weight", 2)?;
    let patch = shape("visual_encoder.embeddings.patch_embedding.weight", 4)?;
    let positions = shape("visual_encoder.embeddings.position_embedding", 3)?;
    let fc1 = shape("visual_encoder.encoder.layers.0.mlp.fc1.weight", 2)?;
    let layers = count("encoder.layer", "intermediate.dense.weight");
    let crosses = |at: &usize| {
        weights.contains(&format!(
            "encoder.layer.{at}.crossattention.attention.key.weight"
        ))
    };
    let frequency = (1..layers).find(crosses).unwrap_or(layers.max(1));
    let (vision_width, width) = (patch[0], words[1]);
    let grid = positions[1].saturating_sub(1).isqrt();
    let heads = |width: usize| (width / HEAD).max(1);
    Ok(QFormerConfig {
        vision_config: QFormerVisionConfig {
            hidden_size: vision_width,
            intermediate_size: fc1[0],
            num_hidden_layers: count("visual_encoder.encoder.layers", "mlp.fc1.weight"),
            num_attention_heads: heads(vision_width),
            image_size: grid.saturating_mul(patch[2]),
            patch_size: patch[2],
            ..QFormerVisionConfig::default()
        },
        qformer_config: QFormerTextConfig {
            vocab_size: words[0],
            hidden_size: width,
            intermediate_size: hidden[0],
            num_hidden_layers: layers,
            num_attention_heads: heads(width),
            cross_attention_frequency: frequency,
            encoder_hidden_size: vision_width,
            max_position_embeddings: places[0],
            ..QFormerTextConfig::default()
        },
        num_query_tokens: queries[1],
    })
}

/// What a Q-Former's weights are called in a folder of ours.
pub const QFORMER: &str = "qformer.safetensors";

/// Writes a Q-Former and its sizes into `folder`, where [`qformer_file`] finds them.
///
/// # Errors
/// When they cannot be written.
pub fn write_qformer(
    qformer: &QFormer,
    config: &QFormerConfig,
    folder: &Path,
) -> Result<(), Failure> {
    qformer_tensors(qformer, Precision::F32)?.write(folder.join(QFORMER))?;
    let sizes = serde_json::to_vec_pretty(config).map_err(Failure::failed)?;
    Ok(write_bytes(folder.join("config.json"), &sizes)?)
}

/// The Q-Former as a file under its official names.
///
/// # Errors
/// When a value does not fit `precision`.
pub fn qformer_tensors(
    qformer: &QFormer,
    precision: Precision,
) -> Result<TensorFile, WeightsError> {
    let mut file = TensorFile::new();
    collect(qformer, &key_map().skip(PATCHES), precision, &mut file)?;
    // A convolution in the file, a linear map here.
    let mut patches = TensorFile::new();
    collect(
        qformer,
        &key_map().only(PATCHES),
        Precision::F32,
        &mut patches,
    )?;
    let patches = Weights::from_bytes(patches.to_bytes())?;
    for name in patches.names() {
        let values = patches.values(name)?;
        let width = patches.shape(name).and_then(|shape| shape.first().copied());
        let width = width.unwrap_or_default();
        let side = (values.len() / (3 * width).max(1)).isqrt();
        file.floats(name, &[width, 3, side, side], &values, precision)?;
    }
    Ok(file)
}
