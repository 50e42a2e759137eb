//! Who edits pictures by instructions.

use std::path::Path;

use base::media::Image;
use base::rng::Rng;
use burn::tensor::{Device, Tensor, TensorData};
use engine::models::autoencoder_kl::{self, AutoencoderKl, AutoencoderKlConfig};
use engine::models::pixart::PixArt;
use engine::models::stable_diffusion::{
    Request, SamplerKind, Sampling, Source, StableDiffusion, part_config, part_weights,
};
use engine::weights::{Weights, load};

use super::SystemError;
use super::captions::Captions;
use super::checkpoint::{self, HEADS};
use super::pixedit::{EditSettings, LatentEdit};

/// Side of the pictures that PixEdit edits.
pub const SIDE: u32 = 512;
/// Side of their latents.
const LATENT_SIDE: usize = 64;

/// Carries out instructions.
pub trait Editor: Send {
    /// Its name, as it goes into records.
    fn name(&self) -> &str;

    /// Hears of all instructions of a plan before the first is carried out.
    ///
    /// # Errors
    /// [`SystemError`]: as the editor says.
    fn prepare(&mut self, instructions: &[String]) -> Result<(), SystemError> {
        let _ = instructions;
        Ok(())
    }

    /// The picture after one instruction. `watch` hears of steps done and in all, and says whether to go on.
    ///
    /// # Errors
    /// [`SystemError`]: the picture cannot be edited, it was stopped.
    fn edit(
        &mut self,
        picture: &Image,
        instruction: &str,
        seed: u64,
        watch: &mut dyn FnMut(usize, usize) -> bool,
    ) -> Result<Image, SystemError>;
}

/// Models of the InstructPix2Pix kind, such as MagicBrush and AURORA. Pictures keep their size, to the pixels of a latent.
pub struct InstructPix2Pix {
    model: StableDiffusion,
    settings: EditSettings,
}

impl InstructPix2Pix {
    /// Guidance as published; half the steps, which is what AURORA takes.
    pub const USUAL: EditSettings = EditSettings {
        steps: 50,
        text_guidance: 7.5,
        image_guidance: 1.5,
    };

    /// With a model that edits by instruction.
    ///
    /// # Errors
    /// [`SystemError`] where it does not.
    pub fn new(model: StableDiffusion, settings: EditSettings) -> Result<Self, SystemError> {
        match model.edits() {
            true => Ok(Self { model, settings }),
            false => Err(SystemError::input(
                "the editor is a model that draws: give one that edits by instruction, such as InstructPix2Pix, or PixEdit's transformer \
                 with `--parts`",
            )),
        }
    }
}

impl Editor for InstructPix2Pix {
    fn name(&self) -> &str {
        "InstructPix2Pix"
    }

    fn edit(
        &mut self,
        picture: &Image,
        instruction: &str,
        seed: u64,
        watch: &mut dyn FnMut(usize, usize) -> bool,
    ) -> Result<Image, SystemError> {
        let factor = self.model.factor();
        let side = |side: u32| (side as usize / factor * factor).max(factor);
        let usual = self.model.request();
        let request = Request {
            prompt: instruction.to_owned(),
            width: side(picture.width),
            height: side(picture.height),
            seeds: vec![seed],
            sampling: Sampling {
                steps: self.settings.steps,
                sampler: SamplerKind::EulerAncestral,
                guidance: self.settings.text_guidance.into(),
                ..usual.sampling.clone()
            },
            source: Some(Source {
                picture: picture.clone(),
                mask: None,
                strength: 1.0,
                image_guidance: Some(self.settings.image_guidance.into()),
            }),
            ..usual
        };
        let drawn = self.model.draw(&request, &mut (), watch)?;
        let none = || SystemError::Failed("the model drew no picture".into());
        drawn.into_iter().next().ok_or_else(none)
    }
}

/// PixEdit with its autoencoder and captions.
pub struct PixEdit {
    network: PixArt,
    /// Width of its captions.
    caption_channels: usize,
    vae: AutoencoderKl,
    /// The network works on latents times this; the source stays as it is.
    scaling: f64,
    captions: Captions,
    settings: EditSettings,
    /// Whether an edit of the last result starts from its latents, not from its pixels.
    keep_latent: bool,
    last: Option<(Image, Tensor<4>)>,
    device: Device,
}

impl PixEdit {
    /// Opens the transformer in `checkpoint`, and the autoencoder and T5 in the diffusers folder `base`
    /// (`PixArt-alpha/pixart_sigma_sdxlvae_T5_diffusers`). Captions are kept in the folder `captions`. With `keep_latent` a chain of
    /// edits does not go through pixels between them.
    ///
    /// # Errors
    /// [`SystemError`]: what is missing or does not fit.
    pub fn open(
        checkpoint: &Path,
        base: &Path,
        captions: Option<&Path>,
        settings: EditSettings,
        keep_latent: bool,
        device: &Device,
    ) -> Result<Self, SystemError> {
        let weights = Weights::open(checkpoint)?;
        let sizes = checkpoint::config(&weights, HEADS, LATENT_SIDE)?;
        let place = base.join("vae");
        let config: AutoencoderKlConfig = part_config(&place.join("config.json"))?;
        config
            .check()
            .map_err(|reason| SystemError::path(&place, reason))?;
        let latent = config.latent_channels;
        let fits = [config.in_channels, config.out_channels] == [3, 3]
            && config.block_out_channels.len() == 4
            && sizes.in_channels == 2 * latent
            && sizes.out_channels >= latent;
        if !fits {
            return Err(weights
                .unfit(format!(
                    "it reads {} channels and the autoencoder in `{}` has {latent}: PixEdit reads twice as many, the picture to edit \
                     beside the noise",
                    sizes.in_channels,
                    place.display(),
                ))
                .into());
        }
        let network = checkpoint::read(&weights, &sizes, device)?;
        let file = part_weights(&place)?;
        let keys = autoencoder_kl::key_map_of(&file);
        let vae = load(config.init(&mut Rng::new(0), device), &file, &keys)?;
        Ok(Self {
            network,
            caption_channels: sizes.caption_channels,
            vae,
            scaling: config.scaling_factor,
            captions: Captions::new(base, captions, device),
            settings,
            keep_latent,
            last: None,
            device: device.clone(),
        })
    }

    /// The mean of the autoencoder's posterior, not scaled.
    fn source(&self, picture: &Image) -> Tensor<4> {
        if let Some((last, latents)) = self.last.as_ref().filter(|_| self.keep_latent)
            && last == picture
        {
            return latents.clone();
        }
        let side = SIDE as usize;
        let values = picture.resize(SIDE, SIDE).to_unit();
        let data = TensorData::new(values, [1, 3, side, side]);
        self.vae.encode(Tensor::from_data(data, &self.device)).mean
    }
}

impl Editor for PixEdit {
    fn name(&self) -> &str {
        "PixEdit"
    }

    fn prepare(&mut self, instructions: &[String]) -> Result<(), SystemError> {
        let mut texts = instructions.to_vec();
        texts.push(String::new());
        self.captions.prepare(&texts)
    }

    fn edit(
        &mut self,
        picture: &Image,
        instruction: &str,
        seed: u64,
        watch: &mut dyn FnMut(usize, usize) -> bool,
    ) -> Result<Image, SystemError> {
        self.prepare(&[instruction.to_owned()])?;
        let source = self.source(picture);
        let shape = source.dims();
        let edit = LatentEdit {
            source,
            caption: self.captions.get(instruction)?,
            null: self.captions.get("")?.states,
        };
        let width = edit.caption.states.dims()[2];
        if width != self.caption_channels || edit.null.dims()[2] != width {
            return Err(SystemError::input(format!(
                "captions are {width} wide and PixEdit reads {}: the text encoder, or the folder of kept captions, belongs to another \
                 model",
                self.caption_channels
            )));
        }
        let noise = Rng::new(seed).child("edit").normals(shape.iter().product());
        let noise = Tensor::from_data(TensorData::new(noise, shape), &self.device);
        let latents = edit.sample(&self.network, &self.settings, noise, watch)?;
        let latents = latents / self.scaling;
        let pixels = self.vae.decode(latents.clone());
        let values: Vec<f32> = pixels.into_data().iter::<f32>().collect();
        if values.iter().any(|value| !value.is_finite()) {
            return Err(SystemError::Failed(
                "PixEdit gave values that are not numbers: the weights hold some, or the guidance is too high".into(),
            ));
        }
        let edited = Image::from_unit(&values, SIDE, SIDE)?;
        if self.keep_latent {
            self.last = Some((edited.clone(), latents));
        }
        Ok(edited)
    }
}
