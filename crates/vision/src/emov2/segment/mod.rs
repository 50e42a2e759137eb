//! Segmentation heads (mmsegmentation 1.2.2, re-implemented) on the feature maps of a backbone.

mod heads;
mod segmenter;
mod unet;

pub use heads::{Aspp, FpnHead, PspHead, SegformerHead};
pub use segmenter::{SegmentHead, Segmenter, SegmenterConfig};
pub use unet::{UEmo, UEmoConfig};
