//! PixEdit: PixArt-Σ that edits a picture by an instruction (the second contribution of the paper; dair-iitd/PixEdit).

use burn::tensor::{Bool, Tensor};
use engine::diffusion::combine_separate;
use engine::diffusion::scheduler::{DpmSolver, SchedulerConfig, sample};
use engine::models::pixart::PixArt;

use super::SystemError;

/// Tokens of a caption.
pub const TOKENS: usize = 300;

/// How an edit is sampled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EditSettings {
    /// Steps of the sampler.
    pub steps: usize,
    /// How closely the instruction is followed, `s_T`.
    pub text_guidance: f32,
    /// How closely the picture is kept, `s_I`.
    pub image_guidance: f32,
}

impl Default for EditSettings {
    /// As published.
    fn default() -> Self {
        Self {
            steps: 14,
            text_guidance: 4.5,
            image_guidance: 1.5,
        }
    }
}

/// What T5 makes of an instruction.
#[derive(Clone, Debug)]
pub struct Caption {
    /// `[1, tokens, width]`.
    pub states: Tensor<3>,
    /// `[1, tokens]`, true where the instruction has a token.
    pub mask: Tensor<2, Bool>,
}

/// An edit in latent space.
#[derive(Clone, Debug)]
pub struct LatentEdit {
    /// The picture to edit, `[batch, channels, height, width]`: the mean of the autoencoder's posterior, not scaled.
    pub source: Tensor<4>,
    /// The instruction.
    pub caption: Caption,
    /// States of the empty text, `[1, tokens, width]`.
    pub null: Tensor<3>,
}

impl LatentEdit {
    /// The guided noise of `x` `[batch, channels, height, width]` at time `t` in `[0, 1000)`:
    /// `e_none + s_I · (e_image − e_none) + s_T · (e_full − e_image)`.
    ///
    /// The network sees three rows for each sample: instruction and picture; picture; neither. The mask of the instruction holds for
    /// the empty text too, as it does in the published code.
    pub fn noise(
        &self,
        network: &PixArt,
        settings: &EditSettings,
        x: Tensor<4>,
        t: f64,
    ) -> Tensor<4> {
        let [batch, channels, ..] = x.dims();
        let source = &self.source;
        let sources = vec![source.clone(), source.clone(), source.zeros_like()];
        let noisy = Tensor::cat(vec![x.clone(), x.clone(), x], 0);
        let input = Tensor::cat(vec![noisy, Tensor::cat(sources, 0)], 1);
        let each = |states: &Tensor<3>| states.clone().repeat_dim(0, batch);
        let null = each(&self.null);
        let captions = Tensor::cat(vec![each(&self.caption.states), null.clone(), null], 0);
        let mask = self.caption.mask.clone().repeat_dim(0, 3 * batch);
        let out = network.forward(input, &vec![t as f32; 3 * batch], captions, Some(mask));
        let [full, image, none] = [0, 1, 2].map(|row| {
            let rows = out.clone().narrow(0, row * batch, batch);
            rows.narrow(1, 0, channels)
        });
        combine_separate(
            none,
            image,
            full,
            settings.image_guidance,
            settings.text_guidance,
        )
    }

    /// The edited latents, scaled, from `noise` of the source's shape, standard normal. `watch` hears of steps done and in all, and
    /// says whether to go on.
    ///
    /// # Errors
    /// [`SystemError::Stopped`].
    pub fn sample(
        &self,
        network: &PixArt,
        settings: &EditSettings,
        noise: Tensor<4>,
        watch: &mut dyn FnMut(usize, usize) -> bool,
    ) -> Result<Tensor<4>, SystemError> {
        let mut done = 0;
        let mut scheduler = scheduler(settings.steps);
        let predict = |x, t| {
            done += 1;
            let predicted = self.noise(network, settings, x, t);
            match watch(done, settings.steps) {
                true => Ok(predicted),
                false => Err(base::command::Stopped::resumable().into()),
            }
        };
        let never = &mut || self.source.zeros_like();
        sample(&mut scheduler, noise, predict, never)
    }
}

/// The published sampler: DPM-Solver++ of order 2, evenly in continuous time, over 1000 linear betas from 0.0001 to 0.02.
pub fn scheduler(steps: usize) -> DpmSolver<4> {
    DpmSolver::continuous(SchedulerConfig::default(), steps)
}
