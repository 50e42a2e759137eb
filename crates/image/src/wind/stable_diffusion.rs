//! Stable Diffusion as a model that carries the mark.

use base::command::{Context, Steps, Stopped};
use base::media::Image;
use base::rng::Rng;
use burn::tensor::{Tensor, TensorData};
use engine::data::pack::{EmojiPack, Style};
use engine::models::stable_diffusion::{
    Conditions, DiffusionError, Request, SamplerKind, Sampling, StableDiffusion,
};

use super::model::LatentModel;
use super::{Region, Shape, SystemError};

/// What photographs of a test show.
const PROMPTS: [&str; 8] = [
    "a red fox in the snow",
    "a lighthouse on a cliff",
    "a bowl of oranges on a table",
    "a street in the rain at night",
    "a mountain lake at dawn",
    "an old wooden door",
    "a portrait of an old fisherman",
    "a steam locomotive on a bridge",
];

/// A whole model of the Stable Diffusion family and how it samples; generation and inversion take the same steps.
pub struct StableDiffusionModel {
    model: StableDiffusion,
    sampling: Sampling,
    /// Side of the pictures, in pixels.
    side: usize,
    context: Context,
    quiet: bool,
}

impl StableDiffusionModel {
    /// `guidance` is by default what the model's index says, else 7.5; `side` is that of the pictures, by default the model's own.
    /// The sampler is the model's own where it can be inverted, else DPM-Solver++ (official: DPM-Solver++, 50 steps, guidance
    /// 7.5).
    ///
    /// # Errors
    /// [`DiffusionError`] for sides that the model cannot draw.
    pub fn new(
        model: StableDiffusion,
        (steps, guidance, side): (usize, Option<f64>, Option<usize>),
        (context, quiet): (Context, bool),
    ) -> Result<Self, DiffusionError> {
        let usual = model.request();
        let sampler = match usual.sampling.sampler {
            SamplerKind::Ddim => SamplerKind::Ddim,
            _ => SamplerKind::DpmSolver,
        };
        let sampling = Sampling {
            steps,
            guidance: guidance.unwrap_or(usual.sampling.guidance),
            sampler,
            ..usual.sampling.clone()
        };
        let side = side.unwrap_or(usual.width.min(usual.height));
        let request = Request {
            width: side,
            height: side,
            sampling: sampling.clone(),
            ..usual
        };
        model.check(&request)?;
        Ok(Self {
            model,
            sampling,
            side,
            context,
            quiet,
        })
    }

    /// The prompt as the text towers see it.
    fn conditions(&self, prompt: &str, guided: bool) -> Result<Conditions, DiffusionError> {
        self.model
            .conditions(prompt, None, guided, 0, [self.side; 2])
    }

    fn plain(&self) -> Sampling {
        Sampling {
            guidance: 1.0,
            ..self.sampling.clone()
        }
    }

    fn latents(&self, values: &[f32]) -> Tensor<4> {
        let Shape {
            channels,
            height,
            width,
        } = self.shape();
        let data = TensorData::new(values.to_vec(), [1, channels, height, width]);
        Tensor::from_data(data, self.model.device())
    }

    /// The picture's middle square at the model's size.
    fn square(&self, picture: &Image) -> Image {
        picture.resize_square(self.side as u32)
    }

    fn image(&self, latents: Tensor<4>) -> Result<Image, SystemError> {
        let mut pictures = self.model.decode(latents).map_err(wind)?;
        let none = || SystemError::Failed("the model drew no picture".into());
        pictures.pop().ok_or_else(none)
    }

    /// Shows steps and hears of Ctrl-C.
    fn watched<T>(
        &self,
        title: &'static str,
        work: impl FnOnce(&mut dyn FnMut(usize, usize) -> bool) -> Result<T, DiffusionError>,
    ) -> Result<T, SystemError> {
        let mut bar = Steps::new(title, self.quiet);
        let done = work(&mut |done, all| {
            bar.at(done, all);
            !self.context.stopped()
        });
        bar.finish();
        done.map_err(wind)
    }
}

impl LatentModel for StableDiffusionModel {
    fn shape(&self) -> Shape {
        let side = self.side / self.model.factor();
        Shape::new([self.model.latent_channels(), side, side])
    }

    /// Of a model that draws transparency, a small one for emoji, an emoji; of others a photograph.
    fn any_prompt(&self, rng: &mut Rng) -> String {
        let pack = self.model.transparent().then(EmojiPack::embedded);
        let Some(Ok(pack)) = pack else {
            return PROMPTS[rng.below(PROMPTS.len())].to_owned();
        };
        let subject = &pack.subjects[rng.below(pack.subjects.len())];
        let style = Style::ALL[rng.below(Style::ALL.len())];
        format!("{} {style}", subject.name("en").unwrap_or_default())
    }

    fn generate(&self, latents: &[f32], prompt: &str) -> Result<Image, SystemError> {
        let guided = self.sampling.guidance != 1.0;
        let conditions = self.conditions(prompt, guided).map_err(wind)?;
        let noise = self.latents(latents);
        let drawn = self.watched("steps", |watch| {
            self.model
                .sample(noise, &[0], &conditions, &self.sampling, &mut (), watch)
        })?;
        self.image(drawn)
    }

    fn invert(&self, picture: &Image) -> Result<Vec<f32>, SystemError> {
        let conditions = self.conditions("", false).map_err(wind)?;
        let seen = self.model.encode(&[self.square(picture)]).map_err(wind)?;
        let noise = self.watched("inversion", |watch| {
            self.model
                .invert(seen, &conditions, &self.plain(), &mut (), watch)
        })?;
        Ok(noise.into_data().iter::<f32>().collect())
    }

    fn inpaint(
        &self,
        picture: &Image,
        region: Region,
        latents: &[f32],
        prompt: &str,
    ) -> Result<Image, SystemError> {
        let known = self.square(picture);
        let factor = self.model.factor();
        let mut mask = Image::filled(known.width, known.height, [0; 3]);
        for y in 0..self.side {
            for x in 0..self.side {
                if region.holds(y / factor, x / factor) {
                    mask.set(x as u32, y as u32, [255; 3]);
                }
            }
        }
        let guided = self.sampling.guidance != 1.0;
        let conditions = self.conditions(prompt, guided).map_err(wind)?;
        let inpaint = self.model.inpaint(&known, &mask).map_err(wind)?;
        let (start, noise) = (inpaint.picture.clone(), self.latents(latents));
        let drawn = self.watched("steps", |watch| {
            self.model.sample_from(
                start,
                1.0,
                noise,
                &[0],
                &conditions,
                &self.sampling,
                Some(&inpaint),
                &mut (),
                watch,
            )
        })?;
        let drawn = self.image(drawn)?;
        // What was not drawn anew stays as it was, to the bit.
        let mut whole = known;
        for y in 0..self.side as u32 {
            for x in 0..self.side as u32 {
                if mask.pixel(x, y) != [0; 3] {
                    whole.set(x, y, drawn.pixel(x, y));
                }
            }
        }
        Ok(whole)
    }

    fn regenerate(
        &self,
        picture: &Image,
        strength: f32,
        rng: &mut Rng,
    ) -> Result<Image, SystemError> {
        let conditions = self.conditions("", false).map_err(wind)?;
        let seen = self.model.encode(&[self.square(picture)]).map_err(wind)?;
        let noise = self.latents(&rng.normals(self.shape().len()));
        let drawn = self.watched("regeneration", |watch| {
            self.model.sample_from(
                seen,
                f64::from(strength),
                noise,
                &[0],
                &conditions,
                &self.plain(),
                None,
                &mut (),
                watch,
            )
        })?;
        self.image(drawn)
    }
}

fn wind(error: DiffusionError) -> SystemError {
    match error {
        DiffusionError::Stopped => SystemError::Stopped(Stopped("stopped; nothing was written")),
        other => other.into(),
    }
}
