//! The two protocols of the benchmark.

/// Whose numbers are to come out: the paper's or the leaderboard's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// The paper's (evaluator commit 62946f2).
    V1_0,
    /// The leaderboard's since 2025 (evaluator commit 7bd6c2e).
    #[default]
    V1_5,
}

impl Protocol {
    /// Its name: `v1.0` or `v1.5`.
    pub fn name(self) -> &'static str {
        match self {
            Self::V1_0 => "v1.0",
            Self::V1_5 => "v1.5",
        }
    }
}
