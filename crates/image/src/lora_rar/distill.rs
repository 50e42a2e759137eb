//! The objective of ZipLoRA and LoRA.rar: the merged model shall predict what each single adapter predicts on its own input.

use burn::tensor::Tensor;

use super::hypernet::{Coefficients, FactorTensors, Hypernet};

/// Weight of the similarity term (train script of the official code).
pub const SIMILARITY: f64 = 0.01;

/// The two updates of one adapted layer.
#[derive(Clone, Debug)]
pub struct PairLayer {
    /// Of the subject.
    pub content: FactorTensors,
    /// Of the style.
    pub style: FactorTensors,
    /// Whether the hypernetwork is asked; otherwise both coefficients are 1.
    pub asked: bool,
}

/// What is added to one layer.
#[derive(Clone, Debug)]
pub enum Update<'a> {
    /// One adapter alone.
    Single(&'a FactorTensors),
    /// Both, column by column.
    Merged(&'a PairLayer, &'a Coefficients),
}

impl Update<'_> {
    /// The product of the update with `x`, `[.., in]` → `[.., out]`. A coefficient of an input column scales that input.
    pub fn apply<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Single(factors) => factors.apply(x),
            Self::Merged(pair, coefficients) => {
                let side = |factors: &FactorTensors, m: &Tensor<1>| {
                    factors.apply(x.clone() * m.clone().unsqueeze())
                };
                side(&pair.content, &coefficients.content) + side(&pair.style, &coefficients.style)
            }
        }
    }
}

/// A network whose linear layers take updates, as seen by the objective: a denoiser with one batch of noisy input, timesteps and prompts.
pub trait Adapted {
    /// What it is run on.
    type Input;

    /// The prediction, `[rows, values]`, with one update a layer.
    fn predict(&self, input: &Self::Input, updates: &[Update]) -> Tensor<2>;
}

/// The terms of the objective, `[1]` each.
#[derive(Clone, Debug)]
pub struct Losses {
    /// Mean squared difference to the subject's adapter alone, on the subject's input.
    pub content: Tensor<1>,
    /// The same for the style.
    pub style: Tensor<1>,
    /// `lambda · Σ |cos(m_c, m_s)|` over all adapted layers.
    pub similarity: Tensor<1>,
}

impl Losses {
    /// What is minimised.
    pub fn total(&self) -> Tensor<1> {
        self.content.clone() + self.style.clone() + self.similarity.clone()
    }
}

/// The objective for one pair; targets carry no gradient.
pub fn losses<N: Adapted>(
    network: &N,
    [content, style]: [&N::Input; 2],
    pair: &[PairLayer],
    coefficients: &[Coefficients],
    lambda: f64,
) -> Losses {
    let merged: Vec<Update> = pair
        .iter()
        .zip(coefficients)
        .map(|(layer, m)| Update::Merged(layer, m))
        .collect();
    let single = |side: fn(&PairLayer) -> &FactorTensors| -> Vec<Update> {
        pair.iter()
            .map(|layer| Update::Single(side(layer)))
            .collect()
    };
    let term = |input: &N::Input, alone: &[Update]| {
        let target = network.predict(input, alone).detach();
        (network.predict(input, &merged) - target).square().mean()
    };
    let similarities = coefficients.iter().map(Coefficients::similarity);
    let content_loss = term(content, &single(|layer| &layer.content));
    let similarity = similarities.reduce(|sum, one| sum + one);
    Losses {
        style: term(style, &single(|layer| &layer.style)),
        similarity: match similarity {
            Some(sum) => sum * lambda,
            None => content_loss.zeros_like(),
        },
        content: content_loss,
    }
}

/// The coefficients that a hypernetwork gives for a pair; none where a layer that it is asked about has a width that it does not know.
pub fn coefficients(hypernet: &Hypernet, pair: &[PairLayer]) -> Option<Vec<Coefficients>> {
    pair.iter()
        .map(|layer| match layer.asked {
            true => hypernet.coefficients(&layer.content, &layer.style),
            false => {
                let down = &layer.content.down;
                Some(Coefficients::ones(down.dims()[1], &down.device()))
            }
        })
        .collect()
}
