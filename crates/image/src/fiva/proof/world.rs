//! Adapters on the base of the toy world: how they are trained on pairs, and what they draw.

use base::command::{Context, Failure};
use base::rng::Rng;
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use engine::models::qformer::{QFormer, QFormerConfig, QFormerTextConfig, QFormerVisionConfig};

use super::denoiser::{BATCH, Base, Prompt, RATE, loss, normals, pixels, sample};
use super::ranges::Ranges;
use super::sprites::{CHOICES, Factors, SIDE, SUBJECTS, Sprite};
use crate::fit::fit;
use crate::fiva::tower::{Shown, pretrained};
use crate::fiva::train::{Trained, slots};
use crate::fiva::{Adapter, TagTokenizer};

/// Steps of the Q-Former's own training.
const STEPS: u64 = 300;
/// Width of the extractor.
const WIDTH: usize = 64;
/// Chances that text, references, or both are left out.
const DROPOUT: [f32; 3] = [0.05; 3];
/// How far to go past what is drawn without conditions.
const GUIDANCE: f32 = 2.0;

/// Words for colour, stroke and lighting; the first is the usual one. The last word stands for no tag at all.
pub(super) const TAGS: [[&str; 4]; 3] = [
    ["color", "palette", "hue", "tones"],
    ["stroke", "brushwork", "texture", "style"],
    ["lighting", "light", "illumination", "shading"],
];
const UNTAGGED: &str = "reference";

/// A request: a subject's name, and references with the attribute asked of each and the word for it.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    pub(super) subject: usize,
    pub(super) references: Vec<(Factors, &'static str)>,
}

/// How an adapter is trained.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lesson {
    /// Whether the word of the tag is given.
    pub(super) tags: bool,
    /// Whether words are drawn among synonyms.
    pub(super) synonyms: bool,
    /// Whether references come from the range of the target.
    pub(super) filtered: bool,
    /// Steps.
    pub(super) steps: u64,
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

/// A Q-Former whose image tower tells the factors of sprites apart.
pub(super) fn qformer(context: Context, rng: &Rng) -> Result<QFormer, Failure> {
    let device = Device::flex().autodiff();
    let config = extractor_config(6 + TAGS.iter().flatten().count());
    let choices = [SUBJECTS, CHOICES[0], CHOICES[1], CHOICES[2]];
    let tokenizer = tokenizer()?;
    pretrained(&config, &choices, STEPS, (context, rng, &device), |rng| {
        let all: Vec<Factors> = (0..2 * BATCH).map(|_| Factors::random(rng)).collect();
        let sprites: Vec<Sprite> = all.iter().map(|it| it.draw()).collect();
        let subjects = all.iter().map(|it| Some(it.subject)).collect();
        let attribute = |at: usize| all.iter().map(|it| Some(it.attributes[at])).collect();
        let words = all
            .iter()
            .map(|_| match rng.chance(0.25) {
                true => Ok((tokenizer.encode(UNTAGGED)?, None)),
                false => {
                    let at = rng.below(TAGS.len());
                    let word = TAGS[at][rng.below(TAGS[at].len())];
                    Ok((tokenizer.encode(word)?, Some(at + 1)))
                }
            })
            .collect::<Result<Vec<_>, Failure>>()?;
        Ok(Shown {
            pictures: pixels(&sprites, &device),
            answers: vec![subjects, attribute(0), attribute(1), attribute(2)],
            words,
        })
    })
}

/// A base with what reads tags.
pub(super) struct World {
    pub(super) base: Base,
    /// What every adapter begins with.
    pub(super) qformer: QFormer,
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
        let qformer = self.qformer.clone().train();
        let adapter = Adapter::new(&self.base.unet, qformer.width(), weights, &device)?;
        let fresh = Trained { qformer, adapter }.with_frozen_tower();
        let of = |model: &Trained, rng: &mut Rng| {
            let mut targets = Vec::new();
            let mut prompts = Vec::new();
            let mut wishes = Vec::new();
            let mut places = Vec::new();
            let mut from = 0;
            for _ in 0..BATCH {
                let target = Factors::random(rng);
                targets.push(target.draw());
                let mut attributes = [0, 1, 2];
                rng.shuffle(&mut attributes);
                let count = 1 + rng.below(3);
                let mut sprites = Vec::new();
                let mut tags = Vec::new();
                for &attribute in &attributes[..count] {
                    let subjects = self.partners(attribute, target.subject, lesson.filtered);
                    let value = target.attributes[attribute];
                    sprites.push(Factors::sharing(attribute, value, &subjects, rng).draw());
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
                prompts.push(match no_text {
                    true => Prompt::default(),
                    false => Prompt::subject(target.subject),
                });
                wishes.push((sprites, tags));
            }
            let tokens = self.tokens(model, &wishes, &places, &device)?;
            Ok(loss(&targets, rng, &device, |x, levels| {
                let seen = Some((&model.adapter, tokens));
                self.base.velocity(x, levels, &prompts, seen)
            }))
        };
        let trained = fit(
            fresh,
            (lesson.steps, RATE),
            context,
            &rng.child("steps"),
            of,
        )?;
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
            let mut given = Vec::new();
            let mut places = Vec::new();
            let mut from = 0;
            for wish in part {
                let sprites = wish.references.iter().map(|(it, _)| it.draw()).collect();
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
            let said = part.iter().map(|it| Prompt::subject(it.subject));
            let both: Vec<Prompt> = said
                .chain(std::iter::repeat_n(Prompt::default(), part.len()))
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
    pub(super) fn plain(&self, prompts: &[Prompt], rng: &mut Rng) -> Vec<Sprite> {
        let base = self.base.valid();
        let device = Device::flex();
        let mut out = Vec::new();
        for part in prompts.chunks(BATCH) {
            let x = normals(part.len(), rng, &device);
            out.extend(sample(x, |x, level| {
                base.velocity(x, &vec![level; part.len()], part, None)
            }));
        }
        out
    }
}
