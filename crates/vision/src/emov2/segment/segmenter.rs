//! A backbone with a segmentation head.

use base::rng::Rng;
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::heads::{Aspp, FpnHead, PspHead, SegformerHead};
use super::unet::{UEmo, UEmoConfig};
use crate::emov2::config::EmoConfig;
use crate::emov2::layers::resize;
use crate::emov2::model::Emo;
use crate::emov2::neck::{Fpn, FpnConfig};

/// Which head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum SegmentHead {
    /// Semantic FPN.
    Fpn,
    /// SegFormer's.
    Segformer,
    /// DeepLabv3.
    Deeplabv3,
    /// PSPNet.
    Psp,
    /// A U-Net of the same blocks with DeepLabv3's head.
    UEmo,
}

/// The published combinations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SegmenterConfig {
    /// The backbone; not read for U-EMO.
    pub backbone: EmoConfig,
    /// The head.
    pub head: SegmentHead,
    /// Classes.
    pub classes: usize,
}

/// Dilations of DeepLabv3's branches.
const DILATIONS: [usize; 4] = [1, 12, 24, 36];
/// Width of the pyramid and of DeepLabv3's and PSPNet's heads.
const WIDE: usize = 256;
/// Width of Semantic FPN's head.
const FPN_WIDTH: usize = 128;
/// Width of the head on a U-Net, and what it reads: the last map on the way up.
const U_HEAD: usize = 16;

/// What is behind the backbone.
#[derive(Module, Debug)]
pub struct Decode {
    aspp: Option<Aspp>,
    psp: Option<PspHead>,
    fpn: Option<FpnHead>,
    segformer: Option<SegformerHead>,
}

/// See [`SegmenterConfig`].
#[derive(Module, Debug)]
pub struct Segmenter {
    backbone: Option<Emo>,
    unet: Option<UEmo>,
    neck: Option<Fpn>,
    decode_head: Decode,
}

impl SegmenterConfig {
    /// Draws a network.
    pub fn init(&self, rng: &mut Rng, device: &Device) -> Segmenter {
        let widths = self.backbone.embed_dims;
        let last = widths[3];
        let classes = self.classes;
        let mut decode = Decode {
            aspp: None,
            psp: None,
            fpn: None,
            segformer: None,
        };
        let mut neck = None;
        let mut unet = None;
        let mut aspp = |sizes: [usize; 3]| Some(Aspp::new(sizes, &DILATIONS, rng, device));
        match self.head {
            SegmentHead::Deeplabv3 => decode.aspp = aspp([last, WIDE, classes]),
            SegmentHead::Psp => {
                decode.psp = Some(PspHead::new([last, WIDE, classes], rng, device));
            }
            SegmentHead::Fpn => {
                let config = FpnConfig {
                    in_channels: widths.to_vec(),
                    out_channels: WIDE,
                    start_level: 0,
                    num_outs: 4,
                    extra_convs: false,
                };
                neck = Some(config.init(rng, device));
                let sizes = [WIDE, FPN_WIDTH, classes];
                decode.fpn = Some(FpnHead::new(4, sizes, rng, device));
            }
            SegmentHead::Segformer => {
                decode.segformer = Some(SegformerHead::new(&widths, [last, classes], rng, device));
            }
            SegmentHead::UEmo => {
                let config = UEmoConfig::default();
                decode.aspp = aspp([config.width(0), U_HEAD, classes]);
                unet = Some(config.init(rng, device));
            }
        }
        let backbone = self.backbone.clone().with_classes(0);
        Segmenter {
            backbone: unet.is_none().then(|| backbone.init(rng, device)),
            unet,
            neck,
            decode_head: decode,
        }
    }
}

impl Segmenter {
    /// Logits `[batch, classes, height', width']` of pictures `[batch, 3, height, width]`, at the head's own size.
    pub fn forward(&self, x: Tensor<4>) -> Option<Tensor<4>> {
        let head = &self.decode_head;
        if let (Some(unet), Some(aspp)) = (&self.unet, &head.aspp) {
            return Some(aspp.forward(unet.forward(x).pop()?));
        }
        let [_, maps @ ..] = self.backbone.as_ref()?.features(x, None);
        match head {
            Decode {
                aspp: Some(aspp), ..
            } => Some(aspp.forward(maps[3].clone())),
            Decode { psp: Some(psp), .. } => Some(psp.forward(maps[3].clone())),
            Decode { fpn: Some(fpn), .. } => fpn.forward(&self.neck.as_ref()?.forward(&maps)),
            Decode { segformer, .. } => segformer.as_ref()?.forward(&maps),
        }
    }

    /// The likeliest class of each pixel of one picture `[1, 3, height, width]`, of which the first `picture` rows and columns are
    /// no padding, after the scores were made `onto` high and wide; row by row.
    pub fn classes(
        &self,
        x: Tensor<4>,
        picture: [usize; 2],
        onto: [usize; 2],
    ) -> Option<Vec<usize>> {
        let [_, _, height, width] = x.dims();
        let logits = resize(self.forward(x)?, [height, width]);
        let logits = logits.narrow(2, 0, picture[0]).narrow(3, 0, picture[1]);
        let [_, classes, ..] = logits.dims();
        let values: Vec<f32> = logits.into_data().iter::<f32>().collect();
        Some(likeliest(&values, classes, picture, onto))
    }
}

/// The class of the highest of `[classes, height, width]` values at each pixel of a picture of size `onto`, bilinear. Row by row:
/// all classes of a large picture at once would be gigabytes.
fn likeliest(
    values: &[f32],
    classes: usize,
    [height, width]: [usize; 2],
    onto: [usize; 2],
) -> Vec<usize> {
    let rows = places(height, onto[0]);
    let columns = places(width, onto[1]);
    let mut best = Vec::with_capacity(onto[0] * onto[1]);
    let (mut mixed, mut most) = (vec![0.0; width], vec![0.0; onto[1]]);
    for (upper, lower, down) in rows {
        let start = best.len();
        best.resize(start + onto[1], 0);
        most.fill(f32::NEG_INFINITY);
        for class in 0..classes {
            let row = |y: usize| &values[(class * height + y) * width..][..width];
            for ((mixed, a), b) in mixed.iter_mut().zip(row(upper)).zip(row(lower)) {
                *mixed = a + down * (b - a);
            }
            let pixels = most.iter_mut().zip(&mut best[start..]).zip(&columns);
            for ((most, best), (left, right, along)) in pixels {
                let value = mixed[*left] + along * (mixed[*right] - mixed[*left]);
                if value > *most {
                    (*most, *best) = (value, class);
                }
            }
        }
    }
    best
}

/// For each of `onto` places along an axis of `side` values: the two values around it, and how far it is from the first to the
/// second.
fn places(side: usize, onto: usize) -> Vec<(usize, usize, f32)> {
    let place = |at: usize| {
        let exact = ((at as f32 + 0.5) * (side as f32 / onto as f32) - 0.5).max(0.0);
        let low = (exact as usize).min(side.saturating_sub(1));
        let high = (low + 1).min(side.saturating_sub(1));
        (low, high, exact - low as f32)
    };
    (0..onto).map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_enlarged_and_not_classes() {
        let device = Device::default();
        let mut rng = Rng::new(3);
        let (from, onto) = ([5, 7], [13, 11]);
        let values: Vec<f32> = (0..3 * 5 * 7).map(|_| rng.uniform()).collect();
        let maps = Tensor::<1>::from_floats(values.as_slice(), &device).reshape([1, 3, 5, 7]);
        for onto in [from, onto, [3, 4]] {
            let expected = resize(maps.clone(), onto).argmax(1).into_data();
            let expected: Vec<usize> = expected.iter::<i64>().map(|at| at as usize).collect();
            assert_eq!(likeliest(&values, 3, from, onto), expected, "{onto:?}");
        }
    }
}
