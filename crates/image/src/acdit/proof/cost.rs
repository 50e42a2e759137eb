//! What blocks save: operations, seconds, memory.

use std::time::Instant;

use base::command::Failure;
use base::proof::{
    Arm, Better, Bound, Claim, Experiment, Measure, Outcome, ProofOptions, Report, Unit,
};
use base::rng::Rng;
use burn::tensor::{Tensor, TensorData};

use super::{devices, dot};
use crate::acdit::generate::values;
use crate::acdit::rope::Positions;
use crate::acdit::{AcditConfig, BlockSampler, SampleConfig, flops};

/// Frames of the clip: 1,024 tokens.
const FRAMES: usize = 256;
/// Frames of a block: 32 tokens.
const BLOCK_FRAMES: usize = 8;
/// Solver steps of both arms.
const STEPS: usize = 10;
const CACHED: &str = "32 blocks of 32 tokens, cached";
const WHOLE: &str = "one block of 1,024 tokens";

/// Runs this part.
pub fn prove(options: &ProofOptions, report: &mut Report) -> Result<(), Failure> {
    memory(options, report)?;
    let arms = [
        (CACHED, dot::config(FRAMES, BLOCK_FRAMES)),
        (WHOLE, dot::config(FRAMES, FRAMES)),
    ];
    let tokens = arms[0].1.tokens();
    let mut seconds = Measure::lower(
        "seconds",
        "of a whole sample, the quicker of two turns with each seed; the arms take turns",
    );
    let mut operations = Measure::lower(
        "GFLOP",
        "products that the sampler does: weights and attention of every step, and the clean passes that fill the cache",
    );
    let mut against = Measure::new(
        "by the formula",
        "operations of the noisy passes by the paper's 2Lθ + 2hL² + 2hLB (cached) and 2Lθ + 4hL² a layer and step",
        Better::Near,
        Unit::Number,
    );
    let mut timed = [Vec::new(), Vec::new()];
    for &seed in &options.seeds {
        let mut best = [f64::INFINITY; 2];
        for _ in 0..2 {
            for (at, (_, config)) in arms.iter().enumerate() {
                options.context.proceed()?;
                best[at] = best[at].min(sample(config, seed)?);
            }
        }
        for (timed, best) in timed.iter_mut().zip(best) {
            timed.push((seed, best));
        }
    }
    for (at, (name, config)) in arms.iter().enumerate() {
        let block = config.block_size;
        let all = flops::cached(config, tokens, block, STEPS);
        let one = flops::cached(config, tokens, block, 1);
        let two = flops::cached(config, tokens, block, 2);
        // A step more is a noisy pass more over every block.
        let noisy = 2 * (two.weights + two.attention - one.weights - one.attention);
        let formula = match at {
            0 => flops::formula_cached(config, tokens, block),
            _ => flops::formula_whole(config, tokens),
        };
        let depth = config.depth as f64;
        seconds.outcomes.push(Outcome::numbers(name, &timed[at]));
        operations
            .outcomes
            .push(Outcome::exact(name, depth * all.flops() as f64 / 1e9));
        against
            .outcomes
            .push(Outcome::exact(name, noisy as f64 / formula as f64));
    }
    for outcome in &against.outcomes {
        report.claims.push(Claim::settled(
            [
                &format!("The paper's count of operations holds ({})", outcome.arm),
                "within 2 %",
            ],
            "paper, section 3.5",
            (outcome.mean - 1.0).abs() <= 0.02,
            format!("counted by formula: {:.4}", outcome.mean),
        ));
    }
    let ratios: Vec<(u64, f64)> = timed[1]
        .iter()
        .zip(&timed[0])
        .map(|(whole, cached)| (whole.0, whole.1 / cached.1))
        .collect();
    let faster = Measure::higher("times as fast", "");
    report.claims.push(Claim::tested(
        "Cached blocks are at least 1.3 times as fast as all tokens at once",
        "paper, section 3.5 (up to 50 % of the operations saved)",
        Bound::AtLeast(1.3),
        (&faster, &Outcome::numbers("cached", &ratios)),
    ));
    report.experiments.push(Experiment {
        title: "Cached blocks and all tokens at once".to_owned(),
        about: format!(
            "A clip of {FRAMES} frames of 4 tokens with a random network of width 64 and 3 layers, {STEPS} steps of each block, no \
             guidance, batch 1."
        ),
        arms: arms.iter().map(|(name, _)| Arm::new(name, "")).collect(),
        measures: vec![seconds, operations, against],
    });
    Ok(())
}

/// Seconds that a sample takes.
fn sample(config: &AcditConfig, seed: u64) -> Result<f64, Failure> {
    let [_, device] = devices();
    let mut rng = Rng::new(seed).child("cost");
    let model = config.init(&mut rng, &device);
    let sampling = SampleConfig {
        steps: STEPS,
        guidance: 1.0,
        clip: Some(1.0),
        ..SampleConfig::default()
    };
    let shape = [1, config.block_size, config.latent_size];
    let noise: Vec<Vec<f32>> = (0..config.ar_len)
        .map(|_| rng.normals(shape.iter().product()))
        .collect();
    let begun = Instant::now();
    let mut sampler = BlockSampler::new(&model, config, &[0], config.ar_len, sampling, &device)
        .map_err(Failure::failed)?;
    let mut last = None;
    for noise in noise {
        let noise = Tensor::from_data(TensorData::new(noise, shape), &device);
        last = sampler.next_block(noise);
    }
    if let Some(last) = last {
        values(last)?;
    }
    Ok(begun.elapsed().as_secs_f64())
}

/// Peak memory of a training step under the skip-causal mask.
fn memory(options: &ProofOptions, report: &mut Report) -> Result<(), Failure> {
    let statement = "Memory of training under the skip-causal mask grows with the tokens, not with their square";
    let threshold = "four times the tokens (4,096 to 16,384) take at most 6 times the memory, where a dense mask or score matrix takes 16";
    let mut peaks = Measure::lower(
        "MB above the start",
        "peak of a forward and backward pass over clean and noisy tokens, blocks of 256",
    );
    let mut dense = Measure::lower(
        "MB of dense scores",
        "what the scores of one head over clean and noisy tokens alone would take, 4 bytes each",
    );
    let mut arms = Vec::new();
    let mut found = Vec::new();
    let start = base::memory::status("VmRSS:");
    for frames in [256, 1024, 4096] {
        options.context.proceed()?;
        let config = AcditConfig {
            depth: 1,
            ..dot::config(frames, 64)
        };
        let tokens = config.tokens();
        let name = format!("{tokens} tokens");
        let Some(bytes) = peak(&config, start)? else {
            report.claims.push(Claim::not_run(
                [statement, threshold],
                "ours",
                "the system does not say how much memory was used at most",
            ));
            return Ok(());
        };
        peaks
            .outcomes
            .push(Outcome::exact(&name, bytes as f64 / 1e6));
        let scores = 4.0 * (2 * tokens) as f64 * (2 * tokens) as f64;
        dense.outcomes.push(Outcome::exact(&name, scores / 1e6));
        arms.push(Arm::new(&name, ""));
        found.push(bytes as f64);
    }
    let growth = found[2] / found[1].max(1.0);
    report.claims.push(Claim::settled(
        [statement, threshold],
        "ours",
        growth <= 6.0,
        format!("{growth:.2} times"),
    ));
    report.experiments.push(Experiment {
        title: "Memory of attention under the mask".to_owned(),
        about: format!(
            "One layer of width 64, batch 1, in this process; the system's own count of its peak. Seeds: {:?} do not matter here.",
            options.seeds
        ),
        arms,
        measures: vec![peaks, dense],
    });
    Ok(())
}

/// Bytes that a training step takes at most beyond `start`; none where the system does not say.
fn peak(config: &AcditConfig, start: Option<u64>) -> Result<Option<u64>, Failure> {
    let [device, _] = devices();
    let mut rng = Rng::new(0);
    let model = config.init(&mut rng, &device);
    let positions = Positions::new(config, config.ar_len, &device).map_err(Failure::failed)?;
    let shape = [1, config.ar_len, config.block_size, config.latent_size];
    let [clean, noisy] = [0, 1].map(|_| {
        let draws = rng.normals(shape.iter().product());
        Tensor::<4>::from_data(TensorData::new(draws, shape), &device)
    });
    let t = vec![500.0; config.ar_len];
    // The system's count of the peak starts again.
    let (Some(start), Ok(())) = (start, std::fs::write("/proc/self/clear_refs", "5")) else {
        return Ok(None);
    };
    let out = model.forward_train(clean, noisy, &t, &[0], &positions);
    let loss = out.square().mean();
    let gradients = loss.backward();
    let after = base::memory::peak();
    drop(gradients);
    values(loss)?;
    Ok(after.map(|after| after.saturating_sub(start)))
}
