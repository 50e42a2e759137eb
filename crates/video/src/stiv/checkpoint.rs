//! Checkpoints: safetensors with STIV's short names, the config in the metadata; PixArt-α as initialisation.

use std::path::Path;

use base::rng::Rng;
use burn::tensor::Device;
use engine::weights::{self, KeyMap, LoadReport, Precision, Weights, WeightsError};

use super::config::StivConfig;
use super::model::Stiv;

/// Metadata key that holds the config as JSON.
pub const CONFIG_KEY: &str = "stiv.config";

/// STIV's names ↔ ours.
pub fn key_map() -> KeyMap {
    KeyMap::new().renames([
        ("t1", "time.linear_1"),
        ("t2", "time.linear_2"),
        ("m1", "micro.linear_1"),
        ("m2", "micro.linear_2"),
        ("pool", "pooled"),
        ("adaln", "modulation.linear"),
        ("final_mod", "final_modulation.linear"),
    ])
}

/// The config that a checkpoint carries.
pub fn read_config(weights: &Weights) -> Result<StivConfig, WeightsError> {
    let invalid = |cause: String| {
        weights.unfit(format!(
            "{cause}; is this a STIV checkpoint written by `orrery stiv train`?"
        ))
    };
    let text = weights
        .metadata()
        .get(CONFIG_KEY)
        .ok_or_else(|| invalid(format!("its metadata has no `{CONFIG_KEY}`")))?;
    let config: StivConfig =
        serde_json::from_str(text).map_err(|error| invalid(format!("`{CONFIG_KEY}`: {error}")))?;
    match config.problem() {
        Some(problem) => Err(invalid(format!("`{CONFIG_KEY}`: {problem}"))),
        None => Ok(config),
    }
}

/// Whether the file's tensors are as large as its config says, before anything of that size is made.
///
/// # Errors
/// [`WeightsError::Unfit`] with the first size that differs.
pub fn check_sizes(weights: &Weights, config: &StivConfig) -> Result<(), WeightsError> {
    let last = config.depth - 1;
    let mut expected = vec![
        (
            "cubify.weight".to_owned(),
            [config.width, config.patch_values()],
        ),
        ("pool.weight".to_owned(), [config.width, config.context]),
        ("t1.weight".to_owned(), [config.width, config.frequencies]),
        (
            format!("blocks.{last}.fc1.weight"),
            [config.mlp_width(), config.width],
        ),
    ];
    if let Some(last) = config.extra_blocks.checked_sub(1) {
        let name = format!("extra_blocks.{last}.fc1.weight");
        expected.push((name, [config.mlp_width(), config.width]));
    }
    weights.expect_shapes(&expected, "use the file as `orrery stiv train` wrote it")
}

/// Reads a model and its config.
pub fn load(weights: &Weights, device: &Device) -> Result<(Stiv, StivConfig), WeightsError> {
    let config = read_config(weights)?;
    check_sizes(weights, &config)?;
    let model = config.init(&mut Rng::new(0), device);
    Ok((weights::load(model, weights, &key_map())?, config))
}

/// Writes a model; `metadata` joins the config.
pub fn save(
    model: &Stiv,
    config: &StivConfig,
    metadata: &[(&str, &str)],
    precision: Precision,
    path: &Path,
) -> Result<(), WeightsError> {
    let text = serde_json::to_string(config).unwrap_or_default();
    let mut all = vec![(CONFIG_KEY, text.as_str())];
    all.extend_from_slice(metadata);
    weights::save(model, &key_map(), &all, precision, path)
}

/// PixArt's names ↔ ours, as far as the two networks correspond.
fn pixart_keys() -> KeyMap {
    KeyMap::new().renames([
        ("pos_embed.proj", "cubify"),
        ("adaln_single.emb.timestep_embedder", "time"),
        ("adaln_single.linear", "modulation.linear"),
        ("transformer_blocks.{}.attn1.to_q", "blocks.{}.spatial.q"),
        ("transformer_blocks.{}.attn1.to_k", "blocks.{}.spatial.k"),
        ("transformer_blocks.{}.attn1.to_v", "blocks.{}.spatial.v"),
        (
            "transformer_blocks.{}.attn1.to_out.0",
            "blocks.{}.spatial.o",
        ),
        ("transformer_blocks.{}.attn2.to_q", "blocks.{}.cross.q"),
        ("transformer_blocks.{}.attn2.to_k", "blocks.{}.cross.k"),
        ("transformer_blocks.{}.attn2.to_v", "blocks.{}.cross.v"),
        ("transformer_blocks.{}.attn2.to_out.0", "blocks.{}.cross.o"),
        ("transformer_blocks.{}.ff.net.0.proj", "blocks.{}.fc1"),
        ("transformer_blocks.{}.ff.net.2", "blocks.{}.fc2"),
        (
            "transformer_blocks.{}.scale_shift_table",
            "blocks.{}.scale_shift_table",
        ),
    ])
}

/// Starts a picture model from PixArt-α's weights (`PixArtTransformer2DModel` names).
///
/// The norms differ, so this is an initialisation and no working STIV. Heads are re-cut: PixArt's 16 heads of 72 are
/// read as STIV's 18 of 64. What has no counterpart or another shape (text keys and values of another width, the head,
/// which also predicts a variance) keeps its own initial values; the report lists it.
///
/// # Errors
/// When the file holds no floats where they are expected.
pub fn initialise_from_pixart(
    model: Stiv,
    pixart: &Weights,
) -> Result<(Stiv, LoadReport), WeightsError> {
    let shapes: Vec<_> = weights::params(&model);
    let keys = shapes.iter().fold(pixart_keys(), |keys, param| {
        let values = |shape: &[usize]| shape.iter().product::<usize>();
        let fits = pixart
            .shape(&keys.to_file(&param.path))
            .is_some_and(|found| {
                values(found) == values(&param.shape) && found[0] == param.shape[0]
            });
        if fits { keys } else { keys.skip(&param.path) }
    });
    weights::load_partial(model, pixart, &keys)
}
