//! The small U-Nets of the proof: one draws scenes of blocks from demands, one edits them by instructions.

use base::command::{Context, Failure};
use base::media::Image;
use base::rng::Rng;
use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
use engine::models::unet2d::{PerBlock, Unet2d, Unet2dConfig, UnetConditions};
use engine::nn::Init;
use engine::ops;

use crate::fit::fit;

/// Height and width of pictures.
pub(super) const SIDE: usize = 30;
/// The U-Net sees squares of so many pixels a side, the cells of scenes, as channels.
const FOLD: usize = 10;
const PLACES: usize = SIDE / FOLD;
const CHANNELS: usize = 3 * FOLD * FOLD;
/// Width of everything.
const WIDTH: usize = 64;
/// Samples of a training step.
const BATCH: usize = 32;
/// Peak learning rate.
const RATE: f64 = 2e-3;
/// Steps of sampling.
const STEPS: usize = 10;

/// Rows of the table of words; row 0 says nothing.
pub(super) type Words = Vec<usize>;

/// A picture to be drawn, from another one where it is an edit, and the words for it.
pub(super) struct Lesson {
    pub(super) target: Image,
    pub(super) source: Option<Image>,
    pub(super) words: Words,
}

/// A U-Net with a table of words.
#[derive(Module, Debug)]
pub(super) struct Denoiser {
    unet: Unet2d,
    words: Param<Tensor<2>>,
}

/// Pictures, folded: `[batch, channels, places, places]`.
pub(super) fn folded(pictures: &[Image], device: &Device) -> Tensor<4> {
    let values: Vec<f32> = pictures.iter().flat_map(Image::to_unit).collect();
    let batch = pictures.len();
    let data = TensorData::new(values, [batch, 3, PLACES, FOLD, PLACES, FOLD]);
    Tensor::<6>::from_data(data, device)
        .permute([0, 1, 3, 5, 2, 4])
        .reshape([batch, CHANNELS, PLACES, PLACES])
}

fn unfolded(x: Tensor<4>) -> Result<Vec<Image>, Failure> {
    let batch = x.dims()[0];
    let x = x
        .reshape([batch, 3, FOLD, FOLD, PLACES, PLACES])
        .permute([0, 1, 4, 2, 5, 3]);
    let values: Vec<f32> = x.into_data().iter::<f32>().collect();
    let pictures = values.chunks_exact(3 * SIDE * SIDE);
    let pictures = pictures.map(|it| Ok(Image::from_unit(it, SIDE as u32, SIDE as u32)?));
    pictures.collect()
}

fn normals(batch: usize, rng: &mut Rng, device: &Device) -> Tensor<4> {
    let values = rng.normals(batch * CHANNELS * PLACES * PLACES);
    Tensor::from_data(
        TensorData::new(values, [batch, CHANNELS, PLACES, PLACES]),
        device,
    )
}

/// Cosines and sines of noise levels, `[batch, 1, 1, 1]` each.
fn parts(levels: &[f32], device: &Device) -> [Tensor<4>; 2] {
    [libm::cosf, libm::sinf].map(|of| {
        let each = levels.iter().map(|it| of(it * std::f32::consts::FRAC_PI_2));
        let data = TensorData::new(each.collect::<Vec<f32>>(), [levels.len(), 1, 1, 1]);
        Tensor::from_data(data, device)
    })
}

impl Denoiser {
    /// Trains one with a table of `rows` words; `lesson` draws a sample. In one of 20 samples each the words, the source, and both are
    /// left out; without a source the words in one of ten.
    pub(super) fn train(
        rows: usize,
        edits: bool,
        steps: u64,
        (context, rng): (Context, &Rng),
        lesson: impl Fn(&mut Rng) -> Lesson,
    ) -> Result<Self, Failure> {
        let device = Device::flex().autodiff();
        let weights = &mut rng.child("weights");
        let config = Unet2dConfig {
            in_channels: CHANNELS * if edits { 2 } else { 1 },
            out_channels: CHANNELS,
            down_block_types: vec!["CrossAttnDownBlock2D".into()],
            up_block_types: vec!["CrossAttnUpBlock2D".into()],
            block_out_channels: vec![WIDTH],
            layers_per_block: PerBlock::Same(1),
            norm_num_groups: 8,
            cross_attention_dim: PerBlock::Same(WIDTH),
            attention_head_dim: PerBlock::Same(4),
            use_linear_projection: true,
            ..Unet2dConfig::default()
        };
        let fresh = Self {
            unet: config.init(weights, &device).map_err(Failure::failed)?,
            words: Init::Normal(1.0).weight(rows, WIDTH, weights, &device),
        };
        let of = |model: &Self, rng: &mut Rng| {
            let mut lessons: Vec<Lesson> = (0..BATCH).map(|_| lesson(rng)).collect();
            let longest = lessons
                .iter()
                .map(|it| it.words.len())
                .max()
                .unwrap_or_default();
            let mut kept = Vec::with_capacity(BATCH);
            for lesson in &mut lessons {
                let draw = rng.uniform();
                // The first twentieth loses the words, the second the source, the third both.
                let (no_words, no_source) = match edits {
                    true => (
                        draw < 0.05 || (0.1..0.15).contains(&draw),
                        (0.05..0.15).contains(&draw),
                    ),
                    false => (draw < 0.1, false),
                };
                if no_words {
                    lesson.words.clear();
                }
                lesson.words.resize(longest, 0);
                kept.push(if no_source { 0.0 } else { 1.0 });
            }
            let targets: Vec<Image> = lessons.iter().map(|it| it.target.clone()).collect();
            let sources: Vec<Image> = lessons.iter().filter_map(|it| it.source.clone()).collect();
            let words: Vec<Words> = lessons.into_iter().map(|it| it.words).collect();
            let source = edits.then(|| {
                let kept = TensorData::new(kept, [BATCH, 1, 1, 1]);
                folded(&sources, &device) * Tensor::<4>::from_data(kept, &device)
            });
            let levels: Vec<f32> = (0..BATCH).map(|_| rng.uniform()).collect();
            let noise = normals(BATCH, rng, &device);
            let clean = folded(&targets, &device);
            let [signal, sigma] = parts(&levels, &device);
            let noisy = clean.clone() * signal + noise * sigma;
            let found = model.denoised(noisy, source, &levels, &words);
            Ok((found - clean).square().mean())
        };
        let trained = fit(fresh, (steps, RATE), context, &rng.child("steps"), of)?;
        Ok(trained.valid())
    }

    /// The picture in `x` `[batch, channels, places, places]`, beside the source where it edits. Not the noise: cells have more values
    /// than the network is wide.
    fn denoised(
        &self,
        x: Tensor<4>,
        source: Option<Tensor<4>>,
        levels: &[f32],
        words: &[Words],
    ) -> Tensor<4> {
        let x = match source {
            Some(source) => Tensor::cat(vec![x, source], 1),
            None => x,
        };
        let shape = [words.len(), words.first().map_or(0, Vec::len)];
        let rows: Vec<i64> = words.iter().flatten().map(|row| *row as i64).collect();
        let rows: Tensor<2, Int> =
            Tensor::from_data(TensorData::new(rows, shape), &self.words.device());
        let conditions = UnetConditions::text(ops::embedding::<2, 3>(self.words.val(), rows));
        let times: Vec<f64> = levels.iter().map(|it| f64::from(1000.0 * it)).collect();
        self.unet.forward(x, &times, &conditions, &mut ())
    }

    /// Pictures of these words, each of as many.
    pub(super) fn draw(
        &self,
        words: &[Words],
        guidance: f32,
        rng: &mut Rng,
    ) -> Result<Vec<Image>, Failure> {
        let device = Device::flex();
        let count = words.len();
        let nothing = words.iter().map(|it| vec![0; it.len()]);
        let both: Vec<Words> = words.iter().cloned().chain(nothing).collect();
        let x = normals(count, rng, &device);
        unfolded(sample(x, |x, level| {
            let twice = Tensor::cat(vec![x.clone(), x], 0);
            let out = self.denoised(twice, None, &vec![level; 2 * count], &both);
            let [full, null] = [0, count].map(|from| out.clone().narrow(0, from, count));
            engine::diffusion::combine_joint(null, full, guidance)
        }))
    }

    /// The picture after an edit, by guidance with both scales, `[s_T, s_I]`.
    pub(super) fn edit(
        &self,
        picture: &Image,
        words: &Words,
        [text, image]: [f32; 2],
        rng: &mut Rng,
        watch: &mut dyn FnMut(usize, usize) -> bool,
    ) -> Result<Image, Failure> {
        let device = Device::flex();
        let source = folded(std::slice::from_ref(picture), &device);
        let sources = vec![source.clone(), source.clone(), source.zeros_like()];
        let sources = Tensor::cat(sources, 0);
        let nothing = vec![0; words.len()];
        let all = [words.clone(), nothing.clone(), nothing];
        let mut done = 0;
        let x = normals(1, rng, &device);
        let edited = unfolded(sample(x, |x, level| {
            done += 1;
            watch(done, STEPS);
            let noisy = Tensor::cat(vec![x.clone(), x.clone(), x], 0);
            let out = self.denoised(noisy, Some(sources.clone()), &[level; 3], &all);
            let [full, seen, none] = [0, 1, 2].map(|row| out.clone().narrow(0, row, 1));
            engine::diffusion::combine_separate(none, seen, full, image, text)
        }))?;
        edited
            .into_iter()
            .next()
            .ok_or_else(|| Failure::failed("nothing was drawn"))
    }
}

/// DDIM over denoised pictures.
fn sample(mut x: Tensor<4>, mut denoised: impl FnMut(Tensor<4>, f32) -> Tensor<4>) -> Tensor<4> {
    let level = |at: usize| 1.0 - at as f32 / STEPS as f32;
    let parts = |level: f32| {
        let angle = level * std::f32::consts::FRAC_PI_2;
        (libm::cosf(angle), libm::sinf(angle))
    };
    for at in 0..STEPS {
        let (signal, sigma) = parts(level(at));
        let clean = denoised(x.clone(), level(at)).clamp(-1.1, 1.1);
        let noise = (x - clean.clone() * signal) / sigma;
        let (signal, sigma) = parts(level(at + 1));
        x = clean * signal + noise * sigma;
    }
    x
}
