//! Networks of the toy world: a base that knows subjects by name, adapters on it, and pictures drawn by both.

use base::command::{Context, Failure};
use base::rng::Rng;
use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
use engine::models::qformer::{QFormerConfig, QFormerTextConfig, QFormerVisionConfig};
use engine::models::unet2d::{PerBlock, Unet2d, Unet2dConfig, UnetConditions};
use engine::nn::Init;
use engine::ops;
use engine::train::optim::{AdamWConfig, OptimizerConfig, step};

use super::sprites::{CHOICES, Factors, SIDE, SUBJECTS, Sprite, VALUES, is_icon};
use crate::fiva::train::{Trained, slots};
use crate::fiva::{Adapter, TagTokenizer, range};

/// Width of everything.
const WIDTH: usize = 64;
/// The U-Net sees squares of two by two pixels as channels.
const FOLD: usize = 2;
const CHANNELS: usize = 3 * FOLD * FOLD;
const PLACES: usize = SIDE / FOLD;
/// Tokens of a subject's name.
const WORDS: usize = 2;
/// Samples of a step.
const BATCH: usize = 64;
/// Chances that text, references, or both are left out.
const DROPOUT: [f32; 3] = [0.05; 3];
/// Steps of sampling, and how far to go past what is drawn without conditions.
const STEPS: usize = 16;
const GUIDANCE: f32 = 2.0;

/// Words for colour, stroke and lighting; the first is the usual one. The last word stands for no tag at all.
pub(super) const TAGS: [[&str; 4]; 3] = [
    ["color", "palette", "hue", "tones"],
    ["stroke", "brushwork", "texture", "style"],
    ["lighting", "light", "illumination", "shading"],
];
const UNTAGGED: &str = "reference";

/// The base: a U-Net and a table of subjects, the last row for no text.
#[derive(Module, Debug)]
pub(super) struct Base {
    unet: Unet2d,
    words: Param<Tensor<2>>,
}

/// A request: a subject's name, and references with the attribute asked of each and the word for it.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    pub(super) subject: usize,
    pub(super) references: Vec<(Factors, &'static str)>,
}

/// How an adapter is trained.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lesson {
    /// Whether the word of the tag is told.
    pub(super) tags: bool,
    /// Whether words are drawn among synonyms.
    pub(super) synonyms: bool,
    /// Whether references come from the range of the target.
    pub(super) filtered: bool,
    /// Steps.
    pub(super) steps: u64,
}

/// Subjects inside which an attribute looks alike, for each attribute: what the filter finds.
pub(super) type Ranges = [Vec<Vec<usize>>; 3];

pub(super) fn unet_config() -> Unet2dConfig {
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

fn extractor_config(vocabulary: usize) -> QFormerConfig {
    QFormerConfig {
        vision_config: QFormerVisionConfig {
            hidden_size: WIDTH,
            intermediate_size: 2 * WIDTH,
            num_hidden_layers: 2,
            num_attention_heads: 4,
            image_size: SIDE,
            patch_size: 4,
            ..QFormerVisionConfig::default()
        },
        qformer_config: QFormerTextConfig {
            vocab_size: vocabulary,
            hidden_size: WIDTH,
            intermediate_size: 2 * WIDTH,
            num_hidden_layers: 2,
            num_attention_heads: 4,
            encoder_hidden_size: WIDTH,
            max_position_embeddings: 8,
            ..QFormerTextConfig::default()
        },
        num_query_tokens: 4,
    }
}

/// The vocabulary of tags.
pub(super) fn tokenizer() -> Result<TagTokenizer, Failure> {
    let mut pieces = vec!["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", UNTAGGED];
    pieces.extend(TAGS.iter().flatten());
    Ok(TagTokenizer::from_pieces(&pieces)?)
}

/// Sprites `[batch, 3, side, side]`.
fn pixels(sprites: &[Sprite], device: &Device) -> Tensor<4> {
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

fn normals(batch: usize, rng: &mut Rng, device: &Device) -> Tensor<4> {
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
    fn velocity(
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
fn loss(
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

fn fit<M: Module>(
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
        let sprites: Vec<Sprite> = factors.iter().map(|it| it.drawn(rng)).collect();
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

/// What the range filter finds, with a judge that sees from where the light comes and knows colours and strokes.
pub(super) fn filtered() -> Result<Ranges, Failure> {
    let tree = || {
        let of = |icons: bool| (0..SUBJECTS).filter(move |it| is_icon(*it) == icons);
        let names = |icons: bool| of(icons).map(|it| it.to_string()).collect::<Vec<_>>();
        vec![
            ("solid".to_owned(), names(false)),
            ("icon".to_owned(), names(true)),
        ]
    };
    let ranges = |attribute: usize| -> Result<Vec<Vec<usize>>, Failure> {
        let mut rng = Rng::new(9).item(attribute as u64);
        let mut whole: Option<range::Ranges> = None;
        for value in 0..CHOICES[attribute] {
            let found = range::ranges(&tree(), range::GRID, range::THRESHOLD, |node| {
                let holds = |subject: &usize| match node {
                    range::Node::Set(_) => true,
                    range::Node::Major(name) => (name == "icon") == is_icon(*subject),
                    range::Node::Sub(_, name) => *name == subject.to_string(),
                };
                let subjects: Vec<usize> = (0..SUBJECTS).filter(holds).collect();
                let mut vote = || {
                    let shown: Vec<Factors> = (0..range::GRID)
                        .map(|_| Factors::sharing(attribute, value, &subjects, &mut rng))
                        .collect();
                    deviating(&shown, attribute)
                };
                Ok::<_, Failure>((0..range::REPEATS).map(|_| vote()).collect())
            })?;
            match &whole {
                Some(before) if *before != found => {
                    return Err(Failure::failed("the toy filter contradicts itself"));
                }
                _ => whole = Some(found),
            }
        }
        let subjects = |name: &String| -> Vec<usize> {
            match name.as_str() {
                "solid" => (0..SUBJECTS).filter(|it| !is_icon(*it)).collect(),
                "icon" => (0..SUBJECTS).filter(|it| is_icon(*it)).collect(),
                one => one.parse().into_iter().collect(),
            }
        };
        let whole = whole.unwrap_or_default().ranges;
        Ok(whole
            .iter()
            .map(|range| range.iter().flat_map(subjects).collect())
            .collect())
    };
    Ok([ranges(0)?, ranges(1)?, ranges(2)?])
}

/// Numbers of the sprites that do not look like most of a grid.
fn deviating(shown: &[Factors], attribute: usize) -> Vec<usize> {
    let look = |it: &Factors| match attribute {
        2 => it.light().map(|axis| axis as i64),
        at => [it.attributes[at] as i64, 0],
    };
    let looks: Vec<[i64; 2]> = shown.iter().map(look).collect();
    let count = |it: &[i64; 2]| looks.iter().filter(|other| *other == it).count();
    let usual = looks.iter().max_by_key(|it| count(it));
    let odd = looks
        .iter()
        .enumerate()
        .filter(|(_, it)| Some(*it) != usual);
    odd.map(|(at, _)| at + 1).collect()
}

/// A base with what reads tags.
pub(super) struct World {
    pub(super) base: Base,
    pub(super) tokenizer: TagTokenizer,
    pub(super) ranges: Ranges,
}

impl World {
    /// Tokens of the references of each wish, `[batch, tokens, width]`.
    fn tokens(
        &self,
        model: &Trained,
        wishes: &[(Vec<Sprite>, Vec<&str>)],
        slots: &[Vec<Option<usize>>],
        device: &Device,
    ) -> Result<Tensor<3>, Failure> {
        let sprites: Vec<Sprite> = wishes.iter().flat_map(|it| it.0.clone()).collect();
        let tags = wishes.iter().flat_map(|it| &it.1);
        let ids = tags
            .map(|tag| Ok(self.tokenizer.encode(tag)?))
            .collect::<Result<Vec<_>, Failure>>()?;
        let seen = model
            .qformer
            .see(pixels(&sprites, device))
            .map_err(Failure::failed)?;
        let read = model
            .qformer
            .read(&seen.detach(), &ids)
            .map_err(Failure::failed)?;
        Ok(model.adapter.image_proj.slots(read.features, slots))
    }

    /// Subjects from which the reference of a target may come.
    pub(super) fn partners(&self, attribute: usize, subject: usize, filtered: bool) -> Vec<usize> {
        let all = (0..SUBJECTS).collect();
        match filtered {
            false => all,
            true => {
                let mut ranges = self.ranges[attribute].iter();
                ranges
                    .find(|range| range.contains(&subject))
                    .cloned()
                    .unwrap_or(all)
            }
        }
    }

    /// An adapter, trained on pairs while the base stays as it is.
    pub(super) fn train(
        &self,
        lesson: Lesson,
        context: Context,
        rng: &Rng,
    ) -> Result<Trained, Failure> {
        let device = Device::flex().autodiff();
        let weights = &mut rng.child("weights");
        let config = extractor_config(6 + TAGS.iter().flatten().count());
        let qformer = config.init(weights, &device).map_err(Failure::failed)?;
        let adapter = Adapter::new(&self.base.unet, qformer.width(), weights, &device)?;
        let fresh = Trained { qformer, adapter }.with_frozen_tower();
        let of = |model: &Trained, rng: &mut Rng| {
            let mut targets = Vec::new();
            let mut subjects = Vec::new();
            let mut wishes = Vec::new();
            let mut places = Vec::new();
            let mut from = 0;
            for _ in 0..BATCH {
                let target = Factors::random(rng);
                targets.push(target.drawn(rng));
                let mut attributes = [0, 1, 2];
                rng.shuffle(&mut attributes);
                let count = 1 + usize::from(rng.chance(0.4));
                let mut sprites = Vec::new();
                let mut tags = Vec::new();
                for &attribute in &attributes[..count] {
                    let subjects = self.partners(attribute, target.subject, lesson.filtered);
                    let value = target.attributes[attribute];
                    sprites.push(Factors::sharing(attribute, value, &subjects, rng).drawn(rng));
                    let word = if lesson.synonyms {
                        rng.below(TAGS[attribute].len())
                    } else {
                        0
                    };
                    tags.push(if lesson.tags {
                        TAGS[attribute][word]
                    } else {
                        UNTAGGED
                    });
                }
                let draw = rng.uniform();
                let [text, image, both] = DROPOUT;
                let no_image = (text..text + image + both).contains(&draw);
                let no_text = draw < text || (text + image..text + image + both).contains(&draw);
                let order = slots(count, no_image, rng);
                places.push(order.iter().map(|slot| slot.map(|at| from + at)).collect());
                from += count;
                subjects.push(if no_text { SUBJECTS } else { target.subject });
                wishes.push((sprites, tags));
            }
            let tokens = self.tokens(model, &wishes, &places, &device)?;
            Ok(loss(&targets, rng, &device, |x, levels| {
                let seen = Some((&model.adapter, tokens));
                self.base.velocity(x, levels, &subjects, seen)
            }))
        };
        let trained = fit(fresh, lesson.steps, 2e-3, context, &rng.child("steps"), of)?;
        Ok(trained.no_grad())
    }

    /// Sprites for wishes. Without tags every word becomes the one for none.
    pub(super) fn draw(
        &self,
        model: &Trained,
        wishes: &[Wish],
        tagged: bool,
        rng: &mut Rng,
    ) -> Result<Vec<Sprite>, Failure> {
        let device = Device::flex();
        let model = model.valid();
        let base = self.base.valid();
        let mut out = Vec::with_capacity(wishes.len());
        for part in wishes.chunks(BATCH) {
            let subjects: Vec<usize> = part.iter().map(|it| it.subject).collect();
            let mut given = Vec::new();
            let mut places = Vec::new();
            let mut from = 0;
            for wish in part {
                let sprites = wish
                    .references
                    .iter()
                    .map(|(it, _)| it.drawn(rng))
                    .collect();
                let word = |word: &'static str| if tagged { word } else { UNTAGGED };
                let tags = wish.references.iter().map(|(_, it)| word(it)).collect();
                let count = wish.references.len();
                let filled = |at: usize| (at < count).then_some(from + at);
                places.push((0..crate::fiva::SLOTS).map(filled).collect());
                from += count;
                given.push((sprites, tags));
            }
            let tokens = self.tokens(&model, &given, &places, &device)?;
            let nothing = vec![vec![None; crate::fiva::SLOTS]; part.len()];
            let uncond = self.tokens(&model, &given, &nothing, &device)?;
            let x = normals(part.len(), rng, &device);
            let tokens = Tensor::cat(vec![tokens, uncond], 0);
            let both: Vec<usize> = subjects
                .iter()
                .copied()
                .chain(std::iter::repeat_n(SUBJECTS, part.len()))
                .collect();
            let sprites = sample(x, |x, level| {
                let twice = Tensor::cat(vec![x.clone(), x], 0);
                let levels = vec![level; both.len()];
                let seen = Some((&model.adapter, tokens.clone()));
                let out = base.velocity(twice, &levels, &both, seen);
                let [full, null] =
                    [0, part.len()].map(|from| out.clone().narrow(0, from, part.len()));
                null.clone() + (full - null) * GUIDANCE
            });
            out.extend(sprites);
        }
        Ok(out)
    }

    /// Sprites of the base alone.
    pub(super) fn plain(&self, subjects: &[usize], rng: &mut Rng) -> Vec<Sprite> {
        let base = self.base.valid();
        let device = Device::flex();
        let mut out = Vec::new();
        for part in subjects.chunks(BATCH) {
            let x = normals(part.len(), rng, &device);
            out.extend(sample(x, |x, level| {
                base.velocity(x, &vec![level; part.len()], part, None)
            }));
        }
        out
    }
}

/// DDIM over velocities.
fn sample(mut x: Tensor<4>, velocity: impl Fn(Tensor<4>, f32) -> Tensor<4>) -> Vec<Sprite> {
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
