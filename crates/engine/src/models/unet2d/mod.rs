//! The conditional U-Net of the Stable Diffusion family (diffusers' `UNet2DConditionModel`), under its official names.
//!
//! Stable Diffusion 1.x, 2.x, XL, inpainting and editing variants and KOALA are configurations, read from `config.json`.

mod block;
mod config;
mod lora;
mod transformer;

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::nn::{
    AttentionHooks, Conv2d, EmbeddingMlp, GroupNorm, Init, Linear, LinearConfig, sinusoid,
};
use crate::ops;
use crate::weights::KeyMap;
use base::rng::Rng;
use block::{Level, Pass};
pub use config::{Depths, PerBlock, Unet2dConfig};
pub use lora::{Projection, ProjectionHooks, UnetLora, index};

/// Names in a diffusers file ↔ field paths.
pub fn key_map() -> KeyMap {
    let mut keys = KeyMap::new();
    for place in ["down_blocks.{}", "mid_block", "up_blocks.{}"] {
        let block = format!("{place}.attentions.{{}}.transformer_blocks.{{}}");
        for (file, ours) in [
            ("attn1.to_out.0", "attn1.to_out"),
            ("attn2.to_out.0", "attn2.to_out"),
            ("ff.net.0.proj", "ff.proj_in"),
            ("ff.net.2", "ff.proj_out"),
        ] {
            keys = keys.rename(&format!("{block}.{file}"), &format!("{block}.{ours}"));
        }
    }
    keys.rename(
        "down_blocks.{}.downsamplers.0.conv",
        "down_blocks.{}.downsample",
    )
    .rename("up_blocks.{}.upsamplers.0.conv", "up_blocks.{}.upsample")
    .rename("time_embedding.cond_proj", "guidance_embedding")
}

/// What SDXL knows beside the text.
#[derive(Clone, Debug)]
pub struct AddedConditions {
    /// The pooled text, `[batch, width]`.
    pub text_embeds: Tensor<2>,
    /// Original height and width, top and left of the crop, target height and width, in pixels: `[batch, 6]`.
    pub time_ids: Tensor<2>,
}

/// What a prediction depends on beside sample and time.
#[derive(Clone, Debug)]
pub struct UnetConditions {
    /// What cross-attention attends to, `[batch, keys, cross_attention_dim]`.
    pub context: Tensor<3>,
    /// For models with `addition_embed_type`.
    pub added: Option<AddedConditions>,
    /// The embedding of a guidance scale, `[batch, time_cond_proj_dim]`, for distilled models.
    pub guidance: Option<Tensor<2>>,
}

impl UnetConditions {
    /// Text alone.
    pub fn text(context: Tensor<3>) -> Self {
        Self {
            context,
            added: None,
            guidance: None,
        }
    }

    /// The conditions of several samples as those of one batch. Texts of different lengths are cut to the shortest.
    pub fn joined(rows: &[&Self]) -> Self {
        let shortest = rows.iter().map(|it| it.context.dims()[1]).min();
        let shortest = shortest.unwrap_or_default();
        let context = rows
            .iter()
            .map(|it| it.context.clone().narrow(1, 0, shortest));
        let added: Option<Vec<&AddedConditions>> =
            rows.iter().map(|it| it.added.as_ref()).collect();
        let guidance: Option<Vec<Tensor<2>>> = rows.iter().map(|it| it.guidance.clone()).collect();
        let part = |all: &[&AddedConditions], of: fn(&AddedConditions) -> &Tensor<2>| {
            Tensor::cat(all.iter().map(|it| of(it).clone()).collect(), 0)
        };
        Self {
            context: Tensor::cat(context.collect(), 0),
            added: added.map(|all| AddedConditions {
                text_embeds: part(&all, |it| &it.text_embeds),
                time_ids: part(&all, |it| &it.time_ids),
            }),
            guidance: guidance.map(|all| Tensor::cat(all, 0)),
        }
    }

    /// The same on the device with gradients.
    pub fn autodiff(self) -> Self {
        Self {
            context: self.context.autodiff(),
            added: self.added.map(|added| AddedConditions {
                text_embeds: added.text_embeds.autodiff(),
                time_ids: added.time_ids.autodiff(),
            }),
            guidance: self.guidance.map(Tensor::autodiff),
        }
    }
}

/// See [`Unet2dConfig`].
#[derive(Module, Debug)]
pub struct Unet2d {
    conv_in: Conv2d,
    time_embedding: EmbeddingMlp,
    guidance_embedding: Option<Linear>,
    add_embedding: Option<EmbeddingMlp>,
    down_blocks: Vec<Level>,
    mid_block: Option<Level>,
    up_blocks: Vec<Level>,
    conv_norm_out: GroupNorm,
    conv_out: Conv2d,
    time_channels: usize,
    id_channels: usize,
}

impl Unet2dConfig {
    /// Draws a network, as soon as its weights are read; those that a checkpoint fills are never drawn.
    ///
    /// # Errors
    /// As [`Unet2dConfig::check`].
    pub fn init(&self, rng: &mut Rng, device: &Device) -> Result<Unet2d, String> {
        self.check()?;
        let first = self.block_out_channels[0];
        let mlp = |input: usize, rng: &mut Rng| EmbeddingMlp {
            linear_1: LinearConfig::new(input, self.time_width())
                .with_init(Init::Lazy)
                .init(rng, device),
            linear_2: LinearConfig::new(self.time_width(), self.time_width())
                .with_init(Init::Lazy)
                .init(rng, device),
        };
        Ok(Unet2d {
            conv_in: Conv2d::lazy(self.in_channels, first, 3, rng, device),
            time_embedding: mlp(first, rng),
            guidance_embedding: self.time_cond_proj_dim.map(|width| {
                LinearConfig::new(width, first)
                    .with_init(Init::Lazy)
                    .without_bias()
                    .init(rng, device)
            }),
            add_embedding: match (
                &self.addition_embed_type,
                self.projection_class_embeddings_input_dim,
            ) {
                (Some(_), Some(width)) => Some(mlp(width, rng)),
                _ => None,
            },
            down_blocks: (0..self.levels())
                .map(|level| self.down(level, rng, device))
                .collect(),
            mid_block: self.mid_block_type.is_some().then(|| self.mid(rng, device)),
            up_blocks: (0..self.levels())
                .map(|block| self.up(block, rng, device))
                .collect(),
            conv_norm_out: GroupNorm::new(first, self.norm_num_groups, self.norm_eps, device),
            conv_out: Conv2d::lazy(first, self.out_channels, 3, rng, device),
            time_channels: first,
            id_channels: self.addition_time_embed_dim.unwrap_or_default(),
        })
    }
}

impl Unet2d {
    /// The prediction for `x` `[batch, in, height, width]` at `timesteps`, one for each sample or one for all.
    ///
    /// The result is `[batch, out, height, width]`. Added conditions that the network does not know are not looked at, and
    /// those that it misses count as none.
    pub fn forward(
        &self,
        x: Tensor<4>,
        timesteps: &[f64],
        conditions: &UnetConditions,
        hooks: &mut dyn AttentionHooks,
    ) -> Tensor<4> {
        let batch = x.dims()[0];
        let mut pass = Pass {
            time: ops::silu(self.time(timesteps, batch, conditions)),
            context: &conditions.context,
            hooks,
        };
        let mut x = pass.hooks.features(self.conv_in.forward(x));
        let mut skips = vec![x.clone()];
        for (at, level) in self.down_blocks.iter().enumerate() {
            x = level.down(x, &mut skips, &format!("down_blocks.{at}"), &mut pass);
        }
        if let Some(level) = &self.mid_block {
            x = level.middle(x, "mid_block", &mut pass);
        }
        for (at, level) in self.up_blocks.iter().enumerate() {
            x = level.up(x, &mut skips, &format!("up_blocks.{at}"), &mut pass);
        }
        self.conv_out
            .forward(ops::silu(self.conv_norm_out.forward(x)))
    }

    /// The time embedding `[batch, time width]`, with all that is added to it.
    fn time(&self, timesteps: &[f64], batch: usize, conditions: &UnetConditions) -> Tensor<2> {
        let device = conditions.context.device();
        let each: Vec<f32> = timesteps.iter().map(|&t| t as f32).collect();
        let time = sinusoid(&each, self.time_channels, &device);
        let time = match (&self.guidance_embedding, &conditions.guidance) {
            (Some(linear), Some(guidance)) => time + linear.forward(guidance.clone()),
            _ => time,
        };
        let time = self.time_embedding.forward(time);
        let width = time.dims()[1];
        let time = time.expand([batch, width]);
        match (&self.add_embedding, &conditions.added) {
            (Some(embedding), Some(added)) => {
                let ids = added.time_ids.to_data().iter::<f32>().collect::<Vec<_>>();
                let rows = added.time_ids.dims()[0];
                let ids = sinusoid(&ids, self.id_channels, &device);
                let count = ids.dims()[0] / rows.max(1);
                let ids = ids.reshape([rows, count * self.id_channels]);
                let all = Tensor::cat(vec![added.text_embeds.clone(), ids], 1);
                time + embedding.forward(all)
            }
            _ => time,
        }
    }
}
