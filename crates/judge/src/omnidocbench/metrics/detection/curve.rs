//! The curve of precision over recall.

use super::coco::Matched;

/// Places at which the curve is read: recalls 0, .01, … 1.
pub(super) const RECALLS: usize = 101;

/// The precision at each recall for detections in order of their scores, of which `wanted` could be found.
pub(super) fn precisions(matched: &[Matched], overlap: usize, wanted: usize) -> Vec<f64> {
    let (mut hits, mut misses) = (0.0, 0.0);
    let (mut recall, mut precision) = (Vec::new(), Vec::new());
    for one in matched {
        let counts = one.ignored.get(overlap) == Some(&false);
        let hit = one.hit.get(overlap) == Some(&true);
        hits += f64::from(u8::from(counts && hit));
        misses += f64::from(u8::from(counts && !hit));
        recall.push(hits / wanted as f64);
        precision.push(hits / (misses + hits + f64::EPSILON));
    }
    // What a higher recall allows, a lower one allows too.
    let mut best = 0.0_f64;
    for value in precision.iter_mut().rev() {
        best = best.max(*value);
        *value = best;
    }
    let at = |place: usize| {
        let wanted = place as f64 * 0.01;
        let index = recall.partition_point(|&reached| reached < wanted);
        precision.get(index).copied().unwrap_or(0.0)
    };
    (0..RECALLS).map(at).collect()
}
