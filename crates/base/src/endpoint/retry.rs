//! How long to wait before a request is sent again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How often and after which pauses a request is sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// How often a request is sent at most.
    pub tries: u32,
    /// Pause after the first failure; each further one doubles it.
    pub first: Duration,
    /// Longest pause, also where the server asks for a longer one.
    pub longest: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            tries: 6,
            first: Duration::from_millis(500),
            longest: Duration::from_secs(30),
        }
    }
}

impl Retry {
    /// The pause after failure number `failure`, counted from 0; `asked` is what the server wishes.
    pub fn pause(&self, failure: u32, asked: Option<Duration>) -> Duration {
        let doubled = self.first.saturating_mul(1 << failure.min(16));
        asked.unwrap_or(doubled).min(self.longest)
    }
}

/// Sleeps for `pause` in short pieces; `false` when `stop` became true.
pub(super) fn sleep(pause: Duration, stop: Option<&AtomicBool>) -> bool {
    let end = Instant::now() + pause;
    loop {
        if stop.is_some_and(|stop| stop.load(Ordering::Relaxed)) {
            return false;
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return true;
        }
        std::thread::sleep(left.min(Duration::from_millis(50)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_limit_and_heed_the_server() {
        let retry = Retry::default();
        let seconds = |failure, asked| retry.pause(failure, asked).as_secs_f64();
        assert_eq!(
            [0, 1, 2, 20].map(|failure| seconds(failure, None)),
            [0.5, 1.0, 2.0, 30.0]
        );
        assert_eq!(seconds(0, Some(Duration::from_secs(7))), 7.0);
        assert_eq!(seconds(0, Some(Duration::from_secs(7000))), 30.0);
    }
}
