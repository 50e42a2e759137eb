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

    /// The likeliest class of each pixel of one picture `[1, 3, height, width]`, row by row.
    pub fn classes(&self, x: Tensor<4>) -> Option<Vec<usize>> {
        let [_, _, height, width] = x.dims();
        let logits = resize(self.forward(x)?, [height, width]);
        let best = logits.argmax(1).into_data();
        Some(best.iter::<i64>().map(|class| class as usize).collect())
    }
}
