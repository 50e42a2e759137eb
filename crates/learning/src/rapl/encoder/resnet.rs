//! ResNet-18 and ResNet-50 (He et al. 2016) as torchvision has them, up to the mean over all places.

use base::rng::Rng;
use burn::module::Module;
use burn::tensor::module::max_pool2d;
use burn::tensor::ops::MaxPoolOptions;
use burn::tensor::{Device, Tensor, activation};
use engine::nn::{BatchNorm, Conv2d, Conv2dConfig};
use engine::weights::KeyMap;

/// Channels inside the blocks of the four stages.
const PLANES: [usize; 4] = [64, 128, 256, 512];
const EPS: f64 = 1e-5;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// Two blocks of two convolutions a stage.
    Eighteen,
    /// 3, 4, 6, 3 blocks of three convolutions, four times as wide behind.
    Fifty,
}

impl Depth {
    fn blocks(self) -> [usize; 4] {
        match self {
            Self::Eighteen => [2; 4],
            Self::Fifty => [3, 4, 6, 3],
        }
    }

    fn widen(self) -> usize {
        match self {
            Self::Eighteen => 1,
            Self::Fifty => 4,
        }
    }

    /// Values of a picture: 512 or 2048.
    pub(super) fn width(self) -> usize {
        PLANES[3] * self.widen()
    }
}

#[derive(Module, Debug)]
struct Block {
    conv1: Conv2d,
    bn1: BatchNorm,
    conv2: Conv2d,
    bn2: BatchNorm,
    conv3: Option<Conv2d>,
    bn3: Option<BatchNorm>,
    down_conv: Option<Conv2d>,
    down_norm: Option<BatchNorm>,
}

/// See the module. Norms always use the statistics that they were read with: frames of one video are too alike to make new ones.
#[derive(Module, Debug)]
pub struct Resnet {
    conv1: Conv2d,
    bn1: BatchNorm,
    layer1: Vec<Block>,
    layer2: Vec<Block>,
    layer3: Vec<Block>,
    layer4: Vec<Block>,
}

fn conv(
    (input, output): (usize, usize),
    (kernel, stride): (usize, usize),
    rng: &mut Rng,
    device: &Device,
) -> Conv2d {
    let config = Conv2dConfig::new(input, output, kernel).with_stride(stride);
    config.without_bias().init(rng, device)
}

fn norm(channels: usize, device: &Device) -> BatchNorm {
    BatchNorm::new(channels, EPS, 0.1, device).frozen()
}

impl Block {
    fn new(
        depth: Depth,
        (input, planes): (usize, usize),
        stride: usize,
        rng: &mut Rng,
        device: &Device,
    ) -> Self {
        let output = planes * depth.widen();
        let three = depth == Depth::Fifty;
        let (first, second) = match three {
            true => ((1, 1), (3, stride)),
            false => ((3, stride), (3, 1)),
        };
        let turned = stride > 1 || input != output;
        Self {
            conv1: conv((input, planes), first, rng, device),
            bn1: norm(planes, device),
            conv2: conv((planes, planes), second, rng, device),
            bn2: norm(planes, device),
            conv3: three.then(|| conv((planes, output), (1, 1), rng, device)),
            bn3: three.then(|| norm(output, device)),
            down_conv: turned.then(|| conv((input, output), (1, stride), rng, device)),
            down_norm: turned.then(|| norm(output, device)),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let y = activation::relu(self.bn1.forward(self.conv1.forward(x.clone())));
        let mut y = self.bn2.forward(self.conv2.forward(y));
        if let (Some(conv), Some(norm)) = (&self.conv3, &self.bn3) {
            y = norm.forward(conv.forward(activation::relu(y)));
        }
        let x = match (&self.down_conv, &self.down_norm) {
            (Some(conv), Some(norm)) => norm.forward(conv.forward(x)),
            _ => x,
        };
        activation::relu(x + y)
    }
}

impl Resnet {
    /// With random weights, and norms that do nothing.
    pub(super) fn new(depth: Depth, rng: &mut Rng, device: &Device) -> Self {
        let stem = conv((3, PLANES[0]), (7, 2), rng, device);
        let mut input = PLANES[0];
        let mut stage = |at: usize| -> Vec<Block> {
            (0..depth.blocks()[at])
                .map(|block| {
                    let stride = if at > 0 && block == 0 { 2 } else { 1 };
                    let made = Block::new(depth, (input, PLANES[at]), stride, rng, device);
                    input = PLANES[at] * depth.widen();
                    made
                })
                .collect()
        };
        Self {
            conv1: stem,
            bn1: norm(PLANES[0], device),
            layer1: stage(0),
            layer2: stage(1),
            layer3: stage(2),
            layer4: stage(3),
        }
    }

    /// `[frames, 3, side, side]` → `[frames, width]`.
    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        let x = activation::relu(self.bn1.forward(self.conv1.forward(x)));
        let pool = MaxPoolOptions::new([3, 3])
            .with_stride([2, 2])
            .with_padding([1, 1]);
        let mut x = max_pool2d(x, pool);
        for stage in [&self.layer1, &self.layer2, &self.layer3, &self.layer4] {
            x = stage.iter().fold(x, |x, block| block.forward(x));
        }
        let [frames, channels, ..] = x.dims();
        x.flatten::<3>(2, 3).mean_dim(2).reshape([frames, channels])
    }
}

/// Names in torchvision's files.
pub(super) fn torchvision() -> KeyMap {
    (1..=4)
        .fold(KeyMap::new(), |keys, stage| {
            let path = |name: &str| format!("layer{stage}.{{}}.{name}");
            keys.rename(&path("downsample.0"), &path("down_conv"))
                .rename(&path("downsample.1"), &path("down_norm"))
        })
        .ignore("num_batches_tracked")
}

/// Names in XIRL's checkpoints: the same layers by their numbers.
pub(super) fn xirl() -> KeyMap {
    let stages = (1..=4).fold(KeyMap::new(), |keys, stage| {
        let number = stage + 3;
        let (file, ours) = (
            format!("backbone.{number}.{{}}"),
            format!("layer{stage}.{{}}"),
        );
        keys.rename(
            &format!("{file}.downsample.0"),
            &format!("{ours}.down_conv"),
        )
        .rename(
            &format!("{file}.downsample.1"),
            &format!("{ours}.down_norm"),
        )
        .rename(&file, &ours)
    });
    stages
        .rename("backbone.0", "conv1")
        .rename("backbone.1", "bn1")
        .ignore("num_batches_tracked")
}
