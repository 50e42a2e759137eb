//! Reading order: the order in which a prediction brings the annotated blocks.

use base::numerics::levenshtein;

use super::record::{Match, Place};

/// The reading order of a page, as annotated and as predicted.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadingOrder {
    /// Places of all annotated blocks, sorted.
    pub gt: Vec<f64>,
    /// Places of matched blocks in the order of the prediction.
    pub pred: Vec<f64>,
    /// Edits that make one of the other.
    pub edits: usize,
}

impl ReadingOrder {
    /// The order that matches of text imply; `None` for a page without any place.
    pub fn of(matches: &[&Match]) -> Option<Self> {
        let known = |found: &&&Match| !found.gt_position.iter().all(Option::is_none);
        let placed: Vec<&Match> = matches.iter().filter(known).copied().collect();
        let mut predicted: Vec<(i64, &Match)> = placed
            .iter()
            .filter_map(|found| Some((found.pred_position?, *found)))
            .collect();
        predicted.sort_by_key(|(at, _)| *at);
        let mut gt: Vec<f64> = placed.iter().flat_map(|found| places(found)).collect();
        gt.sort_by(f64::total_cmp);
        let pred: Vec<f64> = predicted
            .iter()
            .flat_map(|(_, found)| places(found))
            .collect();
        if gt.is_empty() && pred.is_empty() {
            return None;
        }
        let bits = |list: &[f64]| {
            list.iter()
                .map(|place| place.to_bits())
                .collect::<Vec<u64>>()
        };
        let edits = levenshtein(&bits(&gt), &bits(&pred));
        Some(Self { gt, pred, edits })
    }

    /// Places on the longer side.
    pub fn longest(&self) -> usize {
        self.gt.len().max(self.pred.len())
    }
}

/// Places that are known and not 0: merged paragraphs may hold blocks outside the order.
fn places(found: &Match) -> Vec<f64> {
    let known = found.gt_position.iter().flatten().map(|Place(at)| *at);
    known.filter(|at| *at != 0.0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(places: &[f64], at: Option<i64>) -> Match {
        Match {
            gt_position: places.iter().map(|at| Some(Place(*at))).collect(),
            pred_position: at,
            ..Match::default()
        }
    }

    #[test]
    fn the_prediction_orders_what_it_has() {
        let matches = [
            found(&[2.0, 3.0], Some(50)),
            found(&[1.0], Some(90)),
            found(&[4.0], None),
        ];
        let order = ReadingOrder::of(&matches.iter().collect::<Vec<_>>());
        let expected = ReadingOrder {
            gt: vec![1.0, 2.0, 3.0, 4.0],
            pred: vec![2.0, 3.0, 1.0],
            edits: 2,
        };
        assert_eq!(order, Some(expected));
        assert_eq!(ReadingOrder::of(&[&found(&[0.0], Some(1))]), None);
    }
}
