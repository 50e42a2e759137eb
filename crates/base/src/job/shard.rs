//! Part of a job, for machines that share it.

use std::fmt;
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

    /// Which of `of` shards are not among the indices `there`, in one line; none where all are. The first ten are named.
    pub fn missing(of: usize, there: impl Fn(usize) -> bool) -> Option<String> {
        let absent: Vec<usize> = (0..of).filter(|index| !there(*index)).collect();
        let named: Vec<String> = absent
            .iter()
            .take(10)
            .map(|&index| Self { index, of }.to_string())
            .collect();
        let more = if absent.len() > 10 { ", …" } else { "" };
        (!absent.is_empty()).then(|| {
            let (count, named) = (absent.len(), named.join(", "));
            format!("{count} of {of} shards are missing: {named}{more}")
        })
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

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn shards_hold_each_piece_once() {
        let shards: Vec<Shard> = (0..3).map(|index| Shard { index, of: 3 }).collect();
        for piece in 0..10 {
            let holders = shards.iter().filter(|shard| shard.holds(piece));
            assert_eq!(holders.count(), 1);
        }
        let shard: Shard = " 2 / 3 ".parse().unwrap();
        assert_eq!((shard, shard.to_string()), (shards[2], "2/3".into()));
        for wrong in ["", "1", "3/3", "-1/3", "0/0", "a/b", "1/2/3"] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn missing_shards_are_named_up_to_ten() {
        assert_eq!(Shard::missing(4, |_| true), None);
        assert_eq!(
            Shard::missing(4, |index| index == 1).unwrap(),
            "3 of 4 shards are missing: 0/4, 2/4, 3/4"
        );
        let line = Shard::missing(99, |_| false).unwrap();
        assert!(
            line.ends_with("9/99, …") && !line.contains("10/99"),
            "{line}"
        );
    }
}
