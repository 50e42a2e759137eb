//! What distinguishes one decoder from another.

use kernels::{Activation, CacheDims};

use super::rope::Rope;

/// Where names and layouts come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Family {
    /// Llama 1 to 3, SmolLM, and what shares their form.
    Llama,
    /// Mistral: sliding windows.
    Mistral,
    /// Phi-3 and Phi-4: fused projections, two sets of rotary factors.
    Phi3,
    /// Gemma 2: soft caps, norms before and after.
    Gemma2,
    /// Gemma 3, text only: normalised queries and keys, two rotary bases.
    Gemma3,
    /// Qwen2: biases of queries, keys and values.
    Qwen2,
    /// Granite 3, dense: multipliers.
    Granite,
    /// Granite 3, mixture of experts.
    GraniteMoe,
    /// InternLM2: queries, keys and values fused by key head.
    InternLm2,
    /// Cohere Command-R and Aya: parallel blocks, layer norm.
    Cohere,
}

/// How rows are normalised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Norm {
    /// `weight · x / rms(x)`.
    Rms,
    /// `(1 + weight) · x / rms(x)`.
    RmsPlusOne,
    /// `weight · (x − mean) / √var`.
    Layer,
}

/// Experts of a mixture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Experts {
    /// How many there are.
    pub count: usize,
    /// How many a token goes through.
    pub used: usize,
}

/// Sizes and switches of a decoder.
#[derive(Clone, Debug, PartialEq)]
pub struct DecoderConfig {
    /// Names and layouts of the tensors.
    pub family: Family,
    /// Rows of the embedding table.
    pub vocab: usize,
    /// Values of the residual of a token.
    pub width: usize,
    /// Blocks.
    pub layers: usize,
    /// Heads of queries.
    pub heads: usize,
    /// Heads of keys and values.
    pub kv_heads: usize,
    /// Values of a head.
    pub head_dim: usize,
    /// Values of the feed-forward layer, or of one expert.
    pub ffn: usize,
    /// All norms but those of heads.
    pub norm: Norm,
    /// Added to the mean of squares.
    pub eps: f32,
    /// Norms also after attention and feed-forward (Gemma).
    pub post_norms: bool,
    /// Attention and feed-forward read the same normalised residual (Cohere).
    pub parallel: bool,
    /// Queries and keys are normalised: by [`Norm::RmsPlusOne`] with one weight for all heads (Gemma 3), or by
    /// [`Norm::Layer`] with one for each (Cohere).
    pub head_norm: bool,
    /// Activation of the gate.
    pub activation: Activation,
    /// Rotary positions.
    pub rope: Rope,
    /// Those of layers with a window, where they differ.
    pub window_rope: Option<Rope>,
    /// Of each layer: how many positions a query sees, its own included.
    pub windows: Vec<Option<usize>>,
    /// Embeddings are multiplied by it.
    pub embedding_scale: f32,
    /// Products of queries and keys are multiplied by it.
    pub attention_scale: f32,
    /// What attention and feed-forward give is multiplied by it.
    pub residual_scale: f32,
    /// Logits are multiplied by it.
    pub logit_scale: f32,
    /// Soft cap of attention scores.
    pub attention_cap: Option<f32>,
    /// Soft cap of logits.
    pub logit_cap: Option<f32>,
    /// Queries, keys and values have biases.
    pub qkv_bias: bool,
    /// The output of attention has a bias.
    pub output_bias: bool,
    /// The feed-forward layer has biases.
    pub ffn_bias: bool,
    /// A mixture of experts in place of the feed-forward layer.
    pub experts: Option<Experts>,
    /// Logits are products with the embedding table.
    pub tied: bool,
    /// Positions the model was made for.
    pub max_positions: usize,
}

/// Largest size of anything that a config may ask for.
const LIMIT: usize = 1 << 24;

impl DecoderConfig {
    /// Sizes of the keys and values of a layer.
    pub fn cache_dims(&self) -> CacheDims {
        CacheDims {
            heads: self.kv_heads,
            group: self.heads / self.kv_heads.max(1),
            head: self.head_dim,
        }
    }

    /// Values of all heads of queries and of keys.
    pub(super) fn projections(&self) -> [usize; 2] {
        [self.heads * self.head_dim, self.kv_heads * self.head_dim]
    }

    /// Why these sizes cannot be a model, if they cannot.
    pub(super) fn check(&self) -> Result<(), String> {
        let sizes = [
            ("vocabulary", self.vocab),
            ("width", self.width),
            ("number of layers", self.layers),
            ("number of heads", self.heads),
            ("number of key heads", self.kv_heads),
            ("head size", self.head_dim),
            ("feed-forward size", self.ffn),
            ("number of positions", self.max_positions),
        ];
        for (name, size) in sizes {
            if !(1..=LIMIT).contains(&size) {
                return Err(format!("its {name} is {size}"));
            }
        }
        if self.head_dim > 1024 || self.layers > 10_000 {
            return Err(format!(
                "heads of {} values in {} layers are beyond what is supported",
                self.head_dim, self.layers
            ));
        }
        if !self.heads.is_multiple_of(self.kv_heads) {
            return Err(format!(
                "{} heads do not share {} key heads evenly",
                self.heads, self.kv_heads
            ));
        }
        if self.windows.len() != self.layers || self.windows.contains(&Some(0)) {
            return Err("its sliding windows do not fit its layers".into());
        }
        if let Some(experts) = self.experts
            && (experts.used == 0 || experts.used > experts.count || experts.count > 4096)
        {
            return Err(format!(
                "{} of {} experts are used",
                experts.used, experts.count
            ));
        }
        let scales = [
            self.eps,
            self.embedding_scale,
            self.attention_scale,
            self.residual_scale,
            self.logit_scale,
        ];
        if scales.iter().any(|scale| !scale.is_finite()) {
            return Err("one of its multipliers is not finite".into());
        }
        self.rope.check(self.head_dim)?;
        self.window_rope
            .iter()
            .try_for_each(|rope| rope.check(self.head_dim))
    }
}
