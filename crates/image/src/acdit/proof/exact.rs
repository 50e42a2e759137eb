//! The cached sampler computes what one pass under the skip-causal mask computes.

use base::command::Failure;
use base::proof::{Claim, ProofOptions, Report, Trial};
use base::rng::Rng;
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Tensor, TensorData};

use super::devices;
use super::dot;
use crate::acdit::generate::values;
use crate::acdit::rope::Positions;
use crate::acdit::{AcditConfig, Cache, RopeMode};

/// Gives every parameter random values: fresh gates are silent and would hide mistakes.
struct Shake(Rng);

impl ModuleMapper for Shake {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|value| {
            let shape: [usize; D] = value.dims();
            let draws = self.0.normals(shape.iter().product());
            let draws: Vec<f32> = draws.into_iter().map(|draw| 0.15 * draw).collect();
            value.clone() + Tensor::from_data(TensorData::new(draws, shape), &value.device())
        })
    }
}

/// Runs this part.
pub fn prove(options: &ProofOptions, report: &mut Report) -> Result<(), Failure> {
    let tiles = AcditConfig {
        ar_len: 4,
        block_size: 16,
        spatial_len: 64,
        temporal_len: 1,
        square_block: true,
        ..dot::config(8, 2)
    };
    let paper = AcditConfig {
        rope: RopeMode::Paper,
        ..tiles.clone()
    };
    let arms = [
        ("picture in tiles", tiles),
        ("picture, the paper's positions", paper),
        ("clip", dot::config(16, 4)),
    ];
    let mut trial = Trial::new(
        "exactness",
        "Cache and mask",
        "Random networks (all weights shaken, so that no gate is silent), random clean and noisy blocks: the noise predicted block by \
         block with the cache beside that of one pass over all clean and noisy blocks.",
        options,
    );
    for (name, _) in &arms {
        trial = trial.arm(name, "");
    }
    let trial = trial.lower(
        "largest difference",
        "by the largest predicted value, in millionths",
    );
    let experiment = trial.run(options, |arm, seed| {
        let found = arms.iter().find(|(name, _)| *name == arm);
        let config = found.map_or(&arms[0].1, |(_, config)| config);
        Ok(vec![1e6 * difference(config, seed)?])
    })?;
    let measure = &experiment.measures[0];
    for outcome in &measure.outcomes {
        report.claims.push(Claim::settled(
            [
                &format!("Cached inference equals the masked pass ({})", outcome.arm),
                "difference at most 10 millionths with every seed",
            ],
            "paper, section 3.4",
            outcome.values.iter().all(|it| it.value <= 10.0),
            format!("{}: {}", outcome.arm, measure.cell(outcome)),
        ));
    }
    report.experiments.push(experiment);
    Ok(())
}

fn difference(config: &AcditConfig, seed: u64) -> Result<f64, Failure> {
    let [_, device] = devices();
    let mut rng = Rng::new(seed).child("exact");
    let model = config
        .init(&mut rng, &device)
        .map(&mut Shake(rng.child("shake")));
    let batch = 2;
    let shape = [batch, config.ar_len, config.block_size, config.latent_size];
    let [clean, noisy] = [0, 1].map(|_| {
        let draws = rng.normals(shape.iter().product());
        Tensor::<4>::from_data(TensorData::new(draws, shape), &device)
    });
    let t: Vec<f32> = (0..batch * config.ar_len)
        .map(|_| rng.below(1000) as f32)
        .collect();
    let labels = [0, 1];
    let positions = Positions::new(config, config.ar_len, &device).map_err(Failure::failed)?;
    let whole = model.forward_train(clean.clone(), noisy.clone(), &t, &labels, &positions);
    let whole = values(whole)?;
    let mut cache = Cache::default();
    let mut blocks = Vec::new();
    for at in 0..config.ar_len {
        let block = |all: &Tensor<4>, at: usize| all.clone().narrow(1, at, 1).squeeze_dim::<3>(1);
        let here = |at: usize| positions.narrow(at * config.block_size, config.block_size);
        if at > 0 {
            model.append(block(&clean, at - 1), &here(at - 1), &mut cache);
        }
        let t: Vec<f32> = (0..batch).map(|row| t[row * config.ar_len + at]).collect();
        let one = model.denoise(block(&noisy, at), &t, &labels, &here(at), &cache);
        blocks.push(one.unsqueeze_dim::<4>(1));
    }
    let cached = values(Tensor::cat(blocks, 1))?;
    let scale = whole
        .iter()
        .fold(0.0f32, |most, value| most.max(value.abs()));
    let off = whole
        .iter()
        .zip(&cached)
        .fold(0.0f32, |most, (a, b)| most.max((a - b).abs()));
    Ok(f64::from(off / scale))
}
