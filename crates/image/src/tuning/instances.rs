//! Pictures of one subject, or in one style, as the base model sees them.

use base::media::{Image, read_image};
use base::rng::Rng;
use engine::SystemError;
use engine::models::stable_diffusion::StableDiffusion;
use engine::models::unet2d::UnetConditions;

use super::base::{FrozenBase, Noise, Noisy};
use super::pictures::Captioned;

/// Pictures as latents, each with what its prompt says.
#[derive(Clone, Debug)]
pub struct Instances {
    latents: Vec<Vec<f32>>,
    /// The different prompts.
    prompts: Vec<String>,
    /// What each says, where gradients pass.
    texts: Vec<UnetConditions>,
    /// Which text belongs to which picture.
    text_of: Vec<usize>,
}

impl Instances {
    /// Reads pictures: the square in their middle, at `side` times `side` pixels. `watch` hears of pictures done and in all, and may stop it.
    ///
    /// # Errors
    /// [`SystemError`]: a picture that cannot be read, a prompt that the vocabulary cannot write; what `watch` says.
    pub fn read(
        model: &StableDiffusion,
        side: usize,
        pictures: &[Captioned],
        watch: &mut dyn FnMut(usize, usize) -> Result<(), SystemError>,
    ) -> Result<Self, SystemError> {
        let mut all = Self::none();
        for (at, picture) in pictures.iter().enumerate() {
            watch(at, pictures.len())?;
            let seen = read_image(&picture.path)?.resize_square(side as u32);
            all.add(model, side, &seen, &picture.prompt)?;
        }
        watch(pictures.len(), pictures.len())?;
        Ok(all)
    }

    /// The same of pictures of `side` times `side` pixels that are in memory, all with one prompt.
    ///
    /// # Errors
    /// As [`Instances::read`].
    pub fn of(
        model: &StableDiffusion,
        side: usize,
        pictures: &[Image],
        prompt: &str,
    ) -> Result<Self, SystemError> {
        let named = pictures
            .iter()
            .map(|picture| (picture.clone(), prompt.to_owned()));
        Self::named(model, side, &named.collect::<Vec<_>>())
    }

    /// The same, each with its prompt.
    ///
    /// # Errors
    /// As [`Instances::read`].
    pub fn named(
        model: &StableDiffusion,
        side: usize,
        pictures: &[(Image, String)],
    ) -> Result<Self, SystemError> {
        let mut all = Self::none();
        for (picture, prompt) in pictures {
            all.add(model, side, picture, prompt)?;
        }
        Ok(all)
    }

    fn none() -> Self {
        Self {
            latents: Vec::new(),
            prompts: Vec::new(),
            texts: Vec::new(),
            text_of: Vec::new(),
        }
    }

    fn add(
        &mut self,
        model: &StableDiffusion,
        side: usize,
        picture: &Image,
        prompt: &str,
    ) -> Result<(), SystemError> {
        let latents = model.encode(std::slice::from_ref(picture))?;
        self.latents
            .push(latents.into_data().iter::<f32>().collect());
        let known = self.prompts.iter().position(|it| it == prompt);
        if known.is_none() {
            let text = model.conditions(prompt, None, false, 0, [side; 2])?;
            self.texts.push(text.full.autodiff());
            self.prompts.push(prompt.to_owned());
        }
        self.text_of.push(known.unwrap_or(self.texts.len() - 1));
        Ok(())
    }

    /// `count` pictures, drawn with replacement.
    pub fn draw(&self, count: usize, rng: &mut Rng) -> Vec<usize> {
        (0..count).map(|_| rng.below(self.latents.len())).collect()
    }

    /// The first pictures, again from the first where there are fewer than `count`.
    pub fn first(&self, count: usize) -> Vec<usize> {
        (0..count)
            .map(|at| at % self.latents.len().max(1))
            .collect()
    }

    /// Pictures `which` with `noise`.
    pub fn noisy(&self, base: &FrozenBase, which: &[usize], noise: &Noise) -> Noisy {
        let latents: Vec<&[f32]> = which
            .iter()
            .map(|&at| self.latents[at].as_slice())
            .collect();
        let texts: Vec<&UnetConditions> = which
            .iter()
            .map(|&at| &self.texts[self.text_of[at]])
            .collect();
        base.noisy(&latents, UnetConditions::joined(&texts), noise)
    }
}
