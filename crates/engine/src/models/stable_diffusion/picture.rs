//! Pictures to latents and back.

use std::path::Path;

use base::media::Image;
use burn::tensor::{Tensor, TensorData};

use super::sample::finite;
use super::vae::{Vae, VaePart};
use super::{DiffusionError, Drawn, Inpaint, StableDiffusion};
use crate::nn::WeightKind;

impl StableDiffusion {
    /// Pictures of one size, sides multiples of [`StableDiffusion::factor`], to latents `[pictures, channels, height / factor,
    /// width / factor]`: the mean of the autoencoder's posterior, scaled.
    ///
    /// # Errors
    /// [`DiffusionError::Request`] for sizes that differ or do not fit, [`DiffusionError::NotFinite`].
    pub fn encode(&self, pictures: &[Image]) -> Result<Tensor<4>, DiffusionError> {
        let opaque: Vec<Drawn> = pictures.iter().map(|it| (it.clone(), None)).collect();
        self.encode_with_alpha(&opaque)
    }

    /// As [`StableDiffusion::encode`]; beside each picture, which lies on white, how much each pixel covers, row by row: all, where
    /// nothing is said. An autoencoder of three channels does not see it.
    ///
    /// # Errors
    /// As [`StableDiffusion::encode`].
    pub fn encode_with_alpha(&self, pictures: &[Drawn]) -> Result<Tensor<4>, DiffusionError> {
        let Some((first, _)) = pictures.first() else {
            return Err(DiffusionError::request("there is no picture to read"));
        };
        let (width, height) = (first.width as usize, first.height as usize);
        let factor = self.factor();
        let other = pictures
            .iter()
            .any(|(it, _)| (it.width, it.height) != (first.width, first.height));
        if other || !width.is_multiple_of(factor) || !height.is_multiple_of(factor) {
            return Err(DiffusionError::request(format!(
                "pictures must have one size, both sides multiples of {factor}"
            )));
        }
        let rows: Result<Vec<Tensor<4>>, DiffusionError> = pictures
            .iter()
            .map(|(picture, alpha)| {
                let mut values = picture.to_unit();
                let channels = self.vae.sizes.in_channels;
                let alpha = alpha.iter().flatten();
                values.extend(alpha.map(|&v| f32::from(v) / 127.5 - 1.0));
                // A picture covers all of itself.
                values.resize(channels * height * width, 1.0);
                let data = TensorData::new(values, [1, channels, height, width]);
                let image = Tensor::from_data(data, &self.device);
                finite(self.vae.encode(image, self.tiling), NO_NUMBERS)
            })
            .collect();
        Ok(Tensor::cat(rows?, 0))
    }

    /// Latents to pictures, one by one.
    ///
    /// # Errors
    /// [`DiffusionError::NotFinite`] when the autoencoder gives values that are not numbers, as some do in f16.
    pub fn decode(&self, latents: Tensor<4>) -> Result<Vec<Image>, DiffusionError> {
        let drawn = self.decode_with_alpha(latents)?;
        Ok(drawn.into_iter().map(|(picture, _)| picture).collect())
    }

    /// As [`StableDiffusion::decode`]; beside each picture, which lies on white, how much each pixel covers, row by row, where the
    /// autoencoder says it (four channels).
    ///
    /// # Errors
    /// As [`StableDiffusion::decode`].
    pub fn decode_with_alpha(&self, latents: Tensor<4>) -> Result<Vec<Drawn>, DiffusionError> {
        drawn(&self.vae, latents, self.tiling)
    }

    /// A decoder for pictures that are not finished: the autoencoder at `place`, a folder or a file.
    ///
    /// # Errors
    /// When there is none, or it reads other latents than the model's.
    pub fn preview_decoder(&self, place: &Path) -> Result<PreviewDecoder, DiffusionError> {
        let part = VaePart::open(place, self.unet_config.addition_embed_type.is_some())?;
        part.check()
            .map_err(|reason| DiffusionError::model(place, reason))?;
        if part.sizes().latent_channels != self.vae.sizes.latent_channels {
            return Err(DiffusionError::model(
                place,
                format!(
                    "it decodes latents of {} channels, and the model has {}: give a tiny autoencoder made for this model",
                    part.sizes().latent_channels,
                    self.vae.sizes.latent_channels
                ),
            ));
        }
        Ok(PreviewDecoder(part.load(WeightKind::F32, &self.device)?))
    }

    /// What inpainting needs of a picture and a mask of its size, white where it is drawn anew.
    ///
    /// # Errors
    /// As [`StableDiffusion::encode`].
    pub fn inpaint(&self, picture: &Image, mask: &Image) -> Result<Inpaint, DiffusionError> {
        if (picture.width, picture.height) != (mask.width, mask.height) {
            return Err(DiffusionError::request(
                "picture and mask must have one size",
            ));
        }
        let anew =
            |x: u32, y: u32| mask.pixel(x, y).iter().map(|&v| u32::from(v)).sum::<u32>() > 3 * 127;
        let mut without = picture.clone();
        for y in 0..picture.height {
            for x in 0..picture.width {
                if anew(x, y) {
                    // The middle of the range, as the released models were trained.
                    without.set(x, y, [128, 128, 128]);
                }
            }
        }
        let factor = self.factor() as u32;
        let (width, height) = (picture.width / factor, picture.height / factor);
        // A latent is drawn anew where the pixel that nearest-neighbour scaling takes is.
        let cells: Vec<f32> = (0..height)
            .flat_map(|y| (0..width).map(move |x| (x * factor, y * factor)))
            .map(|(x, y)| f32::from(u8::from(anew(x, y))))
            .collect();
        let shape = [1, 1, height as usize, width as usize];
        Ok(Inpaint {
            mask: Tensor::from_data(TensorData::new(cells, shape), &self.device),
            picture: self.encode(std::slice::from_ref(picture))?,
            masked: self.encode(&[without])?,
        })
    }
}

/// See [`StableDiffusion::preview_decoder`].
pub struct PreviewDecoder(Vae);

impl PreviewDecoder {
    /// Scaled latents to pictures, as [`StableDiffusion::decode`].
    ///
    /// # Errors
    /// [`DiffusionError::NotFinite`].
    pub fn decode(&self, latents: Tensor<4>) -> Result<Vec<Image>, DiffusionError> {
        let drawn = drawn(&self.0, latents, false)?;
        Ok(drawn.into_iter().map(|(picture, _)| picture).collect())
    }
}

/// Scaled latents to pictures, one by one.
fn drawn(vae: &Vae, latents: Tensor<4>, tiling: bool) -> Result<Vec<Drawn>, DiffusionError> {
    (0..latents.dims()[0])
        .map(|row| {
            let latents = latents.clone().narrow(0, row, 1);
            let pixels = finite(vae.decode(latents, tiling), NO_NUMBERS)?;
            let [_, _, height, width] = pixels.dims();
            let values: Vec<f32> = pixels.into_data().iter::<f32>().collect();
            let (colours, rest) = values.split_at(3 * height * width);
            let alpha = (!rest.is_empty()).then(|| {
                let byte = |v: &f32| ((v.clamp(-1.0, 1.0) + 1.0) * 127.5).round() as u8;
                rest.iter().map(byte).collect()
            });
            let picture = Image::from_unit(colours, width as u32, height as u32)
                .map_err(|error| DiffusionError::request(error.to_string()))?;
            Ok((picture, alpha))
        })
        .collect()
}

/// What is said when the autoencoder fails.
const NO_NUMBERS: &str = "the autoencoder gave values that are not numbers: its weights hold some, as files in f16 may; give \
                          another one with `--vae FOLDER|FILE`";
