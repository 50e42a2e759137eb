//! `orrery lora-rar merge --method ziplora`: coefficients optimised for the pair.

use std::collections::BTreeMap;
use std::path::PathBuf;

use base::command::{Context, Failure, Steps, use_calling_thread_as_worker};
use base::rng::Rng;
use clap::Args;
use engine::models::stable_diffusion::OpenOptions;

use crate::base_model::{BaseModel, EMBEDDED};
use crate::lora_rar::captions::prompt;
use crate::lora_rar::distill::SIMILARITY;
use crate::lora_rar::unet::{inputs, layers, pair, updates};
use crate::lora_rar::ziplora::{OFFICIAL, ZipLora};
use crate::lora_rar::{Columns, Layer, LoraFile, SystemError};
use crate::tuning::{FrozenBase, Instances, pictures};

/// What `ziplora` needs beside the two LoRAs.
#[derive(Args, Debug)]
#[command(next_help_heading = "Options of ziplora")]
pub struct ZipOptions {
    /// The base model: a diffusers folder, one file, OWNER/NAME in the cache of the hub, or `embedded` [default: embedded]
    #[arg(long, value_name = "DIR|FILE")]
    model: Option<String>,
    /// Folder of CLIP's vocab.json and merges.txt, which a single file needs
    #[arg(long, value_name = "FOLDER")]
    tokenizer: Option<PathBuf>,
    /// Pictures of the subject
    #[arg(long, value_name = "FOLDER", required_if_eq("method", "ziplora"))]
    content_data: Option<PathBuf>,
    /// Pictures in the style
    #[arg(long, value_name = "FOLDER", required_if_eq("method", "ziplora"))]
    style_data: Option<PathBuf>,
    /// What the subject's pictures show [default: the prompt in its LoRA]
    #[arg(long, value_name = "TEXT")]
    content_prompt: Option<String>,
    /// What the style's pictures show [default: the prompt in its LoRA]
    #[arg(long, value_name = "TEXT")]
    style_prompt: Option<String>,
    /// Optimisation steps [default: 100]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    steps: Option<u64>,
    /// Weight of the similarity term, which is a sum over layers [default: 0.01]
    #[arg(long, value_parser = super::similarity)]
    similarity: Option<f64>,
}

impl ZipOptions {
    /// Each of them, and whether it was given.
    pub(super) fn given(&self) -> [(&'static str, bool); 8] {
        [
            ("--model", self.model.is_some()),
            ("--tokenizer", self.tokenizer.is_some()),
            ("--content-data", self.content_data.is_some()),
            ("--style-data", self.style_data.is_some()),
            ("--content-prompt", self.content_prompt.is_some()),
            ("--style-prompt", self.style_prompt.is_some()),
            ("--steps", self.steps.is_some()),
            ("--similarity", self.similarity.is_some()),
        ]
    }

    /// Coefficients of every layer of the base.
    pub(super) fn columns(
        &self,
        sides: [&LoraFile; 2],
        seed: u64,
        quiet: bool,
        context: Context,
    ) -> Result<BTreeMap<Layer, Columns>, Failure> {
        use_calling_thread_as_worker();
        let options = OpenOptions {
            tokenizer: self.tokenizer.clone(),
            ..OpenOptions::default()
        };
        let given = [
            ("content", &self.content_data, &self.content_prompt),
            ("style", &self.style_data, &self.style_prompt),
        ];
        let mut found = Vec::new();
        for ((side, data, words), lora) in given.into_iter().zip(sides) {
            let words = prompt(words.clone(), lora).ok_or_else(|| {
                Failure::input(format!(
                    "nothing says what the {side}'s pictures show: give `--{side}-prompt`"
                ))
            })?;
            found.push(pictures(
                data.as_deref().unwrap_or(".".as_ref()),
                Some(&words),
            )?);
        }
        let model = BaseModel::find(self.model.as_deref().unwrap_or(EMBEDDED))?
            .open(&options, &engine::device("cpu")?)?;
        let side = model.request().width;
        let base = FrozenBase::new(&model, side)?;
        let [content, style] = [updates(sides[0], &base)?, updates(sides[1], &base)?];
        let layers_of_pair = pair(&base, &content, &style);
        let mut watch = |_, _| context.proceed().map_err(SystemError::from);
        let [content, style] = [
            Instances::read(&model, side, &found[0], &mut watch)?,
            Instances::read(&model, side, &found[1], &mut watch)?,
        ];
        let zip = ZipLora {
            steps: self.steps.unwrap_or(OFFICIAL.0),
            rate: OFFICIAL.1,
            lambda: self.similarity.unwrap_or(SIMILARITY),
        };
        let draws = Rng::new(seed).child("ziplora");
        let mut bar = Steps::new("steps", quiet);
        let optimised = zip.run(&base, &layers_of_pair, |at| {
            bar.at(at as usize, zip.steps as usize);
            context.proceed()?;
            Ok(inputs(&base, [&content, &style], 1, &mut draws.item(at)))
        })?;
        bar.finish();
        let columns = optimised.into_iter().map(|it| it.values());
        let columns = columns.collect::<Result<Vec<Columns>, _>>()?;
        Ok(layers(&base).zip(columns).collect())
    }
}
