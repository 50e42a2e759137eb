use burn::module::{Module, Param};
use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::attention::Attention;
use super::folder::CausalLmError;
use super::model::{Block, CausalLm, Mlp};
use crate::nn::Init;
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
}

impl Default for LoraConfig {
    fn default() -> Self {
        Self {
            rank: 16,
            alpha: 32.0,
            targets: ["q_proj", "k_proj", "v_proj", "o_proj"]
                .map(str::to_owned)
                .to_vec(),
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

/// The two factors of a change.
#[derive(Module, Debug)]
pub struct Factors {
    /// `[rank, in]`.
    pub a: Param<Tensor<2>>,
    /// `[out, rank]`, zeros at the start.
    pub b: Param<Tensor<2>>,
    /// What the product is multiplied by.
    pub scale: f64,
}

/// A linear map without bias, with a low-rank change where it is trained so.
#[derive(Module, Debug)]
pub struct Projection {
    /// `[out, in]`.
    pub weight: Param<Tensor<2>>,
    /// The change.
    pub lora: Option<Factors>,
}

impl Projection {
    /// `[.., in]` to `[.., out]`.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let y = ops::linear(x.clone(), self.weight.val(), None);
        match &self.lora {
            Some(Factors { a, b, scale }) => {
                y + ops::linear(ops::linear(x, a.val(), None), b.val(), None) * *scale as f32
            }
            None => y,
        }
    }

    fn adapted(self, config: &LoraConfig, rng: &mut Rng) -> Self {
        let [output, input] = self.weight.lazy_shape().dims();
        let device = self.weight.lazy_device();
        // As PEFT: Kaiming uniform with a = √5, which is uniform in ±1/√in.
        let bound = (input as f32).sqrt().recip();
        let values = (0..config.rank * input).map(|_| (2.0 * rng.uniform() - 1.0) * bound);
        let values: Vec<f32> = values.collect();
        let data = TensorData::new(values, [config.rank, input]);
        Self {
            lora: Some(Factors {
                a: Param::from_data(data, &device),
                b: Init::Zeros.weight(output, config.rank, rng, &device),
                scale: config.alpha / config.rank as f64,
            }),
            ..self
        }
    }

    fn merged(self) -> Self {
        let Some(Factors { a, b, scale }) = self.lora else {
            return self;
        };
        let delta = b.val().detach().matmul(a.val().detach()) * scale as f32;
        Self {
            weight: Param::from_tensor(self.weight.val().detach() + delta),
            lora: None,
        }
    }
}

impl CausalLm {
    /// The same with everything frozen but new factors of the projections that `config` names; it computes what it did.
    ///
    /// # Errors
    /// [`CausalLmError::Config`] for a rank of 0 and names that are no projection.
    pub fn with_lora(self, config: &LoraConfig, rng: &mut Rng) -> Result<Self, CausalLmError> {
        let unknown = |name: &&String| !TARGETS.contains(&name.as_str());
        if let Some(name) = config.targets.iter().find(unknown) {
            return Err(CausalLmError::Config(format!(
                "`{name}` is no projection: name some of {}",
                TARGETS.join(", ")
            )));
        }
        if config.rank == 0 || config.targets.is_empty() || !config.alpha.is_finite() {
            return Err(CausalLmError::Config(
                "a LoRA needs a rank of at least 1, an alpha and targets".into(),
            ));
        }
        let wanted = |name: &str| config.targets.iter().any(|target| target == name);
        Ok(self
            .no_grad()
            .map_projections(&mut |name, projection| match wanted(name) {
                true => projection.adapted(config, rng),
                false => projection,
            }))
    }

    /// The same with its low-rank changes added to the weights, all of which are trained from then on.
    pub fn merged(self) -> Self {
        self.map_projections(&mut |_, projection| projection.merged())
    }

    /// Whether it has low-rank changes.
    pub fn has_lora(&self) -> bool {
        self.model.layers.iter().any(|block| {
            let (attention, mlp) = (&block.self_attn, &block.mlp);
            let all = [
                &attention.q_proj,
                &attention.k_proj,
                &attention.v_proj,
                &attention.o_proj,
                &mlp.gate_proj,
                &mlp.up_proj,
                &mlp.down_proj,
            ];
            all.iter().any(|projection| projection.lora.is_some())
        })
    }

    fn map_projections(mut self, change: &mut dyn FnMut(&str, Projection) -> Projection) -> Self {
        let blocks = self.model.layers.into_iter().map(|block| Block {
            self_attn: Attention {
                q_proj: change("q_proj", block.self_attn.q_proj),
                k_proj: change("k_proj", block.self_attn.k_proj),
                v_proj: change("v_proj", block.self_attn.v_proj),
                o_proj: change("o_proj", block.self_attn.o_proj),
            },
            mlp: Mlp {
                gate_proj: change("gate_proj", block.mlp.gate_proj),
                up_proj: change("up_proj", block.mlp.up_proj),
                down_proj: change("down_proj", block.mlp.down_proj),
            },
            ..block
        });
        self.model.layers = blocks.collect();
        self
    }
}
