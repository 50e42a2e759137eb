//! Boxes: corrections of anchors, overlap, suppression of all but the best.

use burn::tensor::Tensor;
use serde::Serialize;

use super::anchors::AnchorLevel;

/// `|ln(16 / 1000)|`: corrections of width and height are cut there.
const MOST: f32 = 4.135_166_6;

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Detection {
    /// Left, top, right, bottom, in pixels.
    #[serde(rename = "box")]
    pub corners: [f32; 4],
    /// From 0 to 1.
    pub score: f32,
    /// Class.
    pub label: usize,
    /// One value a pixel of the picture, row by row, where the head makes masks.
    #[serde(skip)]
    pub mask: Option<Vec<bool>>,
}

/// The box that `delta` makes of `anchor`, cut at the picture of `[height, width]`; deltas are in units of `deviations`.
pub fn decode(
    anchor: [f32; 4],
    delta: &[f32],
    deviations: [f32; 4],
    picture: [usize; 2],
) -> [f32; 4] {
    let [dx, dy, dw, dh] = std::array::from_fn(|at| delta[at] * deviations[at]);
    let [x1, y1, x2, y2] = anchor;
    let axis = |low: f32, high: f32, shift: f32, grow: f32, end: usize| {
        let side = high - low;
        let centre = (low + high) * 0.5 + side * shift;
        let half = side * libm::expf(grow.clamp(-MOST, MOST)) * 0.5;
        [centre - half, centre + half].map(|at| at.clamp(0.0, end as f32))
    };
    let [left, right] = axis(x1, x2, dx, dw, picture[1]);
    let [top, bottom] = axis(y1, y2, dy, dh, picture[0]);
    [left, top, right, bottom]
}

fn area(b: &[f32; 4]) -> f32 {
    (b[2] - b[0]) * (b[3] - b[1])
}

/// Intersection over union; 0 where both are empty.
pub fn iou(a: &[f32; 4], b: &[f32; 4]) -> f32 {
    let width = (a[2].min(b[2]) - a[0].max(b[0])).max(0.0);
    let height = (a[3].min(b[3]) - a[1].max(b[1])).max(0.0);
    let both = width * height;
    let all = area(a) + area(b) - both;
    if all > 0.0 { both / all } else { 0.0 }
}

/// A box in a picture of height and width `from`, in pixels of that picture at `onto`.
pub(super) fn scaled(b: [f32; 4], from: [usize; 2], onto: [usize; 2]) -> [f32; 4] {
    std::array::from_fn(|at| b[at] * (onto[1 - at % 2] as f32 / from[1 - at % 2] as f32))
}

/// Whether a box has a size above zero.
pub(super) fn has_area(b: &[f32; 4]) -> bool {
    b[2] - b[0] > 0.0 && b[3] - b[1] > 0.0
}

/// The best of those of one label that overlap by more than `threshold`, at most `most`, best first.
pub fn nms(mut found: Vec<Detection>, threshold: f32, most: usize) -> Vec<Detection> {
    found.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut kept: Vec<Detection> = Vec::new();
    for one in found {
        let covered = kept.iter().any(|better| {
            better.label == one.label && iou(&better.corners, &one.corners) > threshold
        });
        if !covered {
            kept.push(one);
        }
        if kept.len() == most {
            break;
        }
    }
    kept
}

/// The values of a map `[1, anchors · width, height, width']` as rows of `width`, by row, column and anchor.
pub(super) fn rows(map: Tensor<4>, width: usize) -> Vec<Vec<f32>> {
    let values: Vec<f32> = map
        .permute([0, 2, 3, 1])
        .into_data()
        .iter::<f32>()
        .collect();
    values
        .chunks_exact(width.max(1))
        .map(<[f32]>::to_vec)
        .collect()
}

/// One picture of a batch.
pub(super) fn sample(maps: &[Tensor<4>], at: usize) -> Vec<Tensor<4>> {
    maps.iter()
        .map(|map| map.clone().narrow(0, at, 1))
        .collect()
}

pub(super) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + libm::expf(-x))
}

pub(super) fn softmax(row: &[f32]) -> Vec<f32> {
    let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let values: Vec<f32> = row.iter().map(|x| libm::expf(x - most)).collect();
    let sum: f32 = values.iter().sum();
    values.into_iter().map(|x| x / sum).collect()
}

/// What a detector keeps.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, serde::Deserialize)]
pub struct Keep {
    /// Best candidates of each map.
    pub nms_pre: usize,
    /// Candidates at or below this score are left out.
    pub score_thr: f32,
    /// Overlap above which the worse of two goes.
    pub iou: f32,
    /// Results of a picture.
    pub max_per_img: usize,
}

/// The candidates of one map: scores of each anchor by class, corrections, anchors.
pub(super) fn candidates(
    scores: &[Vec<f32>],
    deltas: &[Vec<f32>],
    anchors: &[[f32; 4]],
    deviations: [f32; 4],
    picture: [usize; 2],
    keep: Keep,
) -> Vec<Detection> {
    let mut best: Vec<(f32, usize, usize)> = Vec::new();
    for (row, scores) in scores.iter().enumerate() {
        let above = scores
            .iter()
            .enumerate()
            .filter(|(_, s)| **s > keep.score_thr);
        best.extend(above.map(|(label, score)| (*score, row, label)));
    }
    best.sort_by(|a, b| b.0.total_cmp(&a.0));
    best.truncate(keep.nms_pre);
    best.into_iter()
        .map(|(score, row, label)| Detection {
            corners: decode(anchors[row], &deltas[row], deviations, picture),
            score,
            label,
            mask: None,
        })
        .filter(|found| has_area(&found.corners))
        .collect()
}

/// Turns the logits of a row into scores.
pub(super) type Scores = fn(Vec<f32>) -> Vec<f32>;

/// What one-stage heads find in each picture of `[height, width]`: for each map logits `[batch, anchors · classes, ..]` of
/// `classes` a row, which `scores` turns into scores, corrections in units of `deviations`, and the anchors of its places.
pub(super) fn one_stage(
    [cls, reg]: [Vec<Tensor<4>>; 2],
    (levels, deviations): (&[AnchorLevel], [f32; 4]),
    (classes, scores): (usize, Scores),
    picture: [usize; 2],
    keep: Keep,
) -> Vec<Vec<Detection>> {
    let batch = cls.first().map_or(0, |map| map.dims()[0]);
    let of = |at: usize| {
        let maps = sample(&cls, at).into_iter().zip(sample(&reg, at));
        let found = maps.zip(levels).flat_map(|((cls, reg), level)| {
            let [_, _, height, width] = cls.dims();
            let scores: Vec<Vec<f32>> = rows(cls, classes).into_iter().map(scores).collect();
            let anchors = level.grid([height, width]);
            candidates(&scores, &rows(reg, 4), &anchors, deviations, picture, keep)
        });
        nms(found.collect(), keep.iou, keep.max_per_img)
    };
    (0..batch).map(of).collect()
}
