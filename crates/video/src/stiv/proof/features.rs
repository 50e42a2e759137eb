//! Features for a Fréchet distance between clips: a random network of 3-D convolutions.
//!
//! FVD takes the features of a network trained on human actions. On a toy world a random one does: it is fixed by its
//! seed, sees space and time together, and knows nothing of any model.

use base::rng::Rng;
use burn::tensor::module::conv3d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor, TensorData, activation};

/// Seed of the network; part of the measure's definition.
const SEED: u64 = 20_241_209;
/// Channels from the clip to the features.
const CHANNELS: [usize; 4] = [3, 16, 32, 48];
/// Height, width and length of a kernel.
const KERNEL: usize = 3;
const BATCH: usize = 64;

/// 48 features of each clip `[3, frames, height, width]` (`shape`); values beyond `[-1, 1]` are cut, as on a screen.
pub(super) fn features(clips: &[Vec<f32>], shape: [usize; 4], device: &Device) -> Vec<Vec<f32>> {
    let rng = Rng::new(SEED);
    let layers: Vec<Tensor<5>> = CHANNELS
        .windows(2)
        .enumerate()
        .map(|(at, pair)| {
            let fan_in = pair[0] * KERNEL.pow(3);
            let deviation = libm::sqrtf(2.0 / fan_in as f32);
            let draws = rng.item(at as u64).normals(pair[1] * fan_in);
            let values = draws.into_iter().map(|v| v * deviation).collect();
            let shape = [pair[1], pair[0], KERNEL, KERNEL, KERNEL];
            Tensor::from_data(TensorData::new(values, shape), device)
        })
        .collect();
    clips
        .chunks(BATCH)
        .flat_map(|clips| {
            let values: Vec<f32> = clips.iter().flatten().map(|v| v.clamp(-1.0, 1.0)).collect();
            let [channels, frames, height, width] = shape;
            let input = [clips.len(), channels, frames, height, width];
            let x = Tensor::<5>::from_data(TensorData::new(values, input), device);
            let x = layers.iter().fold(x, |x, weight| {
                let options = ConvOptions::new([2; 3], [1; 3], [1; 3], 1);
                activation::leaky_relu(conv3d(x, weight.clone(), None, options), 0.2)
            });
            let pooled = x.mean_dim(4).mean_dim(3).mean_dim(2);
            let values: Vec<f32> = pooled.into_data().iter::<f32>().collect();
            let rows = values.chunks_exact(CHANNELS[3]).map(<[f32]>::to_vec);
            rows.collect::<Vec<_>>()
        })
        .collect()
}
