//! Learning rates over the course of a run.

use serde::{Deserialize, Serialize};

/// How the learning rate goes on after the warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "lowercase", deny_unknown_fields)]
pub enum Schedule {
    /// It stays.
    #[default]
    Constant,
    /// It falls along half a cosine to `floor`, a share of the peak.
    Cosine {
        /// The share of the peak that is left at the last step.
        #[serde(default)]
        floor: f64,
    },
    /// It falls linearly to zero.
    Linear,
    /// It stays until the share `decay_start` of all steps and then halves six times (warm-up, stable, decay).
    Wsd {
        /// The share of all steps at which the decay begins.
        #[serde(default = "wsd_decay_start")]
        decay_start: f64,
    },
}

/// ACDiT's (arXiv 2412.07720).
fn wsd_decay_start() -> f64 {
    0.85
}

impl Schedule {
    /// The factor on the peak rate for step `step` (from 0) of `steps`: `(step + 1) / warmup` until it
    /// reaches one, then this schedule over the rest.
    pub fn factor(self, step: u64, warmup: u64, steps: u64) -> f64 {
        if step < warmup {
            return (step + 1) as f64 / warmup as f64;
        }
        let rest = steps.saturating_sub(warmup).max(1) as f64;
        let done = ((step - warmup) as f64 / rest).min(1.0);
        match self {
            Self::Constant => 1.0,
            Self::Cosine { floor } => {
                floor + (1.0 - floor) * 0.5 * (1.0 + libm::cos(std::f64::consts::PI * done))
            }
            Self::Linear => 1.0 - done,
            Self::Wsd { decay_start } => {
                let total = steps as f64;
                let begins = decay_start * total;
                let progress = (step as f64 - begins) / (total - begins).max(1.0);
                libm::pow(0.5, 6.0 * progress.clamp(0.0, 1.0))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_warm_up_ends_at_the_peak_and_the_run_at_the_floor() {
        let cosine = Schedule::Cosine { floor: 0.1 };
        for schedule in [Schedule::Constant, cosine, Schedule::Linear] {
            assert_eq!(schedule.factor(0, 4, 104), 0.25);
            assert_eq!(schedule.factor(3, 4, 104), 1.0);
            assert_eq!(schedule.factor(4, 4, 104), 1.0);
            assert_eq!(schedule.factor(0, 0, 100), 1.0);
        }
        assert_eq!(Schedule::Constant.factor(104, 4, 104), 1.0);
        assert!((cosine.factor(54, 4, 104) - 0.55).abs() < 1e-12);
        assert!((cosine.factor(104, 4, 104) - 0.1).abs() < 1e-12);
        assert_eq!(Schedule::Linear.factor(54, 4, 104), 0.5);
        assert_eq!(Schedule::Linear.factor(1000, 4, 104), 0.0);
    }
}
