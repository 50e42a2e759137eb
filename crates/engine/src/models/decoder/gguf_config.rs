//! Reads a decoder's sizes from the metadata of a GGUF file.

use kernels::Activation;

use super::config::{DecoderConfig, Experts, Family, Norm};
use super::error::DecoderError;
use super::rope::{Rope, RopeScaling};
use crate::weights::{Gguf, GgufValue, TensorSource};

impl DecoderConfig {
    /// From the metadata of a GGUF file, by `general.architecture`.
    ///
    /// # Errors
    /// [`DecoderError::Family`] for an architecture that is not known, [`DecoderError::Config`] for values that are
    /// missing, of a wrong kind or impossible.
    pub fn from_gguf(file: &Gguf) -> Result<Self, DecoderError> {
        let architecture = file
            .value("general.architecture")
            .and_then(GgufValue::text)
            .ok_or_else(|| DecoderError::Config("`general.architecture` is missing".into()))?;
        let family = match architecture {
            "llama" => Family::Llama,
            "phi3" => Family::Phi3,
            "gemma2" => Family::Gemma2,
            "gemma3" => Family::Gemma3,
            "qwen2" => Family::Qwen2,
            "granite" => Family::Granite,
            "granitemoe" => Family::GraniteMoe,
            "internlm2" => Family::InternLm2,
            "command-r" => Family::Cohere,
            other => return Err(DecoderError::Family(other.into())),
        };
        let fields = Fields { file, architecture };
        let config = read(&fields, family).map_err(DecoderError::Config)?;
        config.check().map_err(DecoderError::Config)?;
        Ok(config)
    }
}

struct Fields<'a> {
    file: &'a Gguf,
    architecture: &'a str,
}

impl Fields<'_> {
    fn get(&self, name: &str) -> Option<&GgufValue> {
        self.file.value(&format!("{}.{name}", self.architecture))
    }

    fn size(&self, name: &str) -> Result<Option<usize>, String> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let value = value.int().and_then(|size| usize::try_from(size).ok());
        value
            .map(Some)
            .ok_or_else(|| format!("`{}.{name}` is not a whole number", self.architecture))
    }

    fn needed(&self, name: &str) -> Result<usize, String> {
        self.size(name)?
            .ok_or_else(|| format!("`{}.{name}` is missing", self.architecture))
    }

    fn number(&self, name: &str) -> Option<f64> {
        self.get(name)?.number()
    }

    /// Values of a tensor of factors.
    fn factors(&self, name: &str) -> Result<Option<Vec<f64>>, String> {
        if self.file.shape(name).is_none() {
            return Ok(None);
        }
        let tensor = self.file.stored(name).map_err(|error| error.to_string())?;
        let values = super::weight::floats(&tensor)
            .ok_or_else(|| format!("`{name}` does not hold floats"))?;
        Ok(Some(values.into_iter().map(f64::from).collect()))
    }
}

fn read(fields: &Fields<'_>, family: Family) -> Result<DecoderConfig, String> {
    let gemma = matches!(family, Family::Gemma2 | Family::Gemma3);
    let (width, heads) = (
        fields.needed("embedding_length")?,
        fields.needed("attention.head_count")?,
    );
    let layers = fields.needed("block_count")?;
    if layers > 10_000 {
        return Err(format!("it has {layers} layers"));
    }
    let head_dim = match fields.size("attention.key_length")? {
        Some(size) => size,
        None => width.checked_div(heads).unwrap_or(0),
    };
    let has = |name: &str| fields.file.shape(name).is_some();
    let vocab = fields.file.shape("token_embd.weight");
    let vocab = vocab
        .and_then(|shape| shape.first().copied())
        .ok_or("`token_embd.weight` is missing")?;
    let root = |size: usize| 1.0 / (size.max(1) as f64).sqrt();
    // The 27B model of Gemma 2 and 3 scales by the width of a head of the residual.
    let large =
        (family == Family::Gemma2 && layers == 46) || (family == Family::Gemma3 && layers == 62);
    let scale = match fields.number("attention.scale") {
        Some(scale) => scale,
        None if large => root(width / heads.max(1)),
        None => root(head_dim),
    };
    let eps = match family {
        Family::Cohere => fields
            .number("attention.layer_norm_epsilon")
            .unwrap_or(1e-5),
        _ => fields
            .number("attention.layer_norm_rms_epsilon")
            .unwrap_or(1e-5),
    };
    let logits = fields.number("logit_scale").unwrap_or(1.0);
    let window = fields
        .size("attention.sliding_window")?
        .filter(|size| *size > 0);
    let experts = match family {
        Family::GraniteMoe => Some(Experts {
            count: fields.needed("expert_count")?,
            used: fields.needed("expert_used_count")?,
        }),
        _ => None,
    };
    let max_positions = fields.needed("context_length")?;
    let cap = |name: &str| fields.number(name).map(|cap| cap as f32);
    Ok(DecoderConfig {
        family,
        vocab,
        width,
        layers,
        heads,
        kv_heads: fields.size("attention.head_count_kv")?.unwrap_or(heads),
        head_dim,
        ffn: fields.needed("feed_forward_length")?,
        // Gemma's converted weights hold the one that is added.
        norm: match family {
            Family::Cohere => Norm::Layer,
            _ => Norm::Rms,
        },
        eps: eps as f32,
        post_norms: gemma,
        parallel: family == Family::Cohere,
        head_norm: has("blk.0.attn_q_norm.weight"),
        activation: if gemma {
            Activation::GeluTanh
        } else {
            Activation::Silu
        },
        rope: rope(fields, family, head_dim, max_positions)?,
        window_rope: (family == Family::Gemma3).then_some(Rope {
            theta: 1e4,
            dims: head_dim,
            interleaved: false,
            scaling: RopeScaling::None,
        }),
        windows: (0..layers)
            .map(|layer| match family {
                Family::Phi3 => window,
                Family::Gemma2 => window.filter(|_| layer % 2 == 0),
                Family::Gemma3 => window.filter(|_| (layer + 1) % 6 != 0),
                _ => None,
            })
            .collect(),
        embedding_scale: match fields.number("embedding_scale") {
            Some(scale) => scale as f32,
            None if gemma => (width as f32).sqrt(),
            None => 1.0,
        },
        attention_scale: scale as f32,
        residual_scale: fields.number("residual_scale").unwrap_or(1.0) as f32,
        logit_scale: match family {
            Family::Cohere => logits as f32,
            _ => (1.0 / logits) as f32,
        },
        attention_cap: cap("attn_logit_softcapping"),
        logit_cap: cap("final_logit_softcapping"),
        qkv_bias: has("blk.0.attn_q.bias"),
        output_bias: has("blk.0.attn_output.bias"),
        ffn_bias: has("blk.0.ffn_up.bias"),
        experts,
        tied: !has("output.weight"),
        max_positions,
    })
}

fn rope(
    fields: &Fields<'_>,
    family: Family,
    head_dim: usize,
    max_positions: usize,
) -> Result<Rope, String> {
    let factor = fields.number("rope.scaling.factor").unwrap_or(1.0);
    let original = fields.size("rope.scaling.original_context_length")?;
    let original = original.unwrap_or(max_positions);
    let kind = fields.get("rope.scaling.type").and_then(GgufValue::text);
    let long = fields.factors("rope_factors_long.weight")?;
    let short = fields.factors("rope_factors_short.weight")?;
    let scaling = match (long.zip(short), kind) {
        (Some((long, short)), _) => {
            let ratio = (max_positions as f64 / original.max(1) as f64).max(1.0);
            let usual = (1.0 + ratio.ln() / (original.max(2) as f64).ln()).sqrt();
            RopeScaling::Long {
                short,
                long,
                original,
                attention: fields.number("rope.scaling.attn_factor").unwrap_or(usual),
            }
        }
        (None, None | Some("none")) => match fields.factors("rope_freqs.weight")? {
            Some(factors) => RopeScaling::Factors(factors),
            None => RopeScaling::None,
        },
        (None, Some("linear")) => RopeScaling::Linear(factor),
        (None, Some("yarn")) => RopeScaling::Yarn {
            factor,
            original: original as f64,
            fast: 32.0,
            slow: 1.0,
            attention: 0.1 * factor.max(1.0).ln() + 1.0,
        },
        (None, Some(other)) => return Err(format!("its rotary scaling `{other}` is not known")),
    };
    Ok(Rope {
        theta: fields.number("rope.freq_base").unwrap_or(1e4),
        dims: fields.size("rope.dimension_count")?.unwrap_or(head_dim),
        interleaved: family == Family::Cohere,
        scaling,
    })
}
