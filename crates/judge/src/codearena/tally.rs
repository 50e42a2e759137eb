//! Wins, ties and losses counted.

/// How an item ended for the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// More points than the baseline.
    Win,
    /// As many.
    Tie,
    /// Fewer.
    Loss,
}

/// Wins and ties of some items.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// All items.
    pub items: usize,
    /// Items that the model won.
    pub wins: usize,
    /// Items without a winner.
    pub ties: usize,
}

impl Tally {
    /// Counts an item.
    pub fn add(&mut self, result: Ending) {
        self.items += 1;
        self.wins += usize::from(result == Ending::Win);
        self.ties += usize::from(result == Ending::Tie);
    }

    /// Share of items won; NaN of nothing.
    pub fn win_rate(&self) -> f64 {
        self.wins as f64 / self.items as f64
    }

    /// Share of ties; NaN of nothing.
    pub fn tie_rate(&self) -> f64 {
        self.ties as f64 / self.items as f64
    }

    /// Wins and half the ties, as a share; NaN of nothing. Computed in the official order of operations.
    pub fn score(&self) -> f64 {
        (2 * self.wins + self.ties) as f64 / self.items as f64 / 2.0
    }

    /// `93.3/4.4`: percent won and percent tied, rounded half to even on the binary value.
    pub fn cell(&self) -> String {
        match self.items {
            0 => "-".to_owned(),
            _ => format!(
                "{:.1}/{:.1}",
                self.win_rate() * 100.0,
                self.tie_rate() * 100.0
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_round_as_python_rounds() {
        let cell = |wins, items| {
            Tally {
                items,
                wins,
                ties: 0,
            }
            .cell()
        };
        // 6.25 and 18.75 are exact: half to even. 1/3 and 2/3 are not.
        assert_eq!(
            [cell(1, 16), cell(3, 16), cell(1, 80)],
            ["6.2/0.0", "18.8/0.0", "1.2/0.0"]
        );
        assert_eq!(
            [cell(1, 3), cell(2, 3), cell(0, 0)],
            ["33.3/0.0", "66.7/0.0", "-"]
        );
    }
}
