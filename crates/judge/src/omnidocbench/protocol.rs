//! The three protocols of the benchmark.

/// Whose numbers are to come out: the paper's or a leaderboard's. A later protocol is the greater one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// The paper's (evaluator commit 62946f2).
    V1_0,
    /// The leaderboard's since 2025 (evaluator commit 7bd6c2e).
    #[default]
    V1_5,
    /// The leaderboard's since 2026 (the evaluator's copy in VLMEvalKit, commit fb4d575).
    V1_6,
}

impl Protocol {
    /// All protocols, the oldest first.
    pub const ALL: [Self; 3] = [Self::V1_0, Self::V1_5, Self::V1_6];

    /// Its name: `v1.0`, `v1.5` or `v1.6`.
    pub fn name(self) -> &'static str {
        match self {
            Self::V1_0 => "v1.0",
            Self::V1_5 => "v1.5",
            Self::V1_6 => "v1.6",
        }
    }

    /// The protocol of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|protocol| protocol.name() == name)
    }
}
