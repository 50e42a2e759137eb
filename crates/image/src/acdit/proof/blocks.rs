//! Pictures in one, four and sixteen blocks.

use std::path::PathBuf;

use base::command::Failure;
use base::media::Image;
use base::media::sheet::{Layout, sheet};
use base::numerics::frechet;
use base::proof::{Bound, Claim, Figure, ProofOptions, Report, Trial};
use base::rng::Rng;
use burn::tensor::{Tensor, TensorData};

use super::judge::{Judge, teach};
use super::{devices, rates, trained};
use crate::acdit::data::Pictures;
use crate::acdit::generate::values;
use crate::acdit::idx::Half;
use crate::acdit::pipeline::{About, AcditPipeline};
use crate::acdit::space::{Space, Values};
use crate::acdit::train::{AcditTask, Context as Seen, Samples};
use crate::acdit::{Acdit, AcditConfig, BlockSampler, SampleConfig};

/// Where Debian's `dataset-fashion-mnist` puts the set; `ORRERY_FASHION_MNIST` names another place.
const FOLDER: &str = "/usr/share/datasets/fashion-mnist";
/// Samples of a step.
const BATCH: usize = 32;
/// Pictures that are drawn, and real ones that they are measured against.
const DRAWN: usize = 500;
const REAL: usize = 2000;
/// Solver steps of a block.
const STEPS: usize = 15;

const SPACE: Space = Space {
    values: Values::Pixels,
    channels: 1,
    patch: 4,
};

/// Pictures of 32×32 in `blocks` blocks: 64 tokens of 4×4 pixels.
fn config(blocks: usize) -> AcditConfig {
    AcditConfig {
        latent_size: 16,
        block_size: 64 / blocks,
        ar_len: blocks,
        temporal_len: 1,
        spatial_len: 64,
        square_block: true,
        num_classes: 10,
        ..super::dot::config(8, 2)
    }
}

/// Runs this part.
pub fn prove(options: &ProofOptions, report: &mut Report) -> Result<(), Failure> {
    let statement = "Pictures suffer from more blocks at a fixed number of tokens";
    let source = "paper, figure on the number of blocks";
    let folder = std::env::var_os("ORRERY_FASHION_MNIST").map_or(FOLDER.into(), PathBuf::from);
    let one = config(1);
    let half = |half| Pictures::read(&folder, half, &SPACE, &one);
    let (Ok(train), Ok(test)) = (half(Half::Train), half(Half::Test)) else {
        report.claims.push(Claim::not_run(
            [statement, "Fréchet distance of 16 blocks above that of 1"],
            source,
            "Fashion-MNIST is not here: install Debian's `dataset-fashion-mnist`, or name its folder in ORRERY_FASHION_MNIST",
        ));
        return Ok(());
    };
    let [learning, plain] = devices();
    let runs = options.out.join("runs");
    let judge = teach(&train, &runs.join("judge"), options.context, &learning)?;
    // Tokens of a picture in one block go row by row: the judge's order.
    let count = REAL.min(test.len());
    let mut real = Vec::new();
    (0..count).for_each(|index| test.values(index, false, &mut real));
    let labels: Vec<usize> = (0..count).map(|index| test.label(index)).collect();
    let right = judge.right(&real, &labels, &plain)?;
    let rows = judge.rows(&real, &plain)?;
    let steps = if options.full { 4000 } else { 300 };
    let about = format!(
        "Fashion-MNIST padded to 32×32, 64 tokens of 4×4 pixels, width 64, 3 layers, {steps} steps of {BATCH} pictures; {DRAWN} pictures \
         drawn with {STEPS} steps a block and no guidance. The Fréchet distance to {count} test pictures is taken in the features of a small \
         classifier (right on {:.1} % of them), which no arm sees.",
        100.0 * right
    );
    let arms = [(1, "1 block"), (4, "4 blocks"), (16, "16 blocks")];
    let mut trial = Trial::new("blocks", "Pictures by number of blocks", &about, options);
    for (_, name) in arms {
        trial = trial.arm(name, "");
    }
    let trial = trial
        .lower("Fréchet distance", "to real test pictures")
        .share(
            "class right",
            "share of drawn pictures that the classifier takes for the class asked for",
        );
    let mut shown = Vec::new();
    let experiment = trial.run(options, |arm, seed| {
        let blocks = arms
            .iter()
            .find(|(_, name)| *name == arm)
            .map_or(1, |it| it.0);
        let config = config(blocks);
        let data = train.laid_out(&SPACE, &config);
        let task = AcditTask::new(&config, &data, BATCH, Seen::Clean, &learning)
            .map_err(Failure::failed)?;
        let model = config.init(&mut Rng::new(seed).child("init"), &learning);
        let folder = runs.join(format!("blocks-{blocks}-{seed}"));
        let model = trained(&task, model, &rates(steps, seed), &folder, options.context)?.ema;
        let drawn = draw(model, &config, seed)?;
        if options.seeds.first() == Some(&seed) {
            shown.extend(pictures(&drawn)?);
        }
        let labels: Vec<usize> = (0..DRAWN).map(|at| at % 10).collect();
        let distance = frechet(&judge.rows(&drawn, &plain)?, &rows).map_err(Failure::failed)?;
        Ok(vec![distance, right_of(&judge, &drawn, &labels)?])
    })?;
    let measure = &experiment.measures[0];
    if let (Some(one), Some(many)) = (measure.of("1 block"), measure.of("16 blocks")) {
        report.claims.push(Claim::tested(
            statement,
            source,
            Bound::Above(0.0),
            (measure, &many.minus(one)),
        ));
    }
    if shown.len() == 10 * arms.len() {
        let layout = Layout {
            columns: Some(10),
            gap: 2,
            scale: 2,
        };
        report.figures.push(Figure::still(
            "blocks.png",
            "Drawn pictures of the ten classes: in 1, 4 and 16 blocks, a row each.",
            &sheet(&shown, &[], &layout)?,
        )?);
    }
    report.experiments.push(experiment);
    Ok(())
}

fn right_of(judge: &Judge, drawn: &[f32], labels: &[usize]) -> Result<f64, Failure> {
    let [_, plain] = devices();
    judge.right(drawn, labels, &plain)
}

/// Drawn pictures as tokens row by row.
fn draw(model: Acdit, config: &AcditConfig, seed: u64) -> Result<Vec<f32>, Failure> {
    let [_, device] = devices();
    let sampling = SampleConfig {
        steps: STEPS,
        guidance: 1.0,
        clip: Some(1.0),
        ..SampleConfig::default()
    };
    let labels: Vec<usize> = (0..DRAWN).map(|at| at % 10).collect();
    let mut sampler = BlockSampler::new(&model, config, &labels, config.ar_len, sampling, &device)
        .map_err(Failure::failed)?;
    let mut rng = Rng::new(seed).child("drawn");
    let shape = [DRAWN, config.block_size, config.latent_size];
    let mut blocks = Vec::new();
    for _ in 0..config.ar_len {
        let noise = TensorData::new(rng.normals(shape.iter().product()), shape);
        blocks.extend(sampler.next_block(Tensor::from_data(noise, &device)));
    }
    let all = values(Tensor::cat(blocks, 1))?;
    let to = SPACE.places(&self::config(1), 64);
    let from = SPACE.places(config, 64);
    let mut rows = Vec::with_capacity(all.len());
    for one in all.chunks_exact(from.len()) {
        let mut plane = vec![0.0; from.len()];
        for (&place, &value) in from.iter().zip(one) {
            plane[place] = value;
        }
        rows.extend(to.iter().map(|&place| plane[place]));
    }
    Ok(rows)
}

/// The first ten drawn pictures.
fn pictures(drawn: &[f32]) -> Result<Vec<Image>, Failure> {
    let [_, device] = devices();
    let config = config(1);
    let pipeline = AcditPipeline {
        model: config.init(&mut Rng::new(0), &device),
        about: About {
            space: SPACE,
            classes: Vec::new(),
        },
        config,
        head: None,
        device: device.clone(),
    };
    let first = drawn.get(..10 * 1024).unwrap_or_default().to_vec();
    let tokens = Tensor::<3>::from_data(TensorData::new(first, [10, 64, 16]), &device);
    Ok(pipeline
        .pictures(tokens, None)?
        .into_iter()
        .flatten()
        .collect())
}
