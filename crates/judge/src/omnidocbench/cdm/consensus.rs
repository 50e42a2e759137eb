//! Which pairs agree on one shift and scale of the whole formula.
//!
//! The official code draws 50 random triples per round (RANSAC). Here every triple is tried while there are few, else a
//! seeded sample of them, so the same boxes always give the same score.

use base::rng::Rng;

/// Rounds over the pairs that no consensus holds yet.
const ROUNDS: usize = 3;
/// Points a model is made from; so few pairs or fewer are all believed.
const TRIPLE: usize = 3;
/// Distance in pixels below which a pair agrees with a model.
const NEAR: f64 = 25.0;
/// Up to so many pairs every triple is tried: 4,060 of them.
const EXHAUSTIVE: usize = 30;
/// How many triples are drawn otherwise.
const DRAWS: usize = 4096;
/// How much drawing may cost: triples times pairs.
const WORK: usize = 8_000_000;

/// A point, row first.
pub type Point = [f64; 2];

/// For each pair of points whether it agrees with most others.
pub fn consensus(pairs: &[(Point, Point)]) -> Vec<bool> {
    if pairs.len() <= TRIPLE {
        return vec![true; pairs.len()];
    }
    let mut agreed = vec![false; pairs.len()];
    for round in 0..ROUNDS {
        let open: Vec<usize> = (0..pairs.len()).filter(|&at| !agreed[at]).collect();
        if open.len() <= TRIPLE {
            break;
        }
        let left: Vec<(Point, Point)> = open.iter().map(|&at| pairs[at]).collect();
        let best = best_of(&left, round as u64);
        if !best.contains(&true) {
            break;
        }
        for (at, _) in open.iter().zip(best).filter(|(_, near)| *near) {
            agreed[*at] = true;
        }
    }
    agreed
}

/// The pairs near the model that most pairs are near to; of equals the one with the least squares of all distances.
fn best_of(pairs: &[(Point, Point)], round: u64) -> Vec<bool> {
    let centre = centre_of(pairs.iter().map(|pair| pair.0));
    let mut best: Option<(usize, f64, Model)> = None;
    let mut judge = |triple: [usize; TRIPLE]| {
        let model = Model::of(triple.map(|at| pairs[at]));
        let (mut near, mut squares) = (0, 0.0);
        for pair in pairs {
            let distance = model.distance(pair, centre);
            near += usize::from(distance < NEAR);
            squares += distance * distance;
        }
        if best
            .as_ref()
            .is_none_or(|(most, least, _)| near > *most || near == *most && squares < *least)
        {
            best = Some((near, squares, model));
        }
    };
    let count = pairs.len();
    if count <= EXHAUSTIVE {
        for a in 0..count {
            for b in a + 1..count {
                (b + 1..count).for_each(|c| judge([a, b, c]));
            }
        }
    } else {
        let mut rng = Rng::new(42).child("cdm consensus").item(round);
        for _ in 0..DRAWS.min(WORK / count).max(50) {
            judge(three_of(count, &mut rng));
        }
    }
    match best {
        Some((_, _, model)) => pairs
            .iter()
            .map(|pair| model.distance(pair, centre) < NEAR)
            .collect(),
        None => vec![false; count],
    }
}

/// Three different numbers below `count`, which is at least 3.
fn three_of(count: usize, rng: &mut Rng) -> [usize; TRIPLE] {
    let a = rng.below(count);
    let mut b = rng.below(count - 1);
    b += usize::from(b >= a);
    let (low, high) = (a.min(b), a.max(b));
    let mut c = rng.below(count - 2);
    c += usize::from(c >= low);
    c += usize::from(c >= high);
    [a, b, c]
}

fn centre_of(points: impl ExactSizeIterator<Item = Point>) -> Point {
    let count = points.len() as f64;
    let sum = points.fold([0.0, 0.0], |sum, point| {
        [sum[0] + point[0], sum[1] + point[1]]
    });
    sum.map(|total| total / count)
}

fn length(vector: Point) -> f64 {
    (vector[0] * vector[0] + vector[1] * vector[1]).sqrt()
}

fn minus(a: Point, b: Point) -> Point {
    [a[0] - b[0], a[1] - b[1]]
}

/// A shift and a scale about the centre of whatever it is applied to.
struct Model {
    shift: Point,
    scale: f64,
}

impl Model {
    fn of(pairs: [(Point, Point); TRIPLE]) -> Self {
        let from = centre_of(pairs.iter().map(|pair| pair.0));
        let to = centre_of(pairs.iter().map(|pair| pair.1));
        let spread = |centre: Point, points: [Point; TRIPLE]| {
            points
                .iter()
                .map(|&point| length(minus(point, centre)))
                .sum::<f64>()
                / TRIPLE as f64
        };
        let scale =
            spread(to, pairs.map(|pair| pair.1)) / (spread(from, pairs.map(|pair| pair.0)) + 1e-10);
        Self {
            shift: minus(to, from),
            scale,
        }
    }

    fn distance(&self, (from, to): &(Point, Point), centre: Point) -> f64 {
        let moved = [0, 1]
            .map(|axis| self.scale * (from[axis] - centre[axis]) + centre[axis] + self.shift[axis]);
        length(minus(moved, *to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_moved_alone_does_not_agree() {
        let mut pairs: Vec<(Point, Point)> = (0..8)
            .map(|at| {
                (
                    [at as f64 * 3.0, at as f64 * 40.0],
                    [at as f64 * 3.0 + 5.0, at as f64 * 40.0],
                )
            })
            .collect();
        pairs[3].1[1] += 90.0;
        let agreed = consensus(&pairs);
        assert_eq!(agreed.iter().filter(|near| !**near).count(), 1);
        assert!(!agreed[3]);
    }

    #[test]
    fn draws_are_three_different_numbers() {
        let mut rng = Rng::new(1);
        for _ in 0..1000 {
            let [a, b, c] = three_of(4, &mut rng);
            assert!(a != b && b != c && a != c && a.max(b).max(c) < 4);
        }
    }
}
