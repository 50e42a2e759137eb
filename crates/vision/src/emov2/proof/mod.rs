//! The small-scale proof of EMOv2:
//!
//! 1. **spans**: four networks of equal size and training, without attention, with attention among neighbours, among distant
//!    places and with both, on pictures whose class is a relation between far corners;
//! 2. **size**: parameters and multiply-adds of the published networks, and the speed of the 5M network beside one of
//!    convolutions alone with as many multiply-adds.

mod far;
mod size;
mod spans;

use base::proof::Proof;

use super::CARD;

/// For the registry.
pub const PROOF: Proof = Proof::new(
    CARD.title,
    [3, 5],
    &[("spans", spans::prove), ("size", size::prove)],
)
.open_claims(&[
    (
        ["5M reaches 79.4 % top-1 on ImageNet, 80.9 % with distillation", "top-1"],
        "paper, table 4",
        "needs ImageNet: `orrery emov2 eval --model EMOv2_5M_224.pth --data FOLDER` is the measurement",
    ),
    (
        [
            "Detection and segmentation with 5M: SSDLite 29.6 AP, DeepLabv3 39.8 mIoU",
            "AP, mIoU",
        ],
        "paper, tables 5 and 6",
        "needs COCO and ADE20K and trained heads, which the authors did not publish",
    ),
]);
