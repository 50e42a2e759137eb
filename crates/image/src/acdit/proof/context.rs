//! Clean context beside noisy context.

use base::command::Failure;
use base::media::sheet::{Layout, sheet};
use base::numerics::statistics::mean;
use base::proof::{Better, Bound, Claim, Figure, Outcome, ProofOptions, Report, Trial, Unit};
use base::rng::Rng;
use burn::tensor::{Device, Tensor, TensorData};
use engine::diffusion::scheduler::SchedulerConfig;

use super::dot::{self, DotWorld, physics};
use super::{devices, rates, trained};
use crate::acdit::generate::values;
use crate::acdit::rope::Positions;
use crate::acdit::train::{AcditTask, Context as Seen, noised};
use crate::acdit::{Acdit, AcditConfig, BlockSampler, SampleConfig};

/// Clips of a batch.
const BATCH: usize = 32;
/// Held-out clips that are denoised.
const HELD_OUT: usize = 256;
/// Clips that are drawn.
const DRAWN: usize = 128;
/// The least noise of the primary measure.
const NOISY: usize = 600;
/// Why clean context should help (paper, section 4.5).
const SOURCE: &str = "paper, ablations of section 4 (FID rises with a noisy context)";

const METHOD: &str = "clean context";
const ABLATION: &str = "noisy context";

/// Runs this part.
pub fn prove(options: &ProofOptions, report: &mut Report) -> Result<(), Failure> {
    let steps = if options.full { 10_000 } else { 700 };
    let config = dot::config(8, 2);
    let world = DotWorld::new(&config);
    let about = format!(
        "Clips of 8 frames of 8×8 pixels: a soft dot at constant velocity, mirrored at the edges. Patches of 4×4, four blocks of two frames, \
         width 64, 3 layers, {steps} steps of {BATCH} clips each from the same seeds; both arms are measured with clean context. Means over \
         the last weights' average."
    );
    let trial = Trial::new("context", "Clean context and noisy context", &about, options)
        .arm(METHOD, "noisy blocks see the clean blocks before them")
        .arm(ABLATION, "noisy blocks see the blocks before them with their own noise")
        .lower("denoising error",
            "mean squared error of the predicted noise on 256 held-out clips, blocks 2 to 4, timesteps from 600 on")
        .measure("mass", "mean mass of a frame of 128 drawn clips by that of real ones", Better::Near, Unit::Number)
        .lower("acceleration",
            "mean second difference of the drawn dot's centre, in pixels; real clips have about 0.3, at the edges alone");
    let [learning, plain] = devices();
    let mut drawn = Vec::new();
    let experiment = trial.run(options, |arm, seed| {
        let seen = match arm {
            METHOD => Seen::Clean,
            _ => Seen::Noisy,
        };
        let task =
            AcditTask::new(&config, &world, BATCH, seen, &learning).map_err(Failure::failed)?;
        let model = config.init(&mut Rng::new(seed).child("init"), &learning);
        let folder = options
            .out
            .join("runs")
            .join(format!("context-{seed}-{}", seen == Seen::Clean));
        let model = trained(&task, model, &rates(steps, seed), &folder, options.context)?.ema;
        let error = denoising(&model, &config, &world, seed, &plain)?;
        let clips = draw(&model, &config, &world, seed, &plain)?;
        if options.seeds.first() == Some(&seed) {
            drawn.push((arm.to_owned(), clips[..4].to_vec()));
        }
        let (found, real) = (facts(&clips), facts(&real(&world, seed)));
        Ok(vec![error, found[0] / real[0], found[1]])
    })?;
    let [error, mass, bends] = [0, 1, 2].map(|at| &experiment.measures[at]);
    if let (Some(clean), Some(noisy)) = (error.of(METHOD), error.of(ABLATION)) {
        let pairs: Vec<(u64, f64)> = clean
            .values
            .iter()
            .zip(&noisy.values)
            .map(|(a, b)| (a.seed, a.value / b.value))
            .collect();
        let ratio = Outcome::numbers("clean by noisy", &pairs);
        report.claims.push(Claim::tested(
            "Clean context denoises later blocks better: error at least 5 % lower",
            SOURCE,
            Bound::AtMost(0.95),
            (error, &ratio),
        ));
    }
    if let (Some(clean), Some(noisy)) = (bends.of(METHOD), bends.of(ABLATION)) {
        report.claims.push(Claim::tested(
            "Clips drawn with clean context move more evenly",
            SOURCE,
            Bound::Below(0.0),
            (bends, &clean.minus(noisy)),
        ));
    }
    if let Some(clean) = mass.of(METHOD) {
        let off: Vec<(u64, f64)> = clean
            .values
            .iter()
            .map(|it| (it.seed, (it.value - 1.0).abs()))
            .collect();
        report.claims.push(Claim::tested(
            "Drawn dots have the mass of real ones within 10 %",
            "ours",
            Bound::AtMost(0.1),
            (
                mass,
                &Outcome::numbers("distance from 1, clean context", &off),
            ),
        ));
    }
    if let [(_, method), (_, ablation)] = &drawn[..] {
        let real = real(&world, 0);
        let rows = [("real", &real), (METHOD, method), (ABLATION, ablation)];
        let mut pictures = Vec::new();
        for (_, clips) in &rows {
            for clip in &clips[..4] {
                pictures.push(dot::strip(clip)?);
            }
        }
        let layout = Layout {
            columns: Some(4),
            gap: 8,
            scale: 1,
        };
        let captions: Vec<&str> = rows.iter().flat_map(|(name, _)| [*name; 4]).collect();
        report.figures.push(Figure::still(
            "dots.png",
            "Clips as strips of frames: real ones, drawn with clean context, drawn by the model that learnt with noisy context.",
            &sheet(&pictures, &captions, &layout)?,
        )?);
    }
    report.experiments.push(experiment);
    Ok(())
}

/// The primary measure.
fn denoising(
    model: &Acdit,
    config: &AcditConfig,
    world: &DotWorld,
    seed: u64,
    device: &Device,
) -> Result<f64, Failure> {
    let mut rng = Rng::new(seed).child("held out");
    let shape = [
        HELD_OUT,
        config.ar_len,
        config.block_size,
        config.latent_size,
    ];
    let clean: Vec<f32> = (0..HELD_OUT).flat_map(|_| world.tokens(&mut rng)).collect();
    let noise = rng.normals(clean.len());
    let [clean, noise] =
        [clean, noise].map(|values| Tensor::<4>::from_data(TensorData::new(values, shape), device));
    let bars = SchedulerConfig::default().alphas_cumprod();
    let timesteps: Vec<usize> = (0..HELD_OUT * config.ar_len)
        .map(|_| NOISY + rng.below(bars.len() - NOISY))
        .collect();
    let noisy = noised(clean.clone(), noise.clone(), &timesteps, &bars);
    let positions = Positions::new(config, config.ar_len, device).map_err(Failure::failed)?;
    let t: Vec<f32> = timesteps.iter().map(|t| *t as f32).collect();
    let predicted = model.forward_train(clean, noisy, &t, &[0; HELD_OUT], &positions);
    let later = (predicted - noise)
        .square()
        .narrow(1, 1, config.ar_len - 1)
        .mean();
    Ok(values(later)?.first().copied().map_or(f64::NAN, f64::from))
}

fn draw(
    model: &Acdit,
    config: &AcditConfig,
    world: &DotWorld,
    seed: u64,
    device: &Device,
) -> Result<Vec<Vec<f32>>, Failure> {
    let sampling = SampleConfig {
        guidance: 1.0,
        clip: Some(1.0),
        ..SampleConfig::default()
    };
    let labels = [0; DRAWN];
    let mut sampler = BlockSampler::new(model, config, &labels, config.ar_len, sampling, device)
        .map_err(Failure::failed)?;
    let mut rng = Rng::new(seed).child("drawn");
    let shape = [DRAWN, config.block_size, config.latent_size];
    let mut blocks = Vec::new();
    for _ in 0..config.ar_len {
        let noise = TensorData::new(rng.normals(shape.iter().product()), shape);
        blocks.extend(sampler.next_block(Tensor::from_data(noise, device)));
    }
    let all = values(Tensor::cat(blocks, 1))?;
    let size = config.tokens() * config.latent_size;
    Ok(all
        .chunks_exact(size)
        .map(|one| world.clip_of(one))
        .collect())
}

fn real(world: &DotWorld, seed: u64) -> Vec<Vec<f32>> {
    let mut rng = Rng::new(seed).child("real");
    (0..DRAWN).map(|_| world.clip(&mut rng)).collect()
}

/// Mean mass and acceleration.
fn facts(clips: &[Vec<f32>]) -> [f64; 2] {
    let all: Vec<[f64; 2]> = clips.iter().map(|clip| physics(clip)).collect();
    [0, 1].map(|at| mean(&all.iter().map(|it| it[at]).collect::<Vec<f64>>()))
}
