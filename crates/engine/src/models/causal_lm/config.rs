use burn::tensor::Device;
use serde_json::{Value, json};

use super::attention::Attention;
use super::folder::CausalLmError;
use super::lora::Projection;
use super::model::{Backbone, Block, CausalLm, Embedding, Mlp};
use crate::nn::{Init, RmsNorm};
use base::rng::Rng;

/// Largest size of anything that a config may ask for.
const LIMIT: usize = 1 << 24;

/// Sizes, as `config.json` names them.
#[derive(Clone, Debug, PartialEq)]
pub struct CausalLmConfig {
    /// Rows of the embedding table.
    pub vocab_size: usize,
    /// Values of the residual of a token.
    pub hidden_size: usize,
    /// Values of the feed-forward layer.
    pub intermediate_size: usize,
    /// Blocks.
    pub num_hidden_layers: usize,
    /// Heads of queries.
    pub num_attention_heads: usize,
    /// Heads of keys and values; they divide those of queries.
    pub num_key_value_heads: usize,
    /// Values of a head, an even number.
    pub head_dim: usize,
    /// How many positions a query sees, its own included; all before it where there is none.
    pub sliding_window: Option<usize>,
    /// Added to the mean of squares.
    pub rms_norm_eps: f64,
    /// Base of the rotary positions.
    pub rope_theta: f64,
    /// Logits are products with the embedding table.
    pub tie_word_embeddings: bool,
    /// Positions the model is made for.
    pub max_position_embeddings: usize,
    /// Standard deviation of new weights; output projections have it divided by `√(2 · blocks)`.
    pub initializer_range: f64,
    /// The token that begins a text.
    pub bos_token_id: Option<u32>,
    /// The token that ends a text.
    pub eos_token_id: Option<u32>,
}

impl CausalLmConfig {
    /// A small model of 4 blocks and width 128 over 4096 tokens, for experiments on a laptop.
    pub fn toy() -> Self {
        Self {
            vocab_size: 4096,
            hidden_size: 128,
            intermediate_size: 352,
            num_hidden_layers: 4,
            num_attention_heads: 4,
            num_key_value_heads: 2,
            head_dim: 32,
            sliding_window: Some(64),
            rms_norm_eps: 1e-5,
            rope_theta: 10_000.0,
            tie_word_embeddings: false,
            max_position_embeddings: 2048,
            initializer_range: 0.02,
            bos_token_id: Some(1),
            eos_token_id: Some(2),
        }
    }

    /// Moxin-7B: Mistral-7B with 36 blocks, 8 114 180 096 parameters (arXiv 2412.06845).
    pub fn moxin_7b() -> Self {
        Self {
            vocab_size: 32_000,
            hidden_size: 4096,
            intermediate_size: 14_336,
            num_hidden_layers: 36,
            num_attention_heads: 32,
            num_key_value_heads: 8,
            head_dim: 128,
            sliding_window: Some(4096),
            max_position_embeddings: 32_768,
            ..Self::toy()
        }
    }

    /// Number of parameters.
    pub fn parameters(&self) -> usize {
        let (width, head) = (self.hidden_size, self.head_dim);
        let queries = self.num_attention_heads * head * width;
        let keys = self.num_key_value_heads * head * width;
        let block = 2 * queries + 2 * keys + 3 * width * self.intermediate_size + 2 * width;
        let tables = if self.tie_word_embeddings { 1 } else { 2 };
        tables * self.vocab_size * width + self.num_hidden_layers * block + width
    }

    /// From the contents of `config.json` of a Llama or Mistral.
    ///
    /// # Errors
    /// [`CausalLmError::Config`] for other families, for what these have and is not trained here (biases, scaled rotary
    /// positions, other activations), and for sizes that cannot be.
    pub fn from_json(json: &Value) -> Result<Self, CausalLmError> {
        let config = read(json).map_err(CausalLmError::Config)?;
        config.check()?;
        Ok(config)
    }

    /// As `config.json`: a Mistral where there is a sliding window, else a Llama.
    pub fn to_json(&self) -> Value {
        let (kind, class) = match self.sliding_window {
            Some(_) => ("mistral", "MistralForCausalLM"),
            None => ("llama", "LlamaForCausalLM"),
        };
        let mut json = json!({
            "architectures": [class], "model_type": kind, "vocab_size": self.vocab_size, "hidden_size": self.hidden_size,
            "intermediate_size": self.intermediate_size, "num_hidden_layers": self.num_hidden_layers,
            "num_attention_heads": self.num_attention_heads, "num_key_value_heads": self.num_key_value_heads,
            "head_dim": self.head_dim, "hidden_act": "silu", "rms_norm_eps": self.rms_norm_eps, "rope_theta": self.rope_theta,
            "tie_word_embeddings": self.tie_word_embeddings, "max_position_embeddings": self.max_position_embeddings,
            "initializer_range": self.initializer_range, "torch_dtype": "float32",
        });
        let options = [
            (
                "sliding_window",
                self.sliding_window.map(|size| size as u64),
            ),
            ("bos_token_id", self.bos_token_id.map(u64::from)),
            ("eos_token_id", self.eos_token_id.map(u64::from)),
        ];
        for (name, value) in options {
            if let Some(value) = value {
                json[name] = json!(value);
            }
        }
        json
    }

    /// # Errors
    /// [`CausalLmError::Config`] for sizes that cannot be.
    pub fn check(&self) -> Result<(), CausalLmError> {
        let wrong = |reason: String| Err(CausalLmError::Config(reason));
        let sizes = [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("intermediate_size", self.intermediate_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("num_key_value_heads", self.num_key_value_heads),
            ("head_dim", self.head_dim),
            ("max_position_embeddings", self.max_position_embeddings),
            ("sliding_window", self.sliding_window.unwrap_or(1)),
        ];
        if let Some((name, size)) = sizes.iter().find(|(_, size)| !(1..=LIMIT).contains(size)) {
            return wrong(format!(
                "`{name}` is {size}: give a number from 1 to {LIMIT}"
            ));
        }
        if self.num_hidden_layers > 10_000 || self.head_dim > 1024 || self.head_dim % 2 == 1 {
            return wrong(format!(
                "{} blocks with heads of {} values: give at most 10000 blocks, and heads of an even size up to 1024",
                self.num_hidden_layers, self.head_dim
            ));
        }
        if !self
            .num_attention_heads
            .is_multiple_of(self.num_key_value_heads)
        {
            return wrong(format!(
                "{} heads do not share {} key heads evenly: make one a multiple of the other",
                self.num_attention_heads, self.num_key_value_heads
            ));
        }
        let numbers = [self.rms_norm_eps, self.rope_theta, self.initializer_range];
        if numbers
            .iter()
            .any(|number| !number.is_finite() || *number < 0.0)
        {
            return wrong(
                "`rms_norm_eps`, `rope_theta` and `initializer_range` must be positive numbers"
                    .into(),
            );
        }
        Ok(())
    }

    /// A new model, its weights drawn from `N(0, initializer_range)`.
    ///
    /// # Errors
    /// As [`CausalLmConfig::check`].
    pub fn init(&self, rng: &mut Rng, device: &Device) -> Result<CausalLm, CausalLmError> {
        self.check()?;
        let spread = self.initializer_range as f32;
        let quiet = spread / (2.0 * self.num_hidden_layers as f32).sqrt();
        Ok(self.build(Init::Normal(spread), Init::Normal(quiet), rng, device))
    }

    /// A model whose weights are drawn as soon as they are read: for files to fill.
    pub(super) fn lazy(&self, device: &Device) -> CausalLm {
        self.build(Init::Lazy, Init::Lazy, &mut Rng::new(0), device)
    }

    fn build(&self, init: Init, outputs: Init, rng: &mut Rng, device: &Device) -> CausalLm {
        let width = self.hidden_size;
        let queries = self.num_attention_heads * self.head_dim;
        let keys = self.num_key_value_heads * self.head_dim;
        let wide = self.intermediate_size;
        let mut made = |init: Init, output, input| {
            let weight = init.weight(output, input, rng, device);
            Projection { weight, lora: None }
        };
        let embed_tokens = Embedding {
            weight: made(init, self.vocab_size, width).weight,
        };
        let layers = (0..self.num_hidden_layers)
            .map(|_| Block {
                input_layernorm: RmsNorm::new(width, device),
                self_attn: Attention {
                    q_proj: made(init, queries, width),
                    k_proj: made(init, keys, width),
                    v_proj: made(init, keys, width),
                    o_proj: made(outputs, width, queries),
                },
                post_attention_layernorm: RmsNorm::new(width, device),
                mlp: Mlp {
                    gate_proj: made(init, wide, width),
                    up_proj: made(init, wide, width),
                    down_proj: made(outputs, width, wide),
                },
            })
            .collect();
        let lm_head = (!self.tie_word_embeddings).then(|| made(init, self.vocab_size, width));
        CausalLm {
            model: Backbone {
                embed_tokens,
                layers,
                norm: RmsNorm::new(width, device),
            },
            lm_head,
            head: self.head_dim,
            window: self.sliding_window,
            theta: self.rope_theta,
            eps: self.rms_norm_eps,
            checkpointing: false,
        }
    }
}

fn read(json: &Value) -> Result<CausalLmConfig, String> {
    let get = |name: &str| json.get(name).filter(|value| !value.is_null());
    let text = |name: &str| get(name).and_then(Value::as_str);
    let architecture = || get("architectures")?.get(0)?.as_str();
    let family = text("model_type").or_else(architecture).or(text("arch"));
    let family = family.ok_or("`model_type` is missing")?.to_lowercase();
    let mistral = match family.trim_end_matches("forcausallm") {
        "mistral" => true,
        "llama" => false,
        other => {
            return Err(format!(
                "`{other}` is not trained here: take a Llama or a Mistral"
            ));
        }
    };
    let size = |name: &str| match get(name) {
        None => Ok(None),
        Some(value) => match value.as_u64().and_then(|size| usize::try_from(size).ok()) {
            Some(size) => Ok(Some(size)),
            None => Err(format!("`{name}` is not a whole number")),
        },
    };
    let needed = |name: &str| size(name)?.ok_or_else(|| format!("`{name}` is missing"));
    let number = |name: &str, usual: f64| match get(name) {
        None => Ok(usual),
        Some(value) => value
            .as_f64()
            .ok_or_else(|| format!("`{name}` is not a number")),
    };
    let set = |name: &str| get(name).and_then(Value::as_bool).unwrap_or(false);
    if let Some(name) = ["attention_bias", "mlp_bias"].iter().find(|name| set(name)) {
        return Err(format!(
            "`{name}` is set: models with biases are not trained here"
        ));
    }
    if let Some(name) = text("hidden_act").filter(|name| !matches!(*name, "silu" | "swish")) {
        return Err(format!(
            "its activation `{name}` is not trained here: only silu is"
        ));
    }
    let rotary = get("rope_parameters");
    let scaling = get("rope_scaling").or(rotary);
    let kind = scaling.and_then(|it| it.get("rope_type").or(it.get("type")));
    if let Some(kind) = kind
        .and_then(Value::as_str)
        .filter(|kind| *kind != "default")
    {
        return Err(format!(
            "its rotary positions are scaled (`{kind}`), which is not trained here"
        ));
    }
    let theta = rotary.and_then(|it| it.get("rope_theta")?.as_f64());
    let (hidden_size, heads) = (needed("hidden_size")?, needed("num_attention_heads")?);
    let token = |name: &str| {
        let value = get(name)?;
        let one = value.get(0).unwrap_or(value);
        one.as_u64().and_then(|id| u32::try_from(id).ok())
    };
    Ok(CausalLmConfig {
        vocab_size: needed("vocab_size")?,
        hidden_size,
        intermediate_size: needed("intermediate_size")?,
        num_hidden_layers: needed("num_hidden_layers")?,
        num_attention_heads: heads,
        num_key_value_heads: size("num_key_value_heads")?.unwrap_or(heads),
        head_dim: size("head_dim")?.unwrap_or(hidden_size.checked_div(heads).unwrap_or(0)),
        sliding_window: if mistral {
            size("sliding_window")?
        } else {
            None
        },
        rms_norm_eps: number("rms_norm_eps", 1e-6)?,
        rope_theta: match theta {
            Some(theta) => theta,
            None => number("rope_theta", 1e4)?,
        },
        tie_word_embeddings: set("tie_word_embeddings"),
        max_position_embeddings: size("max_position_embeddings")?.unwrap_or(if mistral {
            131_072
        } else {
            2048
        }),
        initializer_range: number("initializer_range", 0.02)?,
        bos_token_id: token("bos_token_id"),
        eos_token_id: token("eos_token_id"),
    })
}
