//! What a watermark needs of a latent diffusion model.

use base::media::Image;
use base::rng::Rng;

use super::{Region, Shape, SystemError};

/// A deterministic way from initial latents to a picture, and back.
pub trait LatentModel: Sync {
    /// Shape of the initial latents.
    fn shape(&self) -> Shape;

    /// Something to draw for a test.
    fn any_prompt(&self, rng: &mut Rng) -> String;

    /// The picture of a prompt that begins with `latents`, standard normal values of [`Self::shape`].
    ///
    /// # Errors
    /// [`SystemError::Failed`].
    fn generate(&self, latents: &[f32], prompt: &str) -> Result<Image, SystemError>;

    /// The initial latents of a picture of any size: the sampler's steps backwards, with an empty prompt and no guidance.
    ///
    /// # Errors
    /// [`SystemError::Failed`].
    fn invert(&self, picture: &Image) -> Result<Vec<f32>, SystemError>;

    /// `picture` with `region` (in places of the latents) drawn anew from `latents`.
    ///
    /// # Errors
    /// [`SystemError::Failed`], also where the model cannot inpaint.
    fn inpaint(
        &self,
        picture: &Image,
        region: Region,
        latents: &[f32],
        prompt: &str,
    ) -> Result<Image, SystemError>;

    /// The picture after noise of the level `strength`, in `[0, 1]`, and sampling from there: a regeneration attack.
    ///
    /// # Errors
    /// [`SystemError::Failed`].
    fn regenerate(
        &self,
        picture: &Image,
        strength: f32,
        rng: &mut Rng,
    ) -> Result<Image, SystemError>;
}
