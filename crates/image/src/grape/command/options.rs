//! Options that the verbs share.

use std::path::{Path, PathBuf};

use base::command::{Context, Failure, eprint_line, number_in, whole};
use base::endpoint::Endpoint;
use base::files::write_bytes;
use clap::Args;
use engine::burn::tensor::Device;
use engine::models::stable_diffusion::OpenOptions;
use serde::Serialize;

use crate::asked_model;
use crate::base_model::{BaseModel, EMBEDDED};
use crate::grape::pipeline::{Diffusion, Options};
use crate::grape::pixedit::EditSettings;
use crate::grape::planner::EXAMPLES;
use crate::grape::{Editor, InstructPix2Pix, ModelPlanner, Parser, PixEdit};

/// The model that draws.
#[derive(Args, Debug)]
pub struct GeneratorOptions {
    /// What draws: a Stable Diffusion model as a folder, a file or OWNER/NAME in the cache of the hub, or `embedded`
    #[arg(long, value_name = "DIR|FILE", default_value = EMBEDDED)]
    generator: String,
    /// Folder of CLIP's vocab.json and merges.txt, which a single file needs
    #[arg(long, value_name = "DIR")]
    tokenizer: Option<PathBuf>,
    /// Steps of drawing [default: the model's]
    #[arg(long, value_parser = |text: &str| whole(text, 1000))]
    draw_steps: Option<usize>,
    /// Guidance of drawing [default: the model's]
    #[arg(long, value_parser = guidance, allow_negative_numbers = true)]
    guidance: Option<f32>,
    /// Width and height in pixels [default: the model's own]
    #[arg(long, value_name = "PIXELS", value_parser = |text: &str| whole(text, 4096))]
    size: Option<usize>,
}

impl GeneratorOptions {
    /// Opens it.
    pub fn open(&self, device: &Device) -> Result<Diffusion, Failure> {
        let opening = OpenOptions {
            tokenizer: self.tokenizer.clone(),
            ..OpenOptions::default()
        };
        let model = BaseModel::find(&self.generator)?.open(&opening, device)?;
        for note in model.notes() {
            eprint_line(&format!("warning: {note}"));
        }
        let mut request = model.request();
        if let Some(size) = self.size {
            (request.width, request.height) = (size, size);
        }
        if let Some(steps) = self.draw_steps {
            request.sampling.steps = steps;
        }
        if let Some(guidance) = self.guidance {
            request.sampling.guidance = guidance.into();
        }
        model.check(&request)?;
        Ok(Diffusion { model, request })
    }

    /// Its name, for records.
    pub fn name(&self) -> &str {
        &self.generator
    }
}

fn guidance(text: &str) -> Result<f32, String> {
    number_in(text, 0.0, 100.0)
}

/// The model that plans.
#[derive(Args, Debug)]
pub struct PlannerOptions {
    /// Address of an OpenAI-compatible server whose model sees pictures
    #[arg(long, value_name = "URL")]
    pub url: String,
    /// The planner's name on that server
    #[arg(long, value_name = "NAME")]
    pub planner: String,
    /// The variable that holds the key, where the server wants one
    #[arg(long, value_name = "NAME", default_value = "OPENAI_API_KEY")]
    pub key_env: String,
    /// Examples that the planner is shown, 0 to 8; the published code shows Qwen2-VL one
    #[arg(long, value_name = "COUNT", default_value_t = EXAMPLES as u8, value_parser = clap::value_parser!(u8).range(0..=EXAMPLES as i64))]
    fewshot: u8,
    /// Read replies as the published code does, which deletes every full stop
    #[arg(long)]
    compat_parser: bool,
    /// Most edits
    #[arg(long, default_value_t = 8, value_parser = |text: &str| whole(text, 64))]
    max_steps: usize,
    /// How often the planner may ask for another picture
    #[arg(long, value_name = "COUNT", default_value_t = 2, value_parser = clap::value_parser!(u8).range(0..=100))]
    regenerate: u8,
}

impl PlannerOptions {
    /// Another model on the same server.
    pub fn endpoint(&self, name: &str, context: Context) -> Result<Endpoint, Failure> {
        asked_model::endpoint(&self.url, name, &self.key_env, context)
    }

    /// The planner.
    pub fn open(&self, context: Context) -> Result<ModelPlanner<Endpoint>, Failure> {
        let model = self.endpoint(&self.planner, context)?;
        Ok(ModelPlanner::new(model, usize::from(self.fewshot))?)
    }

    /// How the work is done.
    pub fn options(&self, seed: u64) -> Options {
        Options {
            max_steps: self.max_steps,
            regenerate: usize::from(self.regenerate),
            seed,
            edit_seed: seed,
            parser: match self.compat_parser {
                true => Parser::Official,
                false => Parser::Lenient,
            },
        }
    }
}

/// What edits.
#[derive(Args, Debug)]
pub struct EditorOptions {
    /// PixEdit's transformer (`epoch_40_step_90041.pth`, or safetensors) with --parts; without, a model of the InstructPix2Pix kind
    /// (MagicBrush, AURORA) as a diffusers folder, a file or OWNER/NAME in the cache of the hub
    #[arg(long, value_name = "FILE|DIR")]
    editor: String,
    /// PixEdit's autoencoder and text encoder: the diffusers folder `pixart_sigma_sdxlvae_T5_diffusers`
    #[arg(long, value_name = "DIR")]
    parts: Option<PathBuf>,
    /// Folder where captions are kept: an instruction that is known needs no text encoder
    #[arg(long, value_name = "DIR", requires = "parts")]
    captions: Option<PathBuf>,
    /// Steps of an edit [default: 14 with PixEdit, else 50; published are 100 for InstructPix2Pix]
    #[arg(long, value_parser = |text: &str| whole(text, 1000))]
    steps: Option<usize>,
    /// How closely the instruction is followed [default: 4.5 with PixEdit, else 7.5]
    #[arg(long, value_parser = guidance, allow_negative_numbers = true)]
    text_guidance: Option<f32>,
    /// How closely the picture is kept
    #[arg(long, default_value_t = EditSettings::default().image_guidance, value_parser = guidance, allow_negative_numbers = true)]
    image_guidance: f32,
    /// Hand latents from edit to edit, not pixels: less drift, and another result than the published code's
    #[arg(long, requires = "parts")]
    keep_latent: bool,
}

impl EditorOptions {
    /// Opens it.
    pub fn open(&self, device: &Device) -> Result<Box<dyn Editor>, Failure> {
        let usual = match self.parts {
            Some(_) => EditSettings::default(),
            None => InstructPix2Pix::USUAL,
        };
        let settings = EditSettings {
            steps: self.steps.unwrap_or(usual.steps),
            text_guidance: self.text_guidance.unwrap_or(usual.text_guidance),
            image_guidance: self.image_guidance,
        };
        let Some(parts) = &self.parts else {
            let model = BaseModel::find(&self.editor)?.open(&OpenOptions::default(), device)?;
            return Ok(Box::new(InstructPix2Pix::new(model, settings)?));
        };
        let (editor, captions) = (Path::new(&self.editor), self.captions.as_deref());
        let opened = PixEdit::open(editor, parts, captions, settings, self.keep_latent, device);
        Ok(Box::new(opened?))
    }

    /// What results depend on, for records.
    pub fn key(&self) -> String {
        format!("{self:?}")
    }
}

/// Writes `value` as JSON into `folder`.
pub fn write_json(folder: &Path, name: &str, value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(Failure::failed)?;
    Ok(write_bytes(
        folder.join(name),
        format!("{text}\n").as_bytes(),
    )?)
}
