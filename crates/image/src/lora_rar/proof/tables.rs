//! The part `world`: all arms on pairs that were held out.

use std::path::PathBuf;

use base::command::Failure;
use base::media::Image;
use base::media::sheet::{Layout, sheet};
use base::proof::{
    Bound, Claim, Experiment, Figure, Measure, Outcome, ProofOptions, Report, Trial,
};
use base::rng::Rng;

use super::PAPER;
use super::arms::{Arm, Merged};
use super::denoiser::{LAYERS, Noise, sample};
use super::pair_test::test;
use super::sprites::{SIDE, Sprite};
use super::world::Toy;
use super::worlds::World;
use crate::lora_rar::Rule;
use crate::lora_rar::distill::Update;

const ABOUT: &str = "Sprites of 12 × 12; the denoiser is a residual perceptron of width 64 with 6 adapted layers, trained on random plain shapes. 15 subject and 9 \
style adapters of rank 4; the hypernetwork sees 12 × 7 pairs, and every arm is tested on the 3 × 2 others, on the same inputs. Distances are mean \
squares between what the merged and the single adapter predict. Nothing was chosen on the held-out pairs; the constant weights are the best of a grid \
on training pairs.";

pub(super) const NONE: &str = "no adapter";
pub(super) const DIRECT: &str = "direct, 1 + 1";
pub(super) const HALF: &str = "direct, 0.5 + 0.5";
const TUNED: &str = "best constant weights";
const LINEAR: &str = "linear (PEFT)";
const TIES: &str = "TIES";
const DARE: &str = "DARE";
const DARE_TIES: &str = "DARE-TIES";
pub(super) const ZIP: &str = "ZipLoRA";
pub(super) const RAR: &str = "LoRA.rar";
const ZIP_PAPER: &str = "ZipLoRA, λ 0.01";
const RAR_PAPER: &str = "LoRA.rar, λ 0.01";

/// Weight of the similarity that keeps it below a tenth of the other terms here, and the paper's.
const LAMBDAS: [f64; 2] = [1e-4, 0.01];
/// The arms of every world, with what they are.
pub(super) const ARMS: [(&str, &str); 10] = [
    (NONE, "the base alone"),
    (DIRECT, "the sum of both updates"),
    (HALF, "half of each"),
    (TUNED, "the same two weights for every pair and layer"),
    (
        LINEAR,
        "halves of the factors, whose product has cross terms",
    ),
    (TIES, "on the factors, density 0.5"),
    (DARE, "on the factors, density 0.5, summed"),
    (DARE_TIES, "on the factors, density 0.5, signs elected"),
    (ZIP, "coefficients optimised for each pair"),
    (RAR, "coefficients from the hypernetwork"),
];

/// Runs all arms and adds tables, claims and pictures.
pub(super) fn prove(options: &ProofOptions, report: &mut Report) -> Result<(), Failure> {
    let mut rooms = Rooms::<Toy>::new(options, &LAMBDAS);
    let mut trial = Trial::new("world", "Pairs that were held out", ABOUT, options);
    for (name, about) in ARMS {
        trial = trial.arm(name, about);
    }
    trial = trial
        .arm(ZIP_PAPER, "the paper's λ")
        .arm(RAR_PAPER, "the paper's λ");
    let experiment = rooms.run(measures(trial))?;
    report.claims.extend(claims(&experiment, ""));
    report.notes.push(format!(
        "λ multiplies a sum over layers. The paper's 0.01 is for SDXL's 560 layers and its losses; here {LAYERS} layers at 0.01 would weigh more than the distances, so that the arms that are compared use 0.0001, which keeps the term below a tenth of the distances of the plain sum; the rows with 0.01 show the difference."
    ));
    report.notes.push(
        "The toy's denoiser is too weak to draw: in the picture only the three columns of how things should look are pictures, the drawn ones are noise. The distances are all that this part compares."
            .to_owned(),
    );
    report.experiments.push(experiment);
    let figure = pictures(&mut rooms, options.seeds[0])?;
    report.figures.push(figure);
    rooms.clear();
    Ok(())
}

/// What is measured in every world.
pub(super) fn measures(trial: Trial) -> Trial {
    trial
        .lower("100 × subject", "distance to the subject's adapter on the subject")
        .lower("100 × style", "distance to the style's adapter on the style")
        .lower("100 × sum", "of the two: what the method minimises")
        .lower(
            "100 × joint",
            "squared error on pictures of the subject in the style, on which no adapter was trained",
        )
        .lower("merge, ms", "time to merge one pair")
}

/// The world of the present seed, and the networks that are trained for an arm.
pub(super) struct Rooms<'a, W> {
    options: &'a ProofOptions,
    lambdas: &'a [f64],
    world: Option<(u64, W)>,
}

impl<'a, W: World> Rooms<'a, W> {
    /// For hypernetworks and ZipLoRA with these weights of the similarity term.
    pub(super) fn new(options: &'a ProofOptions, lambdas: &'a [f64]) -> Self {
        Self {
            options,
            lambdas,
            world: None,
        }
    }

    /// Tests every arm of `trial` with every seed.
    pub(super) fn run(&mut self, trial: Trial) -> Result<Experiment, Failure> {
        trial.run(self.options, |name, seed| {
            let (world, arm) = self.arm(name, seed)?;
            let found = test(world, &arm, seed)?;
            let [content, style] = found.distances.map(|distance| 100.0 * distance);
            Ok(vec![
                content,
                style,
                content + style,
                100.0 * found.joint,
                1000.0 * found.seconds,
            ])
        })
    }

    /// The world of `seed` and an arm in it.
    pub(super) fn arm(&mut self, name: &str, seed: u64) -> Result<(&W, Arm), Failure> {
        if self.world.as_ref().is_none_or(|(of, _)| *of != seed) {
            self.world = Some((seed, W::new(seed, self.options.context)?));
        }
        let Some((_, world)) = &self.world else {
            return Err(Failure::failed("there is no world"));
        };
        let lambda = |at: usize| self.lambdas.get(at).copied().unwrap_or_default();
        let rar = |at: usize| {
            let folder = self.folder(seed, at);
            Arm::rar(world, lambda(at), seed, &folder, self.options.context)
        };
        let arm = match name {
            DIRECT => Arm::Constant([1.0, 1.0]),
            HALF => Arm::Constant([0.5, 0.5]),
            TUNED => Arm::tuned(world, seed)?,
            LINEAR => Arm::Rule(Rule::Linear),
            TIES => Arm::Rule(Rule::Ties),
            DARE => Arm::Rule(Rule::DareLinear),
            DARE_TIES => Arm::Rule(Rule::DareTies),
            ZIP => Arm::ZipLora(lambda(0)),
            ZIP_PAPER => Arm::ZipLora(lambda(1)),
            RAR => rar(0)?,
            RAR_PAPER => rar(1)?,
            _ => Arm::None,
        };
        Ok((world, arm))
    }

    /// The run of one hypernetwork.
    fn folder(&self, seed: u64, at: usize) -> PathBuf {
        let runs = self.options.out.join("runs");
        runs.join(format!("{}-{seed}-{at}", W::NAME))
    }

    /// Checkpoints of the networks are not kept: the journal has what they gave.
    pub(super) fn clear(&self) {
        for seed in &self.options.seeds {
            for at in 0..self.lambdas.len() {
                let _ = std::fs::remove_dir_all(self.folder(*seed, at));
            }
        }
    }
}

/// What the method promises of a table; `place` ends each statement.
pub(super) fn claims(experiment: &Experiment, place: &str) -> Vec<Claim> {
    let ratio = |name: &str, above: &str, below: &str| {
        let measure = experiment.measure(name)?;
        let [above_of, below_of] = [measure.of(above)?, measure.of(below)?];
        let pairs = above_of.values.iter().zip(&below_of.values);
        let values: Vec<(u64, f64)> = pairs.map(|(a, b)| (a.seed, a.value / b.value)).collect();
        Some(Outcome::numbers(&format!("{above} / {below}"), &values))
    };
    let distances = Measure::lower("ratio of distances", "");
    let times = Measure::higher("ratio of times", "");
    let table = [
        (
            "Closer to both adapters than their plain sum",
            "100 × sum",
            RAR,
            DIRECT,
            Bound::AtMost(0.65),
        ),
        (
            "No farther than half of each",
            "100 × sum",
            RAR,
            HALF,
            Bound::AtMost(1.0),
        ),
        (
            "No farther than the best constant weights, the honest baseline",
            "100 × sum",
            RAR,
            TUNED,
            Bound::AtMost(1.0),
        ),
        (
            "As good as coefficients optimised for the pair, within a tenth",
            "100 × sum",
            RAR,
            ZIP,
            Bound::AtMost(1.1),
        ),
        (
            "Merges a new pair far faster than ZipLoRA (over 4000 times on SDXL)",
            "merge, ms",
            ZIP,
            RAR,
            Bound::AtLeast(200.0),
        ),
    ];
    let claim = |(statement, name, above, below, bound): (&str, &str, &str, &str, Bound)| {
        let measure = if name == "merge, ms" {
            &times
        } else {
            &distances
        };
        let source = if name == "merge, ms" {
            PAPER
        } else {
            "the method's objective; thresholds of a prototype"
        };
        Some(Claim::tested(
            &format!("{statement}{place}"),
            source,
            bound,
            (measure, &ratio(name, above, below)?),
        ))
    };
    table.into_iter().filter_map(claim).collect()
}

/// What each way of merging draws for the held-out pairs of one seed.
fn pictures(rooms: &mut Rooms<Toy>, seed: u64) -> Result<Figure, Failure> {
    const COLUMNS: [&str; 4] = [DIRECT, TUNED, ZIP, RAR];
    const STEPS: usize = 40;
    let mut arms = Vec::new();
    for name in COLUMNS {
        arms.push(rooms.arm(name, seed)?.1);
    }
    let (world, _) = rooms.arm(NONE, seed)?;
    let mut cells = Vec::new();
    let [_, held_out] = world.pairs();
    for (at, pair) in held_out.into_iter().enumerate() {
        let mut rng = Rng::new(seed).child("pictures").item(at as u64);
        cells.extend(world.truth(pair, &mut rng));
        let start = Noise::draw(1, &mut rng);
        let mut draw = |updates: &[Update]| -> Result<(), Failure> {
            let drawn = sample(&world.base, updates, &start, STEPS, world.device());
            cells.extend(drawn);
            Ok(())
        };
        let alone = |content: bool| -> Vec<Update> {
            pair.layers
                .iter()
                .map(|it| Update::Single(if content { &it.content } else { &it.style }))
                .collect()
        };
        draw(&alone(true))?;
        draw(&alone(false))?;
        for arm in &arms {
            let merged: Merged = arm.merge(world, pair, seed)?;
            draw(&merged.updates(pair))?;
        }
    }
    let pictures = cells.iter().map(enlarged).collect::<Result<Vec<_>, _>>()?;
    let layout = Layout {
        columns: Some(9),
        ..Layout::default()
    };
    let caption = "Held-out pairs of the first seed, one a row. As they should look: the subject, something in the style, the subject in the style. Drawn from one and the same noise: the subject's adapter alone, the style's alone, the plain sum, the best constant weights, ZipLoRA, LoRA.rar.";
    let picture = sheet(&pictures, &[], &layout)?;
    Ok(Figure::still("pairs.png", caption, &picture)?)
}

fn enlarged(sprite: &Sprite) -> Result<Image, Failure> {
    Ok(Image::from_unit(&sprite.repeat(3), SIDE as u32, SIDE as u32)?.upscale_nearest(6))
}
