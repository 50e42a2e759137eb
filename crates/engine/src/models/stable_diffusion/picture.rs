//! Pictures to latents and back.

use base::media::Picture;
use burn::tensor::{Tensor, TensorData};

use super::sample::finite;
use super::{DiffusionError, Inpaint, StableDiffusion};

impl StableDiffusion {
    /// Pictures of one size, sides multiples of [`StableDiffusion::factor`], to latents `[pictures, channels, height / factor,
    /// width / factor]`: the mean of the autoencoder's posterior, scaled.
    ///
    /// # Errors
    /// [`DiffusionError::Request`] for sizes that differ or do not fit, [`DiffusionError::NotFinite`].
    pub fn encode(&self, pictures: &[Picture]) -> Result<Tensor<4>, DiffusionError> {
        let Some(first) = pictures.first() else {
            return Err(DiffusionError::request("there is no picture to read"));
        };
        let (width, height) = (first.width as usize, first.height as usize);
        let factor = self.factor();
        let other = pictures
            .iter()
            .any(|it| (it.width, it.height) != (first.width, first.height));
        if other || !width.is_multiple_of(factor) || !height.is_multiple_of(factor) {
            return Err(DiffusionError::request(format!(
                "pictures must have one size, both sides multiples of {factor}"
            )));
        }
        let rows: Result<Vec<Tensor<4>>, DiffusionError> = pictures
            .iter()
            .map(|picture| {
                let data = TensorData::new(picture.to_unit(), [1, 3, height, width]);
                let mean = self.vae.encode(Tensor::from_data(data, &self.device)).mean;
                finite(mean * self.vae_config.scaling_factor, NO_NUMBERS)
            })
            .collect();
        Ok(Tensor::cat(rows?, 0))
    }

    /// Latents to pictures, one by one.
    ///
    /// # Errors
    /// [`DiffusionError::NotFinite`] when the autoencoder gives values that are no numbers, as some do in f16.
    pub fn decode(&self, latents: Tensor<4>) -> Result<Vec<Picture>, DiffusionError> {
        let latents = latents / self.vae_config.scaling_factor;
        (0..latents.dims()[0])
            .map(|row| {
                let pixels = self.vae.decode(latents.clone().narrow(0, row, 1));
                let pixels = finite(pixels, NO_NUMBERS)?;
                let [_, _, height, width] = pixels.dims();
                let values: Vec<f32> = pixels.into_data().iter::<f32>().collect();
                Picture::from_unit(&values, width as u32, height as u32)
                    .map_err(|error| DiffusionError::request(error.to_string()))
            })
            .collect()
    }

    /// What inpainting needs of a picture and a mask of its size, white where it is drawn anew.
    ///
    /// # Errors
    /// As [`StableDiffusion::encode`].
    pub fn inpaint(&self, picture: &Picture, mask: &Picture) -> Result<Inpaint, DiffusionError> {
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

/// What is said when the autoencoder fails.
const NO_NUMBERS: &str = "the autoencoder gave values that are no numbers: its weights hold some, as files in f16 may; give \
                          another one with `--vae FOLDER`";
