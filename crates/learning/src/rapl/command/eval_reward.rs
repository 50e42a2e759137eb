//! `orrery rapl eval-reward`.

use std::path::PathBuf;

use base::command::{Context, Failure, Steps, say};
use base::rng::Rng;
use clap::Args;
use serde_json::json;

use super::options::{Learning, Matching};
use crate::rapl::encoder::{EncoderConfig, Vision};
use crate::rapl::learn::{
    Triplet, Unsupervised, align, fit_goal_classifier, fit_rlhf, fit_unsupervised,
};
use crate::rapl::metrics::{agreement, alignment_tau};
use crate::rapl::rankings::{Rankings, read_index};
use crate::rapl::reward::{Experts, Reward};
use crate::rapl::video::read_video;
use crate::rapl::{Cycle, Embeddings, Ground, TimeContrast};

/// Rewards of the table, in order.
const METHODS: [&str; 7] = [
    "RAPL",
    "RLHF",
    "TCC-OT",
    "TCN-OT",
    "goal classifier",
    "distance to goal",
    "untrained-OT",
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
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl EvalReward {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        let device = engine::device("cpu")?;
        let mut rng = Rng::new(self.learning.seed).child("weights");
        let fresh = Vision::new(EncoderConfig::default(), &mut rng, &device)?;
        let tests = read_index(&self.tests)?;
        let truth: Vec<f64> = tests.iter().map(|one| one.truth).collect();
        let rankings = Rankings::read(&self.triplets)?;
        let best = rankings.favourites(self.experts.into());
        let mut rows = Vec::new();
        let mut bar = Steps::new("methods", self.json);
        for (at, method) in METHODS.into_iter().enumerate() {
            context.proceed()?;
            let mut vision = fresh.clone();
            if let (Some(path), "RAPL") = (&self.encoder, method) {
                vision = Vision::read(path, &device)?;
            }
            let videos = rankings.prepared(&vision.config)?;
            let experts: Vec<&[f32]> = best.iter().map(|at| &videos[*at][..]).collect();
            let fit = self.learning.fit();
            let watch = (method, true, context);
            let reward = match method {
                "RLHF" => {
                    let pairs: Vec<[usize; 2]> =
                        rankings.triplets.iter().flat_map(Triplet::pairs).collect();
                    let scored = fit_rlhf(&vision, &videos, &pairs, &fit, watch)?;
                    Reward::Scores {
                        vision,
                        scored: Box::new(scored),
                    }
                }
                "goal classifier" => {
                    let liked: Vec<Vec<f32>> = experts.iter().map(|video| video.to_vec()).collect();
                    let scored = fit_goal_classifier(&vision, &liked, &fit, watch)?;
                    Reward::Scores {
                        vision,
                        scored: Box::new(scored),
                    }
                }
                "distance to goal" => {
                    let how = Unsupervised::Cycle(Cycle::default());
                    fit_unsupervised(&mut vision, &videos, how, &fit, watch)?;
                    Reward::distance(vision, &experts)?
                }
                _ => {
                    match method {
                        "RAPL" if self.encoder.is_none() => {
                            let alignment = self.learning.alignment(&self.matching);
                            align(
                                &mut vision,
                                &videos,
                                &rankings.triplets,
                                &alignment,
                                &fit,
                                watch,
                            )?;
                        }
                        "TCC-OT" => {
                            let how = Unsupervised::Cycle(Cycle::default());
                            fit_unsupervised(&mut vision, &videos, how, &fit, watch)?;
                        }
                        "TCN-OT" => {
                            let how = Unsupervised::Contrast(TimeContrast::default());
                            fit_unsupervised(&mut vision, &videos, how, &fit, watch)?;
                        }
                        _ => {}
                    }
                    Reward::transport(vision, &experts, self.matching.transport(), self.pick)?
                }
            };
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
            rows.push((method, agreement(&learned, &truth), tau));
            bar.at(at + 1, METHODS.len());
        }
        bar.finish();
        if self.json {
            let rows: Vec<_> = rows
                .iter()
                .map(|(method, found, tau)| json!({"method": method, "agreement": found, "alignment_tau": tau}))
                .collect();
            return say(&json!({"triplets": rankings.triplets.len(), "tests": tests.len(), "rewards": rows}).to_string());
        }
        say(&format!(
            "{} triplets, {} demonstrations, {} test videos\n{:<18}{:>10}{:>10}{:>10}{:>12}",
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
            say(&format!(
                "{method:<18}{:>10.3}{:>10.3}{:>9.1}%{tau:>12}",
                found.spearman,
                found.kendall,
                100.0 * found.accuracy
            ))?;
        }
        Ok(())
    }
}
