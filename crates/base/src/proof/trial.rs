//! Arms × seeds × measures: the loop that every proof has.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::measure::{Better, Measure, Outcome, Unit};
use super::report::{Arm, Experiment};
use super::run::ProofOptions;
use crate::command::{Failure, Steps};
use crate::files::{make_folder, write_bytes};

/// An experiment before it is run: every arm runs with every seed and gives one value a measure.
#[derive(Clone, Debug)]
pub struct Trial {
    experiment: Experiment,
    journal: PathBuf,
}

/// What is done, kept beside the report, so that a stopped proof goes on.
#[derive(Default, Deserialize, Serialize)]
struct Done {
    /// What the values belong to; others are dropped.
    key: String,
    /// Values by arm and seed, one a measure.
    rows: BTreeMap<String, BTreeMap<u64, Vec<f64>>>,
}

impl Trial {
    /// An experiment called `title`, `about` in a few sentences; `name` is its file's, in `out/runs`.
    pub fn new(name: &str, title: &str, about: &str, options: &ProofOptions) -> Self {
        Self {
            experiment: Experiment {
                title: title.to_owned(),
                about: about.to_owned(),
                arms: Vec::new(),
                measures: Vec::new(),
            },
            journal: options.out.join("runs").join(format!("{name}.json")),
        }
    }

    /// One more arm.
    pub fn arm(mut self, name: &str, about: &str) -> Self {
        self.experiment.arms.push(Arm::new(name, about));
        self
    }

    /// One more measure.
    pub fn measure(self, name: &str, about: &str, better: Better, unit: Unit) -> Self {
        self.add(Measure::new(name, about, better, unit))
    }

    /// One more [`Measure::higher`].
    pub fn higher(self, name: &str, about: &str) -> Self {
        self.add(Measure::higher(name, about))
    }

    /// One more [`Measure::lower`].
    pub fn lower(self, name: &str, about: &str) -> Self {
        self.add(Measure::lower(name, about))
    }

    /// One more [`Measure::share`].
    pub fn share(self, name: &str, about: &str) -> Self {
        self.add(Measure::share(name, about))
    }

    fn add(mut self, measure: Measure) -> Self {
        self.experiment.measures.push(measure);
        self
    }

    /// Runs `cell(arm, seed)`, which gives one value a measure, for every arm and seed that is not done yet.
    ///
    /// # Errors
    /// What `cell` says, also where it gives another number of values; [`Failure::Interrupted`] at Ctrl-C, when what is
    /// done is kept; when the journal cannot be written.
    pub fn run(
        mut self,
        options: &ProofOptions,
        mut cell: impl FnMut(&str, u64) -> Result<Vec<f64>, Failure>,
    ) -> Result<Experiment, Failure> {
        let key = format!("{:?} full {}", self.experiment, options.full);
        let mut done = self.read(&key);
        let total = self.experiment.arms.len() * options.seeds.len();
        let mut steps = Steps::new("arms × seeds", !options.progress);
        for (at, (seed, arm)) in options
            .seeds
            .iter()
            .flat_map(|seed| self.experiment.arms.iter().map(move |arm| (*seed, arm)))
            .enumerate()
        {
            steps.at(at, total);
            let row = done.rows.entry(arm.name.clone()).or_default();
            if row.contains_key(&seed) {
                continue;
            }
            options.context.proceed_or_resume()?;
            let values = cell(&arm.name, seed)?;
            if values.len() != self.experiment.measures.len() {
                return Err(Failure::failed(format!(
                    "the arm `{}` gave {} values for {} measures",
                    arm.name,
                    values.len(),
                    self.experiment.measures.len()
                )));
            }
            row.insert(seed, values);
            self.keep(&done)?;
        }
        steps.finish();
        for arm in &self.experiment.arms {
            let Some(row) = done.rows.get(&arm.name) else {
                continue;
            };
            for (at, measure) in self.experiment.measures.iter_mut().enumerate() {
                let values: Vec<(u64, f64)> = options
                    .seeds
                    .iter()
                    .filter_map(|seed| Some((*seed, *row.get(seed)?.get(at)?)))
                    .collect();
                measure.outcomes.push(Outcome::numbers(&arm.name, &values));
            }
        }
        Ok(self.experiment)
    }

    fn read(&self, key: &str) -> Done {
        std::fs::read(&self.journal)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .filter(|done: &Done| done.key == key)
            .unwrap_or_else(|| Done {
                key: key.to_owned(),
                ..Done::default()
            })
    }

    fn keep(&self, done: &Done) -> Result<(), Failure> {
        if let Some(folder) = self.journal.parent() {
            make_folder(folder)?;
        }
        let bytes = serde_json::to_vec(done).map_err(Failure::failed)?;
        Ok(write_bytes(&self.journal, &bytes)?)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::super::report::{Bound, Claim, Verdict};
    use super::*;
    use crate::command::Context;

    static STOP: AtomicBool = AtomicBool::new(false);

    fn trial(options: &ProofOptions) -> Trial {
        Trial::new("toy", "Toy", "", options)
            .arm("method", "")
            .arm("baseline", "")
            .lower("loss", "")
    }

    #[test]
    fn a_stopped_trial_goes_on_and_claims_need_the_interval() {
        let folder = tempfile::tempdir().unwrap();
        let options = ProofOptions {
            full: false,
            only: Vec::new(),
            seeds: vec![0, 1, 2],
            out: folder.path().to_owned(),
            progress: false,
            context: Context { stop: &STOP },
        };
        let mut calls = 0;
        let failed = trial(&options).run(&options, |_, _| {
            calls += 1;
            match calls {
                4 => Err(Failure::failed("no disk")),
                _ => Ok(vec![f64::from(calls)]),
            }
        });
        assert!(failed.is_err());
        let mut more = 0;
        let experiment = trial(&options)
            .run(&options, |arm, seed| {
                more += 1;
                Ok(vec![if arm == "method" { 0.0 } else { 9.0 } + seed as f64])
            })
            .unwrap();
        assert_eq!(more, 3, "three of six cells were done");
        let measure = &experiment.measures[0];
        let [method, baseline] = ["method", "baseline"].map(|arm| measure.of(arm).unwrap());
        // Seed 0: 1 and 2; seed 1: 3 and 10; seed 2: 2 and 11.
        let difference = method.minus(baseline);
        let values: Vec<f64> = difference.values.iter().map(|value| value.value).collect();
        assert_eq!(values, [-1.0, -7.0, -9.0]);
        let claim = |bound| Claim::tested("", "", bound, (measure, &difference)).verdict;
        assert_eq!(claim(Bound::Below(10.0)), Verdict::Shown);
        assert_eq!(claim(Bound::Below(0.0)), Verdict::ShownNarrowly);
        assert_eq!(claim(Bound::Above(0.0)), Verdict::NotShown);
    }
}
