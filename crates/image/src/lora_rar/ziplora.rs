//! ZipLoRA (Shah et al., arXiv 2311.13600), the method that the hypernetwork replaces: coefficients optimised for one pair.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use engine::train::optim::step;

use super::SystemError;
use super::distill::{Adapted, PairLayer, losses};
use super::hypernet::Coefficients;
use super::train::optimizer;

/// Steps a pair and learning rate of the official script.
pub const OFFICIAL: (u64, f64) = (100, 0.01);

/// ZipLoRA's variables: free coefficients for every layer of one pair, 1 at the start.
#[derive(Module, Debug)]
pub struct Mergers {
    content: Vec<Param<Tensor<1>>>,
    style: Vec<Param<Tensor<1>>>,
}

impl Mergers {
    /// Ones for layers of so many columns.
    pub fn new(columns: &[usize], device: &Device) -> Self {
        let ones = |columns: &[usize]| {
            columns
                .iter()
                .map(|columns| Param::from_tensor(Tensor::ones([*columns], device)))
                .collect()
        };
        Self {
            content: ones(columns),
            style: ones(columns),
        }
    }

    /// The coefficients, layer by layer.
    pub fn coefficients(&self) -> Vec<Coefficients> {
        let pairs = self.content.iter().zip(&self.style);
        pairs
            .map(|(content, style)| Coefficients {
                content: content.val(),
                style: style.val(),
            })
            .collect()
    }
}

/// How coefficients are optimised.
#[derive(Clone, Copy, Debug)]
pub struct ZipLora {
    /// Steps.
    pub steps: u64,
    /// Learning rate.
    pub rate: f64,
    /// Weight of the similarity term.
    pub lambda: f64,
}

impl ZipLora {
    /// Optimises the coefficients of all layers of `pair` from 1 on. `inputs` gives those of subject and style for a step, with
    /// the same noise and timesteps.
    ///
    /// # Errors
    /// What `inputs` says.
    pub fn run<N: Adapted>(
        self,
        network: &N,
        pair: &[PairLayer],
        mut inputs: impl FnMut(u64) -> Result<[N::Input; 2], SystemError>,
    ) -> Result<Vec<Coefficients>, SystemError> {
        let columns: Vec<usize> = pair
            .iter()
            .map(|layer| layer.content.down.dims()[1])
            .collect();
        let Some(first) = pair.first() else {
            return Ok(Vec::new());
        };
        let mut mergers = Mergers::new(&columns, &first.content.down.device());
        let mut optimizer = optimizer().init();
        for at in 0..self.steps {
            let [content, style] = inputs(at)?;
            let m = mergers.coefficients();
            let loss = losses(network, [&content, &style], pair, &m, self.lambda).total();
            (mergers, _) = step(
                mergers,
                loss.backward(),
                optimizer.as_mut(),
                self.rate,
                Some(1.0),
            );
        }
        Ok(mergers.coefficients())
    }
}
