//! Models out of decoders, whatever their weights are stored as: also quantised GGUF files can be trained on.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor, TensorData};
use kernels::Activation;

use super::{CausalLm, CausalLmConfig, CausalLmError};
use crate::models::decoder::{Decoder, DecoderConfig, Family, Norm, RopeScaling};
use crate::weights::follow_path;

impl CausalLm {
    /// The weights of `decoder` widened to f32.
    ///
    /// # Errors
    /// [`CausalLmError::Config`] for models of another form than Llama's.
    pub fn from_decoder(
        decoder: &Decoder,
        device: &Device,
    ) -> Result<(CausalLmConfig, Self), CausalLmError> {
        let config = CausalLmConfig::from_decoder(decoder.config())?;
        let mut widen = Widen {
            path: Vec::new(),
            decoder,
            missing: None,
        };
        let model = config.lazy(device).map(&mut widen);
        match widen.missing {
            None => Ok((config, model)),
            Some(name) => Err(CausalLmError::Config(format!("it has no `{name}`"))),
        }
    }
}

impl CausalLmConfig {
    /// The sizes of a decoder.
    ///
    /// # Errors
    /// [`CausalLmError::Config`] for what is not trained here.
    pub fn from_decoder(decoder: &DecoderConfig) -> Result<Self, CausalLmError> {
        let it = decoder;
        let scales = [it.embedding_scale, it.residual_scale, it.logit_scale];
        let usual = (it.head_dim as f32).sqrt().recip();
        let window = it.windows.first().copied().flatten();
        let plain = matches!(it.family, Family::Llama | Family::Mistral)
            && it.norm == Norm::Rms
            && it.activation == Activation::Silu
            && it.rope.scaling == RopeScaling::None
            && it.rope.dims == it.head_dim
            && !it.rope.interleaved
            && scales == [1.0; 3]
            && (it.attention_scale - usual).abs() <= 1e-5 * usual
            && it.windows.iter().all(|other| *other == window)
            && it.experts.is_none()
            && it.attention_cap.or(it.logit_cap).is_none()
            && ![
                it.post_norms,
                it.parallel,
                it.head_norm,
                it.qkv_bias,
                it.output_bias,
                it.ffn_bias,
            ]
            .contains(&true);
        if !plain {
            return Err(CausalLmError::Config(format!(
                "its form ({:?}) is not trained here: give a Llama or Mistral without biases and scaled positions",
                it.family
            )));
        }
        let config = Self {
            vocab_size: it.vocab,
            hidden_size: it.width,
            intermediate_size: it.ffn,
            num_hidden_layers: it.layers,
            num_attention_heads: it.heads,
            num_key_value_heads: it.kv_heads,
            head_dim: it.head_dim,
            sliding_window: window,
            rms_norm_eps: f64::from(it.eps),
            rope_theta: it.rope.theta,
            tie_word_embeddings: it.tied,
            max_position_embeddings: it.max_positions,
            initializer_range: 0.02,
            bos_token_id: None,
            eos_token_id: None,
        };
        config.check()?;
        Ok(config)
    }
}

/// Fills parameters from a decoder.
struct Widen<'a> {
    path: Vec<String>,
    decoder: &'a Decoder,
    /// The first that it does not have.
    missing: Option<String>,
}

impl ModuleMapper for Widen<'_> {
    follow_path!();

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (name, shape) = (self.path.join("."), param.lazy_shape());
        match self.decoder.values(&name) {
            Some(values) if values.len() == shape.num_elements() => {
                let data = TensorData::new(values, shape);
                let id = param.id;
                let tensor = Tensor::from_data(data, &param.lazy_device());
                param.transform_for_load(tensor, id)
            }
            _ => {
                self.missing.get_or_insert(name);
                param
            }
        }
    }
}
