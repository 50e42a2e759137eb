//! Low-rank changes of the attention projections, which are trained while the network stays as it is.

use std::collections::HashMap;

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::{Unet2d, key_map};
use crate::nn::{AttentionCall, AttentionHooks, LoraFactors};
use crate::weights::{Precision, TensorFile, WeightsError, params};
use base::rng::Rng;

/// Names of the projections that LoRAs change.
const PROJECTIONS: [&str; 4] = ["to_q", "to_k", "to_v", "to_out.0"];

/// A projection of an attention.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Projection {
    /// Its official name, such as `down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q`.
    pub module: String,
    /// Width of what it gives and of what it reads.
    pub size: [usize; 2],
}

impl Unet2d {
    /// Query, key, value and output projections of all attentions.
    pub fn projections(&self) -> Vec<Projection> {
        let keys = key_map();
        let all = params(self).into_iter().filter_map(|param| {
            let name = keys.to_file(&param.path);
            let module = name.strip_suffix(".weight")?;
            let (attention, projection) = module
                .split_once(".attn1.")
                .or_else(|| module.split_once(".attn2."))?;
            let known =
                attention.contains(".transformer_blocks.") && PROJECTIONS.contains(&projection);
            Some(Projection {
                size: param.shape.try_into().ok().filter(|_| known)?,
                module: module.to_owned(),
            })
        });
        all.collect()
    }
}

/// Hooks that add `change(module, x)` to the projections of all attentions: `module` is a projection's official name, `x` what it
/// reads `[batch, tokens, in]`, the result `[batch, tokens, out]`.
pub struct ProjectionHooks<F>(pub F);

impl<F: Fn(&str, Tensor<3>) -> Option<Tensor<3>>> AttentionHooks for ProjectionHooks<F> {
    fn attention(&mut self, call: AttentionCall<'_>) -> Tensor<3> {
        call.adapted(&|projection, x| (self.0)(&format!("{}.{projection}", call.name), x))
    }
}

/// A trainable LoRA of all attention projections.
#[derive(Module, Debug)]
pub struct UnetLora {
    /// One change a projection, in the order of [`Unet2d::projections`].
    pub changes: Vec<LoraFactors>,
    #[module(skip)]
    modules: HashMap<String, usize>,
}

impl UnetLora {
    /// One that changes nothing yet.
    pub fn new(unet: &Unet2d, rank: usize, alpha: f64, rng: &mut Rng, device: &Device) -> Self {
        let projections = unet.projections();
        let change = |it: &Projection| LoraFactors::new(it.size, rank, alpha, rng, device);
        Self {
            changes: projections.iter().map(change).collect(),
            modules: index(&projections),
        }
    }

    /// Hooks by which a U-Net computes with it.
    pub fn hooks(&self) -> impl AttentionHooks + '_ {
        ProjectionHooks(|module: &str, x: Tensor<3>| {
            let at = self.modules.get(module)?;
            Some(self.changes.get(*at)?.forward(x))
        })
    }

    /// The file in the names of PEFT (`unet.MODULE.lora_A.weight`). Alpha / rank is multiplied into the second factor: without an
    /// alpha, all programs read it alike.
    ///
    /// # Errors
    /// When a value is too large for `precision`.
    pub fn file(&self, precision: Precision) -> Result<TensorFile, WeightsError> {
        let mut file = TensorFile::new();
        for (module, at) in &self.modules {
            let change = &self.changes[*at];
            let factors = [
                ("lora_A", change.a.val()),
                ("lora_B", change.b.val() * change.scale as f32),
            ];
            for (name, factor) in factors {
                let shape = factor.dims();
                let values: Vec<f32> = factor.into_data().iter::<f32>().collect();
                file.floats(
                    &format!("unet.{module}.{name}.weight"),
                    &shape,
                    &values,
                    precision,
                )?;
            }
        }
        Ok(file)
    }
}

/// Which projection has which official name.
pub fn index(projections: &[Projection]) -> HashMap<String, usize> {
    let named = projections.iter().enumerate();
    named.map(|(at, it)| (it.module.clone(), at)).collect()
}
