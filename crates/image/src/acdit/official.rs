//! The authors' checkpoints: `.pt` files with `model`, mostly `ema`, optimiser state and an argparse namespace.

use engine::weights::{Weights, WeightsError};

use super::config::AcditConfig;
use super::pipeline::About;
use super::space::{Space, Values};

/// Where the weights are, the averaged ones first.
const PLACES: [&str; 3] = ["ema", "model", "module"];
/// The tensor that every state dict of the authors has.
const MARK: &str = "x_embedder.weight";
/// Channels of Stable Diffusion's latents.
const CHANNELS: usize = 4;

/// The state dict in a checkpoint of the authors, or in a file of its own; none where there is none.
pub fn state_dict(weights: &Weights) -> Option<Weights> {
    if weights.contains(MARK) {
        return Some(weights.clone());
    }
    PLACES
        .map(|place| weights.within(place))
        .into_iter()
        .find(|inner| inner.contains(MARK))
}

/// The sizes of a state dict. Width, depth, heads, classes and the MLP are read off the tensors; the layout is the
/// published one for images (tokens of 4 values: 32×32 latents in tiles of 16×16) or clips (16 values: 16 frames of 16×16
/// patches in blocks of four frames). `args` of the file is a Python object and is not looked at.
///
/// # Errors
/// [`WeightsError::Unfit`] where tensors are absent, or of another layout.
pub fn config(weights: &Weights) -> Result<AcditConfig, WeightsError> {
    let shape = |name: &str| -> Result<[usize; 2], WeightsError> {
        match weights.shape(name) {
            Some([rows, columns]) => Ok([*rows, *columns]),
            Some(other) => Err(weights.unfit(format!("`{name}` has {} axes, not 2", other.len()))),
            None => Err(weights.unfit(format!("it has no `{name}`: is it an ACDiT checkpoint?"))),
        }
    };
    let [hidden_size, latent_size] = shape(MARK)?;
    let [rows, _] = shape("y_embedder.embedding_table.weight")?;
    let [mlp, _] = shape("blocks.0.mlp.fc1.weight")?;
    let head = match weights.shape("blocks.0.attn.q_norm.weight") {
        Some([head]) if *head > 0 => *head,
        _ => return Err(weights.unfit("it has no `blocks.0.attn.q_norm.weight` of one axis")),
    };
    let depth = (0..)
        .take_while(|at| weights.contains(&format!("blocks.{at}.attn.qkv.weight")))
        .count();
    let layout = match latent_size {
        4 => AcditConfig::image(super::Size::Xl),
        16 => AcditConfig::video(super::Size::Xl),
        other => {
            return Err(weights.unfit(format!(
                "tokens of {other} values are neither the published images' (4) nor clips' (16): give its sizes with `--config FILE.json`"
            )));
        }
    };
    let config = AcditConfig {
        hidden_size,
        depth,
        num_heads: hidden_size / head,
        mlp_ratio: mlp as f64 / hidden_size.max(1) as f64,
        num_classes: rows.saturating_sub(1),
        ..layout
    };
    match config.problem() {
        Some(problem) => Err(weights.unfit(problem)),
        None => Ok(config),
    }
}

/// What the authors' models draw: latents; the patch follows from the sizes.
pub fn about(config: &AcditConfig) -> About {
    About {
        space: Space {
            values: Values::Latents,
            channels: CHANNELS,
            patch: (config.latent_size / CHANNELS).isqrt(),
        },
        classes: Vec::new(),
    }
}
