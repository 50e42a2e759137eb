//! The base of the toy world: a small U-Net that knows subjects by name, how it is trained, and how it draws.

use base::command::{Context, Failure};
use base::rng::Rng;
use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
use engine::models::unet2d::{PerBlock, Unet2d, Unet2dConfig, UnetConditions};
use engine::nn::Init;
use engine::ops;

use super::sprites::{CHOICES, Factors, SIDE, SUBJECTS, Sprite, VALUES};
use crate::fit::fit;
use crate::fiva::Adapter;

/// Width of everything.
const WIDTH: usize = 32;
/// The U-Net sees squares of two by two pixels as channels.
const FOLD: usize = 2;
const CHANNELS: usize = 3 * FOLD * FOLD;
const PLACES: usize = SIDE / FOLD;
/// Tokens of a subject's name.
const WORDS: usize = 2;
/// Samples of a step.
pub(super) const BATCH: usize = 64;
/// Peak learning rate, of the base and of adapters.
pub(super) const RATE: f64 = 2e-3;
/// Steps of sampling.
const STEPS: usize = 10;

/// What is said of a sprite, as people do of pictures: a subject and attributes, some of them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Prompt {
    pub(super) subject: Option<usize>,
    pub(super) attributes: [Option<usize>; 3],
}

impl Prompt {
    /// A subject alone, which is all that adapters are told.
    pub(super) fn subject(subject: usize) -> Self {
        Self {
            subject: Some(subject),
            ..Self::default()
        }
    }

    /// Its rows in the table of words; what is not said has rows of its own.
    fn rows(&self) -> Vec<i64> {
        let subject = self.subject.unwrap_or(SUBJECTS) * WORDS;
        let mut rows: Vec<i64> = (subject..subject + WORDS).map(|row| row as i64).collect();
        let mut from = (SUBJECTS + 1) * WORDS;
        for (value, choices) in self.attributes.iter().zip(CHOICES) {
            rows.push((from + value.unwrap_or(choices)) as i64);
            from += choices + 1;
        }
        rows
    }
}

/// The base: a U-Net and a table of words.
#[derive(Module, Debug)]
pub(super) struct Base {
    pub(super) unet: Unet2d,
    words: Param<Tensor<2>>,
}

fn unet_config() -> Unet2dConfig {
    Unet2dConfig {
        in_channels: CHANNELS,
        out_channels: CHANNELS,
        down_block_types: vec!["CrossAttnDownBlock2D".into(); 2],
        up_block_types: vec!["CrossAttnUpBlock2D".into(); 2],
        block_out_channels: vec![WIDTH; 2],
        layers_per_block: PerBlock::Same(1),
        norm_num_groups: 8,
        cross_attention_dim: PerBlock::Same(WIDTH),
        attention_head_dim: PerBlock::Same(4),
        use_linear_projection: true,
        ..Unet2dConfig::default()
    }
}

/// Sprites `[batch, 3, side, side]`.
pub(super) fn pixels(sprites: &[Sprite], device: &Device) -> Tensor<4> {
    let data = TensorData::new(sprites.concat(), [sprites.len(), 3, SIDE, SIDE]);
    Tensor::from_data(data, device)
}

/// Squares of pixels to channels.
fn fold(x: Tensor<4>) -> Tensor<4> {
    let batch = x.dims()[0];
    x.reshape([batch, 3, PLACES, FOLD, PLACES, FOLD])
        .permute([0, 1, 3, 5, 2, 4])
        .reshape([batch, CHANNELS, PLACES, PLACES])
}

/// And back.
fn unfold(x: Tensor<4>) -> Tensor<4> {
    let batch = x.dims()[0];
    x.reshape([batch, 3, FOLD, FOLD, PLACES, PLACES])
        .permute([0, 1, 4, 2, 5, 3])
        .reshape([batch, 3, SIDE, SIDE])
}

pub(super) fn normals(batch: usize, rng: &mut Rng, device: &Device) -> Tensor<4> {
    let data = TensorData::new(
        rng.normals(batch * VALUES),
        [batch, CHANNELS, PLACES, PLACES],
    );
    Tensor::from_data(data, device)
}

/// Cosines and sines of noise levels, `[batch, 1, 1, 1]` each.
fn angles(levels: &[f32], device: &Device) -> [Tensor<4>; 2] {
    [libm::cosf, libm::sinf].map(|of| {
        let values: Vec<f32> = levels
            .iter()
            .map(|level| of(level * std::f32::consts::FRAC_PI_2))
            .collect();
        Tensor::from_data(TensorData::new(values, [levels.len(), 1, 1, 1]), device)
    })
}

fn times(levels: &[f32]) -> Vec<f64> {
    levels
        .iter()
        .map(|level| f64::from(1000.0 * level))
        .collect()
}

impl Base {
    fn new(rng: &mut Rng, device: &Device) -> Result<Self, Failure> {
        let unet = unet_config().init(rng, device).map_err(Failure::failed)?;
        let attributes = CHOICES.iter().map(|choices| choices + 1).sum::<usize>();
        let rows = (SUBJECTS + 1) * WORDS + attributes;
        Ok(Self {
            unet,
            words: Init::Normal(1.0).weight(rows, WIDTH, rng, device),
        })
    }

    /// Prompts, `[batch, words, width]`: two words for the subject and one for each attribute.
    fn text(&self, prompts: &[Prompt]) -> Tensor<3> {
        let device = self.words.device();
        let rows: Vec<i64> = prompts.iter().flat_map(Prompt::rows).collect();
        let data = TensorData::new(rows, [prompts.len(), WORDS + CHOICES.len()]);
        let rows: Tensor<2, Int> = Tensor::from_data(data, &device);
        ops::embedding::<2, 3>(self.words.val(), rows)
    }

    /// What turns noise to sprites (the velocity), from text and, where there are some, tokens of references.
    pub(super) fn velocity(
        &self,
        x: Tensor<4>,
        levels: &[f32],
        prompts: &[Prompt],
        seen: Option<(&Adapter, Tensor<3>)>,
    ) -> Tensor<4> {
        let text = self.text(prompts);
        match seen {
            None => {
                let conditions = UnetConditions::text(text);
                self.unet.forward(x, &times(levels), &conditions, &mut ())
            }
            Some((adapter, tokens)) => {
                let count = tokens.dims()[1];
                let conditions = UnetConditions::text(Tensor::cat(vec![text, tokens], 1));
                let mut hooks = adapter.hooks(count, 1.0);
                self.unet
                    .forward(x, &times(levels), &conditions, &mut hooks)
            }
        }
    }
}

/// The loss of velocities on `sprites`.
pub(super) fn loss(
    sprites: &[Sprite],
    rng: &mut Rng,
    device: &Device,
    velocity: impl FnOnce(Tensor<4>, &[f32]) -> Tensor<4>,
) -> Tensor<1> {
    // Half of the levels come from the noisiest quarter: attributes are decided there.
    let levels: Vec<f32> = (0..sprites.len())
        .map(|_| rng.uniform())
        .map(|share| 1.0 - share * share)
        .collect();
    let noise = normals(sprites.len(), rng, device);
    let clean = fold(pixels(sprites, device));
    let [signal, sigma] = angles(&levels, device);
    let noisy = clean.clone() * signal.clone() + noise.clone() * sigma.clone();
    let wanted = noise * signal - clean * sigma;
    (velocity(noisy, &levels) - wanted).square().mean()
}

/// A base trained on all sprites.
pub(super) fn train_base(steps: u64, context: Context, rng: &Rng) -> Result<Base, Failure> {
    let device = Device::flex().autodiff();
    let fresh = Base::new(&mut rng.child("weights"), &device)?;
    let of = |base: &Base, rng: &mut Rng| {
        let factors: Vec<Factors> = (0..BATCH).map(|_| Factors::random(rng)).collect();
        let sprites: Vec<Sprite> = factors.iter().map(|it| it.draw()).collect();
        let prompts: Vec<Prompt> = factors
            .iter()
            .map(|it| match rng.chance(0.1) {
                true => Prompt::default(),
                false => Prompt {
                    subject: Some(it.subject),
                    attributes: it.attributes.map(|value| rng.chance(0.5).then_some(value)),
                },
            })
            .collect();
        Ok(loss(&sprites, rng, &device, |x, levels| {
            base.velocity(x, levels, &prompts, None)
        }))
    };
    let trained = fit(fresh, (steps, RATE), context, &rng.child("steps"), of)?;
    Ok(trained.no_grad())
}

/// DDIM over velocities.
pub(super) fn sample(
    mut x: Tensor<4>,
    velocity: impl Fn(Tensor<4>, f32) -> Tensor<4>,
) -> Vec<Sprite> {
    let level = |at: usize| 1.0 - at as f32 / STEPS as f32;
    let parts = |level: f32| {
        let angle = level * std::f32::consts::FRAC_PI_2;
        (libm::cosf(angle), libm::sinf(angle))
    };
    for at in 0..STEPS {
        let (signal, sigma) = parts(level(at));
        let v = velocity(x.clone(), level(at));
        let clean = (x.clone() * signal - v.clone() * sigma).clamp(-1.2, 1.2);
        let noise = x * sigma + v * signal;
        let (signal, sigma) = parts(level(at + 1));
        x = clean * signal + noise * sigma;
    }
    let values: Vec<f32> = unfold(x).into_data().iter::<f32>().collect();
    values.chunks_exact(VALUES).map(<[f32]>::to_vec).collect()
}
