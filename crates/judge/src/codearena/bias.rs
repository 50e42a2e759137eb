//! How far the judge can be trusted: does it look at the answers, or at their places?

use serde::Serialize;

use super::scores::{JudgedItem, points};

/// What the two orders of each item say about the judge.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Bias {
    /// All items.
    pub items: usize,
    /// Items whose two games both have a label.
    pub complete: usize,
    /// Of those, items whose games disagree in sign: whoever was shown in one place won both.
    pub disagree: usize,
    /// `disagree` as a share of `complete`.
    pub position_bias: Option<f64>,
    /// Games won by the answer shown first.
    pub first_wins: usize,
    /// Games won by the answer shown second.
    pub second_wins: usize,
    /// All games.
    pub games: usize,
    /// Games without a label.
    pub failed_games: usize,
    /// `failed_games` as a share of all games.
    pub failure_rate: Option<f64>,
}

/// Whether the two games of an item were won by the same place.
pub fn disagrees(item: &JudgedItem) -> bool {
    let each = item.labels.iter().enumerate();
    let mut signs = each.map(|(game, label)| points(game, label.as_deref()).signum());
    match (signs.next(), signs.next()) {
        (Some(a), Some(b)) => a * b < 0,
        _ => false,
    }
}

impl Bias {
    /// Counts over judged items.
    pub fn of(items: &[JudgedItem]) -> Self {
        let mut bias = Self::default();
        items.iter().for_each(|item| bias.add(item));
        bias
    }

    /// Counts one item more.
    pub fn add(&mut self, item: &JudgedItem) {
        let complete = !item.labels.is_empty() && item.labels.iter().all(Option::is_some);
        self.items += 1;
        self.complete += usize::from(complete);
        self.disagree += usize::from(complete && disagrees(item));
        for label in &item.labels {
            self.games += 1;
            self.failed_games += usize::from(label.is_none());
            // As in an even game: points for what is shown as B.
            match points(0, label.as_deref()) {
                0 => {}
                1.. => self.second_wins += 1,
                _ => self.first_wins += 1,
            }
        }
        let share = |part: usize, all: usize| (all > 0).then(|| part as f64 / all as f64);
        self.position_bias = share(self.disagree, self.complete);
        self.failure_rate = share(self.failed_games, self.games);
    }
}
