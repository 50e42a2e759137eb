//! RetinaNet: one stage, focal loss, nine anchors a place.

use base::rng::Rng;
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use engine::nn::{Conv2d, Conv2dConfig};
use serde::{Deserialize, Serialize};

use super::anchors::{AnchorLevel, octave_anchors};
use super::boxes::{Detection, Keep, one_stage, sigmoid};
use crate::emov2::layers::{Activation, ConvUnit};
use crate::emov2::neck::{Fpn, FpnConfig};

/// Scales of an octave, and ratios of height to width.
const PER_OCTAVE: usize = 3;
const RATIOS: [f32; 3] = [0.5, 1.0, 2.0];
const ANCHORS: usize = PER_OCTAVE * RATIOS.len();

/// See the module.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RetinaConfig {
    /// The pyramid.
    pub neck: FpnConfig,
    /// Classes.
    pub classes: usize,
    /// Convolutions before each prediction.
    pub stacked_convs: usize,
    /// Size of the smallest anchor in strides.
    pub octave_base_scale: f32,
    /// Pixels from place to place in each map.
    pub strides: Vec<f32>,
    /// What is kept.
    pub keep: Keep,
}

impl RetinaConfig {
    /// The published head on maps of these widths, strides 4 to 32.
    pub fn new(in_channels: Vec<usize>, classes: usize) -> Self {
        Self {
            neck: FpnConfig {
                in_channels,
                out_channels: 256,
                start_level: 1,
                num_outs: 5,
                extra_convs: true,
            },
            classes,
            stacked_convs: 4,
            octave_base_scale: 4.0,
            strides: vec![8.0, 16.0, 32.0, 64.0, 128.0],
            keep: Keep {
                nms_pre: 1000,
                score_thr: 0.05,
                iou: 0.5,
                max_per_img: 100,
            },
        }
    }

    /// The anchors of each map.
    pub fn anchors(&self) -> Vec<AnchorLevel> {
        octave_anchors(&self.strides, self.octave_base_scale, PER_OCTAVE, &RATIOS)
    }

    /// Draws neck and head.
    pub fn init(&self, rng: &mut Rng, device: &Device) -> RetinaNet {
        let width = self.neck.out_channels;
        let stack = |rng: &mut Rng| -> Vec<ConvUnit> {
            (0..self.stacked_convs)
                .map(|_| {
                    let config = Conv2dConfig::new(width, width, 3);
                    ConvUnit::plain(config, Activation::Relu, rng, device)
                })
                .collect()
        };
        RetinaNet {
            neck: self.neck.init(rng, device),
            bbox_head: RetinaHead {
                cls_convs: stack(rng),
                reg_convs: stack(rng),
                retina_cls: Conv2d::new(width, ANCHORS * self.classes, 3, rng, device),
                retina_reg: Conv2d::new(width, ANCHORS * 4, 3, rng, device),
            },
        }
    }
}

/// Two stacks of convolutions, the same for all maps.
#[derive(Module, Debug)]
pub struct RetinaHead {
    cls_convs: Vec<ConvUnit>,
    reg_convs: Vec<ConvUnit>,
    retina_cls: Conv2d,
    retina_reg: Conv2d,
}

/// Neck and head; see [`RetinaConfig`].
#[derive(Module, Debug)]
pub struct RetinaNet {
    /// The pyramid.
    pub neck: Fpn,
    bbox_head: RetinaHead,
}

impl RetinaNet {
    /// Maps of the pyramid → for each map logits `[batch, 9 · classes, ..]` and corrections `[batch, 36, ..]`.
    pub fn heads(&self, maps: &[Tensor<4>]) -> [Vec<Tensor<4>>; 2] {
        let head = &self.bbox_head;
        let run = |convs: &[ConvUnit], last: &Conv2d| -> Vec<Tensor<4>> {
            maps.iter()
                .map(|map| {
                    let x = convs.iter().fold(map.clone(), |x, conv| conv.forward(x));
                    last.forward(x)
                })
                .collect()
        };
        [
            run(&head.cls_convs, &head.retina_cls),
            run(&head.reg_convs, &head.retina_reg),
        ]
    }

    /// What is in each picture of `[height, width]`, from the backbone's maps of strides 4 to 32.
    pub fn detect(
        &self,
        features: &[Tensor<4>],
        picture: [usize; 2],
        config: &RetinaConfig,
    ) -> Vec<Vec<Detection>> {
        let sigmoids = |row: Vec<f32>| row.into_iter().map(sigmoid).collect::<Vec<f32>>();
        one_stage(
            self.heads(&self.neck.forward(features)),
            (&config.anchors(), [1.0; 4]),
            (config.classes, sigmoids),
            picture,
            config.keep,
        )
    }
}
