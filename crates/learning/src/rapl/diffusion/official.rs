//! Checkpoints of Diffusion Policy: the U-Net conditioned on whole observations, with the normaliser that it was trained with.

use std::path::Path;

use base::rng::Rng;
use base::tensor_file::Weights;
use burn::tensor::Device;
use engine::weights;

use super::unet::{UnetConfig, unet_keys};
use super::{DiffusionPolicy, PolicyConfig, Scale};
use crate::rapl::{LearningError, Result};

/// Where a checkpoint's networks are, the averaged weights first.
const STATES: [&str; 4] = [
    "state_dicts.ema_model",
    "state_dicts.model",
    "ema_model",
    "",
];
/// Steps of the diffusion that the checkpoints were trained with.
const STEPS: usize = 100;
/// Actions of a chunk.
const HORIZON: usize = 16;

impl DiffusionPolicy {
    /// Reads a checkpoint of Diffusion Policy's U-Net policies, averaged weights where there are some: what `torch.save` wrote, or
    /// safetensors. Observations are the numbers that the U-Net is conditioned on: the states of the observation steps one
    /// after another, or what an image encoder made of them; the encoder itself is not read.
    ///
    /// # Errors
    /// A file without such a U-Net; one whose tensors do not fit; one that is conditioned in another way.
    pub fn official(path: &Path, device: &Device) -> Result<Self> {
        let file = Weights::open(path)?;
        let within = |prefix: &str| match prefix {
            "" => file.clone(),
            prefix => file.within(prefix),
        };
        let first = "model.diffusion_step_encoder.1.weight";
        let state = STATES
            .iter()
            .map(|prefix| within(prefix))
            .find(|state| state.contains(first));
        let state = state.ok_or_else(|| {
            LearningError::invalid(format!(
                "`{}` holds no U-Net of Diffusion Policy (`{first}` is missing), and no policy of `orrery rapl`",
                path.display()
            ))
        })?;
        let sizes = sizes(&state.within("model"))
            .ok_or_else(|| state.unfit("its sizes are none of a U-Net on whole observations"))?;
        let config = PolicyConfig {
            observation: sizes.condition,
            action: sizes.horizon * sizes.action,
            hidden: 1,
            depth: 1,
            steps: STEPS,
            unet: Some(sizes.clone()),
        };
        let mut policy = Self::new(config, &mut Rng::new(0), device)?;
        let keys = unet_keys();
        if let Some(unet) = policy.network.unet.take() {
            policy.network.unet = Some(weights::load(unet, &state.within("model"), &keys)?);
        }
        policy.scales = [("obs", sizes.condition), ("action", sizes.action)]
            .map(|(name, width)| scale(&state, name, width));
        Ok(policy)
    }
}

/// Factor and offset of the normaliser's field, repeated for each step; none where it has none of these sizes.
fn scale(state: &Weights, name: &str, width: usize) -> Option<Scale> {
    let part = |part: &str| {
        state
            .values(&format!("normalizer.params_dict.{name}.{part}"))
            .ok()
    };
    let (factor, offset) = (part("scale")?, part("offset")?);
    let fits = !factor.is_empty() && width.is_multiple_of(factor.len());
    let sound = factor.iter().all(|x| x.is_finite() && *x != 0.0);
    (fits && sound && offset.len() == factor.len()).then_some(Scale { factor, offset })
}

/// The U-Net's sizes by the shapes of its tensors.
fn sizes(model: &Weights) -> Option<UnetConfig> {
    let shape = |name: &str| model.shape(name);
    let &[step, _] = shape("diffusion_step_encoder.3.weight")? else {
        return None;
    };
    let conv = |level: usize| {
        let name = format!("down_modules.{level}.0.blocks.0.block.0.weight");
        match model.shape(&name) {
            Some(&[output, input, kernel]) => Some([output, input, kernel]),
            _ => None,
        }
    };
    let levels: Vec<[usize; 3]> = (0..).map_while(conv).collect();
    let &[first, action, kernel] = levels.first()?;
    let &[scale_width, condition_width] = shape("down_modules.0.0.cond_encoder.1.weight")? else {
        return None;
    };
    let sizes = UnetConfig {
        action,
        condition: condition_width.checked_sub(step)?,
        horizon: HORIZON,
        channels: levels.iter().map(|level| level[0]).collect(),
        kernel,
        step,
        scale: scale_width == 2 * first,
    };
    (sizes.fits() && model.names().all(|name| !name.starts_with("local_cond"))).then_some(sizes)
}
