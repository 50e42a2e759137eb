//! Which of several processes this one is, and why they cannot train together.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

/// Most processes of a run.
const MOST: usize = 256;
/// Shortest token, in bytes.
const SHORTEST: usize = 16;

/// Processes that train one model together, each on its part of every batch.
#[derive(Clone, PartialEq, Eq)]
pub struct Workers {
    rank: usize,
    count: usize,
    coordinator: SocketAddr,
    token: Vec<u8>,
    patience: Duration,
}

impl std::fmt::Debug for Workers {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "worker {} of {}", self.rank, self.count)
    }
}

impl Workers {
    /// Worker `rank` of `count`, from 0. Worker 0 listens at `coordinator`, `HOST:PORT`, and the others come there; beyond this
    /// machine all must have the same `token`. Each waits `patience` for the others, at the start and at every step.
    ///
    /// # Errors
    /// [`WorkersError::Settings`]: ranks that cannot be, no such host, a short token, or none for an address that others reach.
    pub fn new(
        [rank, count]: [usize; 2],
        coordinator: &str,
        token: &str,
        patience: Duration,
    ) -> Result<Self, WorkersError> {
        let wrong = |line: String| Err(WorkersError::Settings(line));
        if !(1..=MOST).contains(&count) || rank >= count {
            return wrong(format!(
                "there is no worker {rank} of {count}: number 1 to {MOST} of them from 0"
            ));
        }
        let found = coordinator.to_socket_addrs();
        let Some(coordinator) = found.ok().and_then(|mut all| all.next()) else {
            return wrong(format!(
                "`{coordinator}` is not a valid address: give HOST:PORT, such as 127.0.0.1:7171"
            ));
        };
        if token.is_empty() && !coordinator.ip().is_loopback() {
            return wrong(format!(
                "others reach {coordinator}: give all workers one secret token, or meet at 127.0.0.1"
            ));
        }
        if !token.is_empty() && token.len() < SHORTEST {
            return wrong(format!(
                "the token is short: take {SHORTEST} characters at least"
            ));
        }
        Ok(Self {
            rank,
            count,
            coordinator,
            token: token.as_bytes().to_vec(),
            patience: patience.max(Duration::from_millis(1)),
        })
    }

    /// This one, from 0.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Where worker 0 listens.
    pub fn coordinator(&self) -> SocketAddr {
        self.coordinator
    }

    pub(super) fn token(&self) -> &[u8] {
        &self.token
    }

    pub(super) fn patience(&self) -> Duration {
        self.patience
    }
}

/// Why workers cannot train together.
#[derive(Debug, thiserror::Error)]
pub enum WorkersError {
    /// What was given cannot be.
    #[error("{0}")]
    Settings(String),
    /// They did not find each other.
    #[error(
        "worker {rank} could not connect to {place} ({reason}): start all workers with the same address"
    )]
    Alone {
        /// This one.
        rank: usize,
        /// Where it waited or went.
        place: SocketAddr,
        /// What happened.
        reason: String,
    },
    /// They are not of one run.
    #[error("the workers do not fit together: {0}")]
    Apart(String),
    /// One of them is gone.
    #[error(
        "worker {who} is lost ({reason}): start all workers again with `--resume`; they go on from worker 0's last checkpoint"
    )]
    Lost {
        /// Which.
        who: usize,
        /// What happened.
        reason: String,
    },
    /// A checkpoint cannot be handed on.
    #[error("cannot hand on `{}`: {reason}", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_others_reach_need_a_token() {
        let new =
            |ranks, place: &str, token| Workers::new(ranks, place, token, Duration::from_secs(1));
        assert!(new([1, 2], "127.0.0.1:7171", "").is_ok());
        assert!(new([1, 2], "0.0.0.0:7171", "").is_err());
        assert!(new([1, 2], "0.0.0.0:7171", "short").is_err());
        assert!(new([1, 2], "0.0.0.0:7171", "sixteen letters.").is_ok());
        assert!(new([2, 2], "127.0.0.1:7171", "").is_err());
        assert!(new([0, 2], "nowhere", "").is_err());
    }
}
