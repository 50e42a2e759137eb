//! How good detectors and segmenters are: COCO's average precision, and intersection over union of label pictures.

mod average_precision;
mod coco;
mod confusion;
mod json;
mod labels;
mod mask;
mod polygon;
mod results;
mod skipped;

pub use average_precision::{AveragePrecision, Candidate, Group, Target, average_precision};
pub use coco::{Category, CocoError, Dataset, Id, Photo, Truth};
pub use confusion::{Confusion, Shares};
pub use labels::{LabelError, LabelMap, Numbering, Pair, pairs, read_labels};
pub use mask::{Counts, Mask, MaskError, Outline};
pub use results::{Found, Seen, score_boxes, score_masks, write_results};
pub use skipped::Skipped;
