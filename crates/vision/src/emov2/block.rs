//! The block of all networks here: i2RMB, an inverted residual whose expansion may be attention (paper section 3.2).

use base::rng::Rng;
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use engine::nn::Conv2dConfig;

use super::attention;
use super::config::{BlockConfig, operator};
use super::layers::{Activation, ConvUnit, Norm, to_map, to_tokens};

/// An expansion operator: a 1×1 convolution, or attention with expanded values.
#[derive(Module, Debug)]
pub struct Operator {
    net: Option<ConvUnit>,
    qk: Option<ConvUnit>,
    v: Option<ConvUnit>,
    heads: usize,
    #[module(skip)]
    window: i64,
    #[module(skip)]
    kind: u8,
}

/// The learned factor of each channel.
#[derive(Module, Debug)]
pub struct LayerScale {
    /// `[1, channels, 1, 1]`.
    pub gamma: Param<Tensor<4>>,
}

/// See [`BlockConfig`].
#[derive(Module, Debug)]
pub struct Block {
    norm: Option<Norm>,
    eops: Vec<Operator>,
    conv_local: ConvUnit,
    proj: ConvUnit,
    ls: LayerScale,
    residual: bool,
}

/// Results of the steps of a block, for whoever looks inside.
#[derive(Clone, Debug)]
pub struct BlockSteps {
    /// After the norm at the entry.
    pub norm: Tensor<4>,
    /// After the operators.
    pub eop: Tensor<4>,
    /// The depth-wise branch.
    pub conv_local: Tensor<4>,
    /// After the projection.
    pub proj: Tensor<4>,
    /// The result.
    pub y: Tensor<4>,
}

impl Operator {
    /// Draws operator `kind` of a block.
    pub fn new(config: &BlockConfig, kind: u8, rng: &mut Rng, device: &Device) -> Self {
        let mut unit = |output: usize, act: Activation| {
            let mut conv = Conv2dConfig::new(config.dim_in, output, 1);
            conv.bias = config.qkv_bias;
            ConvUnit::plain(conv, act, rng, device)
        };
        let (mid, act) = (config.dim_mid(), config.act_layer);
        let attends = kind != operator::CONV;
        Self {
            net: (!attends).then(|| unit(mid, act)),
            qk: attends.then(|| unit(2 * config.dim_in, Activation::None)),
            v: attends.then(|| unit(mid, act)),
            heads: config.heads(),
            window: config.window_size,
            kind,
        }
    }

    /// The same with windows of another side.
    pub fn with_window(mut self, side: i64) -> Self {
        self.window = side;
        self
    }

    /// `[batch, height, width, in]` → `[batch, height, width, mid]`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let (Some(qk), Some(v)) = (&self.qk, &self.v) else {
            return match &self.net {
                Some(net) => net.forward_tokens(x),
                None => x,
            };
        };
        let [batch, height, width, _] = x.dims();
        let side = [1, self.window, self.window];
        let x = attention::pad(x.unsqueeze_dim(1), side);
        let y = attention::attend(
            qk.forward_tokens(x.clone()),
            v.forward_tokens(x),
            self.heads,
            side,
            self.kind,
        );
        let channels = y.dims()[4];
        y.narrow(2, 0, height)
            .narrow(3, 0, width)
            .reshape([batch, height, width, channels])
    }
}

impl Block {
    /// Draws a block.
    pub fn new(config: &BlockConfig, rng: &mut Rng, device: &Device) -> Self {
        let mid = config.dim_mid();
        let local = Conv2dConfig::depthwise(mid, config.dw_ks)
            .with_stride(config.stride)
            .with_padding(config.padding())
            .without_bias();
        let proj = Conv2dConfig::new(mid, config.dim_out, 1).without_bias();
        let gamma = TensorData::new(
            vec![config.ls_value; config.dim_out],
            [1, config.dim_out, 1, 1],
        );
        Self {
            norm: config
                .norm_in
                .then(|| Norm::new(config.norm_layer, config.dim_in, device)),
            eops: config
                .hybrid_eops
                .iter()
                .map(|kind| Operator::new(config, *kind, rng, device))
                .collect(),
            conv_local: ConvUnit::normed(local, config.local_norm, config.local_act, rng, device),
            proj: ConvUnit::plain(proj, Activation::None, rng, device),
            ls: LayerScale {
                gamma: Param::from_data(gamma, device),
            },
            residual: config.residual(),
        }
    }

    /// `[batch, in, height, width]` → `[batch, out, height', width']`. `keep` `[batch, 1, 1, 1]` multiplies what is added to
    /// the input: 0 where a sample leaves the block out.
    pub fn forward(&self, x: Tensor<4>, keep: Option<Tensor<4>>) -> Tensor<4> {
        let h = self.expand(x.clone());
        let local = self.conv_local.forward(h.clone());
        let h = if self.residual { h + local } else { local };
        self.close(x, self.proj.forward(h), keep)
    }

    /// [`Block::forward`], step by step.
    pub fn steps(&self, x: Tensor<4>) -> BlockSteps {
        let norm = match &self.norm {
            Some(norm) => norm.forward(x.clone()),
            None => x.clone(),
        };
        let eop = self.expand(x.clone());
        let conv_local = self.conv_local.forward(eop.clone());
        let h = match self.residual {
            true => eop.clone() + conv_local.clone(),
            false => conv_local.clone(),
        };
        let proj = self.proj.forward(h);
        BlockSteps {
            norm,
            eop,
            conv_local,
            proj: proj.clone(),
            y: self.close(x, proj, None),
        }
    }

    /// Norm and operators.
    fn expand(&self, x: Tensor<4>) -> Tensor<4> {
        let bn = self.norm.as_ref().and_then(|norm| norm.bn.as_ref());
        if let ([Operator { net: Some(net), .. }], Some(bn)) = (self.eops.as_slice(), bn) {
            return match bn.folded(&x) {
                Some(affine) => net.forward_after(x, affine),
                None => net.forward(bn.forward(x)),
            };
        }
        let tokens = match &self.norm {
            Some(Norm { ln: Some(ln), .. }) => ln.forward(to_tokens(x)),
            Some(norm) => to_tokens(norm.forward(x)),
            None => to_tokens(x),
        };
        let sum = self
            .eops
            .iter()
            .map(|op| op.forward(tokens.clone()))
            .reduce(|a, b| a + b);
        to_map(sum.unwrap_or(tokens))
    }

    /// Layer scale and residual.
    fn close(&self, x: Tensor<4>, h: Tensor<4>, keep: Option<Tensor<4>>) -> Tensor<4> {
        let h = h * self.ls.gamma.val();
        match (self.residual, keep) {
            (false, _) => h,
            (true, None) => x + h,
            (true, Some(keep)) => x + h * keep,
        }
    }

    /// The same with windows of another side in its attention.
    pub fn with_window(mut self, side: i64) -> Self {
        self.eops = self
            .eops
            .into_iter()
            .map(|op| op.with_window(side))
            .collect();
        self
    }
}
