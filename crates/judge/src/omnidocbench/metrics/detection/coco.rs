//! Matching of boxes, and the averages.

use super::{Detection, Found, Page, Truth};

/// How many thresholds of overlap there are.
const OVERLAPS: usize = 10;

/// Boxes of a page and class that count.
const MOST: usize = 100;

/// Ranges of areas in square pixels: all, small, medium, large.
const AREAS: [[f64; 2]; 4] = [
    [0.0, 1e10],
    [0.0, 32.0 * 32.0],
    [32.0 * 32.0, 96.0 * 96.0],
    [96.0 * 96.0, 1e10],
];

/// A detection after matching.
struct Matched {
    score: f64,
    /// For each threshold whether it found something, and whether it is to be passed over.
    hit: [bool; OVERLAPS],
    ignored: [bool; OVERLAPS],
}

/// The average precisions over `pages` for labels below `classes`; boxes with other labels do not count.
pub fn evaluate(classes: usize, pages: &[Page]) -> Detection {
    // `[class][area][overlap]`: precision at each recall.
    let curves: Vec<Vec<Option<Vec<Vec<f64>>>>> = (0..classes)
        .map(|label| {
            AREAS
                .iter()
                .map(|&range| class(label, range, pages))
                .collect()
        })
        .collect();
    let over = |area: usize, overlap: Option<usize>| {
        let classes = curves.iter().filter_map(|class| class.get(area)?.as_ref());
        mean(classes.flat_map(|curve| match overlap {
            Some(at) => curve.get(at..=at).unwrap_or_default(),
            None => curve,
        }))
    };
    Detection {
        mean: over(0, None),
        at_50: over(0, Some(0)),
        at_75: over(0, Some(5)),
        small: over(1, None),
        medium: over(2, None),
        large: over(3, None),
        classes: curves
            .iter()
            .map(|class| mean(class.first()?.as_ref()?.iter()))
            .collect(),
    }
}

/// The mean over curves of `RECALLS` places.
fn mean<'a>(curves: impl Iterator<Item = &'a Vec<f64>>) -> Option<f64> {
    let (mut sum, mut count) = (0.0, 0);
    for curve in curves {
        sum += curve.iter().sum::<f64>();
        count += RECALLS;
    }
    (count > 0).then(|| sum / count as f64)
}

/// One class's curves, one for each overlap; `None` where nothing is to be found.
fn class(label: usize, range: [f64; 2], pages: &[Page]) -> Option<Vec<Vec<f64>>> {
    let mut wanted = 0;
    let mut matched = Vec::new();
    for page in pages {
        let truth = page.truth.iter().filter(|one| one.label == label);
        let mut truth: Vec<Area> = truth.map(|one: &Truth| Area::new(one.corners)).collect();
        let outside = |area: &Area| area.size < range[0] || area.size > range[1];
        wanted += truth.iter().filter(|one| !outside(one)).count();
        // Those out of range come last: a detection is theirs only if it is nobody else's.
        truth.sort_by_key(|one| outside(one));
        let ignored: Vec<bool> = truth.iter().map(outside).collect();
        let found = page.found.iter().filter(|one| one.label == label);
        let mut found: Vec<&Found> = found.collect();
        found.sort_by(|a, b| b.score.total_cmp(&a.score));
        found.truncate(MOST);
        matched.extend(match_page(&truth, &ignored, &found, outside));
    }
    if wanted == 0 {
        return None;
    }
    matched.sort_by(|a, b| b.score.total_cmp(&a.score));
    Some(
        (0..OVERLAPS)
            .map(|at| precisions(&matched, at, wanted))
            .collect(),
    )
}

/// The `at`th threshold of overlap, with the rounding of NumPy's `linspace(.5, .95, 10)`.
fn overlap(at: usize) -> f64 {
    let step = (0.95 - 0.5) / (OVERLAPS - 1) as f64;
    match at + 1 {
        OVERLAPS => 0.95,
        _ => at as f64 * step + 0.5,
    }
}

/// Gives each detection, the surest first, the free annotated box that it overlaps most.
fn match_page(
    truth: &[Area],
    ignored: &[bool],
    found: &[&Found],
    outside: impl Fn(&Area) -> bool,
) -> Vec<Matched> {
    let mut taken = vec![[false; OVERLAPS]; truth.len()];
    let one = |found: &&Found| {
        let area = Area::new(found.corners);
        let shared: Vec<f64> = truth.iter().map(|other| area.overlap(other)).collect();
        let (mut hit, mut passed) = ([false; OVERLAPS], [outside(&area); OVERLAPS]);
        for at in 0..OVERLAPS {
            let mut best = overlap(at).min(1.0 - 1e-10);
            let mut chosen: Option<(usize, bool)> = None;
            for (index, (&shared, &ignore)) in shared.iter().zip(ignored).enumerate() {
                let free = taken.get(index).is_some_and(|taken| !taken[at]);
                if ignore && chosen.is_some_and(|(_, ignore)| !ignore) {
                    break;
                }
                if free && shared >= best {
                    best = shared;
                    chosen = Some((index, ignore));
                }
            }
            if let Some((index, ignore)) = chosen {
                hit[at] = true;
                passed[at] = ignore;
                if let Some(taken) = taken.get_mut(index) {
                    taken[at] = true;
                }
            }
        }
        Matched {
            score: found.score,
            hit,
            ignored: passed,
        }
    };
    found.iter().map(one).collect()
}

/// A box as COCO keeps it: corner and size.
struct Area {
    left: f64,
    top: f64,
    width: f64,
    height: f64,
    size: f64,
}

impl Area {
    fn new([left, top, right, bottom]: [f64; 4]) -> Self {
        let (width, height) = (right - left, bottom - top);
        Self {
            left,
            top,
            width,
            height,
            size: width * height,
        }
    }

    /// Intersection over union.
    fn overlap(&self, other: &Self) -> f64 {
        let shared =
            |a: f64, a_size: f64, b: f64, b_size: f64| (a + a_size).min(b + b_size) - a.max(b);
        let width = shared(self.left, self.width, other.left, other.width);
        let height = shared(self.top, self.height, other.top, other.height);
        if width <= 0.0 || height <= 0.0 {
            return 0.0;
        }
        let both = width * height;
        both / (self.size + other.size - both)
    }
}

/// Places at which the curve is read: recalls 0, .01, … 1.
const RECALLS: usize = 101;

/// The precision at each recall for detections in order of their scores, of which `wanted` could be found.
fn precisions(matched: &[Matched], overlap: usize, wanted: usize) -> Vec<f64> {
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
