//! A layer in which queries and text attend to one another and the queries to a picture: BERT's, with norms at the end.

use burn::module::Module;
use burn::tensor::{Bool, Device, Tensor};

use super::QFormerTextConfig;
use crate::models::clip_text::ClipActivation;
use crate::nn::{Init, LayerNorm, Linear, LinearConfig};
use crate::ops::{self, AttentionMask};
use base::rng::Rng;

#[derive(Module, Debug)]
struct Projections {
    query: Linear,
    key: Linear,
    value: Linear,
}

/// A map whose result is added and normed.
#[derive(Module, Debug)]
struct Output {
    dense: Linear,
    layer_norm: LayerNorm,
}

#[derive(Module, Debug)]
struct Attention {
    attention: Projections,
    output: Output,
}

#[derive(Module, Debug)]
struct Intermediate {
    dense: Linear,
}

/// See the module.
#[derive(Module, Debug)]
pub(super) struct Layer {
    attention: Attention,
    crossattention: Option<Attention>,
    intermediate: Intermediate,
    intermediate_query: Intermediate,
    output: Output,
    output_query: Output,
    heads: usize,
    #[module(skip)]
    activation: ClipActivation,
}

impl Layer {
    /// Layer number `at`.
    pub fn new(config: &QFormerTextConfig, at: usize, rng: &mut Rng, device: &Device) -> Self {
        let (width, hidden) = (config.hidden_size, config.intermediate_size);
        let mut linear = |input, output| {
            LinearConfig::new(input, output)
                .with_init(Init::Lazy)
                .init(rng, device)
        };
        let norm = || LayerNorm::new(width, config.layer_norm_eps, device);
        let mut attention = |source: usize| Attention {
            attention: Projections {
                query: linear(width, width),
                key: linear(source, width),
                value: linear(source, width),
            },
            output: Output {
                dense: linear(width, width),
                layer_norm: norm(),
            },
        };
        let own = attention(width);
        let looks = at.is_multiple_of(config.cross_attention_frequency.max(1));
        let cross = looks.then(|| attention(config.encoder_hidden_size));
        let mut wide = || Intermediate {
            dense: linear(width, hidden),
        };
        let [intermediate, intermediate_query] = [wide(), wide()];
        let mut narrow = || Output {
            dense: linear(hidden, width),
            layer_norm: norm(),
        };
        let [output, output_query] = [narrow(), narrow()];
        Self {
            attention: own,
            crossattention: cross,
            intermediate,
            intermediate_query,
            output,
            output_query,
            heads: config.num_attention_heads,
            activation: config.hidden_act,
        }
    }

    /// `x` `[batch, queries + text, width]`, `picture` `[batch, tokens, picture width]`; `seen` is `[batch, queries + text]`, true
    /// where there is a token.
    pub fn forward(
        &self,
        x: Tensor<3>,
        queries: usize,
        picture: &Tensor<3>,
        seen: &Tensor<2, Bool>,
    ) -> Tensor<3> {
        let text = x.dims()[1] - queries;
        let mask = AttentionMask::of_keys(Some(seen.clone()));
        let x = self.attention.forward(x.clone(), x, self.heads, &mask);
        let mut asked = x.clone().narrow(1, 0, queries);
        if let Some(cross) = &self.crossattention {
            let all = AttentionMask::default();
            asked = cross.forward(asked, picture.clone(), self.heads, &all);
        }
        let asked = self.feed(asked, &self.intermediate_query, &self.output_query);
        if text == 0 {
            return asked;
        }
        let said = x.narrow(1, queries, text);
        let said = self.feed(said, &self.intermediate, &self.output);
        Tensor::cat(vec![asked, said], 1)
    }

    fn feed(&self, x: Tensor<3>, wide: &Intermediate, narrow: &Output) -> Tensor<3> {
        let hidden = self.activation.apply(wide.dense.forward(x.clone()));
        narrow.forward(hidden, x)
    }
}

impl Output {
    fn forward(&self, x: Tensor<3>, before: Tensor<3>) -> Tensor<3> {
        self.layer_norm.forward(self.dense.forward(x) + before)
    }
}

impl Attention {
    fn forward(
        &self,
        x: Tensor<3>,
        source: Tensor<3>,
        heads: usize,
        mask: &AttentionMask,
    ) -> Tensor<3> {
        let split = |x: Tensor<3>| {
            let [batch, tokens, width] = x.dims();
            x.reshape([batch, tokens, heads, width / heads])
        };
        let q = split(self.attention.query.forward(x.clone()));
        let k = split(self.attention.key.forward(source.clone()));
        let v = split(self.attention.value.forward(source));
        let seen = ops::attention(q, k, v, mask).reshape(x.dims());
        self.output.forward(seen, x)
    }
}
