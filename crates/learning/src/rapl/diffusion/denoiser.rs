//! What says the noise in chunks: a small network, or the U-Net of Diffusion Policy.

use base::rng::Rng;
use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use engine::weights::KeyMap;

use super::super::sac::Mlp;
use super::PolicyConfig;
use super::unet::Unet;

/// Numbers that tell the small network the step.
const CLOCK: usize = 16;

/// One of the two.
#[derive(Module, Debug)]
pub(super) struct Denoiser {
    pub(super) mlp: Option<Mlp>,
    pub(super) unet: Option<Unet>,
}

/// An observation, a chunk with noise, its step.
pub(super) type Row<'a> = (std::borrow::Cow<'a, [f32]>, Vec<f32>, usize);

impl Denoiser {
    pub(super) fn new(config: &PolicyConfig, rng: &mut Rng, device: &Device) -> Self {
        let input = config.observation + config.action + CLOCK;
        let (hidden, depth) = (config.hidden, config.depth);
        let unet = config.unet.as_ref();
        Self {
            mlp: unet
                .is_none()
                .then(|| Mlp::new(input, hidden, config.action, depth, rng, device)),
            unet: unet.map(|unet| Unet::new(unet, rng, device)),
        }
    }

    /// The noise in each chunk, `[rows, action]`.
    pub(super) fn forward(
        &self,
        config: &PolicyConfig,
        rows: &[Row<'_>],
        device: &Device,
    ) -> Tensor<2> {
        let put = |values: Vec<f32>, width: usize| {
            Tensor::from_data(TensorData::new(values, [rows.len(), width]), device)
        };
        if let (Some(unet), Some(sizes)) = (&self.unet, &config.unet) {
            let chunks = rows.iter().flat_map(|row| row.1.iter().copied()).collect();
            let chunks: Tensor<2> = put(chunks, config.action);
            let chunks = chunks.reshape([rows.len(), sizes.horizon, sizes.action]);
            let condition = (config.observation > 0).then(|| {
                let seen = rows.iter().flat_map(|row| row.0.iter().copied()).collect();
                put(seen, config.observation)
            });
            let steps: Vec<usize> = rows.iter().map(|row| row.2).collect();
            return unet.forward(chunks, &steps, condition).flatten(1, 2);
        }
        let mut values = Vec::new();
        for (observation, noisy, at) in rows {
            values.extend(observation.iter());
            values.extend(noisy);
            let time = *at as f64 / config.steps as f64;
            for k in 0..CLOCK / 2 {
                let (sin, cos) = libm::sincos(time * libm::exp2(k as f64));
                values.extend([sin as f32, cos as f32]);
            }
        }
        let x = put(values, config.observation + config.action + CLOCK);
        match &self.mlp {
            Some(mlp) => mlp.forward(x),
            None => x.narrow(1, 0, config.action),
        }
    }
}

/// Names in files of ours: `model.layers.0.weight`, `model.unet.mid_modules.0.cond_encoder.weight`…
pub(super) fn keys() -> KeyMap {
    KeyMap::new().rename("layers", "mlp.layers").within("model")
}
