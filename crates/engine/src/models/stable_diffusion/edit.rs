//! Editing by instruction: InstructPix2Pix (Brooks et al., arXiv 2211.09800), whose U-Net reads the picture beside the noisy latents.

use base::media::Image;
use burn::tensor::Tensor;

use super::{Conditions, DiffusionError, StableDiffusion};
use crate::diffusion::combine_separate;
use crate::models::unet2d::{Unet2d, UnetConditions};
use crate::nn::AttentionHooks;

/// A picture that is edited.
#[derive(Clone, Debug)]
pub struct EditedPicture {
    /// Its latents `[1, channels, height, width]`: the mean of the autoencoder's posterior, **not** scaled.
    pub latents: Tensor<4>,
    /// How close the result keeps to it (`s_I`); 1 does without guidance.
    pub guidance: f64,
}

/// What the U-Net says of `x` `[batch, channels, height, width]` at time `t` beside the unscaled latents of a picture `[batch,
/// channels, height, width]`, guided by both (equation 3): `ε(∅, ∅) + s_I (ε(c_I, ∅) − ε(∅, ∅)) + s_T (ε(c_I, c_T) − ε(c_I, ∅))`. Without a
/// picture the U-Net reads zeros. `full` holds the instruction, `null` the empty or negative one.
#[allow(clippy::too_many_arguments)]
pub fn predict_edit(
    unet: &Unet2d,
    x: Tensor<4>,
    picture: Tensor<4>,
    t: f64,
    [full, null]: [&UnetConditions; 2],
    [text_guidance, image_guidance]: [f64; 2],
    hooks: &mut dyn AttentionHooks,
) -> Tensor<4> {
    let batch = x.dims()[0];
    let rows = [null, null, full].map(|row| vec![row; batch]).concat();
    let pictures = vec![picture.zeros_like(), picture.clone(), picture];
    let beside = Tensor::cat(pictures, 0);
    let x = Tensor::cat(vec![x; 3], 0);
    let out = unet.forward(
        Tensor::cat(vec![x, beside], 1),
        &[t],
        &UnetConditions::joined(&rows),
        hooks,
    );
    let [none, image, both] = [0, 1, 2].map(|row| out.clone().narrow(0, row * batch, batch));
    combine_separate(
        none,
        image,
        both,
        image_guidance as f32,
        text_guidance as f32,
    )
}

impl StableDiffusion {
    /// Whether the model edits pictures by instruction, and does nothing else: its U-Net reads as many channels again.
    pub fn edits(&self) -> bool {
        self.unet_config.in_channels == 2 * self.latent_channels()
    }

    /// What such a model reads of a picture, whose sides are multiples of [`StableDiffusion::factor`].
    ///
    /// # Errors
    /// As [`StableDiffusion::encode`].
    pub fn edited(&self, picture: &Image, guidance: f64) -> Result<EditedPicture, DiffusionError> {
        let xl = self.unet_config.addition_embed_type.is_some();
        let latents = self.encode(std::slice::from_ref(picture))? / self.vae.latent_scale(xl);
        Ok(EditedPicture { latents, guidance })
    }

    /// [`predict_edit`] with the scales of text and picture, beside one picture for all samples; where there are none, or both are 1,
    /// by the instruction and the picture alone.
    pub(super) fn predict_edited(
        &self,
        x: Tensor<4>,
        picture: &Tensor<4>,
        scales: Option<[f64; 2]>,
        t: f64,
        conditions: &Conditions,
        hooks: &mut dyn AttentionHooks,
    ) -> Tensor<4> {
        let mut shape = picture.dims();
        shape[0] = x.dims()[0];
        let picture = picture.clone().expand(shape);
        match (&conditions.null, scales.filter(|it| *it != [1.0; 2])) {
            (Some(null), Some(scales)) => {
                let rows = [&conditions.full, null];
                predict_edit(&self.unet, x, picture, t, rows, scales, hooks)
            }
            _ => {
                let rows = UnetConditions::joined(&vec![&conditions.full; shape[0]]);
                let x = Tensor::cat(vec![x, picture], 1);
                self.unet.forward(x, &[t], &rows, hooks)
            }
        }
    }
}
