//! The base of the toy world: a small U-Net that knows subjects by name, how it is trained, and how it draws.

use base::command::{Context, Failure};
use base::rng::Rng;
use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
use engine::models::unet2d::{PerBlock, Unet2d, Unet2dConfig, UnetConditions};
use engine::nn::Init;
use engine::ops;
use engine::train::optim::{AdamWConfig, OptimizerConfig, step};

use super::sprites::{Factors, SIDE, SUBJECTS, Sprite, VALUES};
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
/// Steps of sampling.
const STEPS: usize = 10;

/// The base: a U-Net and a table of subjects, the last row for no text.
#[derive(Module, Debug)]
pub(super) struct Base {
    pub(super) unet: Unet2d,
    words: Param<Tensor<2>>,
}

fn unet_config() -> Unet2dConfig {
    let cross = |way: &str| vec![format!("CrossAttn{way}Block2D"); 2];
    Unet2dConfig {
        in_channels: CHANNELS,
        out_channels: CHANNELS,
        down_block_types: cross("Down"),
        up_block_types: cross("Up"),
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
        let rows = (SUBJECTS + 1) * WORDS;
        Ok(Self {
            unet,
            words: Init::Normal(1.0).weight(rows, WIDTH, rng, device),
        })
    }

    /// Names of subjects, [`SUBJECTS`] for none: `[batch, words, width]`.
    fn text(&self, subjects: &[usize]) -> Tensor<3> {
        let device = self.words.device();
        let rows = subjects
            .iter()
            .flat_map(|it| (0..WORDS).map(move |word| (it * WORDS + word) as i64));
        let data = TensorData::new(rows.collect::<Vec<i64>>(), [subjects.len(), WORDS]);
        let rows: Tensor<2, Int> = Tensor::from_data(data, &device);
        ops::embedding::<2, 3>(self.words.val(), rows)
    }

    /// What turns noise to sprites (the velocity), from text and, where there are some, tokens of references.
    pub(super) fn velocity(
        &self,
        x: Tensor<4>,
        levels: &[f32],
        subjects: &[usize],
        seen: Option<(&Adapter, Tensor<3>)>,
    ) -> Tensor<4> {
        let text = self.text(subjects);
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
    let levels: Vec<f32> = (0..sprites.len()).map(|_| rng.uniform()).collect();
    let noise = normals(sprites.len(), rng, device);
    let clean = fold(pixels(sprites, device));
    let [signal, sigma] = angles(&levels, device);
    let noisy = clean.clone() * signal.clone() + noise.clone() * sigma.clone();
    let wanted = noise * signal - clean * sigma;
    (velocity(noisy, &levels) - wanted).square().mean()
}

/// Trains `model` by `of`, the loss of a step.
pub(super) fn fit<M: Module>(
    mut model: M,
    steps: u64,
    rate: f64,
    context: Context,
    rng: &Rng,
    of: impl Fn(&M, &mut Rng) -> Result<Tensor<1>, Failure>,
) -> Result<M, Failure> {
    let config = AdamWConfig {
        weight_decay: 1e-3,
        ..AdamWConfig::default()
    };
    let mut optimizer = OptimizerConfig::AdamW(config).init();
    for at in 0..steps {
        context.proceed()?;
        let loss = of(&model, &mut rng.item(at))?;
        // A short rise, and the last half cools down.
        let left = (steps - at) as f64 / steps as f64;
        let rate = rate * (2.0 * left).min(1.0) * ((at + 1) as f64 / 50.0).min(1.0);
        (model, _) = step(model, loss.backward(), optimizer.as_mut(), rate, Some(1.0));
    }
    Ok(model)
}

/// A base trained on all sprites.
pub(super) fn train_base(steps: u64, context: Context, rng: &Rng) -> Result<Base, Failure> {
    let device = Device::flex().autodiff();
    let fresh = Base::new(&mut rng.child("weights"), &device)?;
    let of = |base: &Base, rng: &mut Rng| {
        let factors: Vec<Factors> = (0..BATCH).map(|_| Factors::random(rng)).collect();
        let sprites: Vec<Sprite> = factors.iter().map(|it| it.draw()).collect();
        let subjects: Vec<usize> = factors
            .iter()
            .map(|it| {
                if rng.chance(0.1) {
                    SUBJECTS
                } else {
                    it.subject
                }
            })
            .collect();
        Ok(loss(&sprites, rng, &device, |x, levels| {
            base.velocity(x, levels, &subjects, None)
        }))
    };
    let trained = fit(fresh, steps, 2e-3, context, &rng.child("steps"), of)?;
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
