//! Sizes of the published networks, and the speed of one of them.

use std::time::Instant;

use base::command::{Context, Failure};
use base::proof::{Arm, Better, Claim, Experiment, Measure, Outcome, ProofOptions, Report, Unit};
use base::rng::Rng;
use burn::tensor::{Device, Tensor, TensorData};

use crate::emov2::{EmoConfig, macs, operator, params};

const SIDE: usize = 224;
/// Passes that are timed, interleaved.
const PASSES: usize = 8;

/// Name, parameters and multiply-adds that the official code prints.
const PUBLISHED: [(&str, u64, Option<u64>); 5] = [
    ("emo2-1m", 1_460_844, Some(284_756_712)),
    ("emo2-2m", 2_384_312, Some(487_454_824)),
    ("emo2-5m", 5_126_440, Some(1_035_473_760)),
    ("emo2-20m", 20_195_208, None),
    ("emo2-50m", 49_815_560, None),
];

pub(super) fn prove(options: &ProofOptions, report: &mut Report) -> Result<(), Failure> {
    let mut parameters = Measure::new(
        "parameters",
        "with 1000 classes",
        Better::Lower,
        Unit::Count,
    );
    let mut work = Measure::lower(
        "multiply-adds (M)",
        "of a picture of 224², as the paper counts",
    );
    let mut arms = Vec::new();
    let mut equal = true;
    for (name, count, total) in PUBLISHED {
        let config = preset(name)?;
        let (found, done) = (params(&config), macs(&config, [SIDE; 2]).total());
        equal &= found == count && total.is_none_or(|total| total == done);
        arms.push(Arm::new(name, ""));
        parameters.outcomes.push(Outcome::exact(name, found as f64));
        work.outcomes.push(Outcome::exact(name, done as f64 / 1e6));
    }
    report.claims.push(Claim::settled(
        [
            "Parameters and multiply-adds are those of the official code",
            "equal, to the last one",
        ],
        "official code and logs",
        equal,
        "see the table; multiply-adds are published for 1M, 2M and 5M".into(),
    ));
    report.experiments.push(Experiment {
        title: "Published sizes".into(),
        about: "Counted from the configs; a parity test compares every name and shape.".into(),
        arms,
        measures: vec![parameters, work],
    });
    report.experiments.push(speed(options.context)?);
    Ok(())
}

fn preset(name: &str) -> Result<EmoConfig, Failure> {
    EmoConfig::preset(name).ok_or_else(|| Failure::failed(format!("there is no network `{name}`")))
}

/// The network with convolutions in the place of attention, and wider late stages: as many multiply-adds as `like`.
fn plain(like: &EmoConfig) -> EmoConfig {
    let wanted = macs(like, [SIDE; 2]).total();
    let mut config = like.clone();
    config.hybrid_eopss = std::array::from_fn(|_| vec![operator::CONV]);
    let wider = |by: usize| {
        let mut config = config.clone();
        config.embed_dims[2] += 2 * by;
        config.embed_dims[3] += 2 * by;
        config
    };
    (0..100)
        .map(wider)
        .min_by_key(|config| macs(config, [SIDE; 2]).total().abs_diff(wanted))
        .unwrap_or(config)
}

fn speed(context: Context) -> Result<Experiment, Failure> {
    let device = Device::default();
    let emo = preset("emo2-5m")?;
    let names = ["emo2-5m", "convolutions"];
    let configs = [emo.clone(), plain(&emo)];
    let mut rng = Rng::new(0);
    let models: Vec<_> = configs
        .iter()
        .map(|config| config.init(&mut rng, &device))
        .collect();
    let values = TensorData::new(rng.normals(3 * SIDE * SIDE), [1, 3, SIDE, SIDE]);
    let x = Tensor::<4>::from_data(values, &device);
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..=PASSES {
        context.proceed()?;
        for (model, times) in models.iter().zip(&mut times) {
            let begun = Instant::now();
            let _ = model.forward(x.clone(), None).into_data();
            times.push(begun.elapsed().as_secs_f64());
        }
    }
    let mut measure = Measure::higher(
        "pictures a second",
        "batch 1, f32, the fastest of eight interleaved passes, on this machine",
    );
    let mut work = Measure::lower("multiply-adds (M)", "");
    for ((name, times), config) in names.iter().zip(&times).zip(&configs) {
        let best = times.iter().copied().fold(f64::INFINITY, f64::min);
        measure.outcomes.push(Outcome::exact(name, 1.0 / best));
        let total = macs(config, [SIDE; 2]).total() as f64 / 1e6;
        work.outcomes.push(Outcome::exact(name, total));
    }
    Ok(Experiment {
        title: "Speed beside convolutions".into(),
        about: "The 5M network and one whose late stages have convolutions in the place of attention and are wider, with as many multiply-adds.".into(),
        arms: names.iter().map(|name| Arm::new(name, "")).collect(),
        measures: vec![work, measure],
    })
}
