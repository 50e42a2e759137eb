//! The part `cost`: the hypernetwork on all layers of SDXL.

use std::time::Instant;

use base::command::Failure;
use base::proof::{Bound, Claim, ProofOptions, Report, Trial};
use base::rng::Rng;
use burn::tensor::{Device, Tensor, TensorData};

use super::PAPER;
use crate::lora_rar::{FactorTensors, HIDDEN, Hypernet, SDXL_WIDTHS};

/// Query and output projections of SDXL by width: 10 and 60 transformer blocks, two attentions each.
const LAYERS: [(usize, usize); 2] = [(SDXL_WIDTHS[0], 40), (SDXL_WIDTHS[1], 240)];
/// The rank of the paper's adapters.
const RANK: usize = 64;
/// Different pairs of each width that are gone through again and again.
const DIFFERENT: usize = 6;
const FACTORS: &str = "from the factors";
const DENSE: &str = "from dense updates";

type Pair = [FactorTensors; 2];

/// Times both ways.
pub(super) fn prove(options: &ProofOptions, report: &mut Report) -> Result<(), Failure> {
    let device = Device::flex();
    let about = format!(
        "Coefficients for the 280 query and output projections of SDXL, adapters of rank {RANK} with random values, a random network."
    );
    let trial = Trial::new("cost", "All layers of SDXL", &about, options)
        .arm(FACTORS, "products with the factors; no update is ever made")
        .arm(
            DENSE,
            "updates multiplied out, then their columns read, as the official code does",
        )
        .lower("seconds", "for all 280 layers, factors in memory")
        .lower(
            "largest difference",
            "to the coefficients from dense updates, over one layer of each width",
        );
    let experiment = trial.run(options, |name, seed| {
        let mut rng = Rng::new(seed).child("cost");
        let network = Hypernet::new(&SDXL_WIDTHS, HIDDEN, &mut rng, &device);
        let (mut seconds, mut apart) = (0.0, 0.0f32);
        for (width, layers) in LAYERS {
            let pairs: Vec<Pair> = (0..DIFFERENT)
                .map(|_| pair(width, &mut rng, &device))
                .collect();
            let dense = dense(&network, &pairs[0])?;
            apart = apart.max(
                (factors(&network, &pairs[0])? - dense)
                    .abs()
                    .max()
                    .into_scalar::<f32>(),
            );
            let begun = Instant::now();
            for at in 0..layers {
                options.context.proceed()?;
                let pair = &pairs[at % DIFFERENT];
                let found = match name {
                    FACTORS => factors(&network, pair)?,
                    _ => self::dense(&network, pair)?,
                };
                drop(found.into_data());
            }
            seconds += begun.elapsed().as_secs_f64();
        }
        Ok(vec![seconds, f64::from(apart)])
    })?;
    if let Some((measure, outcome)) = experiment
        .measures
        .first()
        .and_then(|it| Some((it, it.of(FACTORS)?)))
    {
        report.claims.push(Claim::tested(
            "Merging coefficients for all of SDXL in under a second",
            "our target for two cores",
            Bound::Below(1.0),
            (measure, outcome),
        ));
    }
    let count = Hypernet::new(&SDXL_WIDTHS, HIDDEN, &mut Rng::new(0), &device).parameters();
    report.claims.push(Claim::settled(
        [
            "The hypernetwork has about 0.5 million parameters",
            "492 034",
        ],
        PAPER,
        count == 492_034,
        format!("{count} parameters"),
    ));
    report.experiments.push(experiment);
    Ok(())
}

fn pair(width: usize, rng: &mut Rng, device: &Device) -> Pair {
    let mut drawn = |rows: usize, columns: usize| {
        let values: Vec<f32> = rng
            .normals(rows * columns)
            .iter()
            .map(|value| 0.02 * value)
            .collect();
        Tensor::from_data(TensorData::new(values, [rows, columns]), device)
    };
    [0, 1].map(|_| FactorTensors {
        down: drawn(RANK, width),
        up: drawn(width, RANK),
    })
}

/// `[columns, 2]`.
fn factors(network: &Hypernet, [content, style]: &Pair) -> Result<Tensor<2>, Failure> {
    let found = network.coefficients(content, style).ok_or_else(unknown)?;
    Ok(Tensor::stack(vec![found.content, found.style], 1))
}

fn dense(network: &Hypernet, pair: &Pair) -> Result<Tensor<2>, Failure> {
    let columns = pair
        .iter()
        .map(|it| it.up.clone().matmul(it.down.clone()).transpose());
    network
        .forward(Tensor::cat(columns.collect(), 1))
        .ok_or_else(unknown)
}

fn unknown() -> Failure {
    Failure::failed("the network lacks a width of SDXL")
}
