//! What the part stands on: drawings of the embedded model, training pairs out of some of them, a Q-Former whose tower knows those, and
//! the judges.

use std::path::Path;

use base::command::{Context, Failure};
use base::media::Image;
use base::rng::Rng;
use burn::module::Module;
use burn::tensor::Device;
use engine::data::pack::{EmojiPack, Subject};
use engine::models::emoji_judge::Judge;
use engine::models::qformer::QFormerConfig;
use engine::models::stable_diffusion::{Request, Sampling, StableDiffusion};
use engine::train::{Progress, Run, Schedule, TrainConfig, train};

use super::readings::Reader;
use super::{LOOKS, RATE, STEPS, TOWER_STEPS};
use crate::fiva::latents::Latents;
use crate::fiva::pairs::{Pair, pairs};
use crate::fiva::render::{Look, any_look, render};
use crate::fiva::render_set::{RECORDS, Thing, write_set};
use crate::fiva::tower::ALL;
use crate::fiva::train::{PairTask, Recipe, Trained, config};
use crate::fiva::{Adapter, Extractor, TagTokenizer, Taxonomy, data, tags, tower};

/// Subjects that are drawn to see which ones the model can draw.
const TRIED: usize = 100;
/// Drawings of each subject to train on.
const DRAWINGS: u64 = 1;
/// One of so many subjects is held out.
const HELD_OUT: usize = 4;
/// Steps over which the rate rises; then it falls to zero.
const WARMUP: u64 = 20;
/// Sides of what the Q-Former sees, in pixels.
const SEEN: usize = 32;

/// A subject that the model can draw.
pub(super) struct Known {
    pub(super) name: String,
    pub(super) code: String,
    pub(super) drawing: Image,
}

/// See the module.
pub(super) struct Stage {
    pub(super) model: StableDiffusion,
    pub(super) held_out: Vec<Known>,
    pub(super) judge: Judge,
    pub(super) reader: Reader,
    /// Subjects that were trained on, and pictures.
    pub(super) trained_on: [usize; 2],
    extractor: Extractor,
    config: QFormerConfig,
    vocabulary: Vec<String>,
    taxonomy: Taxonomy,
    pairs: Vec<Pair>,
    latents: Latents,
    device: Device,
    context: Context,
}

impl Stage {
    /// Draws what is needed; training pictures go to `folder`.
    pub(super) fn new(
        model: StableDiffusion,
        folder: &Path,
        rng: &Rng,
        context: Context,
    ) -> Result<Self, Failure> {
        let device = Device::flex();
        let judge = Judge::embedded(&device)?;
        let mut known = known(&model, &judge, context)?;
        let codes: Vec<String> = known.iter().map(|it| it.code.clone()).collect();
        let mut held_out = Vec::new();
        for at in (0..known.len()).rev() {
            if at % HELD_OUT == HELD_OUT - 1 {
                held_out.insert(0, known.remove(at));
            }
        }
        let mut things = Vec::new();
        for it in &known {
            for seed in 0..DRAWINGS {
                context.proceed()?;
                things.push(Thing {
                    subject: it.name.clone(),
                    major: "emoji".to_owned(),
                    picture: match seed {
                        0 => it.drawing.clone(),
                        seed => draw(&model, &it.name, seed)?,
                    },
                });
            }
        }
        let pictures = write_set(&things, LOOKS, folder, &rng.child("looks"))?;
        let taxonomy = Taxonomy::ours()?;
        let (records, _) = data::read(&folder.join(RECORDS), 1, &taxonomy)?;
        let vocabulary = tags::vocabulary(&taxonomy, &[ALL]);
        let config = tower::small(SEEN, vocabulary.len());
        let with = (context, &rng.child("tower"), &device.clone().autodiff());
        let tokenizer = TagTokenizer::from_pieces(&vocabulary)?;
        let qformer = tower::of_records(
            &records,
            &config,
            (&taxonomy, &tokenizer),
            TOWER_STEPS,
            with,
        )?;
        let looks = &mut rng.child("reader");
        let shown = things.iter().flat_map(|it| {
            (0..LOOKS)
                .map(|_| any_look(looks))
                .map(|look| (render(&it.picture, look), look))
                .collect::<Vec<_>>()
        });
        Ok(Self {
            reader: Reader::new(&shown.collect::<Vec<(Image, Look)>>()),
            trained_on: [known.len(), pictures],
            judge: judge.among(&codes),
            extractor: Extractor::new(qformer, config.clone(), tokenizer, &device),
            latents: Latents::default(),
            pairs: pairs(&records, None, &rng.child("pairs")),
            model,
            held_out,
            config,
            vocabulary,
            taxonomy,
            device,
            context,
        })
    }

    /// An adapter, trained with the words of attributes or with one word for all of them.
    pub(super) fn train(&self, tagged: bool, seed: u64) -> Result<(Extractor, Adapter), Failure> {
        let mut taxonomy = self.taxonomy.clone();
        if !tagged {
            for group in &mut taxonomy.groups {
                group.tags = vec![ALL.to_owned()];
            }
        }
        let recipe = Recipe {
            side: self.model.request().width,
            through_512: false,
            noisy: true,
            ..Recipe::default()
        };
        let task = PairTask::new(
            &self.model,
            &self.extractor,
            &self.pairs,
            &taxonomy,
            recipe,
            &self.latents,
        )?;
        let weights = &mut Rng::new(seed).child("adapter");
        let qformer = self.extractor.qformer.clone();
        let adapter = Adapter::new(self.model.unet(), qformer.width(), weights, &self.device)?;
        let fresh = Trained { qformer, adapter };
        let folder = tempfile::tempdir().map_err(Failure::failed)?;
        let trained = train(
            &task,
            fresh.train().with_frozen_tower(),
            &TrainConfig {
                warmup: WARMUP,
                schedule: Schedule::Linear,
                ..config(STEPS, RATE, seed)
            },
            Run {
                folder: folder.path(),
                resume: false,
                stop: self.context.stop,
                progress: &mut Progress::shown("training", false),
            },
        )?;
        if trained.interrupted {
            return Err(Failure::interrupted("stopped; the same command goes on"));
        }
        let Trained { qformer, adapter } = trained.ema;
        let tokenizer = TagTokenizer::from_pieces(&self.vocabulary)?;
        let extractor = Extractor::new(qformer, self.config.clone(), tokenizer, &self.device);
        Ok((extractor, adapter))
    }
}

/// A picture of what a prompt says, by the model alone.
pub(super) fn draw(model: &StableDiffusion, prompt: &str, seed: u64) -> Result<Image, Failure> {
    let request = request(model, prompt, seed);
    let drawn = model.draw(&request, &mut (), &mut |_, _| true)?;
    drawn
        .into_iter()
        .next()
        .ok_or_else(|| Failure::failed("nothing was drawn"))
}

/// A request of the proof.
pub(super) fn request(model: &StableDiffusion, prompt: &str, seed: u64) -> Request {
    let usual = model.request();
    Request {
        prompt: prompt.to_owned(),
        negative: Some(String::new()),
        seeds: vec![seed],
        sampling: Sampling {
            steps: super::SAMPLING,
            ..usual.sampling.clone()
        },
        ..usual
    }
}

/// Subjects, evenly spaced over the pack, that the judge recognises among all in the model's drawing.
fn known(model: &StableDiffusion, judge: &Judge, context: Context) -> Result<Vec<Known>, Failure> {
    let pack = EmojiPack::embedded().map_err(Failure::failed)?;
    let things = |it: &&Subject| {
        let group = it.category.as_str();
        it.skin.is_none() && ["Animals & Nature", "Food & Drink", "Objects"].contains(&group)
    };
    let subjects: Vec<&Subject> = pack.subjects.iter().filter(things).collect();
    let mut known = Vec::new();
    let tried = TRIED.min(subjects.len());
    for at in 0..tried {
        context.proceed()?;
        let subject = subjects[at * subjects.len() / tried];
        let name = subject.name("en").unwrap_or_default();
        let drawing = draw(model, name, 0)?;
        let seen = judge.judge(&[Judge::values(&drawing)]);
        let code = seen.first().and_then(|it| judge.codes().get(it.subject));
        if code == Some(&subject.code) {
            known.push(Known {
                name: name.to_owned(),
                code: subject.code.clone(),
                drawing,
            });
        }
    }
    Ok(known)
}
