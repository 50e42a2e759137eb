//! The stages: what each reads, trains and writes.

use base::command::Failure;
use base::rng::Rng;
use burn::tensor::Device;
use engine::models::autoencoder_kl::{AutoencoderKl, AutoencoderKlConfig};
use engine::models::clip_text::ClipTextConfig;
use engine::models::unet2d::Unet2dConfig;
use engine::text::Tokenizer;
use engine::train::{Run, Trained, train};

use super::data::{Grid, Pair, SIDE, Split};
use super::folder::{Folder, ends};
use super::recipe::{Part, Recipe};
use super::text::{TextModel, TextTask};
use super::unet::{Draws, TimeDraw, UnetTask};
use super::vae::VaeTask;
use super::vocabulary::Vocabulary;
use super::{prompts, text, unet, vae};

/// The trained model in a run's folder.
pub const MODEL: &str = "model";

/// How a run ended.
pub struct Done {
    /// Steps done.
    pub step: u64,
    /// Mean loss since the last line of the log.
    pub loss: f64,
    /// Steps left out for want of a finite gradient.
    pub skipped: u64,
    /// Seconds of training.
    pub seconds: f64,
    /// Whether it was stopped before its end.
    pub interrupted: bool,
    /// What was measured of the averaged weights at the end: names and figures.
    pub measured: Vec<(&'static str, f64)>,
}

impl Done {
    fn new<M>(trained: &Trained<M>) -> Self {
        Self {
            step: trained.step,
            loss: trained.loss,
            skipped: trained.skipped,
            seconds: trained.elapsed,
            interrupted: trained.interrupted,
            measured: Vec::new(),
        }
    }
}

/// An autoencoder's part of a recipe.
///
/// # Errors
/// When sizes do not go together.
pub fn new_vae(
    channels: &[usize],
    layers: usize,
    latents: usize,
    kl: f32,
) -> Result<Part, Failure> {
    let config = vae::config(channels, layers, latents);
    let groups = config.norm_num_groups;
    match channels.iter().all(|count| count.is_multiple_of(groups)) && channels.len() <= 5 {
        true => Ok(Part::Vae { config, kl }),
        false => Err(Failure::input(format!(
            "`--channels` of an autoencoder are at most 5 multiples of {groups}"
        ))),
    }
}

/// A text encoder's part of a recipe, with a vocabulary of at most `vocabulary` tokens.
///
/// # Errors
/// When sizes do not go together.
pub fn new_text(
    grid: &Grid,
    vocabulary: usize,
    width: usize,
    layers: usize,
) -> Result<Part, Failure> {
    if !width.is_multiple_of(32) {
        return Err(Failure::input(
            "`--width` is a multiple of 32: heads have 32 values",
        ));
    }
    let learnt = Vocabulary::learn(&prompts::texts(&grid.subjects), vocabulary);
    Ok(Part::Text {
        config: text::config(learnt.tokens(), width, layers),
    })
}

/// A U-Net's part of a recipe, for the autoencoder and the text encoder of `base`.
///
/// # Errors
/// When sizes do not go together, or `base` lacks a part.
pub fn new_unet(
    base: &Folder,
    channels: &[usize],
    layers: usize,
    attention: usize,
    times: TimeDraw,
) -> Result<Part, Failure> {
    let vae = base.vae_config()?;
    let (words, ..) = base.words()?;
    let [latents, side, _] = shape(&vae);
    if side >> (channels.len() - 1) == 0 {
        return Err(Failure::input(format!(
            "latents of {side}x{side} cannot be halved {} times: give fewer `--channels`",
            channels.len() - 1
        )));
    }
    let config = unet::config(
        channels,
        layers,
        attention,
        [latents, side, words.hidden_size],
    );
    config
        .check()
        .map_err(|reason| Failure::input(format!("`--channels`: {reason}")))?;
    Ok(Part::Unet {
        config: Box::new(config),
        times,
    })
}

/// Channels, height and width of latents.
fn shape(config: &AutoencoderKlConfig) -> [usize; 3] {
    let side = SIDE >> config.block_out_channels.len().saturating_sub(1);
    [config.latent_channels, side, side]
}

/// What all stages need.
struct Stage<'a> {
    recipe: &'a Recipe,
    grid: &'a Grid,
    /// What is trained on, and what settings may be chosen by.
    pairs: [Vec<Pair>; 2],
    base: Option<Folder>,
    out: Folder,
    device: &'a Device,
    watch: &'a mut dyn FnMut(usize, usize),
}

/// Carries a recipe out in the folder of `run`, and writes the model with what was trained into its [`MODEL`]. `device` has
/// gradients; `watch` hears of pictures encoded before training, done and in all.
///
/// # Errors
/// When the base lacks a part, or the run fails.
pub fn run(
    recipe: &Recipe,
    grid: &Grid,
    run: Run,
    device: &Device,
    watch: &mut dyn FnMut(usize, usize),
) -> Result<Done, Failure> {
    let stage = Stage {
        recipe,
        grid,
        pairs: [Split::Train, Split::Development].map(|split| grid.of(split)),
        base: recipe.base.clone().map(Folder),
        out: Folder(run.folder.join(MODEL)),
        device,
        watch,
    };
    match &recipe.part {
        Part::Vae { config, kl } => stage.vae(config, *kl, run),
        Part::Text { config } => stage.text(config, run),
        Part::Unet { config, times } => stage.unet(config, *times, run),
    }
}

impl Stage<'_> {
    fn base(&self) -> Result<&Folder, Failure> {
        self.base.as_ref().ok_or_else(|| {
            Failure::input("this stage begins with an autoencoder: name the `model` folder of an earlier stage with `--base`")
        })
    }

    fn rng(&self) -> Rng {
        Rng::new(self.recipe.seed).child("init")
    }

    fn vae(self, config: &AutoencoderKlConfig, kl: f32, run: Run) -> Result<Done, Failure> {
        let model = match &self.base {
            Some(base) => base.vae(self.device)?,
            None => config.init(&mut self.rng(), self.device),
        };
        let [pairs, development] = &self.pairs;
        let task = VaeTask {
            grid: self.grid,
            pairs: pairs.clone(),
            batch: self.recipe.batch,
            kl,
            config,
            device: self.device.clone(),
        };
        let trained = train(&task, model, &self.recipe.train_config(), run)?;
        let mut done = Done::new(&trained);
        if done.interrupted {
            return Ok(done);
        }
        let plain = self.device.clone().without_autodiff();
        let model = vae::standardised(trained.ema, config, self.grid, pairs, &plain);
        let [colours, cover] = vae::fidelity(&model, self.grid, development, &plain);
        done.measured = vec![
            ("development_psnr", colours),
            ("development_alpha_psnr", cover),
        ];
        self.out.write_vae(config, &model)?;
        Ok(done)
    }

    /// Latents of pairs: means and logarithms of variances.
    fn latents(&mut self, pairs: &[Pair]) -> Result<[Vec<f32>; 2], Failure> {
        let plain = self.device.clone().without_autodiff();
        let model: AutoencoderKl = self.base()?.vae(&plain)?;
        Ok(vae::encode(&model, self.grid, pairs, &plain, self.watch))
    }

    fn text(mut self, config: &ClipTextConfig, run: Run) -> Result<Done, Failure> {
        let pairs = self.pairs[0].clone();
        let [latents, _] = self.latents(&pairs)?;
        let vocabulary = Vocabulary::learn(&prompts::texts(&self.grid.subjects), config.vocab_size);
        self.out.write_vocabulary(&vocabulary)?;
        let tokenizer = Tokenizer::open(&self.out.0.join("tokenizer"))?;
        let base = self.base()?;
        let mut rng = self.rng();
        let tower = match base.has("text_encoder") {
            true => base.tower(self.device)?,
            false => config.init(&mut rng, self.device).map_err(Failure::input)?,
        };
        let values = latents.len() / pairs.len().max(1);
        let model = TextModel::new(tower, config.hidden_size, values, &mut rng, self.device);
        let task = TextTask {
            grid: self.grid,
            ends: ends(&tokenizer)?,
            tokenizer: &tokenizer,
            pairs,
            latents,
            batch: self.recipe.batch,
            device: self.device.clone(),
        };
        let trained = train(&task, model, &self.recipe.train_config(), run)?;
        let done = Done::new(&trained);
        if !done.interrupted {
            self.out.copy(base, "vae")?;
            self.out.write_tower(config, &trained.ema.tower)?;
        }
        Ok(done)
    }

    fn unet(mut self, config: &Unet2dConfig, times: TimeDraw, run: Run) -> Result<Done, Failure> {
        let [pairs, development] = self.pairs.clone();
        let latents = self.latents(&pairs)?;
        let [held, _] = self.latents(&development)?;
        let base = self.base()?;
        let (words, tokenizer, ends) = base.words()?;
        let model = Draws {
            unet: match base.has("unet") {
                true => base.unet(config, self.device)?,
                false => config
                    .init(&mut self.rng(), self.device)
                    .map_err(Failure::input)?,
            },
            tower: base.tower(self.device)?,
        };
        let task = UnetTask {
            grid: self.grid,
            tokenizer: &tokenizer,
            ends,
            pairs,
            latents,
            shape: shape(&base.vae_config()?),
            times,
            batch: self.recipe.batch,
            bars: unet::bars().map_err(Failure::failed)?,
            device: self.device.clone(),
        };
        let trained = train(&task, model, &self.recipe.train_config(), run)?;
        let mut done = Done::new(&trained);
        if done.interrupted {
            return Ok(done);
        }
        let plain = UnetTask {
            device: self.device.clone().without_autodiff(),
            ..task
        };
        let size = plain.shape.iter().product::<usize>();
        let known = development.len().min(plain.pairs.len());
        let measure = |pairs: &[Pair], latents: &[f32]| plain.measure(&trained.ema, pairs, latents);
        let of_known = measure(&plain.pairs[..known], &plain.latents[0][..known * size]);
        let of_held = measure(&development, &held);
        done.measured = vec![
            ("trained_loss", of_known.map_err(Failure::failed)?),
            ("development_loss", of_held.map_err(Failure::failed)?),
        ];
        for part in ["vae", "tokenizer"] {
            self.out.copy(base, part)?;
        }
        self.out.write_tower(&words, &trained.ema.tower)?;
        self.out.write_unet(config, &trained.ema.unet)?;
        Ok(done)
    }
}
