use burn::module::{Module, Param};
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::attention::Attention;
use super::folder::CausalLmError;
use super::model::{Block, CausalLm, Dropout, Mlp};
use crate::nn::LoraFactors;
use crate::ops;
use base::rng::Rng;

/// Low-rank changes of projections (Hu et al., arXiv 2106.09685).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LoraConfig {
    /// Rank of the change.
    pub rank: usize,
    /// The change is multiplied by `alpha / rank`.
    pub alpha: f64,
    /// Which projections: `q_proj`, `k_proj`, `v_proj`, `o_proj`, `gate_proj`, `up_proj`, `down_proj`.
    pub targets: Vec<String>,
    /// Of which blocks; all where there are none.
    pub blocks: Option<Vec<usize>>,
    /// Share of what the first factor reads that is set to zero in training, from 0 to below 1.
    pub dropout: f64,
}

impl Default for LoraConfig {
    fn default() -> Self {
        Self {
            rank: 16,
            alpha: 32.0,
            targets: ["q_proj", "k_proj", "v_proj", "o_proj"]
                .map(str::to_owned)
                .to_vec(),
            blocks: None,
            dropout: 0.0,
        }
    }
}

/// Names that [`LoraConfig::targets`] may hold.
pub(super) const TARGETS: [&str; 7] = [
    "q_proj",
    "k_proj",
    "v_proj",
    "o_proj",
    "gate_proj",
    "up_proj",
    "down_proj",
];

/// All changes of a model, block by block: what is trained, and what a checkpoint of it holds.
#[derive(Module, Debug)]
pub struct LowRank {
    /// Of each projection; none where it has no change.
    pub changes: Vec<Option<LoraFactors>>,
}

/// A linear map without bias, with a low-rank change where it is trained so.
#[derive(Module, Debug)]
pub struct Projection {
    /// `[out, in]`.
    pub weight: Param<Tensor<2>>,
    /// The change.
    pub lora: Option<LoraFactors>,
}

impl Projection {
    /// `[.., in]` to `[.., out]`; `dropout` thins out what the change reads.
    pub(super) fn forward(&self, x: Tensor<3>, dropout: Option<&mut Dropout>) -> Tensor<3> {
        let y = ops::linear(x.clone(), self.weight.val(), None);
        let Some(change) = &self.lora else {
            return y;
        };
        let x = match dropout {
            Some(dropout) => dropout.apply(x, change.dropout as f32),
            None => x,
        };
        y + change.forward(x)
    }

    fn adapted(self, config: &LoraConfig, rng: &mut Rng) -> Self {
        let shape = self.weight.lazy_shape().dims();
        let device = self.weight.lazy_device();
        let change = LoraFactors::new(shape, config.rank, config.alpha, rng, &device);
        Self {
            lora: Some(LoraFactors {
                dropout: config.dropout,
                ..change
            }),
            ..self
        }
    }

    fn merged(self) -> Self {
        let Some(change) = self.lora else {
            return self;
        };
        Self {
            weight: Param::from_tensor((self.weight.val() + change.delta()).detach()),
            lora: None,
        }
    }
}

impl CausalLm {
    /// The same with everything frozen but new factors of the projections that `config` names; it computes what it did.
    ///
    /// # Errors
    /// [`CausalLmError::Config`] for a rank of 0, names that are not projections and blocks that are not there.
    pub fn with_lora(self, config: &LoraConfig, rng: &mut Rng) -> Result<Self, CausalLmError> {
        let unknown = |name: &&String| !TARGETS.contains(&name.as_str());
        if let Some(name) = config.targets.iter().find(unknown) {
            return Err(CausalLmError::Config(format!(
                "`{name}` is not a projection: name some of {}",
                TARGETS.join(", ")
            )));
        }
        if config.rank == 0 || config.targets.is_empty() || !config.alpha.is_finite() {
            return Err(CausalLmError::Config(
                "a LoRA needs a rank of at least 1, an alpha and targets".into(),
            ));
        }
        if !(0.0..1.0).contains(&config.dropout) {
            return Err(CausalLmError::Config(
                "the dropout of a LoRA is a share: give a number from 0 to below 1".into(),
            ));
        }
        let count = self.model.layers.len();
        let blocks = config.blocks.clone();
        let blocks = blocks.unwrap_or_else(|| (0..count).collect());
        if blocks.is_empty() || blocks.iter().any(|&block| block >= count) {
            return Err(CausalLmError::Config(format!(
                "a LoRA of the blocks {blocks:?} does not fit a model of {count}: name some from 0 to {}",
                count - 1
            )));
        }
        let wanted = |block: usize, name: &str| {
            blocks.contains(&block) && config.targets.iter().any(|target| target == name)
        };
        let change = &mut |block, name: &str, projection: Projection| match wanted(block, name) {
            true => projection.adapted(config, rng),
            false => projection,
        };
        Ok(self.no_grad().map_projections(change))
    }

    /// Its low-rank changes alone.
    pub fn low_rank(&self) -> LowRank {
        let mut changes = Vec::new();
        self.clone().map_projections(&mut |_, _, projection| {
            changes.push(projection.lora.clone());
            projection
        });
        LowRank { changes }
    }

    /// The same with other low-rank changes: those of a model of this form.
    pub fn with_low_rank(&self, low_rank: &LowRank) -> Self {
        let mut changes = low_rank.changes.iter();
        self.clone()
            .map_projections(&mut |_, _, projection| Projection {
                lora: changes.next().cloned().flatten(),
                ..projection
            })
    }

    /// The same with its low-rank changes added to the weights, all of which are trained from then on.
    pub fn merged(self) -> Self {
        self.map_projections(&mut |_, _, projection| projection.merged())
    }

    /// Whether it has low-rank changes.
    pub fn has_lora(&self) -> bool {
        self.low_rank().changes.iter().any(Option::is_some)
    }

    /// Projections changed block by block, in the order of the names.
    fn map_projections(
        mut self,
        change: &mut dyn FnMut(usize, &str, Projection) -> Projection,
    ) -> Self {
        let blocks = self.model.layers.into_iter().enumerate();
        let blocks = blocks.map(|(at, block)| {
            let (attention, mlp) = (block.self_attn, block.mlp);
            Block {
                self_attn: Attention {
                    q_proj: change(at, "q_proj", attention.q_proj),
                    k_proj: change(at, "k_proj", attention.k_proj),
                    v_proj: change(at, "v_proj", attention.v_proj),
                    o_proj: change(at, "o_proj", attention.o_proj),
                },
                mlp: Mlp {
                    gate_proj: change(at, "gate_proj", mlp.gate_proj),
                    up_proj: change(at, "up_proj", mlp.up_proj),
                    down_proj: change(at, "down_proj", mlp.down_proj),
                },
                ..block
            }
        });
        self.model.layers = blocks.collect();
        self
    }
}
