//! The world on the embedded model: figures that it does not know, and renderings of emoji that it draws.

use base::command::{Context, Failure};
use base::media::Image;
use base::rng::Rng;
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use engine::SystemError;
use engine::models::stable_diffusion::{OpenOptions, Request, StableDiffusion};
use engine::models::unet2d::UnetLora;
use engine::train::Task;
use engine::train::optim::step;

use super::renderings::{Figure, SIDE, STYLES, rendered};
use super::worlds::{Pair, Sizes, World};
use crate::base_model::BaseModel;
use crate::lora_rar::FactorTensors;
use crate::lora_rar::unet::{inputs, pair};
use crate::lora_rar::ziplora::OFFICIAL;
use crate::tuning::{FrozenBase, Instances, LoraTask, Noisy, config};

/// Subjects, and how many of them are trained on.
pub(super) const SUBJECTS: [usize; 2] = [6, 4];
/// Pictures of a subject, as the paper's data have them.
pub(super) const PICTURES: usize = 5;
/// What the base draws for the styles.
pub(super) const DRAWN: [&str; 6] = [
    "red apple",
    "cat face",
    "automobile",
    "octopus",
    "rocket",
    "mushroom",
];
/// Training of each adapter: rank, steps, pictures a step, learning rate.
pub(super) const ADAPTER: (usize, u64, usize, f64) = (4, 80, 2, 4e-3);

/// The embedded model with adapters of one seed.
pub(super) struct Embedded {
    pub(super) model: StableDiffusion,
    pub(super) base: FrozenBase,
    pub(super) figures: Vec<Figure>,
    subjects: Vec<Instances>,
    styles: Vec<Instances>,
    /// Each subject that is not trained on, in the style that is not.
    joint: Vec<Instances>,
    pairs: Vec<Pair>,
    /// The style that is not trained on.
    unseen: usize,
}

/// What is asked for when a subject is drawn in a style.
pub(super) fn joint_prompt(style: usize) -> String {
    format!("sks figure in {} style", STYLES[style])
}

impl Embedded {
    /// Factors of an adapter trained on `instances`.
    fn adapter(
        base: &FrozenBase,
        instances: &Instances,
        rng: &Rng,
        context: Context,
    ) -> Result<Vec<FactorTensors>, Failure> {
        let (rank, steps, batch, rate) = ADAPTER;
        let task = LoraTask {
            base,
            instances,
            batch,
        };
        let mut lora = UnetLora::new(
            base.unet(),
            rank,
            rank as f64,
            &mut rng.child("weights"),
            &base.device,
        );
        let settings = config(steps, rate, 0);
        let mut optimizer = settings.optimizer.init();
        for at in 0..steps {
            context.proceed_or_resume()?;
            let drawn = task
                .batch(at, &mut rng.child("step").item(at))
                .map_err(Failure::failed)?;
            let (loss, _) = task.loss(&lora, drawn);
            (lora, _) = step(
                lora,
                loss.backward(),
                optimizer.as_mut(),
                settings.rate(at),
                settings.clip,
            );
        }
        // A tensor that is detached alone would still ask for a gradient.
        let changes = lora.no_grad().changes.into_iter();
        let factors = changes.map(|change| FactorTensors {
            down: change.a.val(),
            up: change.b.val() * change.scale as f32,
        });
        Ok(factors.collect())
    }
}

impl World for Embedded {
    type Network = FrozenBase;
    type Input = Noisy;
    const NAME: &'static str = "embedded-hypernet";
    const SIZES: Sizes = Sizes {
        rows: 1,
        tested: 12,
        hypernet: (200, 0.01),
        ziplora: OFFICIAL,
        grid: (4, 4, 2),
    };

    fn new(seed: u64, context: Context) -> Result<Self, Failure> {
        let place =
            BaseModel::embedded().ok_or_else(|| Failure::failed("there is no embedded model"))?;
        let model = place.open(&OpenOptions::default(), &engine::device("cpu")?)?;
        let side = SIDE as usize;
        let base = FrozenBase::new(&model, side)?;
        let rng = Rng::new(seed).child("pairs");
        let mut draws = rng.child("figures");
        let figures: Vec<Figure> = (0..SUBJECTS[0]).map(|_| Figure::new(&mut draws)).collect();
        let shots: Vec<Vec<Image>> = figures
            .iter()
            .map(|figure| (0..PICTURES).map(|_| figure.draw(&mut draws)).collect())
            .collect();
        let emoji = DRAWN.iter().map(|name| {
            let request = Request {
                prompt: format!("{name} twemoji"),
                seeds: vec![seed],
                ..model.request()
            };
            Ok(model
                .draw(&request, &mut (), &mut |_, _| !context.stopped())?
                .remove(0))
        });
        let emoji = emoji.collect::<Result<Vec<Image>, SystemError>>()?;
        let in_style = |style: usize, pictures: &[Image]| -> Vec<Image> {
            pictures
                .iter()
                .map(|picture| rendered(style, picture))
                .collect()
        };
        let subjects = shots
            .iter()
            .map(|shots| Instances::of(&model, side, shots, "sks figure"));
        let subjects = subjects.collect::<Result<Vec<_>, _>>()?;
        let styles = (0..STYLES.len()).map(|style| {
            let named = in_style(style, &emoji).into_iter().zip(DRAWN);
            let named: Vec<(Image, String)> = named
                .map(|(picture, name)| (picture, format!("{name} in {} style", STYLES[style])))
                .collect();
            Instances::named(&model, side, &named)
        });
        let styles = styles.collect::<Result<Vec<_>, _>>()?;
        let unseen = seed as usize % STYLES.len();
        let joint = shots[SUBJECTS[1]..].iter().map(|shots| {
            let both = in_style(unseen, shots);
            Instances::of(&model, side, &both, &joint_prompt(unseen))
        });
        let joint = joint.collect::<Result<Vec<_>, _>>()?;
        let adapter = |kind: &str, at: usize, of: &Instances| {
            Self::adapter(&base, of, &rng.child(&format!("{kind} {at}")), context)
        };
        let contents = subjects
            .iter()
            .enumerate()
            .map(|(at, of)| adapter("subject", at, of));
        let contents = contents.collect::<Result<Vec<_>, _>>()?;
        let looks = styles
            .iter()
            .enumerate()
            .map(|(at, of)| adapter("style", at, of));
        let looks = looks.collect::<Result<Vec<_>, _>>()?;
        let pairs = (0..SUBJECTS[0] * STYLES.len()).map(|at| {
            let (subject, style) = (at / STYLES.len(), at % STYLES.len());
            Pair {
                subject,
                style,
                layers: pair(&base, &contents[subject], &looks[style]),
            }
        });
        Ok(Self {
            pairs: pairs.collect(),
            unseen,
            model,
            base,
            figures,
            subjects,
            styles,
            joint,
        })
    }

    fn network(&self) -> &FrozenBase {
        &self.base
    }

    fn device(&self) -> &Device {
        &self.base.device
    }

    fn pairs(&self) -> [Vec<&Pair>; 2] {
        let unseen = |pair: &Pair| [pair.subject >= SUBJECTS[1], pair.style == self.unseen];
        [false, true].map(|wanted| {
            let all = self.pairs.iter();
            all.filter(|pair| unseen(pair) == [wanted; 2]).collect()
        })
    }

    fn alone(&self, pair: &Pair, rows: usize, rng: &mut Rng) -> [Noisy; 2] {
        let sides = [&self.subjects[pair.subject], &self.styles[pair.style]];
        inputs(&self.base, sides, rows, rng)
    }

    fn joint(&self, pair: &Pair, rows: usize, rng: &mut Rng) -> (Noisy, Tensor<2>) {
        let of = &self.joint[pair.subject.saturating_sub(SUBJECTS[1])];
        let noise = self.base.noise(rows, rng);
        let input = of.noisy(&self.base, &of.draw(rows, rng), &noise);
        let wanted = input.wanted.clone().flatten(1, 3);
        (input, wanted)
    }
}
