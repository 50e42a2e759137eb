//! Of overlapping runs of predicted lines, those to keep.

/// A run of neighbouring predicted lines, and how far it is from the annotated line that wants it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Run {
    /// First line.
    pub first: usize,
    /// Number of lines.
    pub len: usize,
    /// Normalised edit distance.
    pub cost: f64,
}

impl Run {
    fn end(self) -> usize {
        self.first + self.len
    }

    fn is_same(self, other: Self) -> bool {
        (self.first, self.len) == (other.first, other.len)
    }

    fn overlaps(self, other: Self) -> bool {
        self.first < other.end() && other.first < self.end()
    }
}

/// Runs that do not overlap: of each group of neighbours that do, the set with the least mean cost among those that are
/// put together greedily.
pub(super) fn settle(mut runs: Vec<Run>) -> Vec<Run> {
    runs.sort_by_key(|run| run.first);
    let mut kept = Vec::new();
    let mut rest = runs.as_slice();
    while let Some((first, after)) = rest.split_first() {
        let mut end = first.end();
        let mut size = 1;
        for run in after {
            // Sorted by their first line: a run meets some run of the group if it begins before the group's end.
            if run.first >= end {
                break;
            }
            end = end.max(run.end());
            size += 1;
        }
        let (group, others) = rest.split_at(size);
        kept.extend(cheapest(group));
        rest = others;
    }
    kept
}

/// The cheapest set of runs of a group.
fn cheapest(group: &[Run]) -> Vec<Run> {
    let Some((first, rest)) = group.split_first() else {
        return Vec::new();
    };
    let mut sets = vec![vec![*first]];
    for &run in rest {
        if !placed(&mut sets, run) {
            sets.push(vec![run]);
        }
    }
    let mean = |set: &[Run]| set.iter().map(|run| run.cost).sum::<f64>() / set.len() as f64;
    let mut least = f64::INFINITY;
    let mut best = Vec::new();
    for set in sets {
        let cost = mean(&set);
        if cost < least {
            (least, best) = (cost, set);
        }
    }
    best
}

/// Puts a run into every set that it fits into; one that is there already keeps the lesser cost.
fn placed(sets: &mut [Vec<Run>], run: Run) -> bool {
    let mut found = false;
    for set in sets {
        let (mut meets, mut same) = (false, false);
        // A replaced run moves to the end while the set is being walked through, so that its neighbour is passed over:
        // the official tool does that too.
        let mut at = 0;
        while let Some(&other) = set.get(at) {
            if other.is_same(run) {
                (meets, same) = (true, true);
                if other.cost > run.cost {
                    set.remove(at);
                    set.push(run);
                }
            } else if other.overlaps(run) {
                meets = true;
            }
            at += 1;
        }
        if !meets {
            set.push(run);
        }
        found |= same || !meets;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(first: usize, len: usize, cost: f64) -> Run {
        Run { first, len, cost }
    }

    #[test]
    fn runs_apart_stay_and_of_overlapping_ones_the_cheapest_set_wins() {
        let kept = settle(vec![
            run(7, 1, 0.5),
            run(0, 2, 0.4),
            run(1, 2, 0.1),
            run(3, 1, 0.3),
        ]);
        assert_eq!(kept, [run(1, 2, 0.1), run(3, 1, 0.3), run(7, 1, 0.5)]);
        let kept = settle(vec![run(0, 3, 0.5), run(0, 1, 0.2), run(2, 1, 0.6)]);
        assert_eq!(kept, [run(0, 1, 0.2), run(2, 1, 0.6)]);
    }

    #[test]
    fn of_two_wishes_for_one_run_the_nearer_counts() {
        assert_eq!(
            settle(vec![run(0, 2, 0.5), run(0, 2, 0.3)]),
            [run(0, 2, 0.3)]
        );
    }
}
