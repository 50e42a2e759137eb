//! From references and a prompt to pictures: what a user, a server or another system calls.

use std::path::{Path, PathBuf};

use base::media::Image;
use base::rng::Rng;
use burn::tensor::{Device, Tensor};
use engine::models::qformer::{self, QFormer, QFormerConfig};
use engine::models::stable_diffusion::{Conditions, Request, StableDiffusion};
use engine::weights::{Precision, ReadTensor, TensorFile, Weights, load};
use serde_json::Value;

use super::SystemError;
use super::adapter::Adapter;
use super::checkpoint;
use super::preprocess::{self, FIRST_SIDE};
use super::projector::{Padding, Projector, SLOTS};
use super::tags::{self, TagTokenizer};

/// What is not wanted unless something else is said, as in the published code.
pub const NEGATIVE: &str = "monochrome, lowres, bad anatomy, worst quality, low quality";

/// A picture and what is wanted of it.
#[derive(Clone, Debug)]
pub struct Reference {
    /// The picture.
    pub picture: Image,
    /// The attribute, in words.
    pub tag: String,
    /// How strongly: 1 as it is, 0 not at all.
    pub strength: f32,
}

/// What stands for "no reference" in guidance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Uncond {
    /// Features of zeros, as the published code has it.
    #[default]
    ZeroFeatures,
    /// A picture of zeros with an empty text, as the paper says.
    ZeroImage,
}

/// The Q-Former with its tokenizer.
#[derive(Debug)]
pub struct Extractor {
    /// The network.
    pub qformer: QFormer,
    /// Its sizes.
    pub config: QFormerConfig,
    /// What writes tags.
    pub tokenizer: TagTokenizer,
    device: Device,
}

impl Extractor {
    /// Opens a file of weights (or a folder with one), its configuration and its vocabulary. Without `config` there may be a
    /// `config.json` beside the file, else sizes are read off the weights; without `vocab` a `vocab.txt` or `tokenizer.json` must be
    /// beside it.
    ///
    /// # Errors
    /// [`SystemError`]: what is missing or does not fit.
    pub fn open(
        path: &Path,
        config: Option<&Path>,
        vocab: Option<&Path>,
        device: &Device,
    ) -> Result<Self, SystemError> {
        let (file, folder) = checkpoint::qformer_file(path)?;
        let weights = Weights::open(&file)?;
        let config = checkpoint::qformer_config(&weights, config, &folder)?;
        let fresh = config
            .init(&mut Rng::new(0), device)
            .map_err(|reason| weights.unfit(reason))?;
        let qformer = load(fresh, &weights, &qformer::key_map())?;
        let vocab: PathBuf = vocab.map_or(folder, Path::to_owned);
        Ok(Self {
            qformer,
            config,
            tokenizer: TagTokenizer::open(&vocab)?,
            device: device.clone(),
        })
    }

    /// Of a Q-Former in memory.
    pub fn new(
        qformer: QFormer,
        config: QFormerConfig,
        tokenizer: TagTokenizer,
        device: &Device,
    ) -> Self {
        Self {
            qformer,
            config,
            tokenizer,
            device: device.clone(),
        }
    }

    /// Features `[references, queries, width]`. `through_512` first brings pictures to 512 × 512, as the published script does.
    ///
    /// # Errors
    /// [`SystemError::Input`] without references, with more than three, or with one that has no tag.
    pub fn features(
        &self,
        references: &[Reference],
        through_512: bool,
    ) -> Result<Tensor<3>, SystemError> {
        check(references)?;
        let pictures: Vec<Image> = references.iter().map(|it| it.picture.clone()).collect();
        let first = through_512.then_some(FIRST_SIDE);
        let pictures = preprocess::batch(&pictures, self.qformer.side(), first, &self.device);
        let tags = references
            .iter()
            .map(|it| Ok(self.tokenizer.encode(&it.tag)?))
            .collect::<Result<Vec<_>, SystemError>>()?;
        self.read(pictures, &tags)
    }

    /// Features of a picture of zeros with an empty text, `[1, queries, width]`.
    ///
    /// # Errors
    /// None that is known.
    pub fn nothing(&self) -> Result<Tensor<3>, SystemError> {
        let side = self.qformer.side();
        let zeros = Tensor::zeros([1, 3, side, side], &self.device);
        self.read(zeros, &[self.tokenizer.encode("")?])
    }

    fn read(&self, pictures: Tensor<4>, tags: &[Vec<u32>]) -> Result<Tensor<3>, SystemError> {
        let seen = self.qformer.see(pictures).map_err(SystemError::Input)?;
        let out = self.qformer.read(&seen, tags).map_err(SystemError::Input)?;
        Ok(out.features)
    }
}

/// Whether references can be used.
///
/// # Errors
/// [`SystemError::Input`]: none, more than three, one without a tag, a strength that is not a number from 0 to 5.
pub fn check(references: &[Reference]) -> Result<(), SystemError> {
    if references.is_empty() || references.len() > SLOTS {
        return Err(SystemError::input(format!(
            "{} references are given: give 1 to {SLOTS}, such as `--ref picture.png:color`",
            references.len()
        )));
    }
    for reference in references {
        tags::check(&reference.tag)?;
        if !(0.0..=5.0).contains(&reference.strength) {
            return Err(SystemError::input("a reference's strength must be 0 to 5"));
        }
    }
    Ok(())
}

/// Tokens of references, ready for a U-Net's context: what `orrery fiva embed` saves.
#[derive(Clone, Debug)]
pub struct Guide {
    /// `[1, tokens, context]`.
    pub tokens: Tensor<3>,
    /// What stands for no reference, the same shape.
    pub uncond: Tensor<3>,
    /// The strength of each slot.
    pub strengths: Vec<f32>,
    /// Tokens that the adapter takes off the context: more than there are with [`Padding::Published`] and one reference.
    pub taken: usize,
    /// The tags, in the order of the slots.
    pub tags: Vec<String>,
}

impl Guide {
    /// Reads references.
    ///
    /// # Errors
    /// As [`Extractor::features`]; when extractor and projector do not fit.
    pub fn new(
        extractor: &Extractor,
        projector: &Projector,
        references: &[Reference],
        padding: Padding,
        uncond: Uncond,
        through_512: bool,
    ) -> Result<Self, SystemError> {
        if extractor.qformer.width() != projector.width() {
            return Err(SystemError::input(format!(
                "the Q-Former makes features of {} values and the adapter reads {}: they belong to different models",
                extractor.qformer.width(),
                projector.width()
            )));
        }
        let features = extractor.features(references, through_512)?;
        let slots = padding.slots(references.len());
        let filled = |at: usize| (at < references.len()).then_some(at);
        let order: Vec<Option<usize>> = (0..slots).map(filled).collect();
        let nothing = match uncond {
            Uncond::ZeroFeatures => projector.slots(features.clone(), &[vec![None; slots]]),
            Uncond::ZeroImage => projector.slots(extractor.nothing()?, &[vec![Some(0); slots]]),
        };
        let tokens = projector.slots(features, &[order]);
        let strength = |at: usize| references.get(at).map_or(1.0, |it| it.strength);
        Ok(Self {
            taken: tokens.dims()[1] / slots.max(1) * SLOTS,
            tokens,
            uncond: nothing,
            strengths: (0..slots).map(strength).collect(),
            tags: references.iter().map(|it| it.tag.clone()).collect(),
        })
    }

    /// The guide as a file.
    ///
    /// # Errors
    /// None that is known.
    pub fn file(&self) -> Result<TensorFile, SystemError> {
        let mut file = TensorFile::new();
        for (name, tensor) in [("tokens", &self.tokens), ("uncond", &self.uncond)] {
            let values: Vec<f32> = tensor.clone().into_data().iter::<f32>().collect();
            file.floats(name, &tensor.dims(), &values, Precision::F32)?;
        }
        file.note("format", "orrery fiva tokens");
        file.note("tags", Value::from(self.tags.clone()).to_string());
        file.note("strengths", Value::from(self.strengths.clone()).to_string());
        file.note("taken", self.taken.to_string());
        Ok(file)
    }

    /// A guide out of such a file.
    ///
    /// # Errors
    /// [`SystemError::Weights`] when it is none.
    pub fn read(weights: &Weights, device: &Device) -> Result<Self, SystemError> {
        let note = |key: &str| weights.metadata().get(key).cloned().unwrap_or_default();
        let none = || {
            weights.unfit(
                "it holds no tokens of references: make it with `orrery fiva embed`, or name pictures with `--ref`",
            )
        };
        let is_there = |name| weights.shape(name).is_some_and(|shape| shape.len() == 3);
        if !is_there("tokens") || !is_there("uncond") {
            return Err(none().into());
        }
        let tokens: Tensor<3> = weights.tensor("tokens", device)?;
        let uncond: Tensor<3> = weights.tensor("uncond", device)?;
        let [one, count, _] = tokens.dims();
        let strengths: Vec<f32> = serde_json::from_str(&note("strengths")).unwrap_or_default();
        let taken: usize = note("taken").parse().unwrap_or(count);
        let fits = one == 1
            && count > 0
            && count <= taken
            && taken <= 1 << 16
            && uncond.dims() == tokens.dims()
            && (1..=SLOTS).contains(&strengths.len())
            && count % strengths.len() == 0;
        if !fits {
            return Err(none().into());
        }
        Ok(Self {
            tokens,
            uncond,
            strengths,
            taken,
            tags: serde_json::from_str(&note("tags")).unwrap_or_default(),
        })
    }

    /// Text conditions with the guide's tokens behind them.
    pub fn behind(&self, mut text: Conditions) -> Conditions {
        let joined =
            |context: Tensor<3>, tokens: &Tensor<3>| Tensor::cat(vec![context, tokens.clone()], 1);
        text.full.context = joined(text.full.context, &self.tokens);
        if let Some(null) = &mut text.null {
            null.context = joined(null.context.clone(), &self.uncond);
        }
        text
    }
}

/// Draws one picture for each seed of `request`. `scale` weighs what is seen of the references against the text; `watch` hears of
/// steps done and in all, and says whether to go on.
///
/// # Errors
/// [`SystemError`]: the request cannot be drawn, model and guide do not fit, it was stopped.
pub fn generate(
    model: &StableDiffusion,
    adapter: &Adapter,
    guide: &Guide,
    request: &Request,
    scale: f32,
    watch: &mut dyn FnMut(usize, usize) -> bool,
) -> Result<Vec<Image>, SystemError> {
    model.check(request)?;
    let size = [request.height, request.width];
    let guided = request.sampling.guidance != 1.0;
    let text = model.conditions(
        &request.prompt,
        request.negative.as_deref(),
        guided,
        request.clip_skip,
        size,
    )?;
    let [context, own] = [text.full.context.dims(), guide.tokens.dims()];
    if context[2] != own[2] || context[1] + own[1] <= guide.taken {
        return Err(SystemError::input(format!(
            "the tokens of the references are {} wide and the model reads {}: they were made with the adapter of another base model",
            own[2], context[2]
        )));
    }
    let conditions = guide.behind(text);
    let device = model.device();
    let all = request.seeds.len();
    let mut pictures = Vec::with_capacity(all);
    for (at, &seed) in request.seeds.iter().enumerate() {
        let mut hooks = adapter
            .hooks(guide.taken, scale)
            .with_strengths(&guide.strengths, device);
        let mut each = |done, steps| watch(at * steps + done, all * steps);
        let noise = model.noise(&[seed], size);
        let latents = model.sample(
            noise,
            &[seed],
            &conditions,
            &request.sampling,
            &mut hooks,
            &mut each,
        )?;
        pictures.extend(model.decode(latents)?);
    }
    Ok(pictures)
}
