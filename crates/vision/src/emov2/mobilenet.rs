//! MobileNetV2 (Sandler et al., arXiv 1801.04381) under torchvision's names: the inverted residual that the Meta Mobile Block
//! generalises, and a real ImageNet classifier to classify with or to learn from.

use base::rng::Rng;
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use engine::nn::{Conv2dConfig, Linear, LinearConfig};
use engine::weights::KeyMap;

use super::layers::{Activation, ConvUnit};

/// Epsilon and momentum of its batch norms.
const NORM: [f64; 2] = [1e-5, 0.1];
/// Expansion, width, blocks and first stride of each stage (paper table 2).
const STAGES: [[usize; 4]; 7] = [
    [1, 16, 1, 1],
    [6, 24, 2, 2],
    [6, 32, 3, 2],
    [6, 64, 4, 2],
    [6, 96, 3, 1],
    [6, 160, 3, 2],
    [6, 320, 1, 1],
];
/// Width of the stem, and before the head.
const STEM: usize = 32;
const LAST: usize = 1280;

/// Expansion, depth-wise convolution, projection.
#[derive(Module, Debug)]
pub struct InvertedResidual {
    expand: Option<ConvUnit>,
    local: ConvUnit,
    project: ConvUnit,
    residual: bool,
}

/// See the module.
#[derive(Module, Debug)]
pub struct MobileNetV2 {
    stem: ConvUnit,
    blocks: Vec<InvertedResidual>,
    last: ConvUnit,
    classifier: Linear,
}

fn unit(config: Conv2dConfig, act: Activation, rng: &mut Rng, device: &Device) -> ConvUnit {
    ConvUnit::batch(config, NORM, act, rng, device)
}

impl InvertedResidual {
    fn new(
        [input, output]: [usize; 2],
        [expansion, stride]: [usize; 2],
        rng: &mut Rng,
        device: &Device,
    ) -> Self {
        let mid = input * expansion;
        let act = Activation::Relu6;
        let local = Conv2dConfig::depthwise(mid, 3).with_stride(stride);
        Self {
            expand: (expansion > 1)
                .then(|| unit(Conv2dConfig::new(input, mid, 1), act, rng, device)),
            local: unit(local, act, rng, device),
            project: unit(
                Conv2dConfig::new(mid, output, 1),
                Activation::None,
                rng,
                device,
            ),
            residual: stride == 1 && input == output,
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let h = match &self.expand {
            Some(expand) => expand.forward(x.clone()),
            None => x.clone(),
        };
        let h = self.project.forward(self.local.forward(h));
        if self.residual { x + h } else { h }
    }
}

impl MobileNetV2 {
    /// Draws a network.
    pub fn new(classes: usize, rng: &mut Rng, device: &Device) -> Self {
        let act = Activation::Relu6;
        let stem = unit(
            Conv2dConfig::new(3, STEM, 3).with_stride(2),
            act,
            rng,
            device,
        );
        let mut width = STEM;
        let mut blocks = Vec::new();
        for [expansion, output, count, stride] in STAGES {
            for at in 0..count {
                let stride = if at == 0 { stride } else { 1 };
                let sizes = [width, output];
                blocks.push(InvertedResidual::new(
                    sizes,
                    [expansion, stride],
                    rng,
                    device,
                ));
                width = output;
            }
        }
        Self {
            stem,
            blocks,
            last: unit(Conv2dConfig::new(width, LAST, 1), act, rng, device),
            classifier: LinearConfig::new(LAST, classes).init(rng, device),
        }
    }

    /// Logits `[batch, classes]` of pictures `[batch, 3, height, width]`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        let x = self.stem.forward(x);
        let x = self.blocks.iter().fold(x, |x, block| block.forward(x));
        let x = self.last.forward(x);
        let [batch, channels, height, width] = x.dims();
        let x = x.reshape([batch, channels, height * width]).mean_dim(2);
        self.classifier.forward(x.reshape([batch, channels]))
    }

    /// torchvision's names.
    pub fn key_map() -> KeyMap {
        let pair = |keys: KeyMap, file: &str, norm: &str, ours: &str| {
            keys.rename(file, &format!("{ours}.conv"))
                .rename(norm, &format!("{ours}.bn"))
        };
        let mut keys = KeyMap::new()
            .rename("classifier.1", "classifier")
            .ignore("num_batches_tracked");
        keys = pair(keys, "features.0.0", "features.0.1", "stem");
        let blocks: usize = STAGES.iter().map(|stage| stage[2]).sum();
        for at in 0..blocks {
            let file = format!("features.{}.conv", at + 1);
            // The first block does not expand, and so has one step less.
            let steps: &[&str] = match at {
                0 => &["local", "project"],
                _ => &["expand", "local", "project"],
            };
            for (step, name) in steps.iter().enumerate() {
                let ours = format!("blocks.{at}.{name}");
                let (conv, norm) = match *name {
                    "project" => (format!("{file}.{step}"), format!("{file}.{}", step + 1)),
                    _ => (format!("{file}.{step}.0"), format!("{file}.{step}.1")),
                };
                keys = pair(keys, &conv, &norm, &ours);
            }
        }
        let last = blocks + 1;
        pair(
            keys,
            &format!("features.{last}.0"),
            &format!("features.{last}.1"),
            "last",
        )
    }
}
