//! Reads `config.json`, as model hubs keep it beside a checkpoint.

use kernels::Activation;
use serde_json::Value;

use super::config::{DecoderConfig, Experts, Family, Norm};
use super::error::DecoderError;
use super::rope::{Rope, RopeScaling};

impl DecoderConfig {
    /// From the contents of `config.json`, by `model_type` or `architectures`.
    ///
    /// # Errors
    /// [`DecoderError::Family`] for a family that is not known, [`DecoderError::Config`] for fields that are missing,
    /// of a wrong kind or impossible.
    pub fn from_config_json(json: &Value) -> Result<Self, DecoderError> {
        let fields = Fields(json);
        let family = fields.family()?;
        let config = read(&fields, family).map_err(DecoderError::Config)?;
        config.check().map_err(DecoderError::Config)?;
        Ok(config)
    }
}

/// An object of which some fields are asked for.
struct Fields<'a>(&'a Value);

impl Fields<'_> {
    fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    fn size(&self, name: &str) -> Result<Option<usize>, String> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let size = value.as_u64().and_then(|size| usize::try_from(size).ok());
        size.map(Some)
            .ok_or_else(|| format!("`{name}` is not a whole number"))
    }

    fn needed(&self, name: &str) -> Result<usize, String> {
        self.size(name)?
            .ok_or_else(|| format!("`{name}` is missing"))
    }

    fn number(&self, name: &str) -> Result<Option<f64>, String> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        value
            .as_f64()
            .map(Some)
            .ok_or_else(|| format!("`{name}` is not a number"))
    }

    fn flag(&self, name: &str) -> Option<bool> {
        self.get(name)?.as_bool()
    }

    fn numbers(&self, name: &str) -> Result<Vec<f64>, String> {
        let list = self.get(name).and_then(Value::as_array);
        list.and_then(|list| list.iter().map(Value::as_f64).collect())
            .ok_or_else(|| format!("`{name}` is not a list of numbers"))
    }

    fn family(&self) -> Result<Family, DecoderError> {
        let named = self.get("model_type").and_then(Value::as_str);
        let architecture = self
            .get("architectures")
            .and_then(|list| list.get(0))
            .or(self.get("arch"))
            .and_then(Value::as_str);
        let name = match named.or(architecture) {
            Some(name) => name,
            None => return Err(DecoderError::Config("`model_type` is missing".into())),
        };
        let short = name.to_lowercase().replace('_', "");
        Ok(match short.trim_end_matches("forcausallm") {
            "llama" => Family::Llama,
            "mistral" => Family::Mistral,
            "phi3" => Family::Phi3,
            "gemma2" => Family::Gemma2,
            "gemma3text" | "gemma3" => Family::Gemma3,
            "qwen2" => Family::Qwen2,
            "granite" => Family::Granite,
            "granitemoe" => Family::GraniteMoe,
            "internlm2" => Family::InternLm2,
            "cohere" => Family::Cohere,
            _ => return Err(DecoderError::Family(name.into())),
        })
    }
}

fn read(fields: &Fields<'_>, family: Family) -> Result<DecoderConfig, String> {
    use Family::{Cohere, Gemma2, Gemma3, InternLm2, Mistral, Qwen2};
    let gemma = matches!(family, Gemma2 | Gemma3);
    let (width, heads) = (
        fields.needed("hidden_size")?,
        fields.needed("num_attention_heads")?,
    );
    let head_dim = match fields.size("head_dim")? {
        Some(size) => size,
        None if gemma => 256,
        None => width.checked_div(heads).unwrap_or(0),
    };
    let layers = fields.needed("num_hidden_layers")?;
    let number = |name: &str, default: f64| -> Result<f64, String> {
        Ok(fields.number(name)?.unwrap_or(default))
    };
    let max_positions = fields.size("max_position_embeddings")?;
    let max_positions = max_positions.unwrap_or(match family {
        Mistral => 131_072,
        Qwen2 => 32_768,
        _ if gemma || family == Cohere => 8192,
        _ => 2048,
    });
    let bias = |name: &str| fields.flag(name).unwrap_or(false);
    let attention_bias = bias(if family == InternLm2 {
        "bias"
    } else {
        "attention_bias"
    });
    let scale = match fields.number("attention_multiplier")? {
        Some(scale) if matches!(family, Family::Granite | Family::GraniteMoe) => scale,
        _ if matches!(family, Family::Granite | Family::GraniteMoe) => 1.0,
        _ if gemma => 1.0 / number("query_pre_attn_scalar", 256.0)?.sqrt(),
        _ => 1.0 / (head_dim.max(1) as f64).sqrt(),
    };
    let [cap, logit_cap] = match family {
        Gemma2 => ["attn_logit_softcapping", "final_logit_softcapping"],
        _ => ["", ""],
    }
    .map(|name| fields.number(name));
    let experts = match family {
        Family::GraniteMoe => Some(Experts {
            count: fields.needed("num_local_experts")?,
            used: fields.needed("num_experts_per_tok")?,
        }),
        _ => None,
    };
    Ok(DecoderConfig {
        family,
        vocab: fields.needed("vocab_size")?,
        width,
        layers,
        heads,
        kv_heads: fields.size("num_key_value_heads")?.unwrap_or(heads),
        head_dim,
        ffn: fields.needed("intermediate_size")?,
        norm: match family {
            _ if gemma => Norm::RmsPlusOne,
            Cohere => Norm::Layer,
            _ => Norm::Rms,
        },
        eps: match family {
            Cohere => number("layer_norm_eps", 1e-5)?,
            Family::Phi3 => number("rms_norm_eps", 1e-5)?,
            _ => number("rms_norm_eps", 1e-6)?,
        } as f32,
        post_norms: gemma,
        parallel: family == Cohere,
        head_norm: family == Gemma3 || family == Cohere && bias("use_qk_norm"),
        activation: activation(fields, gemma)?,
        rope: rope(fields, family, head_dim, max_positions)?,
        window_rope: match family {
            Gemma3 => Some(Rope {
                theta: window_theta(fields)?,
                dims: head_dim,
                interleaved: false,
                scaling: RopeScaling::None,
            }),
            _ => None,
        },
        windows: windows(fields, family, layers)?,
        embedding_scale: match family {
            _ if gemma => (width as f32).sqrt(),
            _ => number("embedding_multiplier", 1.0)? as f32,
        },
        attention_scale: scale as f32,
        residual_scale: number("residual_multiplier", 1.0)? as f32,
        logit_scale: match family {
            Cohere => number("logit_scale", 0.0625)?,
            _ => 1.0 / number("logits_scaling", 1.0)?,
        } as f32,
        attention_cap: cap?.map(|cap| cap as f32),
        logit_cap: logit_cap?.map(|cap| cap as f32),
        qkv_bias: attention_bias || family == Qwen2,
        output_bias: attention_bias && family != Qwen2,
        ffn_bias: bias("mlp_bias"),
        experts,
        tied: fields
            .flag("tie_word_embeddings")
            .unwrap_or(gemma || family == Cohere),
        max_positions,
    })
}

fn activation(fields: &Fields<'_>, gemma: bool) -> Result<Activation, String> {
    let named = fields
        .get("hidden_activation")
        .or(fields.get("hidden_act"))
        .and_then(Value::as_str);
    match named {
        None if gemma => Ok(Activation::GeluTanh),
        None | Some("silu" | "swish") => Ok(Activation::Silu),
        Some("gelu_pytorch_tanh" | "gelu_new") => Ok(Activation::GeluTanh),
        // Gemma's first configs said `gelu` and meant the tanh form.
        Some("gelu") if gemma => Ok(Activation::GeluTanh),
        Some("gelu") => Ok(Activation::Gelu),
        Some(other) => Err(format!("its activation `{other}` is not known")),
    }
}

/// Base of the rotary positions of layers with a window.
fn window_theta(fields: &Fields<'_>) -> Result<f64, String> {
    let nested = fields
        .get("rope_parameters")
        .and_then(|all| all.get("sliding_attention"))
        .and_then(|rope| rope.get("rope_theta"))
        .and_then(Value::as_f64);
    Ok(match nested {
        Some(theta) => theta,
        None => fields.number("rope_local_base_freq")?.unwrap_or(1e4),
    })
}

fn rope(
    fields: &Fields<'_>,
    family: Family,
    head_dim: usize,
    max_positions: usize,
) -> Result<Rope, String> {
    // Newer files keep all in `rope_parameters`, for some families by kind of layer.
    let parameters = fields
        .get("rope_parameters")
        .map(|all| all.get("full_attention").unwrap_or(all));
    let scaling = fields.get("rope_scaling").or(parameters);
    let nothing = Value::Null;
    let inner = Fields(scaling.unwrap_or(&nothing));
    let theta = match parameters.and_then(|all| all.get("rope_theta")?.as_f64()) {
        Some(theta) => theta,
        None => fields.number("rope_theta")?.unwrap_or(match family {
            Family::Gemma3 => 1e6,
            _ => 1e4,
        }),
    };
    let partial = inner
        .number("partial_rotary_factor")?
        .or(fields.number("partial_rotary_factor")?)
        .unwrap_or(1.0);
    let original = match inner.size("original_max_position_embeddings")? {
        Some(original) => original,
        None => fields
            .size("original_max_position_embeddings")?
            .unwrap_or(max_positions),
    };
    let kind = inner.get("rope_type").or(inner.get("type"));
    let factor = || {
        inner
            .number("factor")?
            .ok_or_else(|| String::from("`rope_scaling` has no `factor`"))
    };
    let attention = inner.number("attention_factor")?;
    let scaling = match kind.and_then(Value::as_str) {
        // Dynamic scaling begins beyond the positions that a cache allows.
        None | Some("default" | "dynamic") => RopeScaling::None,
        Some("linear") => RopeScaling::Linear(factor()?),
        Some("llama3") => RopeScaling::Llama3 {
            factor: factor()?,
            low: inner.number("low_freq_factor")?.unwrap_or(1.0),
            high: inner.number("high_freq_factor")?.unwrap_or(4.0),
            original: original as f64,
        },
        Some("longrope" | "su") => {
            let factor = match inner.number("factor")? {
                Some(factor) => factor,
                None => max_positions as f64 / original.max(1) as f64,
            };
            let usual = match factor {
                ..=1.0 => 1.0,
                _ => (1.0 + factor.ln() / (original as f64).ln()).sqrt(),
            };
            RopeScaling::Long {
                short: inner.numbers("short_factor")?,
                long: inner.numbers("long_factor")?,
                original,
                attention: attention.unwrap_or(usual),
            }
        }
        Some("yarn") => {
            let factor = factor()?;
            RopeScaling::Yarn {
                factor,
                original: original as f64,
                fast: inner.number("beta_fast")?.unwrap_or(32.0),
                slow: inner.number("beta_slow")?.unwrap_or(1.0),
                attention: attention.unwrap_or(0.1 * factor.max(1.0).ln() + 1.0),
            }
        }
        Some(other) => return Err(format!("its rotary scaling `{other}` is not known")),
    };
    Ok(Rope {
        theta,
        dims: (head_dim as f64 * partial) as usize,
        interleaved: family == Family::Cohere,
        scaling,
    })
}

fn windows(
    fields: &Fields<'_>,
    family: Family,
    layers: usize,
) -> Result<Vec<Option<usize>>, String> {
    if layers > 10_000 {
        return Err(format!("it has {layers} layers"));
    }
    let window = match family {
        Family::Qwen2 if fields.flag("use_sliding_window") != Some(true) => None,
        Family::Mistral | Family::Phi3 | Family::Qwen2 => fields.size("sliding_window")?,
        Family::Gemma2 | Family::Gemma3 => Some(fields.size("sliding_window")?.unwrap_or(4096)),
        _ => None,
    };
    let kinds = fields.get("layer_types").and_then(Value::as_array);
    let pattern = fields.size("sliding_window_pattern")?.unwrap_or(6).max(1);
    let from = fields.size("max_window_layers")?.unwrap_or(0);
    Ok((0..layers)
        .map(|layer| {
            let slides = match (kinds.and_then(|kinds| kinds.get(layer)), family) {
                (Some(kind), _) => kind == "sliding_attention",
                (None, Family::Gemma2) => layer % 2 == 0,
                (None, Family::Gemma3) => (layer + 1) % pattern != 0,
                (None, Family::Qwen2) => layer >= from,
                (None, _) => true,
            };
            window.filter(|_| slides)
        })
        .collect())
}
