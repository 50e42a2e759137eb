//! PixArt-α's transformer (arXiv 2310.00426): text-to-picture diffusion with one shared modulation.

use burn::module::{Module, Param};
use burn::tensor::{Bool, Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::nn::{
    AdaLayerNorm, Attention, AttentionConfig, Cubify, EmbeddingMlp, Init, Linear, LinearConfig,
    sinusoid,
};
use crate::ops;
use crate::weights::KeyMap;
use base::rng::Rng;

/// Epsilon of every layer norm.
const EPS: f32 = 1e-6;
/// Width of the timestep's sinusoid.
const FREQUENCIES: usize = 256;

/// Shape of a PixArt transformer; the names are those of its `config.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PixArtConfig {
    /// Heads.
    pub num_attention_heads: usize,
    /// Width of a head.
    pub attention_head_dim: usize,
    /// Channels of the latents.
    pub in_channels: usize,
    /// Channels of the prediction: twice the latents' where the variance is learned.
    pub out_channels: usize,
    /// Blocks.
    pub num_layers: usize,
    /// Height and width of the latents the model was trained on.
    pub sample_size: usize,
    /// Height and width of a patch.
    pub patch_size: usize,
    /// Width of the text tower's tokens.
    pub caption_channels: usize,
    /// Divides the positions; `sample_size / 64`, at least 1, where the checkpoint says nothing.
    #[serde(default)]
    pub interpolation_scale: Option<f32>,
}

impl PixArtConfig {
    /// PixArt-α XL/2 at 512 px (`PixArt-alpha/PixArt-XL-2-512x512`).
    pub fn xl_2_512() -> Self {
        Self {
            num_attention_heads: 16,
            attention_head_dim: 72,
            in_channels: 4,
            out_channels: 8,
            num_layers: 28,
            sample_size: 64,
            patch_size: 2,
            caption_channels: 4096,
            interpolation_scale: None,
        }
    }

    /// Width of a token.
    pub fn width(&self) -> usize {
        self.num_attention_heads * self.attention_head_dim
    }

    /// Draws a model.
    pub fn init(&self, rng: &mut Rng, device: &Device) -> PixArt {
        let width = self.width();
        let patch = self.patch_size * self.patch_size;
        let table = |rows| Param::from_data(TensorData::zeros::<f32, _>([rows, width]), device);
        PixArt {
            patch_embedding: LinearConfig::new(self.in_channels * patch, width).init(rng, device),
            time: EmbeddingMlp::new(FREQUENCIES, width, rng, device),
            modulation: AdaLayerNorm::new(width, 6, rng, device),
            caption_1: LinearConfig::new(self.caption_channels, width).init(rng, device),
            caption_2: LinearConfig::new(width, width).init(rng, device),
            blocks: (0..self.num_layers)
                .map(|_| self.block(rng, device))
                .collect(),
            scale_shift_table: table(2),
            head: LinearConfig::new(width, self.out_channels * patch)
                .with_init(Init::Zeros)
                .init(rng, device),
            patch_size: self.patch_size,
            out_channels: self.out_channels,
            base_size: self.sample_size / self.patch_size,
            interpolation_scale: f64::from(
                self.interpolation_scale
                    .unwrap_or_else(|| (self.sample_size as f32 / 64.0).max(1.0)),
            ),
        }
    }

    fn block(&self, rng: &mut Rng, device: &Device) -> PixArtBlock {
        let width = self.width();
        let attention = AttentionConfig {
            width,
            context: width,
            heads: self.num_attention_heads,
            qk_norm: false,
        };
        PixArtBlock {
            attn1: attention.init(rng, device),
            attn2: attention.init(rng, device),
            fc1: LinearConfig::new(width, 4 * width).init(rng, device),
            fc2: LinearConfig::new(4 * width, width).init(rng, device),
            scale_shift_table: Param::from_data(TensorData::zeros::<f32, _>([6, width]), device),
        }
    }
}

/// A block: modulated self-attention, plain cross-attention (no norm before it), modulated feed-forward.
#[derive(Module, Debug)]
pub struct PixArtBlock {
    /// Self-attention.
    pub attn1: Attention,
    /// Attention to the caption.
    pub attn2: Attention,
    /// Feed-forward, first layer.
    pub fc1: Linear,
    /// Feed-forward, second layer.
    pub fc2: Linear,
    /// Added to the shared modulation, `[6, width]`.
    pub scale_shift_table: Param<Tensor<2>>,
}

/// See [`PixArtConfig`].
#[derive(Module, Debug)]
pub struct PixArt {
    /// Patches → tokens.
    pub patch_embedding: Linear,
    /// Timestep embedding.
    pub time: EmbeddingMlp,
    /// The modulation that all blocks share.
    pub modulation: AdaLayerNorm,
    /// Caption projection, first layer.
    pub caption_1: Linear,
    /// Caption projection, second layer.
    pub caption_2: Linear,
    /// The blocks.
    pub blocks: Vec<PixArtBlock>,
    /// Added to the embedded timestep before the head, `[2, width]`: shift, scale.
    pub scale_shift_table: Param<Tensor<2>>,
    /// Tokens → patches of the prediction.
    pub head: Linear,
    patch_size: usize,
    out_channels: usize,
    base_size: usize,
    interpolation_scale: f64,
}

impl PixArt {
    /// The prediction `[batch, out_channels, height, width]` (noise, then variance where it is learned).
    ///
    /// `x` is `[batch, in_channels, height, width]`, `t` one timestep in `[0, 1000)` a sample, `caption`
    /// `[batch, keys, caption_channels]`, `mask` `[batch, keys]`, true where the caption has a token.
    pub fn forward(
        &self,
        x: Tensor<4>,
        t: &[f32],
        caption: Tensor<3>,
        mask: Option<Tensor<2, Bool>>,
    ) -> Tensor<4> {
        let device = x.device();
        let [batch, _, height, width] = x.dims();
        let side = self.patch_size;
        let cut = Cubify { time: 1, side };
        let grid = cut.grid(1, height, width);

        let tokens = self.patch_embedding.forward(cut.cut(x.unsqueeze_dim(2)));
        let model_width = tokens.dims()[2];
        let tokens = tokens + self.positions(grid[1], grid[2], model_width, &device);
        let time = self.time.forward(sinusoid(t, FREQUENCIES, &device));
        let modulation = self.modulation.forward(time.clone());
        let caption = self
            .caption_2
            .forward(ops::gelu(self.caption_1.forward(caption)));

        let tokens = self.blocks.iter().fold(tokens, |tokens, block| {
            block.forward(tokens, &modulation, caption.clone(), mask.clone())
        });

        let table = self.scale_shift_table.val();
        let shift = time.clone() + table.clone().narrow(0, 0, 1);
        let scale = time + table.narrow(0, 1, 1);
        let tokens = ops::modulated_layer_norm(tokens, shift, scale, EPS);
        // The head lists a patch as row, column, channel.
        let [_, rows, columns] = grid;
        self.head
            .forward(tokens)
            .reshape([batch, rows, columns, side, side, self.out_channels])
            .permute([0, 5, 1, 3, 2, 4])
            .reshape([batch, self.out_channels, height, width])
    }

    /// Fixed sine-cosine positions `[1, rows · columns, width]`: columns in the first half, rows in the second,
    /// each sines then cosines.
    pub fn positions(
        &self,
        rows: usize,
        columns: usize,
        width: usize,
        device: &Device,
    ) -> Tensor<3> {
        let quarter = width / 4;
        let mut out = Vec::with_capacity(rows * columns * width);
        let place = |index: usize, count: usize| {
            index as f64 / (count as f64 / self.base_size as f64) / self.interpolation_scale
        };
        for row in 0..rows {
            for column in 0..columns {
                for position in [place(column, columns), place(row, rows)] {
                    let angle =
                        |i: usize| position / libm::pow(10_000.0, i as f64 / quarter as f64);
                    out.extend((0..quarter).map(|i| libm::sin(angle(i)) as f32));
                    out.extend((0..quarter).map(|i| libm::cos(angle(i)) as f32));
                }
            }
        }
        Tensor::from_data(TensorData::new(out, [1, rows * columns, width]), device)
    }
}

impl PixArtBlock {
    /// `x` `[batch, tokens, width]` after the block. `modulation` is `[batch, 6 · width]`, `caption` `[batch, keys, width]` as projected,
    /// `mask` `[batch, keys]`, true where the caption has a token.
    pub fn forward(
        &self,
        x: Tensor<3>,
        modulation: &Tensor<2>,
        caption: Tensor<3>,
        mask: Option<Tensor<2, Bool>>,
    ) -> Tensor<3> {
        let [batch, tokens, width] = x.dims();
        let table = self.scale_shift_table.val().reshape([1, 6 * width]);
        let all = modulation.clone() + table;
        let part = |i: usize| all.clone().narrow(1, i * width, width);

        let y = ops::modulated_layer_norm(x.clone(), part(0), part(1), EPS);
        let y = self
            .attn1
            .forward_grouped(y, [batch, tokens, self.attn1.heads()], None);
        let x = x + y * part(2).unsqueeze_dim(1);
        let x = x.clone() + self.attn2.forward_cross(x, caption, mask);
        let y = ops::modulated_layer_norm(x.clone(), part(3), part(4), EPS);
        let y = self.fc2.forward(ops::gelu(self.fc1.forward(y)));
        x + y * part(5).unsqueeze_dim(1)
    }
}

/// `PixArtTransformer2DModel`'s names ↔ ours.
pub fn key_map() -> KeyMap {
    KeyMap::new().renames([
        ("pos_embed.proj", "patch_embedding"),
        ("adaln_single.emb.timestep_embedder", "time"),
        ("adaln_single.linear", "modulation.linear"),
        ("caption_projection.linear_1", "caption_1"),
        ("caption_projection.linear_2", "caption_2"),
        ("transformer_blocks.{}.attn1.to_q", "blocks.{}.attn1.q"),
        ("transformer_blocks.{}.attn1.to_k", "blocks.{}.attn1.k"),
        ("transformer_blocks.{}.attn1.to_v", "blocks.{}.attn1.v"),
        ("transformer_blocks.{}.attn1.to_out.0", "blocks.{}.attn1.o"),
        ("transformer_blocks.{}.attn2.to_q", "blocks.{}.attn2.q"),
        ("transformer_blocks.{}.attn2.to_k", "blocks.{}.attn2.k"),
        ("transformer_blocks.{}.attn2.to_v", "blocks.{}.attn2.v"),
        ("transformer_blocks.{}.attn2.to_out.0", "blocks.{}.attn2.o"),
        ("transformer_blocks.{}.ff.net.0.proj", "blocks.{}.fc1"),
        ("transformer_blocks.{}.ff.net.2", "blocks.{}.fc2"),
        (
            "transformer_blocks.{}.scale_shift_table",
            "blocks.{}.scale_shift_table",
        ),
        ("proj_out", "head"),
    ])
}
