//! `orrery rapl eval-reward`.

use std::path::PathBuf;

use base::command::{Context, Failure, Output, Steps, eprint_line, print_json, print_line};
use base::rng::Rng;
use burn::tensor::Device;
use clap::Args;
use serde_json::json;

use super::options::{Learning, Matching};
use crate::rapl::encoder::{EncoderConfig, Origin, Vision};
use crate::rapl::learn::{
    Triplet, Unsupervised, align, fit_behaviour, fit_goal_classifier, fit_invariant, fit_rlhf,
    fit_unsupervised,
};
use crate::rapl::metrics::{agreement, alignment_tau};
use crate::rapl::rankings::{Rankings, read_index};
use crate::rapl::reward::{Experts, Reward};
use crate::rapl::video::read_video;
use crate::rapl::{Cycle, Embeddings, Ground, TimeContrast};

/// A reward of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    Rapl,
    Rlhf,
    Cycles,
    Contrast,
    Invariant,
    Goal,
    Distance,
    Untrained,
    /// Official weights as they are, of the file with this number.
    Pretrained(usize),
    /// The same after behaviour cloning on the ranked videos.
    Cloned(usize),
}

/// Rewards that need no file, in the table's order.
const METHODS: [(Method, &str); 8] = [
    (Method::Rapl, "RAPL"),
    (Method::Rlhf, "RLHF"),
    (Method::Cycles, "TCC-OT"),
    (Method::Contrast, "TCN-OT"),
    (Method::Invariant, "LIFS-OT"),
    (Method::Goal, "goal classifier"),
    (Method::Distance, "distance to goal"),
    (Method::Untrained, "untrained-OT"),
];

/// Options of `eval-reward`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  orrery rapl collect --episodes 60 --out train
  orrery rapl rank --videos train --user synthetic --count 30
  orrery rapl collect --episodes 40 --seed 1 --out test
  orrery rapl eval-reward --triplets train/rankings.jsonl --tests test

Every method learns from the same videos with the same small encoder; RLHF takes each ranking as three pairs. The demonstrations are the
videos that won most of their triplets.")]
pub struct EvalReward {
    /// Rankings to learn from
    #[arg(long, value_name = "FILE")]
    triplets: PathBuf,
    /// Folder of `collect` with videos that nobody ranked
    #[arg(long, value_name = "FOLDER")]
    tests: PathBuf,
    /// Take this encoder for RAPL instead of aligning one
    #[arg(long, value_name = "FILE")]
    encoder: Option<PathBuf>,
    /// Official weights of torchvision, R3M, MVP or XIRL, compared as they are (and MVP after behaviour cloning); may be given
    /// again
    #[arg(long, value_name = "FILE")]
    pretrained: Vec<PathBuf>,
    /// Side of the frames for official ResNets [default: 224; XIRL 112]
    #[arg(long, value_name = "PIXELS")]
    side: Option<usize>,
    /// Preferred demonstrations
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=32))]
    experts: u8,
    /// How several demonstrations count
    #[arg(long, value_enum, default_value = "best")]
    pick: Experts,
    #[command(flatten)]
    matching: Matching,
    #[command(flatten)]
    learning: Learning,
    #[command(flatten)]
    output: Output,
}

impl EvalReward {
    /// All rewards of the table with their encoders before any training.
    fn methods(&self, device: &Device) -> Result<Vec<(Method, String, Vision)>, Failure> {
        let mut rng = Rng::new(self.learning.seed).child("weights");
        let fresh = Vision::new(EncoderConfig::default(), &mut rng, device)?;
        let mut all: Vec<(Method, String, Vision)> = METHODS
            .iter()
            .map(|(method, name)| (*method, (*name).to_owned(), fresh.clone()))
            .collect();
        if let Some(path) = &self.encoder {
            all[0].2 = Vision::read(path, device)?;
        }
        for (at, path) in self.pretrained.iter().enumerate() {
            let sizes = (self.side, fresh.config.frames, 0);
            let (vision, origin) = Vision::pretrained(path, sizes, &mut rng, device)?;
            let name = format!("{}-OT", origin.name());
            if origin == Origin::Mvp {
                let name = format!("fine-tuned {name}");
                all.push((Method::Cloned(at), name, vision.clone()));
            }
            all.push((Method::Pretrained(at), name, vision));
        }
        Ok(all)
    }

    /// Trains what a method trains; `best` are the demonstrations among the ranked videos.
    fn reward(
        &self,
        (method, mut vision): (Method, Vision),
        (rankings, best): (&Rankings, &[usize]),
        context: Context,
    ) -> Result<Reward, Failure> {
        let videos = rankings.prepared(&vision.config)?;
        let experts: Vec<&[f32]> = best.iter().map(|at| &videos[*at][..]).collect();
        let fit = self.learning.fit();
        let watch = ("eval-reward", true, context);
        let unsupervised = |vision: &mut Vision, how| -> Result<(), Failure> {
            Ok(fit_unsupervised(vision, &videos, how, &fit, watch)?)
        };
        let cycles = Unsupervised::Cycle(Cycle::default());
        let scores = |vision: Vision, scored| Reward::Scores {
            vision,
            scored: Box::new(scored),
        };
        match method {
            Method::Rlhf => {
                let pairs: Vec<[usize; 2]> =
                    rankings.triplets.iter().flat_map(Triplet::pairs).collect();
                let scored = fit_rlhf(&vision, &videos, &pairs, &fit, watch)?;
                return Ok(scores(vision, scored));
            }
            Method::Goal => {
                let liked: Vec<Vec<f32>> = experts.iter().map(|video| video.to_vec()).collect();
                let scored = fit_goal_classifier(&vision, &liked, &fit, watch)?;
                return Ok(scores(vision, scored));
            }
            Method::Distance => {
                unsupervised(&mut vision, cycles)?;
                return Ok(Reward::distance(vision, &experts)?);
            }
            Method::Rapl if self.encoder.is_none() => {
                let alignment = self.learning.alignment(&self.matching);
                let triplets = &rankings.triplets;
                align(&mut vision, &videos, triplets, &alignment, &fit, watch)?;
            }
            Method::Cycles => unsupervised(&mut vision, cycles)?,
            Method::Contrast => {
                let how = Unsupervised::Contrast(TimeContrast::default());
                unsupervised(&mut vision, how)?;
            }
            Method::Invariant => fit_invariant(&mut vision, &videos, &fit, watch)?,
            Method::Cloned(_) => {
                let actions = rankings.actions(vision.config.frames);
                fit_behaviour(&mut vision, &videos, &actions, &fit, watch)?;
            }
            Method::Rapl | Method::Untrained | Method::Pretrained(_) => {}
        }
        let transport = self.matching.transport();
        Ok(Reward::transport(vision, &experts, transport, self.pick)?)
    }

    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        let device = engine::device("cpu")?;
        let methods = self.methods(&device)?;
        let count = methods.len();
        let tests = read_index(&self.tests)?;
        let truth: Vec<f64> = tests.iter().map(|one| one.truth).collect();
        let differ = truth.iter().any(|value| truth.first() != Some(value));
        if tests.len() < 3 || !differ {
            return Err(Failure::input(format!(
                "`{}` holds {} video(s){}: how rewards agree in order needs at least 3 with different true rewards; collect more with `orrery rapl collect --episodes`",
                self.tests.display(),
                tests.len(),
                if tests.len() < 3 {
                    ""
                } else {
                    ", all of one true reward"
                }
            )));
        }
        let rankings = Rankings::read(&self.triplets)?;
        if let Some(line) = rankings.contradictions() {
            eprint_line(&line);
        }
        let best = rankings.favourites(self.experts.into());
        let mut rows = Vec::new();
        let mut bar = Steps::new("methods", self.output.json);
        for (at, (method, name, vision)) in methods.into_iter().enumerate() {
            context.proceed()?;
            let reward = self.reward((method, vision), (&rankings, &best), context)?;
            let (mut learned, mut seen): (Vec<f64>, Vec<Embeddings>) = Default::default();
            for one in &tests {
                let clip = read_video(&self.tests.join(&one.video))?;
                let pixels = reward.vision().config.prepare(&clip);
                learned.push(reward.video(&pixels)?);
                // All pairs of many videos would take long and say little more.
                if seen.len() < 20 {
                    seen.push(reward.vision().embed(&pixels)?);
                }
            }
            let tau = match reward {
                Reward::Scores { .. } => None,
                _ => Some(alignment_tau(&seen, 1, Ground::Cosine)?),
            };
            rows.push((name, agreement(&learned, &truth), tau));
            bar.at(at + 1, count);
        }
        bar.finish();
        if self.output.json {
            let rows: Vec<_> = rows
                .iter()
                .map(|(method, found, tau)| json!({"method": method, "agreement": found, "alignment_tau": tau}))
                .collect();
            return print_json(
                &json!({"triplets": rankings.triplets.len(), "tests": tests.len(), "rewards": rows}),
            );
        }
        print_line(&format!(
            "{} triplets, {} demonstrations, {} test videos\n{:<20}{:>10}{:>10}{:>10}{:>12}",
            rankings.triplets.len(),
            best.len(),
            tests.len(),
            "reward",
            "Spearman",
            "Kendall",
            "pairs",
            "alignment τ"
        ))?;
        for (method, found, tau) in rows {
            let tau = tau.map_or_else(|| "–".to_owned(), |tau| format!("{tau:.3}"));
            print_line(&format!(
                "{method:<20}{:>10.3}{:>10.3}{:>9.1}%{tau:>12}",
                found.spearman,
                found.kendall,
                100.0 * found.accuracy
            ))?;
        }
        Ok(())
    }
}
