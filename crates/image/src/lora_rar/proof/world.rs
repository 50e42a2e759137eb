//! One seed's world: base, adapters, pairs.

use base::command::{Context, Failure};
use base::rng::Rng;
use burn::tensor::{Device, Tensor};
use engine::train::TaskError;

use super::denoiser::{self, Denoiser, Noise, Rhythm, noisy};
use super::sprites::{STYLES, Sprite, Subject, plain, rendered};
use crate::lora_rar::FactorTensors;
use crate::lora_rar::distill::PairLayer;
use crate::lora_rar::train::Pairs;

/// Subjects, and how many of them are trained on.
const SUBJECTS: [usize; 2] = [15, 12];
/// Styles that are trained on.
const TRAINED_STYLES: usize = 7;
/// Training of the base and of each adapter.
const BASE: Rhythm = (2500, 64, 2e-3);
const ADAPTER: Rhythm = (400, 32, 5e-3);
/// Inputs of one step of the hypernetwork and of ZipLoRA.
pub(super) const ROWS: usize = 16;

/// Base and adapters of one seed.
pub(super) struct World {
    pub(super) device: Device,
    pub(super) base: Denoiser,
    subjects: Vec<Subject>,
    pairs: Vec<Pair>,
}

/// A subject and a style with the two updates of every layer.
pub(super) struct Pair {
    subject: usize,
    style: usize,
    pub(super) layers: Vec<PairLayer>,
}

impl Pair {
    fn is_held_out(&self) -> bool {
        self.subject >= SUBJECTS[1] && self.style >= TRAINED_STYLES
    }

    fn is_for_training(&self) -> bool {
        self.subject < SUBJECTS[1] && self.style < TRAINED_STYLES
    }
}

impl World {
    /// Trains everything but what merges.
    pub(super) fn new(seed: u64, context: Context) -> Result<Self, Failure> {
        let rng = Rng::new(seed).child("world");
        let device = Device::flex().autodiff();
        let base = denoiser::base(BASE, &rng.child("base"), &device, &plain);
        let mut draws = rng.child("subjects");
        let subjects: Vec<Subject> = (0..SUBJECTS[0]).map(|_| Subject::new(&mut draws)).collect();
        let adapter = |name: String, picture: &dyn Fn(&mut Rng) -> Sprite| {
            context.proceed()?;
            Ok(denoiser::adapter(
                &base,
                ADAPTER,
                &rng.child(&name),
                &device,
                picture,
            ))
        };
        let contents = subjects
            .iter()
            .enumerate()
            .map(|(at, subject)| adapter(format!("subject {at}"), &|rng| subject.draw(rng)));
        let contents = contents.collect::<Result<Vec<_>, Failure>>()?;
        let styles = (0..STYLES).map(|style| {
            adapter(format!("style {style}"), &|rng| {
                rendered(style, &plain(rng))
            })
        });
        let styles = styles.collect::<Result<Vec<_>, Failure>>()?;
        let pair = |subject: usize, style: usize| Pair {
            subject,
            style,
            layers: layers(&contents[subject], &styles[style]),
        };
        let pairs =
            (0..SUBJECTS[0]).flat_map(|subject| (0..STYLES).map(move |style| (subject, style)));
        let pairs = pairs.map(|(subject, style)| pair(subject, style)).collect();
        Ok(Self {
            device,
            base,
            subjects,
            pairs,
        })
    }

    pub(super) fn held_out(&self) -> Vec<&Pair> {
        self.pairs
            .iter()
            .filter(|pair| pair.is_held_out())
            .collect()
    }

    pub(super) fn for_training(&self) -> Vec<&Pair> {
        self.pairs
            .iter()
            .filter(|pair| pair.is_for_training())
            .collect()
    }

    /// Inputs of subject and style with the same noise, that noise, and an input of the subject in the style.
    pub(super) fn inputs(
        &self,
        pair: &Pair,
        rows: usize,
        rng: &mut Rng,
    ) -> ([Tensor<2>; 2], Tensor<2>, Tensor<2>) {
        let noise = Noise::draw(rows, rng);
        let subject = &self.subjects[pair.subject];
        let mut draw = |of: &dyn Fn(&mut Rng) -> Sprite| -> Tensor<2> {
            let sprites: Vec<Sprite> = (0..rows).map(|_| of(rng)).collect();
            noisy(&sprites, &noise, &self.device)
        };
        let content = draw(&|rng| subject.draw(rng));
        let style = draw(&|rng| rendered(pair.style, &plain(rng)));
        let both = draw(&|rng| rendered(pair.style, &subject.draw(rng)));
        ([content, style], noise.tensor(&self.device), both)
    }

    /// The subject, something in the style, and the subject in the style, as they should look.
    pub(super) fn truth(&self, pair: &Pair, rng: &mut Rng) -> [Sprite; 3] {
        let subject = self.subjects[pair.subject].draw(rng);
        [
            subject.clone(),
            rendered(pair.style, &plain(rng)),
            rendered(pair.style, &subject),
        ]
    }
}

fn layers(content: &[FactorTensors], style: &[FactorTensors]) -> Vec<PairLayer> {
    let both = content.iter().zip(style);
    both.map(|(content, style)| PairLayer {
        content: content.clone(),
        style: style.clone(),
        asked: true,
    })
    .collect()
}

/// The training pairs of a world, for the hypernetwork.
pub(super) struct TrainingPairs<'a>(pub(super) &'a World);

impl Pairs for TrainingPairs<'_> {
    type Network = Denoiser;
    /// Which pair, and its inputs.
    type Batch = (usize, [Tensor<2>; 2]);

    fn network(&self) -> &Denoiser {
        &self.0.base
    }

    fn batch(&self, _: u64, rng: &mut Rng) -> Result<Self::Batch, TaskError> {
        let pairs = self
            .0
            .pairs
            .iter()
            .enumerate()
            .filter(|(_, pair)| pair.is_for_training());
        let pairs: Vec<usize> = pairs.map(|(at, _)| at).collect();
        let at = pairs[rng.below(pairs.len())];
        let (inputs, ..) = self.0.inputs(&self.0.pairs[at], ROWS, rng);
        Ok((at, inputs))
    }

    fn layers<'b>(&'b self, batch: &Self::Batch) -> &'b [PairLayer] {
        &self.0.pairs[batch.0].layers
    }

    fn inputs(&self, batch: Self::Batch) -> [Tensor<2>; 2] {
        batch.1
    }

    fn samples(&self) -> usize {
        ROWS
    }
}
