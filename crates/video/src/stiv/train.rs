use burn::tensor::Tensor;use serde::{Deserialize, Serialize};
/// Which frames a sample gives away when its image condition is not dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GivenFrames {
    /// None: text to picture or clip.
    #[default]
    None,
    /// The first (TI2V).
    First,
    /// The first this many (prediction).
    Leading(usize),
    /// Every second, from the first (temporal upsampling).
    Alternate,
    /// The first and the last (interpolation).
    Ends,
}

impl GivenFrames {
    /// True for each given frame.
    pub fn mask(self, frames: usize) -> Vec<bool> {
        (0..frames)
            .map(|frame| match self {
                Self::None => false,
                Self::First => frame == 0,
                Self::Leading(count) => frame < count,
                Self::Alternate => frame % 2 == 0,
                Self::Ends => frame == 0 || frame + 1 == frames,
            })
            .collect()
    }
}

/// Frame replacement: `frames` where `given` is 1. `given` is `[batch, 1, frames, 1, 1]`.
pub fn replace_given(x: Tensor<5>, frames: Tensor<5>, given: Tensor<5>) -> Tensor<5> {
    let keep = given.clone().neg() + 1.0;
    x * keep + frames * given
}

/// Mean squared error over the elements of frames that are not given. `given` is `[batch, 1, frames, 1, 1]`.
pub fn masked_loss(v: Tensor<5>, target: Tensor<5>, given: Tensor<5>) -> Tensor<1> {
    let [_, channels, _, height, width] = v.dims();
    let keep = given.neg() + 1.0;
    let count = keep.clone().sum() * (channels * height * width) as f32;
    ((v - target).square() * keep).sum() / count.clamp_min(1.0)
}
