//! What a watermark needs of a latent diffusion model.

use base::media::Picture;
use base::rng::Rng;

use super::{Region, Shape, WindError};

/// A deterministic way from initial latents to a picture, and back.
pub trait LatentModel: Sync {
    /// Shape of the initial latents.
    fn shape(&self) -> Shape;

    /// Something to draw for a test.
    fn any_prompt(&self, rng: &mut Rng) -> String;

    /// The picture of a prompt that begins with `latents`, standard normal values of [`Self::shape`].
    ///
    /// # Errors
    /// [`WindError::Model`].
    fn generate(&self, latents: &[f32], prompt: &str) -> Result<Picture, WindError>;

    /// The initial latents of a picture of any size: the sampler's steps backwards, with an empty prompt and no guidance.
    ///
    /// # Errors
    /// [`WindError::Model`].
    fn invert(&self, picture: &Picture) -> Result<Vec<f32>, WindError>;

    /// `picture` with `region` (in places of the latents) drawn anew from `latents`.
    ///
    /// # Errors
    /// [`WindError::Model`], also where the model cannot inpaint.
    fn inpaint(
        &self,
        picture: &Picture,
        region: Region,
        latents: &[f32],
        prompt: &str,
    ) -> Result<Picture, WindError>;

    /// The picture after noise of the level `strength`, in `[0, 1]`, and sampling from there: a regeneration attack.
    ///
    /// # Errors
    /// [`WindError::Model`].
    fn regenerate(
        &self,
        picture: &Picture,
        strength: f32,
        rng: &mut Rng,
    ) -> Result<Picture, WindError>;
}
