//! `orrery stiv eval`: the flow-matching loss at fixed times and noise, and what a judge sees in drawn pictures.

use std::path::PathBuf;

use base::command::{Context, Failure, Output, print_json, print_line};
use base::rng::Rng;
use burn::tensor::{Device, Tensor, TensorData};
use clap::Args;
use engine::data::pack::EmojiPack;
use engine::device;
use engine::diffusion::flow;
use engine::weights::Weights;
use serde::Serialize;
use serde_json::json;

use super::options::{guidance, share, steps};
use crate::stiv::data::{EmojiGrid, Pair, SIZE, Split, image_micro};
use crate::stiv::embedded::{self, defaults};
use crate::stiv::judge::Judge;
use crate::stiv::model::ForwardOptions;
use crate::stiv::pipeline::StivPipeline;
use crate::stiv::proof::look;
use crate::stiv::sample::{Guidance, SampleConfig};
use crate::stiv::text::TextTower;
use crate::stiv::train::masked_loss;

/// Times at which the loss is taken: noise is 0, data 1.
const TIMES: [f32; 5] = [0.1, 0.3, 0.5, 0.7, 0.9];
/// Pairs that go through the network together.
const BATCH: usize = 32;

/// Options of `eval`.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  orrery stiv eval --model runs/pictures/model.safetensors --json"
)]
pub struct Eval {
    /// A picture model that `orrery stiv train` wrote [default: the embedded one]
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// Take the loss of at most this many pairs of each split; 0 takes none [default: all]
    #[arg(long, value_name = "PAIRS")]
    pairs: Option<usize>,
    /// Also draw this many pairs of each split, and let the judge say how often subject and style are as asked
    #[arg(long, value_name = "PAIRS")]
    draw: Option<usize>,
    /// With --draw: a judge that `orrery stiv train --stage judge` wrote [default: the embedded one]
    #[arg(long, value_name = "FILE", requires = "draw")]
    judge: Option<PathBuf>,
    /// With --draw: scale of the text
    #[arg(long, value_parser = guidance, allow_negative_numbers = true, default_value_t = defaults::GUIDANCE)]
    guidance: f32,
    /// With --draw: scale of the style [default: that of the text]
    #[arg(long, value_name = "SCALE", value_parser = guidance, allow_negative_numbers = true, requires = "draw")]
    style_guidance: Option<f32>,
    /// With --draw: Euler steps
    #[arg(long, value_parser = steps, allow_negative_numbers = true, default_value_t = defaults::STEPS)]
    steps: usize,
    /// With --draw: guide the steps before this time, 0 (noise) to 1 (all steps)
    #[arg(long, value_parser = share, allow_negative_numbers = true, default_value_t = defaults::GUIDED_UNTIL)]
    guided_until: f32,
    /// With --draw: strength of CFG-renorm, 0 to 1
    #[arg(long, value_parser = share, allow_negative_numbers = true, default_value_t = defaults::RENORM)]
    renorm: f32,
    /// Seed of the noise
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Device: cpu; cuda, metal, rocm or wgpu in a program built with that feature
    #[arg(long, default_value = "cpu")]
    device: String,
    #[command(flatten)]
    output: Output,
}

/// What the judge saw in pictures of one split.
#[derive(Serialize)]
struct SplitSeen {
    split: &'static str,
    drawn: usize,
    subject: f64,
    style: f64,
}

impl Eval {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        let device = device(&self.device)?;
        let pipeline = match &self.model {
            Some(path) => StivPipeline::open(&Weights::open(path)?, &device)?,
            None => embedded::images(&device)?,
        };
        pipeline.check(false)?;
        let grid = EmojiGrid::new(EmojiPack::embedded()?, &pipeline.tower.codes)?;
        let most = self.pairs.unwrap_or(usize::MAX);
        let [trained, unseen] = [Split::Train, Split::Test].map(|split| {
            let pairs = grid.pairs_of(split);
            let step = pairs
                .len()
                .div_ceil(most.clamp(1, pairs.len().max(1)))
                .max(1);
            let pairs = pairs.into_iter().step_by(step).take(most);
            pairs.collect::<Vec<_>>()
        });
        let mut losses = Vec::new();
        for pairs in [&trained, &unseen] {
            losses.push(self.losses(&pipeline, &grid, pairs, &device, context)?);
        }
        let seen = match self.draw {
            Some(most) => Some(self.look(&pipeline, most, &device, context)?),
            None => None,
        };
        if self.output.json {
            return print_json(&json!({
                "times": TIMES,
                "trained": {"pairs": trained.len(), "loss": losses[0]},
                "held_out": {"pairs": unseen.len(), "loss": losses[1]},
                "drawn": seen,
            }));
        }
        if most > 0 {
            print_line("time      trained   held out")?;
            for (i, time) in TIMES.iter().enumerate() {
                print_line(&format!(
                    "{time:<8}  {:<8.4}  {:.4}",
                    losses[0][i], losses[1][i]
                ))?;
            }
            print_line(&format!("pairs     {:<8}  {}", trained.len(), unseen.len()))?;
        }
        for split in seen.iter().flatten() {
            print_line(&format!(
                "drawn     {} of {}: subject right {:.1} %, style right {:.1} %",
                split.drawn,
                split.split,
                100.0 * split.subject,
                100.0 * split.style
            ))?;
        }
        Ok(())
    }

    /// What the judge sees in drawn pairs. Test pairs are left to the proof.
    fn look(
        &self,
        pipeline: &StivPipeline,
        most: usize,
        device: &Device,
        context: Context,
    ) -> Result<Vec<SplitSeen>, Failure> {
        let judge = match &self.judge {
            Some(path) => Judge::open(&Weights::open(path)?, device)?,
            None => Judge::embedded(device)?,
        };
        let config = SampleConfig {
            steps: self.steps,
            guidance: match self.style_guidance {
                None => Guidance::Joint {
                    scale: self.guidance,
                },
                Some(style) => Guidance::Style {
                    text: self.guidance,
                    style,
                },
            },
            guided_until: self.guided_until,
            renorm: self.renorm,
            ..SampleConfig::default()
        };
        let splits = [
            ("trained", Split::Train),
            ("development", Split::Development),
        ];
        let seen = splits.map(|(name, split)| {
            let of = (split, most);
            let looked = look(
                (pipeline, &judge),
                of,
                &config,
                self.seed,
                device,
                context.stop,
            );
            let [subject, style] = looked.map_err(|error| match error {
                Failure::Interrupted(_) => {
                    Failure::interrupted("stopped before the end: nothing is reported")
                }
                error => error,
            })?;
            Ok(SplitSeen {
                split: name,
                drawn: subject.of,
                subject: subject.value(),
                style: style.value(),
            })
        });
        seen.into_iter().collect()
    }

    /// Mean loss of the pairs at each of [`TIMES`].
    fn losses(
        &self,
        pipeline: &StivPipeline,
        grid: &EmojiGrid,
        pairs: &[Pair],
        device: &Device,
        context: Context,
    ) -> Result<Vec<f32>, Failure> {
        let draws = Rng::new(self.seed).child("eval");
        let mut sums = vec![0.0; TIMES.len()];
        for (batch, pairs) in pairs.chunks(BATCH).enumerate() {
            let count = pairs.len();
            let put = |values: Vec<f32>| {
                let shape = [count, 3, 1, SIZE, SIZE];
                Tensor::<5>::from_data(TensorData::new(values, shape), device)
            };
            let data: Vec<f32> = pairs
                .iter()
                .flat_map(|&pair| grid.pixels(pair))
                .copied()
                .collect();
            let noise = draws.item(batch as u64).normals(data.len());
            let (data, noise) = (put(data), put(noise));
            let prompts: Vec<String> = pairs
                .iter()
                .map(|pair| {
                    let name = grid.subjects[pair.subject].name("en").unwrap_or_default();
                    format!("{name} {}", pair.style)
                })
                .collect();
            let prompts: Vec<&str> = prompts.iter().map(String::as_str).collect();
            let micro = vec![image_micro(0.0, 0.0); count];
            let condition = pipeline.tower.encode(&prompts).condition(micro, device);
            let given = Tensor::zeros([count, 1, 1, 1, 1], device);
            for (sum, &time) in sums.iter_mut().zip(&TIMES) {
                if context.stopped() {
                    return Err(Failure::interrupted(
                        "stopped before the end: nothing is reported",
                    ));
                }
                let t = Tensor::full([count, 1, 1, 1, 1], time, device);
                let x = flow::point(data.clone(), noise.clone(), t);
                let v = pipeline.model.forward(
                    x,
                    &vec![time; count],
                    &condition,
                    &ForwardOptions::default(),
                );
                let target = flow::velocity(data.clone(), noise.clone());
                let loss = masked_loss(v, target, given.clone()).into_data();
                *sum += loss.iter::<f32>().sum::<f32>() * count as f32;
            }
        }
        Ok(sums
            .into_iter()
            .map(|sum| sum / pairs.len().max(1) as f32)
            .collect())
    }
}
