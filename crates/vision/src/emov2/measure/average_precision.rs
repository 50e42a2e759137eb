//! COCO's average precision, as `pycocotools` computes it.
//!
//! A category's average precision is the mean precision at 101 recalls (0, .01, … 1) over ten overlaps (.50, .55, … .95); of a
//! picture and category at most the 100 best-scored detections count. What a range of areas leaves out is passed over, not
//! wrong, and so is what lies on a crowd. Nothing here knows boxes from masks: overlaps come with the detections.

/// Thresholds of overlap.
const OVERLAPS: usize = 10;
/// Recalls at which precision is read.
const RECALLS: usize = 101;
/// Detections of a picture and category that count.
const MOST: usize = 100;
/// Ranges of areas in square pixels: all, small, medium, large.
const AREAS: [[f64; 2]; 4] = [
    [0.0, 1e10],
    [0.0, 32.0 * 32.0],
    [32.0 * 32.0, 96.0 * 96.0],
    [96.0 * 96.0, 1e10],
];

/// One annotated thing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Target {
    /// In square pixels, as the annotation says.
    pub area: f64,
    /// Many at once: takes any number of detections, and none of them counts.
    pub crowd: bool,
}

/// One detection.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// Higher is surer.
    pub score: f64,
    /// In square pixels.
    pub area: f64,
    /// With each target, 0 to 1: intersection over union; over the detection's own area where the target is a crowd.
    pub overlaps: Vec<f64>,
}

/// Targets and detections of one category in one picture; a picture with neither can be left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Group {
    targets: Vec<Target>,
    found: Vec<Candidate>,
}

impl Group {
    /// Takes the best 100 of `found` (places and scores), the first of equal ones first, and asks `candidate` for the rest of
    /// each. `candidate` gives as many overlaps as there are `targets`.
    pub fn new(
        targets: Vec<Target>,
        mut found: Vec<(usize, f64)>,
        candidate: impl Fn(usize, f64) -> Candidate,
    ) -> Self {
        found.sort_by(|a, b| b.1.total_cmp(&a.1));
        found.truncate(MOST);
        let found = found.into_iter();
        Self {
            targets,
            found: found.map(|(at, score)| candidate(at, score)).collect(),
        }
    }
}

/// Average precisions from 0 to 1; `None` where there is nothing to find.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AveragePrecision {
    /// Over all overlaps and categories.
    pub ap: Option<f64>,
    /// At an overlap of .50.
    pub ap50: Option<f64>,
    /// At an overlap of .75.
    pub ap75: Option<f64>,
    /// Of areas up to 32² pixels.
    pub small: Option<f64>,
    /// Of areas from 32² to 96² pixels.
    pub medium: Option<f64>,
    /// Of areas from 96² pixels on.
    pub large: Option<f64>,
    /// Of each category, over all overlaps.
    pub categories: Vec<Option<f64>>,
}

impl AveragePrecision {
    /// The six figures under COCO's names.
    pub fn named(&self) -> [(&'static str, Option<f64>); 6] {
        [
            ("AP", self.ap),
            ("AP50", self.ap50),
            ("AP75", self.ap75),
            ("APs", self.small),
            ("APm", self.medium),
            ("APl", self.large),
        ]
    }
}

/// Mean precision at each overlap.
type Curve = [f64; OVERLAPS];

/// The average precisions of categories, each with its pictures in order of their ids: among equal scores that order decides.
pub fn average_precision(categories: &[Vec<Group>]) -> AveragePrecision {
    let curves = |range| -> Vec<Option<Curve>> {
        let one = |groups: &Vec<Group>| curve(groups, range);
        categories.iter().map(one).collect()
    };
    let [all, small, medium, large] = AREAS.map(curves);
    let over = |curves: &[Option<Curve>], from: usize, to: usize| {
        mean(curves.iter().flatten().flat_map(|curve| &curve[from..to]))
    };
    AveragePrecision {
        ap: over(&all, 0, OVERLAPS),
        ap50: over(&all, 0, 1),
        ap75: over(&all, 5, 6),
        small: over(&small, 0, OVERLAPS),
        medium: over(&medium, 0, OVERLAPS),
        large: over(&large, 0, OVERLAPS),
        categories: all.iter().map(|one| mean(one.iter().flatten())).collect(),
    }
}

fn mean<'a>(values: impl Iterator<Item = &'a f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

/// A detection after matching.
struct Matched {
    score: f64,
    /// At each overlap: whether it found something; `None` where it does not count.
    hit: [Option<bool>; OVERLAPS],
}

/// One category's curve in a range of areas; `None` where nothing is to be found.
fn curve(groups: &[Group], range: [f64; 2]) -> Option<Curve> {
    let outside = |area: f64| area < range[0] || area > range[1];
    let passed = |target: &Target| target.crowd || outside(target.area);
    let targets = groups.iter().flat_map(|group| &group.targets);
    let wanted = targets.filter(|target| !passed(target)).count();
    if wanted == 0 {
        return None;
    }
    let mut matched: Vec<Matched> = Vec::new();
    for group in groups {
        // Those to pass over come last: a detection is theirs only if it is nobody else's.
        let mut order: Vec<usize> = (0..group.targets.len()).collect();
        order.sort_by_key(|at| passed(&group.targets[*at]));
        let mut taken = vec![[false; OVERLAPS]; order.len()];
        for found in &group.found {
            let free = match outside(found.area) {
                true => None,
                false => Some(false),
            };
            let hit = std::array::from_fn(|step| {
                match choose(group, found, &order, step, &taken, passed) {
                    Some(at) => {
                        taken[at][step] = true;
                        (!passed(&group.targets[at])).then_some(true)
                    }
                    None => free,
                }
            });
            let score = found.score;
            matched.push(Matched { score, hit });
        }
    }
    matched.sort_by(|a, b| b.score.total_cmp(&a.score));
    Some(std::array::from_fn(|step| {
        precision(&matched, step, wanted)
    }))
}

/// The free target that a detection overlaps most, the last of equal ones.
fn choose(
    group: &Group,
    found: &Candidate,
    order: &[usize],
    step: usize,
    taken: &[[bool; OVERLAPS]],
    passed: impl Fn(&Target) -> bool,
) -> Option<usize> {
    let mut best = overlap(step).min(1.0 - 1e-10);
    let mut chosen: Option<usize> = None;
    for &at in order {
        let target = &group.targets[at];
        if taken[at][step] && !target.crowd {
            continue;
        }
        if passed(target) && chosen.is_some_and(|at| !passed(&group.targets[at])) {
            break;
        }
        if found.overlaps[at] >= best {
            best = found.overlaps[at];
            chosen = Some(at);
        }
    }
    chosen
}

/// A threshold of overlap, with the rounding of NumPy's `linspace(.5, .95, 10)`.
fn overlap(step: usize) -> f64 {
    let width = (0.95 - 0.5) / (OVERLAPS - 1) as f64;
    match step + 1 {
        OVERLAPS => 0.95,
        _ => step as f64 * width + 0.5,
    }
}

/// The mean precision at all recalls of detections in order of their scores, of which `wanted` could be found.
fn precision(matched: &[Matched], step: usize, wanted: usize) -> f64 {
    let (mut hits, mut misses) = (0.0, 0.0);
    // Recall and precision after each detection that counts.
    let mut curve: Vec<[f64; 2]> = Vec::new();
    for hit in matched.iter().filter_map(|one| one.hit[step]) {
        match hit {
            true => hits += 1.0,
            false => misses += 1.0,
        }
        curve.push([hits / wanted as f64, hits / (hits + misses + f64::EPSILON)]);
    }
    // What a higher recall allows, a lower one allows too.
    let mut best = 0.0_f64;
    for [_, precision] in curve.iter_mut().rev() {
        best = best.max(*precision);
        *precision = best;
    }
    let at = |place: usize| {
        let recall = place as f64 * 0.01;
        let index = curve.partition_point(|[reached, _]| *reached < recall);
        curve.get(index).map_or(0.0, |[_, precision]| *precision)
    };
    (0..RECALLS).map(at).sum::<f64>() / RECALLS as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const THING: Target = Target {
        area: 50.0,
        crowd: false,
    };

    fn candidate(score: f64, overlaps: &[f64]) -> Candidate {
        Candidate {
            score,
            area: 50.0,
            overlaps: overlaps.to_vec(),
        }
    }

    fn scored(targets: &[Target], found: &[Candidate]) -> AveragePrecision {
        let places = found.iter().map(|one| one.score).enumerate().collect();
        let group = Group::new(targets.to_vec(), places, |at, _| found[at].clone());
        average_precision(&[vec![group], Vec::new()])
    }

    fn near(value: Option<f64>, expected: f64) {
        let off = value.map(|value| (value - expected).abs());
        assert!(off.is_some_and(|off| off < 1e-9), "{value:?}, {expected}");
    }

    #[test]
    fn by_hand() {
        // Nothing to find, nothing found, everything found.
        assert_eq!(scored(&[], &[candidate(0.5, &[])]).ap, None);
        near(scored(&[THING], &[]).ap, 0.0);
        let all = scored(&[THING], &[candidate(0.5, &[1.0])]);
        near(all.ap, 1.0);
        near(all.small, 1.0);
        assert_eq!((all.large, all.categories[1]), (None, None));
        // An overlap of .72 passes five thresholds of ten.
        let part = scored(&[THING], &[candidate(0.5, &[0.72])]);
        near(part.ap, 0.5);
        near(part.ap50, 1.0);
        near(part.ap75, 0.0);
        // The second of two on one thing is wrong: precision 1 up to recall .5, nothing above.
        let two = [candidate(0.9, &[1.0, 0.0]), candidate(0.8, &[1.0, 0.0])];
        near(scored(&[THING, THING], &two).ap, 51.0 / 101.0);
    }

    #[test]
    fn a_crowd_takes_any_number() {
        let crowd = Target {
            crowd: true,
            ..THING
        };
        let found: Vec<Candidate> = (0..5)
            .map(|at| candidate(0.9 - 0.1 * f64::from(at), &[1.0, 0.0]))
            .chain([candidate(0.1, &[0.0, 1.0])])
            .collect();
        near(scored(&[crowd, THING], &found).ap, 1.0);
        assert_eq!(scored(&[crowd], &[candidate(0.5, &[1.0])]).ap, None);
    }
}
