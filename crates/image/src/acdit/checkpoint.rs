//! Official state-dict names ↔ ours; our files carry the config in their metadata.

use base::rng::Rng;
use burn::tensor::Device;
use engine::weights::{self, KeyMap, Weights, WeightsError};

use super::config::AcditConfig;
use super::model::Acdit;

/// Metadata key that holds the config as JSON.
pub const CONFIG_KEY: &str = "acdit.config";

/// Official names ↔ field paths.
pub fn key_map() -> KeyMap {
    KeyMap::new().ignore("head.").renames([
        ("t_embedder.mlp.0", "time.linear_1"),
        ("t_embedder.mlp.2", "time.linear_2"),
        ("y_embedder.embedding_table.weight", "labels"),
        ("blocks.{}.mlp.fc1", "blocks.{}.fc1"),
        ("blocks.{}.mlp.fc2", "blocks.{}.fc2"),
        (
            "blocks.{}.adaLN_modulation.1",
            "blocks.{}.modulation.linear",
        ),
        (
            "final_layer.adaLN_modulation.1",
            "final_layer.modulation.linear",
        ),
    ])
}

/// The config that one of our files carries.
///
/// # Errors
/// [`WeightsError::Unfit`] where there is none, or a senseless one.
pub fn read_config(weights: &Weights) -> Result<AcditConfig, WeightsError> {
    let text = weights.metadata().get(CONFIG_KEY).ok_or_else(|| {
        weights.unfit(format!(
            "its metadata has no `{CONFIG_KEY}`: give the sizes with `--config FILE.json`"
        ))
    })?;
    let config: AcditConfig = serde_json::from_str(text)
        .map_err(|error| weights.unfit(format!("`{CONFIG_KEY}`: {error}")))?;
    match config.problem() {
        Some(problem) => Err(weights.unfit(format!("`{CONFIG_KEY}`: {problem}"))),
        None => Ok(config),
    }
}

/// Reads a model with official names.
///
/// # Errors
/// [`WeightsError::Mismatch`] with every missing, extra and misshapen key.
pub fn load(
    weights: &Weights,
    config: &AcditConfig,
    device: &Device,
) -> Result<Acdit, WeightsError> {
    check_sizes(weights, config)?;
    weights::load(config.init(&mut Rng::new(0), device), weights, &key_map())
}

/// Whether the file's tensors are as large as the config says, before anything of that size is made.
fn check_sizes(weights: &Weights, config: &AcditConfig) -> Result<(), WeightsError> {
    let (width, last) = (config.hidden_size, config.depth - 1);
    let expected = [
        ("x_embedder.weight".to_owned(), [width, config.latent_size]),
        (
            "y_embedder.embedding_table.weight".to_owned(),
            [config.num_classes + 1, width],
        ),
        (
            format!("blocks.{last}.mlp.fc1.weight"),
            [config.mlp_width(), width],
        ),
    ];
    weights.expect_shapes(&expected, "give the config of this checkpoint")
}
