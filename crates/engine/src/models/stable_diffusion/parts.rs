//! What a model consists of, before its weights are read, and whether its parts belong together.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::DiffusionError;
use super::vae::VaePart;
use crate::diffusion::scheduler::{Prediction, SchedulerConfig};
use crate::models::clip_text::{self, ClipTextConfig};
use crate::models::unet2d::Unet2dConfig;
use crate::text::Tokenizer;
use crate::weights::{KeyMap, Weights};

/// One part with its file, whose tensors go by official names.
pub(super) struct Part<C> {
    pub config: C,
    pub weights: Weights,
}

/// A text tower with its tokenizer.
pub(super) struct TowerPart {
    pub config: ClipTextConfig,
    pub weights: Weights,
    /// What the file calls the projection, where it is stored transposed.
    pub transposed: Option<String>,
    pub tokenizer: Tokenizer,
    /// Fills prompts up.
    pub pad: u32,
    /// Begin and end of a prompt.
    pub ends: [u32; 2],
}

impl TowerPart {
    /// Names in the file ↔ field paths; a projection that is stored transposed takes no part.
    pub fn keys(&self) -> KeyMap {
        let keys = clip_text::key_map(&self.weights);
        match &self.transposed {
            None => keys,
            Some(name) => keys.skip("text_projection").ignore(name),
        }
    }
}

pub(super) struct Parts {
    pub path: PathBuf,
    pub unet: Part<Unet2dConfig>,
    pub vae: VaePart,
    pub towers: Vec<TowerPart>,
    pub scheduler: Schedule,
    /// Whether an absent negative prompt is a context of zeros.
    pub zero_negative: bool,
    /// How the model is best sampled, where its index says it.
    pub usual: Usual,
}

/// What `model_index.json` may say, as `_usual`, of how a model is best sampled; other programs pass it over.
#[derive(Clone, Debug, Default, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(default)]
pub struct Usual {
    /// Number of steps.
    pub steps: Option<usize>,
    /// Scale of the guidance.
    pub guidance: Option<f64>,
    /// Share of the steps that is guided, from the noisiest on.
    pub guided: Option<f64>,
}

/// A scheduler's configuration, and what its file leaves open.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    pub config: SchedulerConfig,
    /// The class that diffusers would make.
    pub class: Option<String>,
    /// Whether the file says how timesteps are spaced.
    pub spaced: bool,
}

impl Schedule {
    /// What Stable Diffusion was trained with; `prediction` where it is known.
    pub fn usual(prediction: Option<Prediction>) -> Self {
        use crate::diffusion::scheduler::BetaSchedule;
        Self {
            config: SchedulerConfig {
                beta_start: 0.00085,
                beta_end: 0.012,
                beta_schedule: BetaSchedule::ScaledLinear,
                prediction_type: prediction.unwrap_or_default(),
                steps_offset: 1,
                set_alpha_to_one: false,
                ..SchedulerConfig::default()
            },
            class: None,
            spaced: false,
        }
    }

    /// From the contents of a `scheduler_config.json`.
    pub fn read(json: Value, path: &Path) -> Result<Self, DiffusionError> {
        let mut fields = match json {
            Value::Object(fields) => fields,
            _ => return Err(DiffusionError::model(path, "it is not a JSON object")),
        };
        fields.retain(|_, value| !value.is_null());
        let class = fields.get("_class_name").and_then(Value::as_str);
        let (class, spaced) = (
            class.map(str::to_owned),
            fields.contains_key("timestep_spacing"),
        );
        if class.as_deref() == Some("PNDMScheduler") {
            // Its default is not that of the others.
            let known = fields.entry("set_alpha_to_one");
            known.or_insert(Value::from(false));
        }
        let config: SchedulerConfig =
            serde_json::from_value(Value::Object(fields)).map_err(|error| {
                DiffusionError::model(
                    path,
                    format!("it is not a scheduler that is known: {error}"),
                )
            })?;
        if !(1..=100_000).contains(&config.num_train_timesteps) {
            return Err(DiffusionError::model(
                path,
                "`num_train_timesteps` must be 1 to 100000",
            ));
        }
        Ok(Self {
            config,
            class,
            spaced,
        })
    }
}

/// Begin, end and fill of prompts, `pad` being what the tokenizer's configuration names.
pub(super) fn special(
    tokenizer: &Tokenizer,
    pad: Option<&str>,
    path: &Path,
) -> Result<([u32; 2], u32), DiffusionError> {
    let special = tokenizer.special();
    let begin = special.bos.or(tokenizer.piece_id("<|startoftext|>"));
    let end = special.eos.or(tokenizer.piece_id("<|endoftext|>"));
    let (Some(begin), Some(end)) = (begin, end) else {
        return Err(DiffusionError::model(
            path,
            "the tokenizer has no token that begins and none that ends a text; it is not CLIP's",
        ));
    };
    let pad = pad
        .and_then(|piece| tokenizer.piece_id(piece))
        .or(special.pad);
    Ok(([begin, end], pad.unwrap_or(end)))
}

impl Parts {
    /// Width of the context that the text towers make.
    fn context(&self) -> usize {
        self.towers
            .iter()
            .map(|tower| tower.config.hidden_size)
            .sum()
    }

    /// Which generation of Stable Diffusion this is, by its sizes.
    pub fn family(&self) -> &'static str {
        match (self.towers.len(), self.context()) {
            (1, 768) => "Stable Diffusion 1.x",
            (1, 1024) => "Stable Diffusion 2.x",
            (2, 2048) => "Stable Diffusion XL",
            _ => "Stable Diffusion of its own sizes",
        }
    }

    /// Whether the parts belong together.
    ///
    /// # Errors
    /// One line with the sizes that differ.
    pub fn check(&self) -> Result<(), DiffusionError> {
        let wrong = |reason: String| Err(DiffusionError::model(&self.path, reason));
        let unet = &self.unet.config;
        if let Err(reason) = unet.check() {
            return wrong(format!("the U-Net's `config.json`: {reason}"));
        }
        let (context, wanted) = (
            self.context(),
            unet.cross_attention_dim.at(0).unwrap_or_default(),
        );
        if context != wanted {
            let of = |width: usize| match width {
                768 => " (Stable Diffusion 1)",
                1024 => " (Stable Diffusion 2)",
                2048 => " (Stable Diffusion XL)",
                _ => "",
            };
            return wrong(format!(
                "the text encoder makes {context} values a token{} and the U-Net reads {wanted}{}: the folder is mixed up of \
                 two models; take both parts from one",
                of(context),
                of(wanted)
            ));
        }
        for tower in &self.towers {
            tower.tokenizer.check_rows(tower.config.vocab_size)?;
            if tower.config.max_position_embeddings < 3 {
                return wrong("a text encoder has room for fewer than 3 tokens".into());
            }
        }
        let vae = self.vae.sizes();
        let latent = vae.latent_channels;
        if unet.out_channels != latent {
            return wrong(format!(
                "the U-Net makes {} channels and the autoencoder reads {latent}: the folder is mixed up of two models",
                unet.out_channels
            ));
        }
        if ![latent, 2 * latent, 2 * latent + 1].contains(&unet.in_channels) {
            return wrong(format!(
                "the U-Net reads {} channels; {latent} (drawing), {} (editing) and {} (inpainting) are known",
                unet.in_channels,
                2 * latent,
                2 * latent + 1
            ));
        }
        if let Err(reason) = self.vae.check() {
            return wrong(format!("the autoencoder's `config.json`: {reason}"));
        }
        let ends = [vae.in_channels, vae.out_channels];
        if ![[3, 3], [4, 4]].contains(&ends) {
            return wrong(format!(
                "the autoencoder reads {} channels and makes {}: 3 and 3, or 4 and 4 with transparency, are known",
                ends[0], ends[1]
            ));
        }
        let pooled: Option<usize> = self.towers.last().and_then(|it| it.config.projection_dim);
        if let (Some(ids), Some(all)) = (
            unet.addition_time_embed_dim,
            unet.projection_class_embeddings_input_dim,
        ) && unet.addition_embed_type.is_some()
        {
            let found = pooled.map(|pooled| pooled + 6 * ids);
            if found != Some(all) {
                return wrong(format!(
                    "the U-Net expects {all} values of pooled text and sizes, and the text encoder has {}; give the base \
                     model, not a refiner, with its second text encoder",
                    found.map_or("no projection".into(), |found| format!("{found}"))
                ));
            }
        }
        Ok(())
    }
}
