//! The small convolutional network.

use base::rng::Rng;
use burn::module::Module;
use burn::tensor::{Device, Tensor, activation};
use engine::nn::{Conv2d, Conv2dConfig};

/// Channels of the three convolutions.
const CHANNELS: [usize; 3] = [16, 32, 32];

/// Three convolutions of stride 2, each with ReLU.
#[derive(Module, Debug)]
pub struct Tiny {
    conv: Vec<Conv2d>,
}

impl Tiny {
    pub(super) fn new(rng: &mut Rng, device: &Device) -> Self {
        let mut input = 3;
        let conv = CHANNELS.map(|output| {
            let layer = Conv2dConfig::new(input, output, 3).with_stride(2);
            input = output;
            layer.init(rng, device)
        });
        Self { conv: conv.into() }
    }

    /// Values behind the last convolution, of pictures of `side`.
    pub(super) fn width(side: usize) -> usize {
        CHANNELS[2] * (side / 8) * (side / 8)
    }

    /// `[frames, 3, side, side]` → `[frames, width]`.
    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        let x = self
            .conv
            .iter()
            .fold(x, |x, conv| activation::relu(conv.forward(x)));
        x.flatten(1, 3)
    }
}
