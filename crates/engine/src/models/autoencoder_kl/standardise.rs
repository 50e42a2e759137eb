//! Latents of mean 0 and deviation 1, as diffusion wants them.

use burn::tensor::{Tensor, TensorData};

use super::AutoencoderKl;

impl AutoencoderKl {
    /// The same autoencoder whose latents are `(x − mean) / deviation` of what they were, a value of each a channel: the last
    /// convolution of the encoder and the first of the decoder take that in.
    pub fn standardised(mut self, mean: &[f32], deviation: &[f32]) -> Self {
        let channels = mean.len().min(deviation.len());
        let device = self.quant_conv.weight.val().device();
        let row = |values: Vec<f32>, shape: [usize; 4]| -> Tensor<4> {
            Tensor::from_data(TensorData::new(values, shape), &device)
        };
        // The logarithm of a variance moves by −2·ln(deviation) and keeps its scale.
        let scales = deviation.iter().map(|d| 1.0 / d);
        let scales: Vec<f32> = scales.chain(std::iter::repeat_n(1.0, channels)).collect();
        let means = mean.iter().zip(deviation).map(|(m, d)| m / d);
        let logs = deviation.iter().map(|d| 2.0 * libm::logf(*d));
        let shifts: Vec<f32> = means.chain(logs).collect();
        let by = row(scales, [2 * channels, 1, 1, 1]);
        let less: Tensor<1> = row(shifts, [1, 1, 1, 2 * channels]).reshape([2 * channels]);
        self.quant_conv.weight = self.quant_conv.weight.map(|w| w * by.clone());
        let flat: Tensor<1> = by.reshape([2 * channels]);
        self.quant_conv.bias = self.quant_conv.bias.map(|b| b.map(|b| b * flat - less));
        let back = row(deviation.to_vec(), [1, channels, 1, 1]);
        let lost = row(mean.to_vec(), [1, channels, 1, 1]);
        let weight = self.post_quant_conv.weight.val();
        let more: Tensor<1> = (weight * lost).sum_dim(1).reshape([channels]);
        self.post_quant_conv.weight = self.post_quant_conv.weight.map(|w| w * back);
        self.post_quant_conv.bias = self.post_quant_conv.bias.map(|b| b.map(|b| b + more));
        self
    }
}
