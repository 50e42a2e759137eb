//! Four kinds of attention, one world.

use std::path::Path;

use base::command::{Context, Failure};
use base::media::sheet::{Layout, sheet};
use base::proof::{Bound, Claim, Figure, ProofOptions, Report, Trial};
use base::rng::Rng;
use burn::tensor::{Device, Int, Tensor, TensorData};
use engine::train::optim::{AdamWConfig, OptimizerConfig};
use engine::train::{Progress, Run, Schedule, Task, TaskError, TrainConfig, train};

use super::far::{FarWorld, SIDE};
use crate::emov2::{Emo, EmoConfig, losses, operator, params};

const BATCH: usize = 32;
/// Pictures that accuracy is measured on; another seed than any training has.
const TEST: usize = 2048;
const TEST_SEED: u64 = 0x0e40_7e57;

const NONE: &str = "no attention";
const NEIGHBOUR: &str = "neighbour";
const DISTANT: &str = "distant";
const SPANNING: &str = "spanning";

/// The network of an arm: alike but for the operators of the last two stages; without attention these are wider, so that
/// parameters are as many.
fn config(arm: &str) -> EmoConfig {
    let base = EmoConfig {
        depths: [1, 1, 3, 2],
        embed_dims: [16, 24, 40, 56],
        exp_ratios: [2.0, 2.0, 2.0, 2.0],
        dw_kss: [3; 4],
        dim_heads: [8; 4],
        window_sizes: [2; 4],
        ..EmoConfig::nano(2)
    };
    let with = |kind: u8| {
        let mut config = base.clone();
        config.hybrid_eopss = [vec![0], vec![0], vec![kind], vec![kind]];
        config
    };
    let wanted = params(&with(operator::SPANNING));
    match arm {
        NEIGHBOUR => with(operator::NEIGHBOUR),
        DISTANT => with(operator::DISTANT),
        SPANNING => with(operator::SPANNING),
        _ => (0..40)
            .map(|wider| {
                let mut config = with(operator::CONV);
                config.embed_dims[2] += 2 * (wider / 2);
                config.embed_dims[3] += 2 * wider.div_ceil(2);
                config
            })
            .min_by_key(|config| params(config).abs_diff(wanted))
            .unwrap_or_else(|| with(operator::CONV)),
    }
}

struct FarTask {
    world: FarWorld,
    device: Device,
}

impl Task for FarTask {
    type Model = Emo;
    type Batch = (Vec<f32>, Vec<i64>);

    fn samples(&self) -> usize {
        BATCH
    }

    fn batch(&self, _step: u64, rng: &mut Rng) -> Result<Self::Batch, TaskError> {
        Ok(self.world.batch(BATCH, rng))
    }

    fn loss(
        &self,
        model: &Emo,
        (pixels, classes): Self::Batch,
    ) -> (Tensor<1>, Vec<(&'static str, f32)>) {
        let logits = model.forward(pictures(pixels, &self.device), None);
        let classes = Tensor::<1, Int>::from_data(classes.as_slice(), &self.device);
        (losses::label_smoothing(logits, classes, 0.0), Vec::new())
    }
}

fn pictures(pixels: Vec<f32>, device: &Device) -> Tensor<4> {
    let batch = pixels.len() / (3 * SIDE * SIDE);
    Tensor::from_data(TensorData::new(pixels, [batch, 3, SIDE, SIDE]), device)
}

/// The share of test pictures that a network trained for `steps` is right about.
fn accuracy(
    arm: &str,
    seed: u64,
    steps: u64,
    context: Context,
    folder: &Path,
) -> Result<f64, Failure> {
    let device = Device::default();
    let autodiff = device.clone().autodiff();
    let task = FarTask {
        world: FarWorld::new()?,
        device: autodiff.clone(),
    };
    let model = config(arm).init(&mut Rng::new(seed).child("weights"), &autodiff);
    let adamw = AdamWConfig {
        weight_decay: 0.02,
        no_decay: vec!["gamma".into()],
        ..AdamWConfig::default()
    };
    let config = TrainConfig {
        steps,
        learning_rate: 2e-3,
        warmup: steps / 20,
        schedule: Schedule::Cosine { floor: 0.01 },
        optimizer: OptimizerConfig::AdamW(adamw),
        clip: Some(5.0),
        ema: None,
        seed,
        log_every: 100,
        checkpoint_every: 200,
        ..TrainConfig::default()
    };
    let name: String = arm.chars().filter(char::is_ascii_alphabetic).collect();
    let folder = folder.join(format!("runs/{name}-{seed}-{steps}"));
    let trained = train(
        &task,
        model,
        &config,
        Run {
            folder: &folder,
            resume: true,
            stop: context.stop,
            progress: &mut Progress::silent(),
        },
    )?;
    if trained.interrupted {
        return Err(Failure::interrupted(
            "stopped; the same command goes on from here",
        ));
    }
    // What was trained is measured at once; the checkpoint is of no further use.
    let _ = std::fs::remove_dir_all(&folder);
    let mut right = 0;
    let draws = Rng::new(TEST_SEED);
    for at in 0..TEST / BATCH {
        let (pixels, classes) = task.world.batch(BATCH, &mut draws.item(at as u64));
        let logits = trained.ema.forward(pictures(pixels, &device), None);
        let said: Vec<i64> = logits.argmax(1).into_data().iter::<i64>().collect();
        right += said.iter().zip(&classes).filter(|(a, b)| a == b).count();
    }
    Ok(right as f64 / TEST as f64)
}

pub(super) fn prove(options: &ProofOptions, report: &mut Report) -> Result<(), Failure> {
    let steps = if options.full { 1500 } else { STEPS };
    let about = format!(
        "Pictures of {SIDE}² with a thing in the top left and one in the bottom right corner, and clutter between; the class is \
         whether both are the same. Networks of equal size, {steps} steps of {BATCH} pictures, {TEST} test pictures of another \
         seed. Stage 3 has a map of 4² in windows of 2, stage 4 one window."
    );
    let name = if options.full { "spans-full" } else { "spans" };
    let mut trial = Trial::new(name, "Spanning attention", &about, options);
    for arm in [NONE, NEIGHBOUR, DISTANT, SPANNING] {
        let count = params(&config(arm));
        trial = trial.arm(arm, &format!("{count} parameters"));
    }
    let experiment = trial
        .share(
            "accuracy",
            "test pictures that are classified rightly; chance is a half",
        )
        .run(options, |arm, seed| {
            Ok(vec![accuracy(
                arm,
                seed,
                steps,
                options.context,
                &options.out,
            )?])
        })?;
    let measure = &experiment.measures[0];
    let of = |arm: &str| measure.of(arm);
    if let (Some(none), Some(near), Some(far), Some(both)) =
        (of(NONE), of(NEIGHBOUR), of(DISTANT), of(SPANNING))
    {
        let source = "paper, table 10: none 77.9 or 78.4 at equal size, neighbour 78.8, distant 79.0, spanning 79.4";
        let better = if near.mean > far.mean { near } else { far };
        report.claims.push(Claim::tested(
            "Spanning attention is no worse than the better of its two parts",
            source,
            Bound::AtLeast(-0.002),
            (measure, &both.minus(better)),
        ));
        report.claims.push(Claim::tested(
            "Spanning attention beats convolutions of equal size",
            source,
            Bound::AtLeast(0.015),
            (measure, &both.minus(none)),
        ));
    }
    report.figures.push(examples()?);
    report.experiments.push(experiment);
    Ok(())
}

/// Steps of a short run.
const STEPS: u64 = 400;

/// A sheet of pictures with their classes.
fn examples() -> Result<Figure, Failure> {
    let world = FarWorld::new()?;
    let mut rng = Rng::new(TEST_SEED);
    let drawn: Vec<_> = (0..10).map(|_| world.draw(&mut rng)).collect();
    let captions: Vec<&str> = drawn
        .iter()
        .map(|(_, same)| if *same { "same" } else { "different" })
        .collect();
    let pictures: Vec<_> = drawn.iter().map(|(picture, _)| picture.clone()).collect();
    let layout = Layout {
        columns: Some(5),
        scale: 2,
        ..Layout::default()
    };
    let page = sheet(&pictures, &captions, &layout)?;
    Ok(Figure::still(
        "far.png",
        "Test pictures with their classes.",
        &page,
    )?)
}
