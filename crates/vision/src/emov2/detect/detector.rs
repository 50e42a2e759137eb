//! A backbone with a detection head.

use base::rng::Rng;
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::boxes::{Detection, scaled};
use super::mask_rcnn::{MaskRcnn, MaskRcnnConfig};
use super::retina::{RetinaConfig, RetinaNet};
use super::ssd::{SsdConfig, SsdLite};
use crate::emov2::config::EmoConfig;
use crate::emov2::model::Emo;

/// Side of attention windows under detection heads.
pub const WINDOW: i64 = 10;

/// Which head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum DetectHead {
    /// SSDLite.
    Ssdlite,
    /// RetinaNet.
    Retinanet,
    /// Mask R-CNN.
    MaskRcnn,
}

/// The published combinations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DetectorConfig {
    /// The backbone.
    pub backbone: EmoConfig,
    /// The head.
    pub head: DetectHead,
    /// Classes without the background.
    pub classes: usize,
}

/// See [`DetectorConfig`].
#[derive(Module, Debug)]
pub struct Detector {
    backbone: Emo,
    ssd: Option<SsdLite>,
    retina: Option<RetinaNet>,
    mask_rcnn: Option<MaskRcnn>,
}

impl DetectorConfig {
    fn widths(&self) -> Vec<usize> {
        self.backbone.embed_dims.to_vec()
    }

    fn ssd(&self) -> SsdConfig {
        let [_, _, third, fourth] = self.backbone.embed_dims;
        SsdConfig::new([third, fourth], self.classes)
    }

    fn retina(&self) -> RetinaConfig {
        RetinaConfig::new(self.widths(), self.classes)
    }

    fn mask_rcnn(&self) -> MaskRcnnConfig {
        MaskRcnnConfig::new(self.widths(), self.classes)
    }

    /// Draws a network.
    pub fn init(&self, rng: &mut Rng, device: &Device) -> Detector {
        let backbone = self.backbone.clone().with_classes(0).with_window(WINDOW);
        let wants = |head: DetectHead| self.head == head;
        Detector {
            backbone: backbone.init(rng, device),
            ssd: wants(DetectHead::Ssdlite).then(|| self.ssd().init(rng, device)),
            retina: wants(DetectHead::Retinanet).then(|| self.retina().init(rng, device)),
            mask_rcnn: wants(DetectHead::MaskRcnn).then(|| self.mask_rcnn().init(rng, device)),
        }
    }
}

impl Detector {
    /// What is in each picture of `[batch, 3, height, width]`, of which the first `picture` rows and columns are not padding.
    pub fn detect(
        &self,
        x: Tensor<4>,
        picture: [usize; 2],
        config: &DetectorConfig,
    ) -> Vec<Vec<Detection>> {
        self.detect_onto(x, picture, picture, config)
    }

    /// The same in pixels of pictures of the height and width `onto`: those before they were made `picture` high and wide for the
    /// network.
    pub fn detect_onto(
        &self,
        x: Tensor<4>,
        picture: [usize; 2],
        onto: [usize; 2],
        config: &DetectorConfig,
    ) -> Vec<Vec<Detection>> {
        let [_, maps @ ..] = self.backbone.features(x, None);
        let mut found = if let Some(ssd) = &self.ssd {
            ssd.detect(&maps[2..], picture, &config.ssd())
        } else if let Some(retina) = &self.retina {
            retina.detect(&maps, picture, &config.retina())
        } else if let Some(head) = &self.mask_rcnn {
            return head.detect_onto(&maps, picture, onto, &config.mask_rcnn());
        } else {
            Vec::new()
        };
        for one in found.iter_mut().flatten() {
            one.corners = scaled(one.corners, picture, onto);
        }
        found
    }
}
