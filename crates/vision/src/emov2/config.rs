//! Sizes of the published networks (paper table 2; official `model/lib_emo/emo2.py`).

use serde::{Deserialize, Serialize};

use super::layers::{Activation, NormKind};

/// The expansion operators of a block.
pub mod operator {
    /// A 1×1 convolution.
    pub const CONV: u8 = 0;
    /// Attention among distant places (EMOv1's).
    pub const DISTANT: u8 = 1;
    /// Attention among neighbours.
    pub const NEIGHBOUR: u8 = 2;
    /// Both with shared projections (EMOv2's).
    pub const SPANNING: u8 = 3;
}

/// A classifier; names as in the official config, whose other fields no released network changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EmoConfig {
    /// Classes of the head; 0 leaves it out.
    pub num_classes: usize,
    /// Channels of the picture.
    #[serde(default = "three")]
    pub dim_in: usize,
    /// Blocks of each stage.
    pub depths: [usize; 4],
    /// Width of each stage; the stem has half the first.
    pub embed_dims: [usize; 4],
    /// λ of each stage; doubled in its first block.
    pub exp_ratios: [f64; 4],
    /// Side of the depth-wise kernel of each stage.
    pub dw_kss: [usize; 4],
    /// Width of a query head in each stage.
    pub dim_heads: [usize; 4],
    /// Side of the attention window in each stage; 0 or less: the whole map.
    pub window_sizes: [i64; 4],
    /// Operators of the blocks after the first, whose results are added; see [`operator`].
    pub hybrid_eopss: [Vec<u8>; 4],
    /// Norm of each stage.
    pub norm_layers: [NormKind; 4],
    /// Activation of each stage's operators.
    pub act_layers: [Activation; 4],
    /// Whether operators have biases.
    #[serde(default = "yes")]
    pub qkv_bias: bool,
    /// Chance that the last block is left out for a sample in training; it rises linearly from 0 at the first.
    #[serde(default)]
    pub drop_path: f64,
    /// Start of the layer scale.
    #[serde(default = "small")]
    pub ls_value: f32,
}

fn three() -> usize {
    3
}

fn yes() -> bool {
    true
}

fn small() -> f32 {
    1e-6
}

/// Names of [`EmoConfig::preset`].
pub const PRESETS: [&str; 9] = [
    "emo2-1m", "emo2-2m", "emo2-5m", "emo2-20m", "emo2-50m", "emo1-1m", "emo1-2m", "emo1-5m",
    "emo1-20m",
];

/// Classes of ImageNet.
const IMAGENET: usize = 1000;

impl EmoConfig {
    /// A published network by a name of [`PRESETS`], with 1000 classes and window 7.
    pub fn preset(name: &str) -> Option<Self> {
        let (family, size) = name.split_once('-')?;
        let (depths, embed_dims, exp_ratios, dim_heads, drop_path) = match size {
            "1m" => (
                [2, 2, 8, 3],
                [32, 48, 80, 180],
                [2.0, 2.5, 3.0, 3.5],
                [16, 16, 20, 20],
                0.04036,
            ),
            "2m" => (
                [3, 3, 9, 3],
                [32, 48, 120, 200],
                [2.0, 2.5, 3.0, 3.5],
                [16, 16, 20, 20],
                0.05,
            ),
            "5m" => (
                [3, 3, 9, 3],
                [48, 72, 160, 288],
                [2.0, 3.0, 4.0, 4.0],
                [16, 24, 32, 32],
                0.05,
            ),
            "20m" => (
                [3, 3, 13, 3],
                [64, 128, 320, 448],
                [2.0, 3.0, 4.0, 4.0],
                [16, 32, 32, 32],
                0.1,
            ),
            "50m" if family == "emo2" => (
                [5, 8, 20, 7],
                [64, 128, 384, 512],
                [2.0, 3.0, 4.0, 4.0],
                [16, 32, 32, 32],
                0.2,
            ),
            _ => return None,
        };
        let (attention, dw_kss) = match family {
            "emo1" => (operator::DISTANT, [3, 3, 5, 5]),
            "emo2" => (operator::SPANNING, [5; 4]),
            _ => return None,
        };
        Some(Self {
            depths,
            embed_dims,
            exp_ratios,
            dim_heads,
            drop_path,
            dw_kss,
            ..Self::shaped(IMAGENET, attention)
        })
    }

    /// A network for small pictures: half a million parameters, windows of 4.
    pub fn nano(num_classes: usize) -> Self {
        Self {
            depths: [1, 2, 4, 2],
            embed_dims: [24, 32, 64, 112],
            exp_ratios: [2.0, 2.0, 3.0, 3.0],
            dim_heads: [16, 16, 16, 16],
            window_sizes: [4; 4],
            ls_value: 0.1,
            ..Self::shaped(num_classes, operator::SPANNING)
        }
    }

    /// What all networks share: operators, norms and activations by stage.
    fn shaped(num_classes: usize, attention: u8) -> Self {
        Self {
            num_classes,
            dim_in: 3,
            depths: [1; 4],
            embed_dims: [32; 4],
            exp_ratios: [2.0; 4],
            dw_kss: [5; 4],
            dim_heads: [16; 4],
            window_sizes: [7; 4],
            hybrid_eopss: [
                vec![operator::CONV],
                vec![operator::CONV],
                vec![attention],
                vec![attention],
            ],
            norm_layers: [
                NormKind::Batch,
                NormKind::Batch,
                NormKind::Layer,
                NormKind::Layer,
            ],
            act_layers: [
                Activation::Silu,
                Activation::Silu,
                Activation::Gelu,
                Activation::Gelu,
            ],
            qkv_bias: true,
            drop_path: 0.0,
            ls_value: small(),
        }
    }

    /// A network by its name in the official code, such as `EMO2_5M_k5_hybrid_512`.
    pub fn official(name: &str) -> Option<Self> {
        let mut parts = name.split('_');
        let (family, size) = (parts.next()?.to_lowercase(), parts.next()?.to_lowercase());
        let config = Self::preset(&format!("{family}-{size}"))?;
        let large = parts.any(|part| matches!(part, "256" | "512"));
        Some(if large { config.with_window(8) } else { config })
    }

    /// The same with windows of this side in every stage; attention has no tables that depend on it.
    pub fn with_window(mut self, side: i64) -> Self {
        self.window_sizes = [side; 4];
        self
    }

    /// The same with another head.
    pub fn with_classes(mut self, classes: usize) -> Self {
        self.num_classes = classes;
        self
    }

    /// Blocks of all stages.
    pub fn blocks(&self) -> usize {
        self.depths.iter().sum()
    }

    /// Width of the stem.
    pub fn stem(&self) -> usize {
        self.embed_dims[0] / 2
    }

    /// The shape of each block, stage by stage.
    pub fn block_configs(&self) -> [Vec<BlockConfig>; 4] {
        std::array::from_fn(|stage| {
            let before = match stage {
                0 => self.stem(),
                _ => self.embed_dims[stage - 1],
            };
            let width = self.embed_dims[stage];
            (0..self.depths[stage])
                .map(|at| {
                    let first = at == 0;
                    BlockConfig {
                        dim_in: if first { before } else { width },
                        dim_out: width,
                        exp_ratio: self.exp_ratios[stage] * if first { 2.0 } else { 1.0 },
                        dw_ks: self.dw_kss[stage],
                        stride: if first { 2 } else { 1 },
                        dim_head: self.dim_heads[stage],
                        window_size: self.window_sizes[stage],
                        hybrid_eops: match first {
                            true => vec![operator::CONV],
                            false => self.hybrid_eopss[stage].clone(),
                        },
                        has_skip: !first,
                        norm_in: true,
                        norm_layer: self.norm_layers[stage],
                        act_layer: self.act_layers[stage],
                        qkv_bias: self.qkv_bias,
                        ls_value: self.ls_value,
                        local_norm: NormKind::Batch,
                        local_act: Activation::Silu,
                    }
                })
                .collect()
        })
    }

    /// What is wrong with it, in one line.
    pub fn problem(&self) -> Option<String> {
        let sane = |value: usize| (1..=16_384).contains(&value);
        if !sane(self.dim_in) || self.num_classes > 1_000_000 {
            return Some("needs 1 to 16384 input channels and at most 1000000 classes".into());
        }
        if !self.depths.iter().all(|depth| (1..=512).contains(depth))
            || !self
                .embed_dims
                .iter()
                .all(|width| sane(*width) && width % 2 == 0)
        {
            return Some("needs depths from 1 to 512 and even widths up to 16384".into());
        }
        self.block_configs()
            .iter()
            .flatten()
            .find_map(BlockConfig::problem)
    }
}

/// One i2RMB block; names as in the official code.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BlockConfig {
    /// Channels of the input.
    pub dim_in: usize,
    /// Channels of the output.
    pub dim_out: usize,
    /// λ.
    pub exp_ratio: f64,
    /// Side of the depth-wise kernel.
    pub dw_ks: usize,
    /// Stride of the depth-wise convolution.
    pub stride: usize,
    /// Width of a query head.
    pub dim_head: usize,
    /// Side of the attention window; 0 or less: the whole map.
    pub window_size: i64,
    /// Operators whose results are added; see [`operator`].
    pub hybrid_eops: Vec<u8>,
    /// Whether a residual is wanted; there is one where shapes allow it.
    pub has_skip: bool,
    /// Whether there is a norm at the entry.
    #[serde(default = "yes")]
    pub norm_in: bool,
    /// Norm at the entry.
    pub norm_layer: NormKind,
    /// Activation of the operators.
    pub act_layer: Activation,
    /// Whether operators have biases.
    #[serde(default = "yes")]
    pub qkv_bias: bool,
    /// Start of the layer scale.
    #[serde(default = "small")]
    pub ls_value: f32,
    /// Norm after the depth-wise convolution.
    #[serde(default = "batch")]
    pub local_norm: NormKind,
    /// Activation after it.
    #[serde(default = "silu")]
    pub local_act: Activation,
}

fn batch() -> NormKind {
    NormKind::Batch
}

fn silu() -> Activation {
    Activation::Silu
}

impl BlockConfig {
    /// Channels between expansion and projection, `⌊dim_in · λ⌋`.
    pub fn dim_mid(&self) -> usize {
        (self.dim_in as f64 * self.exp_ratio) as usize
    }

    /// Heads of the attention.
    pub fn heads(&self) -> usize {
        self.dim_in / self.dim_head.max(1)
    }

    /// Whether the block is added to its input.
    pub fn residual(&self) -> bool {
        self.has_skip && self.stride == 1 && self.dim_in == self.dim_out
    }

    /// Zeros on each side of the depth-wise convolution, `⌈(kernel − stride) / 2⌉`.
    pub fn padding(&self) -> usize {
        self.dw_ks.saturating_sub(self.stride).div_ceil(2)
    }

    fn problem(&self) -> Option<String> {
        if !(self.exp_ratio.is_finite() && (0.1..=64.0).contains(&self.exp_ratio)) {
            return Some(format!(
                "has an expansion ratio of {}; give 0.1 to 64",
                self.exp_ratio
            ));
        }
        if !(1..=31).contains(&self.dw_ks) {
            return Some(format!("has a kernel of {}; give 1 to 31", self.dw_ks));
        }
        if self.hybrid_eops.is_empty() || self.hybrid_eops.iter().any(|op| *op > 3) {
            return Some("needs operators from 0 to 3 in every stage".into());
        }
        let attends = self.hybrid_eops.iter().any(|op| *op != operator::CONV);
        let heads = self.heads();
        let fits = heads > 0
            && self.dim_in.is_multiple_of(self.dim_head.max(1))
            && self.dim_mid().is_multiple_of(heads);
        (attends && !fits).then(|| {
            format!(
                "has heads of {}, which do not divide a width of {} and {} values",
                self.dim_head,
                self.dim_in,
                self.dim_mid()
            )
        })
    }
}
