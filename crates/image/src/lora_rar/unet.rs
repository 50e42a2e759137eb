//! The U-Net of a Stable Diffusion model as the objective sees it.

use base::rng::Rng;
use burn::tensor::Tensor;
use engine::models::unet2d::ProjectionHooks;
use engine::train::TaskError;

use super::SystemError;
use super::adapter::{LoraFile, base_name};
use super::distill::{Adapted, PairLayer, Update};
use super::hypernet::FactorTensors;
use super::names::{Layer, Network};
use super::train::Pairs;
use crate::tuning::{FrozenBase, Instances, Noise, Noisy};

impl Adapted for FrozenBase {
    /// Noisy latents under a prompt.
    type Input = Noisy;

    /// `[batch, channels · height · width]`; updates are in the order of [`FrozenBase::projections`]. Without updates the base speaks.
    fn predict(&self, input: &Noisy, updates: &[Update]) -> Tensor<2> {
        let change = |module: &str, x: Tensor<3>| Some(updates.get(self.place(module)?)?.apply(x));
        self.answer(input, &mut ProjectionHooks(change))
            .flatten(1, 3)
    }
}

/// The layers of a base model, in the order of [`FrozenBase::projections`].
pub fn layers(base: &FrozenBase) -> impl Iterator<Item = Layer> + '_ {
    base.projections.iter().map(|it| Layer {
        network: Network::Unet,
        module: it.module.clone(),
    })
}

/// The updates of a LoRA for each projection of `base`, alpha included; nothing where it does not change one. What it changes
/// beside attention projections is not looked at.
///
/// # Errors
/// [`SystemError::Input`] for a LoRA of another base.
pub fn updates(file: &LoraFile, base: &FrozenBase) -> Result<Vec<FactorTensors>, SystemError> {
    let of_another = || {
        SystemError::input(format!(
            "`{}` is for {}, and not for the model that is given; it begins with {}",
            file.origin(),
            base_name(file.text_width()),
            file.begins_with()
        ))
    };
    if !layers(base).any(|layer| file.has(&layer)) {
        return Err(of_another());
    }
    let each = layers(base).zip(&base.projections);
    each.map(|(layer, projection)| match file.sizes(&layer) {
        None => Ok(FactorTensors::nothing(projection.size, &base.device)),
        Some((size, _)) if size != projection.size => Err(of_another()),
        Some(_) => {
            let factors = file.factors(&layer)?.ok_or_else(of_another)?;
            Ok(FactorTensors::effective(&factors, &base.device))
        }
    })
    .collect()
}

/// The layers of a pair: the hypernetwork is asked about query and output projections.
pub fn pair(
    base: &FrozenBase,
    content: &[FactorTensors],
    style: &[FactorTensors],
) -> Vec<PairLayer> {
    let both = content.iter().zip(style);
    both.zip(layers(base))
        .map(|((content, style), layer)| PairLayer {
            content: content.clone(),
            style: style.clone(),
            asked: layer.is_merged_by_network(),
        })
        .collect()
}

/// Widths of the layers that the hypernetwork is asked about, growing.
pub fn widths(base: &FrozenBase) -> Vec<usize> {
    let asked = layers(base).zip(&base.projections);
    let asked = asked.filter(|(layer, _)| layer.is_merged_by_network());
    let mut widths: Vec<usize> = asked.map(|(_, projection)| projection.size[0]).collect();
    widths.sort_unstable();
    widths.dedup();
    widths
}

/// A subject or a style: its adapter, and pictures that it was trained on.
#[derive(Debug)]
pub struct Member {
    /// The updates, in the order of [`FrozenBase::projections`].
    pub updates: Vec<FactorTensors>,
    /// The pictures.
    pub instances: Instances,
}

/// Inputs of subject and style of `rows` pictures each, with the same noise and timesteps.
pub fn inputs(base: &FrozenBase, sides: [&Instances; 2], rows: usize, rng: &mut Rng) -> [Noisy; 2] {
    let which = sides.map(|side| side.draw(rows, rng));
    let noise = base.noise(rows, rng);
    [0, 1].map(|at| sides[at].noisy(base, &which[at], &noise))
}

/// Pairs of subjects and styles to train a hypernetwork on.
#[derive(Debug)]
pub struct UnetPairs<'a> {
    base: &'a FrozenBase,
    subjects: &'a [Member],
    styles: &'a [Member],
    /// Of each subject with each style.
    layers: Vec<Vec<PairLayer>>,
    rows: usize,
}

impl<'a> UnetPairs<'a> {
    /// All pairs of `subjects` and `styles`, with `rows` pictures of each a step.
    pub fn new(
        base: &'a FrozenBase,
        subjects: &'a [Member],
        styles: &'a [Member],
        rows: usize,
    ) -> Self {
        let with_styles = |subject: &'a Member| {
            let with = |style: &Member| pair(base, &subject.updates, &style.updates);
            styles.iter().map(with)
        };
        Self {
            base,
            layers: subjects.iter().flat_map(with_styles).collect(),
            subjects,
            styles,
            rows,
        }
    }
}

/// Which subject and style, which pictures of each, and the noise.
#[derive(Debug)]
pub struct Drawn {
    pair: [usize; 2],
    which: [Vec<usize>; 2],
    noise: Noise,
}

impl Pairs for UnetPairs<'_> {
    type Network = FrozenBase;
    type Batch = Drawn;

    fn network(&self) -> &FrozenBase {
        self.base
    }

    fn batch(&self, _: u64, rng: &mut Rng) -> Result<Drawn, TaskError> {
        let pair = [rng.below(self.subjects.len()), rng.below(self.styles.len())];
        let sides = [&self.subjects[pair[0]], &self.styles[pair[1]]];
        Ok(Drawn {
            pair,
            which: sides.map(|side| side.instances.draw(self.rows, rng)),
            noise: self.base.noise(self.rows, rng),
        })
    }

    fn layers<'b>(&'b self, batch: &Drawn) -> &'b [PairLayer] {
        let [subject, style] = batch.pair;
        &self.layers[subject * self.styles.len() + style]
    }

    fn inputs(&self, batch: Drawn) -> [Noisy; 2] {
        let [subject, style] = batch.pair;
        let sides = [&self.subjects[subject], &self.styles[style]];
        [0, 1].map(|at| {
            sides[at]
                .instances
                .noisy(self.base, &batch.which[at], &batch.noise)
        })
    }

    fn samples(&self) -> usize {
        2 * self.rows
    }
}
