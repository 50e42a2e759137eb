//! From classes and given frames to pictures and clips, and the way back.

use base::command::{Context, Failure};
use base::media::Image;
use base::rng::Rng;
use burn::tensor::{Tensor, TensorData};
use engine::models::autoencoder_kl::{AutoencoderKl, AutoencoderKlConfig};

use super::pipeline::AcditPipeline;
use super::sample::{BlockSampler, SampleConfig};
use super::space::{Values, unit};

/// The autoencoder of a model of latents.
#[derive(Debug)]
pub struct Vae {
    /// The network.
    pub model: AutoencoderKl,
    /// Its sizes.
    pub config: AutoencoderKlConfig,
}

/// What to draw.
#[derive(Clone, Debug)]
pub struct Request {
    /// A class for each sample; the number of classes stands for none.
    pub labels: Vec<usize>,
    /// Blocks of a sample, given ones included.
    pub blocks: usize,
    /// How.
    pub sampling: SampleConfig,
    /// Where the noise comes from: a sample depends on this, its number and nothing else.
    pub seed: u64,
}

/// Blocks of all samples as they come, `[samples, block, values]` each; given blocks come first.
pub struct Stream<'a> {
    sampler: BlockSampler<'a>,
    noise: Vec<Rng>,
    given: std::vec::IntoIter<Tensor<3>>,
    pipeline: &'a AcditPipeline,
    watch: &'a mut dyn FnMut(usize) -> bool,
}

impl Iterator for Stream<'_> {
    type Item = Tensor<3>;

    fn next(&mut self) -> Option<Tensor<3>> {
        if let Some(block) = self.given.next() {
            self.sampler.give(block.clone());
            return Some(block);
        }
        let config = &self.pipeline.config;
        let (block, values) = (config.block_size, config.latent_size);
        let draws: Vec<f32> = self
            .noise
            .iter_mut()
            .flat_map(|rng| rng.normals(block * values))
            .collect();
        let noise = TensorData::new(draws, [self.noise.len(), block, values]);
        let noise = Tensor::from_data(noise, &self.pipeline.device);
        self.sampler.next_block_watched(noise, self.watch)
    }
}

impl AcditPipeline {
    /// Starts to draw. `given` are clean blocks, `[samples, block, values]` each; `watch` hears of every step of every drawn
    /// block, and ends the stream by false.
    ///
    /// # Errors
    /// In words, where the request does not fit the model.
    pub fn stream<'a>(
        &'a self,
        request: &Request,
        given: Vec<Tensor<3>>,
        watch: &'a mut dyn FnMut(usize) -> bool,
    ) -> Result<Stream<'a>, String> {
        if given.len() >= request.blocks {
            return Err(format!(
                "{} blocks are given and {} asked for: ask for more",
                given.len(),
                request.blocks
            ));
        }
        let sampler = BlockSampler::new(
            &self.model,
            &self.config,
            &request.labels,
            request.blocks,
            request.sampling,
            &self.device,
        )?;
        let draws = Rng::new(request.seed).child("noise");
        let noise = (0..request.labels.len() as u64)
            .map(|sample| draws.item(sample))
            .collect();
        Ok(Stream {
            sampler,
            noise,
            given: given.into_iter(),
            pipeline: self,
            watch,
        })
    }

    /// Draws samples to the end: frames of each.
    ///
    /// # Errors
    /// Where the request does not fit the model, and at Ctrl-C.
    pub fn draw(
        &self,
        request: &Request,
        given: Vec<Tensor<3>>,
        vae: Option<&Vae>,
        context: Context,
        step: &mut dyn FnMut(),
    ) -> Result<Vec<Vec<Image>>, Failure> {
        let mut watch = |_| {
            step();
            !context.stopped()
        };
        let stream = self
            .stream(request, given, &mut watch)
            .map_err(Failure::input)?;
        let blocks: Vec<Tensor<3>> = stream.collect();
        context.proceed()?;
        self.pictures(Tensor::cat(blocks, 1), vae)
    }

    /// The frames of samples out of their tokens, `[samples, tokens, values]`.
    ///
    /// # Errors
    /// Where the model's values are latents and there is no autoencoder.
    pub fn pictures(
        &self,
        tokens: Tensor<3>,
        vae: Option<&Vae>,
    ) -> Result<Vec<Vec<Image>>, Failure> {
        let [samples, count, _] = tokens.dims();
        let values = values(tokens)?;
        let places = self.about.space.places(&self.config, count);
        let mut frames = Vec::with_capacity(samples);
        for sample in values.chunks_exact(places.len()) {
            let mut planes = vec![0.0; places.len()];
            for (&place, &value) in places.iter().zip(sample) {
                planes[place] = value;
            }
            let size = self.about.space.frame(&self.config);
            let one: Result<Vec<Image>, Failure> = planes
                .chunks_exact(size)
                .map(|planes| self.frame(planes, vae))
                .collect();
            frames.push(one?);
        }
        Ok(frames)
    }

    /// One frame out of its planes `[channels, side, side]`.
    fn frame(&self, planes: &[f32], vae: Option<&Vae>) -> Result<Image, Failure> {
        let space = &self.about.space;
        let side = space.side(&self.config);
        let picture = space.picture_side(&self.config) as u32;
        let rgb = match (space.values, vae) {
            (Values::Pixels, _) if space.channels == 1 => planes.repeat(3),
            (Values::Pixels, _) => planes.to_vec(),
            (Values::Latents, Some(vae)) => {
                let scaled = planes
                    .iter()
                    .map(|value| value / vae.config.scaling_factor as f32);
                let latents = TensorData::new(
                    scaled.collect::<Vec<f32>>(),
                    [1, space.channels, side, side],
                );
                let decoded = vae.model.decode(Tensor::from_data(latents, &self.device));
                values(decoded)?
            }
            (Values::Latents, None) => return Err(no_vae()),
        };
        Ok(Image::from_unit(&rgb, picture, picture)?)
    }

    /// The tokens of frames, `[1, tokens, values]`: whole blocks from the first on, what is left over does not count.
    ///
    /// # Errors
    /// Where the model's values are latents and there is no autoencoder.
    pub fn tokens(&self, frames: &[Image], vae: Option<&Vae>) -> Result<Tensor<3>, Failure> {
        let space = &self.about.space;
        let side = space.picture_side(&self.config);
        let mut planes = Vec::new();
        for frame in frames {
            match (space.values, vae) {
                (Values::Pixels, _) => {
                    planes.extend(space.planes(frame, side).into_iter().map(unit))
                }
                (Values::Latents, Some(vae)) => {
                    let square = frame.crop_square().resize_square(side as u32);
                    let pixels = TensorData::new(square.to_unit(), [1, 3, side, side]);
                    let mean = vae
                        .model
                        .encode(Tensor::from_data(pixels, &self.device))
                        .mean;
                    let scale = vae.config.scaling_factor as f32;
                    planes.extend(values(mean)?.into_iter().map(|value| value * scale));
                }
                (Values::Latents, None) => return Err(no_vae()),
            }
        }
        let tokens = frames.len() * self.config.spatial_len;
        let count = tokens / self.config.block_size * self.config.block_size;
        let places = self.about.space.places(&self.config, count);
        let ordered: Vec<f32> = places.into_iter().map(|place| planes[place]).collect();
        let data = TensorData::new(ordered, [1, count, self.config.latent_size]);
        Ok(Tensor::from_data(data, &self.device))
    }

    /// The first `count` blocks of tokens `[1, tokens, values]`, each for `samples` samples.
    pub fn blocks(&self, tokens: &Tensor<3>, count: usize, samples: usize) -> Vec<Tensor<3>> {
        let block = self.config.block_size;
        (0..count)
            .map(|at| {
                let one = tokens.clone().narrow(1, at * block, block);
                Tensor::cat(vec![one; samples], 0)
            })
            .collect()
    }
}

fn no_vae() -> Failure {
    Failure::input(
        "this model's values are latents: give the folder of its autoencoder with `--vae`",
    )
}

/// All values of a tensor.
///
/// # Errors
/// Where the device fails.
pub fn values<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, Failure> {
    tensor
        .into_data()
        .convert::<f32>()
        .try_into_vec()
        .map_err(|error| Failure::failed(format!("the device gave no values: {error:?}")))
}
