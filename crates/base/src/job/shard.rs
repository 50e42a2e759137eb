//! Part of a job, for machines that share it.

use std::str::FromStr;

/// Which pieces are worked on: every `of`th, from `index`. Written `I/N`, from `0/N` to `N-1/N`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// From 0.
    pub index: usize,
    /// How many shards there are, at least 1.
    pub of: usize,
}

impl Shard {
    /// Whether piece number `piece` belongs to this shard.
    pub fn holds(self, piece: usize) -> bool {
        piece % self.of.max(1) == self.index
    }

    /// The shard of a Slurm array task, or of an indexed Kubernetes job, from the environment.
    pub fn of_array_task() -> Option<Self> {
        let number = |name: &str| std::env::var(name).ok()?.parse::<usize>().ok();
        let shard = |index: usize, of: usize| (index < of).then_some(Self { index, of });
        let slurm = || {
            let first = number("SLURM_ARRAY_TASK_MIN")?;
            let index = number("SLURM_ARRAY_TASK_ID")?.checked_sub(first)?;
            shard(index, number("SLURM_ARRAY_TASK_COUNT")?)
        };
        let kubernetes = || shard(number("JOB_COMPLETION_INDEX")?, number("JOB_COMPLETIONS")?);
        slurm().or_else(kubernetes)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.split_once('/').and_then(|(index, of)| {
            let shard = Self {
                index: index.trim().parse().ok()?,
                of: of.trim().parse().ok()?,
            };
            (shard.index < shard.of).then_some(shard)
        });
        parsed.ok_or_else(|| "write it as `I/N` with I from 0 to N-1, such as `0/4`".into())
    }
}
