//! SSDLite: one stage on depth-wise convolutions.

use base::rng::Rng;
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use engine::nn::{Conv2d, Conv2dConfig};
use serde::{Deserialize, Serialize};

use super::anchors::{AnchorLevel, ssd_anchors};
use super::boxes::{Detection, Keep, one_stage, softmax};
use crate::emov2::layers::{Activation, ConvUnit};

/// Units of the corrections.
const DEVIATIONS: [f32; 4] = [0.1, 0.1, 0.2, 0.2];
/// Weight of the newest batch in running statistics.
const MOMENTUM: f64 = 0.03;

/// See the module.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SsdConfig {
    /// Widths of the backbone's maps, strides 16 and 32.
    pub in_channels: Vec<usize>,
    /// Widths of all maps, those of the backbone first.
    pub out_channels: Vec<usize>,
    /// Classes without the background.
    pub num_classes: usize,
    /// Pixels from place to place in each map.
    pub strides: Vec<f32>,
    /// Ratios of the anchors of each map.
    pub ratios: Vec<Vec<f32>>,
    /// Side of the smaller square anchor of each map.
    pub min_sizes: Vec<f32>,
    /// Side that the next map begins with.
    pub max_sizes: Vec<f32>,
    /// Epsilon of the batch norms.
    pub bn_eps: f64,
    /// What is kept.
    pub keep: Keep,
}

impl SsdConfig {
    /// The published head for pictures of 320², on maps of these widths.
    pub fn new(in_channels: [usize; 2], num_classes: usize) -> Self {
        let extra = [512, 256, 256, 128];
        Self {
            in_channels: in_channels.to_vec(),
            out_channels: in_channels.into_iter().chain(extra).collect(),
            num_classes,
            strides: vec![16.0, 32.0, 64.0, 107.0, 160.0, 320.0],
            ratios: vec![vec![2.0, 3.0]; 6],
            min_sizes: vec![48.0, 100.0, 150.0, 202.0, 253.0, 304.0],
            max_sizes: vec![100.0, 150.0, 202.0, 253.0, 304.0, 320.0],
            bn_eps: 1e-3,
            keep: Keep {
                nms_pre: 1000,
                score_thr: 0.02,
                iou: 0.45,
                max_per_img: 200,
            },
        }
    }

    /// The anchors of each map.
    pub fn anchors(&self) -> Vec<AnchorLevel> {
        ssd_anchors(
            &self.strides,
            &self.min_sizes,
            &self.max_sizes,
            &self.ratios,
        )
    }

    /// Draws neck and head.
    pub fn init(&self, rng: &mut Rng, device: &Device) -> SsdLite {
        let unit = |config: Conv2dConfig, rng: &mut Rng| {
            let norm = [self.bn_eps, MOMENTUM];
            ConvUnit::batch(config, norm, Activation::Relu6, rng, device)
        };
        let outs = &self.out_channels;
        let extra_layers = (self.in_channels.len()..outs.len())
            .map(|at| {
                let (input, middle) = (outs[at - 1], outs[at] / 2);
                let local = Conv2dConfig::depthwise(middle, 3).with_stride(2);
                ExtraLayer {
                    reduce: unit(Conv2dConfig::new(input, middle, 1), rng),
                    enlarge: Separable {
                        depthwise_conv: unit(local, rng),
                        pointwise_conv: unit(Conv2dConfig::new(middle, outs[at], 1), rng),
                    },
                }
            })
            .collect();
        let predictions = |values: usize, rng: &mut Rng| -> Vec<Prediction> {
            outs.iter()
                .zip(&self.ratios)
                .map(|(width, ratios)| {
                    let anchors = 2 + 2 * ratios.len();
                    Prediction {
                        local: unit(Conv2dConfig::depthwise(*width, 3), rng),
                        out: Conv2d::new(*width, anchors * values, 1, rng, device),
                    }
                })
                .collect()
        };
        SsdLite {
            bbox_head: SsdHead {
                cls_convs: predictions(self.num_classes + 1, rng),
                reg_convs: predictions(4, rng),
            },
            neck: SsdNeck { extra_layers },
        }
    }
}

/// A depth-wise and a 1×1 convolution.
#[derive(Module, Debug)]
pub struct Separable {
    depthwise_conv: ConvUnit,
    pointwise_conv: ConvUnit,
}

/// The step to the next coarser map.
#[derive(Module, Debug)]
pub struct ExtraLayer {
    reduce: ConvUnit,
    enlarge: Separable,
}

/// Maps beyond the backbone's.
#[derive(Module, Debug)]
pub struct SsdNeck {
    extra_layers: Vec<ExtraLayer>,
}

/// A depth-wise convolution, then a 1×1 one to the predictions of all anchors of a place.
#[derive(Module, Debug)]
pub struct Prediction {
    local: ConvUnit,
    out: Conv2d,
}

/// Predictions of each map.
#[derive(Module, Debug)]
pub struct SsdHead {
    cls_convs: Vec<Prediction>,
    reg_convs: Vec<Prediction>,
}

/// Neck and head; see [`SsdConfig`].
#[derive(Module, Debug)]
pub struct SsdLite {
    neck: SsdNeck,
    bbox_head: SsdHead,
}

impl SsdLite {
    /// The backbone's maps of strides 16 and 32 → all maps.
    pub fn maps(&self, features: &[Tensor<4>]) -> Vec<Tensor<4>> {
        let mut maps = features.to_vec();
        for layer in &self.neck.extra_layers {
            let Some(last) = maps.last().cloned() else {
                break;
            };
            let x = layer.reduce.forward(last);
            let x = layer.enlarge.depthwise_conv.forward(x);
            maps.push(layer.enlarge.pointwise_conv.forward(x));
        }
        maps
    }

    /// For each map logits `[batch, anchors · (classes + 1), ..]`, the background last, and corrections
    /// `[batch, anchors · 4, ..]`.
    pub fn heads(&self, maps: &[Tensor<4>]) -> [Vec<Tensor<4>>; 2] {
        [&self.bbox_head.cls_convs, &self.bbox_head.reg_convs].map(|predictions| {
            let pairs = predictions.iter().zip(maps);
            pairs
                .map(|(one, map)| one.out.forward(one.local.forward(map.clone())))
                .collect()
        })
    }

    /// What is in each picture of `[height, width]`, from the backbone's maps of strides 16 and 32.
    pub fn detect(
        &self,
        features: &[Tensor<4>],
        picture: [usize; 2],
        config: &SsdConfig,
    ) -> Vec<Vec<Detection>> {
        // The background is the last class.
        let foreground = |row: Vec<f32>| {
            let mut row = softmax(&row);
            row.pop();
            row
        };
        one_stage(
            self.heads(&self.maps(features)),
            (&config.anchors(), DEVIATIONS),
            (config.num_classes + 1, foreground),
            picture,
            config.keep,
        )
    }
}
