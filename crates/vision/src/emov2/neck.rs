//! The feature pyramid network between a backbone and its heads.

use base::rng::Rng;
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use engine::nn::Conv2dConfig;
use serde::{Deserialize, Serialize};

use super::layers::{Activation, ConvUnit, resize_nearest};

/// A feature pyramid; names as in the field's configs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FpnConfig {
    /// Widths of the backbone's maps, from fine to coarse.
    pub in_channels: Vec<usize>,
    /// Width of all results.
    pub out_channels: usize,
    /// The first map that takes part.
    #[serde(default)]
    pub start_level: usize,
    /// Number of results.
    pub num_outs: usize,
    /// Whether further results are convolutions with stride 2 of the coarsest input; else every other pixel of the last one.
    #[serde(default)]
    pub extra_convs: bool,
}

/// See [`FpnConfig`].
#[derive(Module, Debug)]
pub struct Fpn {
    lateral_convs: Vec<ConvUnit>,
    fpn_convs: Vec<ConvUnit>,
    start: usize,
    outs: usize,
}

impl FpnConfig {
    /// Draws a pyramid.
    pub fn init(&self, rng: &mut Rng, device: &Device) -> Fpn {
        let used = self.in_channels.get(self.start_level..).unwrap_or_default();
        let out = self.out_channels;
        let mut plain =
            |config: Conv2dConfig| ConvUnit::plain(config, Activation::None, rng, device);
        let lateral_convs: Vec<ConvUnit> = used
            .iter()
            .map(|input| plain(Conv2dConfig::new(*input, out, 1)))
            .collect();
        let mut fpn_convs: Vec<ConvUnit> = used
            .iter()
            .map(|_| plain(Conv2dConfig::new(out, out, 3)))
            .collect();
        if self.extra_convs {
            let mut input = used.last().copied().unwrap_or(out);
            for _ in used.len()..self.num_outs {
                fpn_convs.push(plain(Conv2dConfig::new(input, out, 3).with_stride(2)));
                input = out;
            }
        }
        Fpn {
            lateral_convs,
            fpn_convs,
            start: self.start_level,
            outs: self.num_outs,
        }
    }
}

impl Fpn {
    /// The backbone's maps, from fine to coarse → as many maps as the config says, of one width.
    pub fn forward(&self, maps: &[Tensor<4>]) -> Vec<Tensor<4>> {
        let maps = maps.get(self.start..).unwrap_or_default();
        let mut laterals: Vec<Tensor<4>> = self
            .lateral_convs
            .iter()
            .zip(maps)
            .map(|(conv, map)| conv.forward(map.clone()))
            .collect();
        for level in (1..laterals.len()).rev() {
            let [_, _, height, width] = laterals[level - 1].dims();
            let coarse = resize_nearest(laterals[level].clone(), [height, width]);
            laterals[level - 1] = laterals[level - 1].clone() + coarse;
        }
        let mut outs: Vec<Tensor<4>> = self
            .fpn_convs
            .iter()
            .zip(laterals)
            .map(|(conv, lateral)| conv.forward(lateral))
            .collect();
        let used = outs.len();
        while outs.len() < self.outs {
            let source = match (outs.len() == used, self.fpn_convs.len() > used) {
                (true, true) => maps.last(),
                _ => outs.last(),
            };
            let Some(source) = source.cloned() else { break };
            let next = match self.fpn_convs.get(outs.len()) {
                Some(conv) => conv.forward(source),
                None => every_other(source),
            };
            outs.push(next);
        }
        outs
    }
}

/// Pixels of even rows and columns: a max pool of one pixel with stride 2.
fn every_other(x: Tensor<4>) -> Tensor<4> {
    let [_, _, height, width] = x.dims();
    let even = |count: usize| -> Vec<i64> { (0..count as i64).step_by(2).collect() };
    let [rows, columns] =
        [height, width].map(|count| Tensor::from_data(even(count).as_slice(), &x.device()));
    x.select(2, rows).select(3, columns)
}
