//! Detection heads (mmdetection 3.3, re-implemented) on the feature maps of a backbone.

mod anchors;
mod boxes;
mod detector;
mod mask;
mod mask_rcnn;
mod retina;
mod roi_align;
mod ssd;

pub use anchors::{AnchorLevel, octave_anchors, scaled_anchors, ssd_anchors};
pub use boxes::{Detection, decode, iou, nms};
pub use detector::{DetectHead, Detector, DetectorConfig};
pub use mask::paste_mask;
pub use mask_rcnn::{MaskRcnn, MaskRcnnConfig, Proposals};
pub use retina::{RetinaConfig, RetinaNet};
pub use roi_align::roi_align;
pub use ssd::{SsdConfig, SsdLite};
