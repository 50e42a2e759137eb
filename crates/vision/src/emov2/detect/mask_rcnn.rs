//! Mask R-CNN: proposals, then a class, a box and a mask for each.

use base::rng::Rng;
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData, activation};
use engine::nn::{Conv2d, Conv2dConfig, Linear, LinearConfig};
use engine::ops::{self, ConvTransposeOptions};
use serde::{Deserialize, Serialize};

use super::anchors::{AnchorLevel, scaled_anchors};
use super::boxes::{
    Detection, Keep, candidates, decode, nms, rows, sample, scaled, sigmoid, softmax,
};
use super::mask::paste_mask;
use super::roi_align::{Map, roi_align};
use crate::emov2::layers::{Activation, ConvUnit};
use crate::emov2::neck::{Fpn, FpnConfig};

/// Anchors of a place.
const RATIOS: [f32; 3] = [0.5, 1.0, 2.0];
/// Size of an anchor in strides.
const SCALE: f32 = 8.0;
/// Units of the box head's corrections.
const DEVIATIONS: [f32; 4] = [0.1, 0.1, 0.2, 0.2];
/// Side of the regions that the box head and the mask head see.
const BOX_SIDE: usize = 7;
const MASK_SIDE: usize = 14;
/// Square root of the area up to which a region is read from the finest map.
const FINEST: f32 = 56.0;
/// Maps that regions are read from.
const ROI_MAPS: usize = 4;

/// See the module.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MaskRcnnConfig {
    /// The pyramid; five maps of strides 4 to 64.
    pub neck: FpnConfig,
    /// Classes without the background.
    pub num_classes: usize,
    /// Width of the box head's layers.
    pub fc: usize,
    /// Convolutions of the mask head.
    pub mask_convs: usize,
    /// Stride of each map.
    pub strides: Vec<f32>,
    /// Which proposals are kept.
    pub rpn: Keep,
    /// What is kept in the end.
    pub rcnn: Keep,
    /// Probability from which on a pixel belongs to a mask.
    pub mask_thr: f32,
}

impl MaskRcnnConfig {
    /// The published head on maps of these widths, strides 4 to 32.
    pub fn new(in_channels: Vec<usize>, num_classes: usize) -> Self {
        Self {
            neck: FpnConfig {
                in_channels,
                out_channels: 256,
                start_level: 0,
                num_outs: 5,
                extra_convs: false,
            },
            num_classes,
            fc: 1024,
            mask_convs: 4,
            strides: vec![4.0, 8.0, 16.0, 32.0, 64.0],
            rpn: Keep {
                nms_pre: 1000,
                score_thr: -1.0,
                iou: 0.7,
                max_per_img: 1000,
            },
            rcnn: Keep {
                nms_pre: usize::MAX,
                score_thr: 0.05,
                iou: 0.5,
                max_per_img: 100,
            },
            mask_thr: super::mask::THRESHOLD,
        }
    }

    /// The anchors of each map.
    pub fn anchors(&self) -> Vec<AnchorLevel> {
        scaled_anchors(&self.strides, &[SCALE], &RATIOS)
    }

    /// Draws neck and heads.
    pub fn init(&self, rng: &mut Rng, device: &Device) -> MaskRcnn {
        let width = self.neck.out_channels;
        let neck = self.neck.init(rng, device);
        let mut conv =
            |output: usize, kernel: usize| Conv2d::new(width, output, kernel, rng, device);
        let rpn_head = RpnHead {
            rpn_conv: conv(width, 3),
            rpn_cls: conv(RATIOS.len(), 1),
            rpn_reg: conv(4 * RATIOS.len(), 1),
        };
        let conv_logits = conv(self.num_classes, 1);
        let mut fc =
            |input: usize, output: usize| LinearConfig::new(input, output).init(rng, device);
        let bbox_head = BoxHead {
            shared_fcs: vec![
                fc(width * BOX_SIDE * BOX_SIDE, self.fc),
                fc(self.fc, self.fc),
            ],
            fc_cls: fc(self.fc, self.num_classes + 1),
            fc_reg: fc(self.fc, 4 * self.num_classes),
        };
        let convs = (0..self.mask_convs).map(|_| {
            let config = Conv2dConfig::new(width, width, 3);
            ConvUnit::plain(config, Activation::Relu, rng, device)
        });
        let mask_head = MaskHead {
            convs: convs.collect(),
            upsample: Doubling::new(width, rng, device),
            conv_logits,
        };
        MaskRcnn {
            neck,
            rpn_head,
            roi_head: RoiHead {
                bbox_head,
                mask_head,
            },
        }
    }
}

/// The head that proposes boxes.
#[derive(Module, Debug)]
pub struct RpnHead {
    rpn_conv: Conv2d,
    rpn_cls: Conv2d,
    rpn_reg: Conv2d,
}

/// Two layers, then classes and boxes.
#[derive(Module, Debug)]
pub struct BoxHead {
    shared_fcs: Vec<Linear>,
    fc_cls: Linear,
    fc_reg: Linear,
}

/// A transposed convolution that doubles the size.
#[derive(Module, Debug)]
pub struct Doubling {
    weight: Param<Tensor<4>>,
    bias: Param<Tensor<1>>,
}

/// Convolutions, a doubling, then a mask a class.
#[derive(Module, Debug)]
pub struct MaskHead {
    convs: Vec<ConvUnit>,
    upsample: Doubling,
    conv_logits: Conv2d,
}

/// What looks at regions.
#[derive(Module, Debug)]
pub struct RoiHead {
    bbox_head: BoxHead,
    mask_head: MaskHead,
}

/// Neck and heads; see [`MaskRcnnConfig`].
#[derive(Module, Debug)]
pub struct MaskRcnn {
    /// The pyramid.
    pub neck: Fpn,
    rpn_head: RpnHead,
    roi_head: RoiHead,
}

/// Proposed boxes, best first; the label is the map that each comes from.
pub type Proposals = Vec<Detection>;

impl Doubling {
    fn new(width: usize, rng: &mut Rng, device: &Device) -> Self {
        let bound = (4.0 * width as f32).sqrt().recip();
        let values: Vec<f32> = (0..width * width * 4)
            .map(|_| (2.0 * rng.uniform() - 1.0) * bound)
            .collect();
        Self {
            weight: Param::from_data(TensorData::new(values, [width, width, 2, 2]), device),
            bias: Param::from_data(TensorData::zeros::<f32, _>([width]), device),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let options = ConvTransposeOptions::new([2, 2], [0, 0], [0, 0], [1, 1], 1);
        ops::conv_transpose2d(x, self.weight.val(), Some(self.bias.val()), options)
    }
}

impl MaskRcnn {
    /// Maps of the pyramid → for each map logits `[batch, 3, ..]` and corrections `[batch, 12, ..]`.
    pub fn rpn(&self, maps: &[Tensor<4>]) -> [Vec<Tensor<4>>; 2] {
        let head = &self.rpn_head;
        let pairs: Vec<[Tensor<4>; 2]> = maps
            .iter()
            .map(|map| {
                let x = activation::relu(head.rpn_conv.forward(map.clone()));
                [head.rpn_cls.forward(x.clone()), head.rpn_reg.forward(x)]
            })
            .collect();
        [0, 1].map(|at| pairs.iter().map(|pair| pair[at].clone()).collect())
    }

    /// The proposals for one picture of `[height, width]`.
    pub fn propose(
        &self,
        [cls, reg]: [Vec<Tensor<4>>; 2],
        picture: [usize; 2],
        config: &MaskRcnnConfig,
    ) -> Proposals {
        let maps = cls.into_iter().zip(reg).zip(config.anchors()).enumerate();
        let found = maps.flat_map(|(at, ((cls, reg), level))| {
            let [_, _, height, width] = cls.dims();
            let scores: Vec<Vec<f32>> = rows(cls, 1)
                .iter()
                .map(|row| vec![sigmoid(row[0])])
                .collect();
            let anchors = level.grid([height, width]);
            let found = candidates(
                &scores,
                &rows(reg, 4),
                &anchors,
                [1.0; 4],
                picture,
                config.rpn,
            );
            found.into_iter().map(move |mut one| {
                one.label = at;
                one
            })
        });
        nms(found.collect(), config.rpn.iou, config.rpn.max_per_img)
    }

    /// Regions of the pyramid's maps of one picture, `[regions, width, side, side]`.
    pub fn regions(
        &self,
        maps: &[Tensor<4>],
        corners: &[[f32; 4]],
        side: usize,
        config: &MaskRcnnConfig,
    ) -> Tensor<4> {
        let device = maps.first().map(|map| map.device()).unwrap_or_default();
        let width = config.neck.out_channels;
        let maps: Vec<Map> = maps
            .iter()
            .take(ROI_MAPS)
            .zip(&config.strides)
            .map(|(map, stride)| {
                let [_, channels, height, width] = map.dims();
                Map {
                    values: map.clone().into_data().iter::<f32>().collect(),
                    shape: [channels, height, width],
                    stride: *stride,
                }
            })
            .collect();
        let values: Vec<f32> = corners
            .iter()
            .flat_map(|corners| {
                let [x1, y1, x2, y2] = corners;
                let scale = libm::sqrtf((x2 - x1) * (y2 - y1));
                let level = libm::log2f(scale / FINEST + 1e-6).floor().max(0.0) as usize;
                let level = level.min(maps.len().saturating_sub(1));
                roi_align(&maps[level], *corners, side)
            })
            .collect();
        let shape = [corners.len(), width, side, side];
        Tensor::from_data(TensorData::new(values, shape), &device)
    }

    /// Logits `[regions, classes + 1]`, the background last, and corrections `[regions, 4 · classes]`.
    pub fn boxes(&self, regions: Tensor<4>) -> [Tensor<2>; 2] {
        let [count, width, ..] = regions.dims();
        let head = &self.roi_head.bbox_head;
        let flat: Tensor<2> = regions.reshape([count, width * BOX_SIDE * BOX_SIDE]);
        let x = head
            .shared_fcs
            .iter()
            .fold(flat, |x, fc| activation::relu(fc.forward(x)));
        [head.fc_cls.forward(x.clone()), head.fc_reg.forward(x)]
    }

    /// Mask logits `[regions, classes, 28, 28]`.
    pub fn masks(&self, regions: Tensor<4>) -> Tensor<4> {
        let head = &self.roi_head.mask_head;
        let x = head.convs.iter().fold(regions, |x, conv| conv.forward(x));
        head.conv_logits
            .forward(activation::relu(head.upsample.forward(x)))
    }

    /// The final boxes of proposals, without masks.
    pub fn refine(
        &self,
        proposals: &Proposals,
        [cls, reg]: [Tensor<2>; 2],
        picture: [usize; 2],
        config: &MaskRcnnConfig,
    ) -> Vec<Detection> {
        let values = |x: Tensor<2>| -> Vec<f32> { x.into_data().iter::<f32>().collect() };
        let (cls, reg) = (values(cls), values(reg));
        let classes = config.num_classes;
        let mut found = Vec::new();
        for (at, proposal) in proposals.iter().enumerate() {
            let scores = softmax(&cls[at * (classes + 1)..(at + 1) * (classes + 1)]);
            for (label, score) in scores.into_iter().take(classes).enumerate() {
                if score > config.rcnn.score_thr {
                    let from = (at * classes + label) * 4;
                    let delta = &reg[from..from + 4];
                    found.push(Detection {
                        corners: decode(proposal.corners, delta, DEVIATIONS, picture),
                        score,
                        label,
                        mask: None,
                    });
                }
            }
        }
        nms(found, config.rcnn.iou, config.rcnn.max_per_img)
    }

    /// The mask logits of detections, `[detections, classes, 28, 28]`.
    pub fn mask_logits(
        &self,
        maps: &[Tensor<4>],
        found: &[Detection],
        config: &MaskRcnnConfig,
    ) -> Tensor<4> {
        let corners: Vec<[f32; 4]> = found.iter().map(|one| one.corners).collect();
        self.masks(self.regions(maps, &corners, MASK_SIDE, config))
    }

    /// What is in each picture of `[height, width]`, with masks, from the backbone's maps of strides 4 to 32.
    pub fn detect(
        &self,
        features: &[Tensor<4>],
        picture: [usize; 2],
        config: &MaskRcnnConfig,
    ) -> Vec<Vec<Detection>> {
        self.detect_onto(features, picture, picture, config)
    }

    /// The same in pixels of pictures of the height and width `onto`, which the network saw at the size `picture`.
    pub fn detect_onto(
        &self,
        features: &[Tensor<4>],
        picture: [usize; 2],
        onto: [usize; 2],
        config: &MaskRcnnConfig,
    ) -> Vec<Vec<Detection>> {
        let maps = self.neck.forward(features);
        let batch = maps.first().map_or(0, |map| map.dims()[0]);
        (0..batch)
            .map(|at| {
                let maps = sample(&maps, at);
                let proposals = self.propose(self.rpn(&maps), picture, config);
                if proposals.is_empty() {
                    return Vec::new();
                }
                let corners: Vec<[f32; 4]> = proposals.iter().map(|one| one.corners).collect();
                let regions = self.regions(&maps, &corners, BOX_SIDE, config);
                let mut found = self.refine(&proposals, self.boxes(regions), picture, config);
                if found.is_empty() {
                    return found;
                }
                let logits = self.mask_logits(&maps, &found, config);
                let [_, classes, side, _] = logits.dims();
                let values: Vec<f32> = logits.into_data().iter::<f32>().collect();
                let area = side * side;
                for (at, one) in found.iter_mut().enumerate() {
                    let from = (at * classes + one.label) * area;
                    let probabilities: Vec<f32> = values[from..from + area]
                        .iter()
                        .map(|x| sigmoid(*x))
                        .collect();
                    one.corners = scaled(one.corners, picture, onto);
                    one.mask = Some(paste_mask(
                        &probabilities,
                        side,
                        one.corners,
                        onto,
                        config.mask_thr,
                    ));
                }
                found
            })
            .collect()
    }
}
