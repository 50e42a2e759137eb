//! From a picture to what the Q-Former sees.

use base::media::{Image, bicubic};
use burn::tensor::{Device, Tensor, TensorData};
use engine::models::clip_vision::{DEVIATION, MEAN};

/// The size that the official script brings pictures to before anything else.
pub const FIRST_SIDE: u32 = 512;

/// Values `[3, side, side]` of a picture: bicubic to `side` × `side`, whatever its proportions, mean and deviation taken out. With
/// `first` it is brought to that size before, as the official script does with [`FIRST_SIDE`].
pub fn pixel_values(
    picture: &Image,
    side: u32,
    first: Option<u32>,
    [mean, deviation]: [[f32; 3]; 2],
) -> Vec<f32> {
    let before = first.map(|first| bicubic(picture, first, first));
    let picture = bicubic(before.as_ref().unwrap_or(picture), side, side);
    (0..3)
        .flat_map(|channel| {
            let bytes = picture.pixels.iter().skip(channel).step_by(3);
            let values = bytes.map(|byte| f32::from(*byte) / 255.0);
            values
                .map(|value| (value - mean[channel]) / deviation[channel])
                .collect::<Vec<f32>>()
        })
        .collect()
}

/// [`pixel_values`] of several pictures with CLIP's mean and deviation, `[pictures, 3, side, side]`.
pub fn batch(pictures: &[Image], side: usize, first: Option<u32>, device: &Device) -> Tensor<4> {
    let values = pictures
        .iter()
        .flat_map(|picture| pixel_values(picture, side as u32, first, [MEAN, DEVIATION]))
        .collect::<Vec<f32>>();
    Tensor::from_data(
        TensorData::new(values, [pictures.len(), 3, side, side]),
        device,
    )
}
