//! `--preview`: what a picture looks like while it is drawn.

use std::path::Path;

use base::command::{Failure, eprint_line};
use base::files::write_bytes;
use base::media::png_bytes;
use engine::burn::tensor::Tensor;
use engine::models::stable_diffusion::{PreviewDecoder, StableDiffusion};
use engine::nn::AttentionHooks;

use crate::sd::options::DrawOptions;

/// Writes previews of a model's pictures to one file, each over the one before.
pub struct Preview<'a> {
    model: &'a StableDiffusion,
    decoder: Option<PreviewDecoder>,
    file: Option<&'a Path>,
    every: usize,
}

impl<'a> Preview<'a> {
    /// As the options say; nothing is written without a file.
    ///
    /// # Errors
    /// When the autoencoder for previews cannot be opened.
    pub fn new(options: &'a DrawOptions, model: &'a StableDiffusion) -> Result<Self, Failure> {
        let decoder = options.preview_vae.as_deref();
        Ok(Self {
            decoder: decoder
                .map(|place| model.preview_decoder(place))
                .transpose()?,
            model,
            file: options.preview.as_deref(),
            every: usize::from(options.preview_every),
        })
    }

    fn write(&self, file: &Path, latents: Tensor<4>) -> Result<(), Failure> {
        let drawn = match &self.decoder {
            Some(decoder) => decoder.decode(latents)?,
            None => self.model.decode(latents)?,
        };
        if let Some(picture) = drawn.first() {
            write_bytes(file, &png_bytes(picture, &[])?)?;
        }
        Ok(())
    }
}

impl AttentionHooks for Preview<'_> {
    fn after_step(&mut self, step: usize, steps: usize, estimate: &mut dyn FnMut() -> Tensor<4>) {
        let Some(file) = self.file else { return };
        if !step.is_multiple_of(self.every) || step == steps {
            return;
        }
        if let Err(failure) = self.write(file, estimate()) {
            eprint_line(&format!("warning: no more previews: {failure}"));
            self.file = None;
        }
    }
}
