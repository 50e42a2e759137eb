//! A world with an ideal denoiser: pictures from a known mixture, whose noise prediction has a closed form.
//!
//! Nothing is trained and nothing is approximated but the steps of DDIM, so what a watermark survives here is a matter of the
//! method alone. The latents are the pictures themselves.

use base::hash::{FNV_START, fnv1a};
use base::media::Image;
use base::rng::Rng;
use engine::diffusion::scheduler::{BetaSchedule, SchedulerConfig};

use super::latent::dot;
use super::model::LatentModel;
use super::{Region, Shape, SystemError};

/// Side of the pictures.
pub const SIDE: usize = 32;
/// Kinds of pictures that a prompt can ask for.
pub const CLASSES: usize = 8;
/// Pictures in the mixture, as many of each class.
const PICTURES: usize = 64;
/// Steps of generation and inversion.
const STEPS: usize = 50;
/// Guidance of generation.
const GUIDANCE: f32 = 3.0;

/// A Gaussian mixture over pictures `[3, 32, 32]` in `[-1, 1]`.
#[derive(Clone, Debug)]
pub struct IdealWorld {
    /// Centres, one after the other, and their squared lengths.
    centres: Vec<Vec<f32>>,
    squares: Vec<f32>,
    /// Deviation of each component.
    deviation: f32,
    /// ᾱ at the steps, from the picture's side to noise: one more than there are steps.
    bars: Vec<f64>,
}

impl IdealWorld {
    /// The world of the proof and of `--model ideal`.
    pub fn usual() -> Self {
        Self::new(0, 0.25)
    }

    /// A world of 64 rendered pictures, discs on gradients. Worlds of other seeds have other pictures.
    pub fn new(seed: u64, deviation: f32) -> Self {
        let rng = Rng::new(seed).child("wind world");
        let centres: Vec<Vec<f32>> = (0..PICTURES as u64).map(|i| render(rng.item(i))).collect();
        let config = SchedulerConfig {
            beta_start: 0.00085,
            beta_end: 0.012,
            beta_schedule: BetaSchedule::ScaledLinear,
            ..SchedulerConfig::default()
        };
        let all = config.alphas_cumprod();
        let stride = all.len() / STEPS;
        let first = all.first().copied().unwrap_or(1.0);
        let at_steps = (0..STEPS).map(|step| all[step * stride + 1]);
        Self {
            squares: centres.iter().map(|centre| dot(centre, centre)).collect(),
            centres,
            deviation,
            bars: std::iter::once(first).chain(at_steps).collect(),
        }
    }

    /// The class that a prompt asks for: its number, else one that follows from its letters.
    pub fn class(prompt: &str) -> usize {
        let prompt = prompt.trim();
        let hashed = || fnv1a(FNV_START, prompt.bytes());
        (prompt.parse::<u64>().unwrap_or_else(|_| hashed()) % CLASSES as u64) as usize
    }

    /// The noise in `x` at the level `bar`, given that the picture is of `class`.
    fn noise(&self, x: &[f32], bar: f64, class: Option<usize>) -> Vec<f32> {
        let (root, spread) = (bar.sqrt() as f32, f64::from(self.deviation).powi(2));
        let variance = bar * spread + 1.0 - bar;
        let of_class = |at: &usize| class.is_none_or(|class| at % CLASSES == class);
        let members: Vec<usize> = (0..self.centres.len()).filter(of_class).collect();
        // |x − √ᾱ μ|², but for |x|², which all have.
        let apart = |&at: &usize| {
            let (centre, square) = (&self.centres[at], self.squares[at]);
            f64::from(bar as f32 * square - 2.0 * root * dot(x, centre)) / (2.0 * variance)
        };
        let apart: Vec<f64> = members.iter().map(apart).collect();
        let least = apart.iter().copied().fold(f64::INFINITY, f64::min);
        let shares: Vec<f64> = apart.iter().map(|apart| (least - apart).exp()).collect();
        let total: f64 = shares.iter().sum();
        // E[x₀ | x] = Σ w μ + k·(x − √ᾱ Σ w μ)
        let mut mean = vec![0.0f32; x.len()];
        for (&at, share) in members.iter().zip(&shares) {
            let share = (share / total) as f32;
            if share > 1e-7 {
                let centre = self.centres[at].iter();
                mean.iter_mut()
                    .zip(centre)
                    .for_each(|(mean, value)| *mean += share * value);
            }
        }
        let gain = (bar.sqrt() * spread / variance) as f32;
        let scale = 1.0 / (1.0 - bar).sqrt() as f32;
        let noise = |(x, mean): (&f32, &f32)| {
            let clean = mean + gain * (x - root * mean);
            (x - root * clean) * scale
        };
        x.iter().zip(&mean).map(noise).collect()
    }

    /// One step of DDIM from a level to another, in place.
    fn step(x: &mut [f32], noise: &[f32], from: f64, to: f64) {
        let keep = (to / from).sqrt();
        let add = (1.0 - to).sqrt() - keep * (1.0 - from).sqrt();
        let [keep, add] = [keep, add].map(|value| value as f32);
        x.iter_mut()
            .zip(noise)
            .for_each(|(x, noise)| *x = keep * *x + add * noise);
    }

    /// Denoises from step `from` on; after each step `after` may change what is there, at the level that it is given.
    fn denoise(
        &self,
        x: &mut [f32],
        from: usize,
        class: Option<usize>,
        mut after: impl FnMut(&mut [f32], f64),
    ) {
        for at in (1..=from).rev() {
            let (here, next) = (self.bars[at], self.bars[at - 1]);
            let mut noise = self.noise(x, here, None);
            if class.is_some() {
                let guided = self.noise(x, here, class);
                let mix = noise.iter_mut().zip(guided);
                mix.for_each(|(noise, guided)| *noise += GUIDANCE * (guided - *noise));
            }
            Self::step(x, &noise, here, next);
            after(x, next);
        }
    }

    /// The picture of latents without a prompt or guidance: what a forger has who knows no prompt.
    ///
    /// # Errors
    /// None in this world.
    pub fn reconstruct(&self, latents: &[f32]) -> Result<Image, SystemError> {
        let mut x = latents.to_vec();
        self.denoise(&mut x, STEPS, None, |_, _| {});
        Self::picture(&x)
    }

    fn picture(x: &[f32]) -> Result<Image, SystemError> {
        Ok(Image::from_unit(x, SIDE as u32, SIDE as u32)?)
    }

    fn values(picture: &Image) -> Vec<f32> {
        picture.resize_square(SIDE as u32).to_unit()
    }
}

impl LatentModel for IdealWorld {
    fn shape(&self) -> Shape {
        Shape::new([3, SIDE, SIDE])
    }

    fn any_prompt(&self, rng: &mut Rng) -> String {
        rng.below(CLASSES).to_string()
    }

    fn generate(&self, latents: &[f32], prompt: &str) -> Result<Image, SystemError> {
        let mut x = latents.to_vec();
        self.denoise(&mut x, STEPS, Some(Self::class(prompt)), |_, _| {});
        Self::picture(&x)
    }

    fn invert(&self, picture: &Image) -> Result<Vec<f32>, SystemError> {
        let mut x = Self::values(picture);
        for at in 0..STEPS {
            let (here, next) = (self.bars[at], self.bars[at + 1]);
            // The network gets the level that it goes to, as in the official inversion.
            let noise = self.noise(&x, next, None);
            Self::step(&mut x, &noise, here, next);
        }
        Ok(x)
    }

    fn inpaint(
        &self,
        picture: &Image,
        region: Region,
        latents: &[f32],
        prompt: &str,
    ) -> Result<Image, SystemError> {
        let known = Self::values(picture);
        let outside = |at: usize| {
            let place = at % (SIDE * SIDE);
            !region.holds(place / SIDE, place % SIDE)
        };
        let mut x = latents.to_vec();
        // What is known is put in at each level, with the same noise throughout.
        let keep = |x: &mut [f32], bar: f64| {
            let [root, rest] = [bar.sqrt() as f32, (1.0 - bar).sqrt() as f32];
            for at in (0..x.len()).filter(|&at| outside(at)) {
                x[at] = root * known[at] + rest * latents[at];
            }
        };
        keep(&mut x, self.bars[STEPS]);
        self.denoise(&mut x, STEPS, Some(Self::class(prompt)), keep);
        for at in (0..x.len()).filter(|&at| outside(at)) {
            x[at] = known[at];
        }
        Self::picture(&x)
    }

    fn regenerate(
        &self,
        picture: &Image,
        strength: f32,
        rng: &mut Rng,
    ) -> Result<Image, SystemError> {
        let level = ((strength * STEPS as f32).ceil() as usize).min(STEPS);
        let bar = self.bars[level];
        let [root, rest] = [bar.sqrt() as f32, (1.0 - bar).sqrt() as f32];
        let mut x = Self::values(picture);
        x.iter_mut()
            .for_each(|x| *x = root * *x + rest * rng.normal());
        self.denoise(&mut x, level, None, |_, _| {});
        Self::picture(&x)
    }
}

/// A disc on a gradient, `[3, 32, 32]` in `[-1, 1]`.
fn render(mut rng: Rng) -> Vec<f32> {
    let mut between = |low: f32, high: f32| low + (high - low) * rng.uniform();
    let colours: [[f32; 3]; 3] =
        std::array::from_fn(|_| std::array::from_fn(|_| between(-0.8, 0.8)));
    let [x, y, radius] = [between(8.0, 24.0), between(8.0, 24.0), between(4.0, 10.0)];
    let angle = between(0.0, std::f32::consts::TAU);
    let mut values = vec![0.0; 3 * SIDE * SIDE];
    for (at, value) in values.iter_mut().enumerate() {
        let (channel, place) = (at / (SIDE * SIDE), at % (SIDE * SIDE));
        let [row, column] = [(place / SIDE) as f32, (place % SIDE) as f32];
        let along = (column * angle.cos() + row * angle.sin()) / SIDE as f32;
        let share = (along / 2.0 + 0.5).clamp(0.0, 1.0);
        let ground = colours[0][channel] * share + colours[1][channel] * (1.0 - share);
        // The edge is a pixel wide.
        let inside = (radius - (column - x).hypot(row - y) + 0.5).clamp(0.0, 1.0);
        *value = inside * colours[2][channel] + (1.0 - inside) * ground;
    }
    values
}
