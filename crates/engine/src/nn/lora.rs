use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};

use super::Init;
use crate::ops;
use base::rng::Rng;

/// A trainable low-rank change of a linear map (Hu et al., arXiv 2106.09685): `scale · b · a`, nothing at the start.
#[derive(Module, Debug)]
pub struct LoraFactors {
    /// `[rank, in]`.
    pub a: Param<Tensor<2>>,
    /// `[out, rank]`, zeros at the start.
    pub b: Param<Tensor<2>>,
    /// What the product is multiplied by: alpha / rank.
    pub scale: f64,
    /// Share of what the first factor reads that is set to zero in training, from 0 to below 1.
    pub dropout: f64,
}

impl LoraFactors {
    /// Factors of a map `[out, in]`: `a` as PEFT draws it (Kaiming uniform with √5, which is uniform in `±1/√in`), `b` zeros.
    pub fn new(
        [output, input]: [usize; 2],
        rank: usize,
        alpha: f64,
        rng: &mut Rng,
        device: &Device,
    ) -> Self {
        let bound = (input as f32).sqrt().recip();
        let values = (0..rank * input).map(|_| (2.0 * rng.uniform() - 1.0) * bound);
        let data = TensorData::new(values.collect::<Vec<f32>>(), [rank, input]);
        Self {
            a: Param::from_data(data, device),
            b: Init::Zeros.weight(output, rank, rng, device),
            scale: alpha / rank as f64,
            dropout: 0.0,
        }
    }

    /// What is added to the map of `x`, `[.., in]` → `[.., out]`.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let low = ops::linear(x, self.a.val(), None);
        ops::linear(low, self.b.val(), None) * self.scale as f32
    }

    /// What is added to the weight, `[out, in]`, without gradients.
    pub fn delta(&self) -> Tensor<2> {
        self.b.val().detach().matmul(self.a.val().detach()) * self.scale as f32
    }
}
