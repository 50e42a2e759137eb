//! `orrery acdit classify`.

use std::path::PathBuf;

use base::command::{
    Context, Failure, Steps, print_json, print_line, use_calling_thread_as_worker, whole,
};
use base::media;
use clap::Args;
use serde_json::json;

use super::model::ModelOptions;
use crate::acdit::generate::Vae;
use crate::acdit::pipeline::AcditPipeline;

/// Options of `classify`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orrery acdit classify --model runs/head/model.safetensors shoe.png
  orrery acdit classify --draws 64 shoe.png bag.png")]
pub struct Classify {
    /// Pictures, or clips for a model of clips
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    model: ModelOptions,
    /// How: by the head that training with `--goal head` or `classify` made, or by which class explains the picture's noise
    /// best [default: head, where the model has one]
    #[arg(long, value_enum)]
    by: Option<By>,
    /// By denoising: how many times noise is drawn
    #[arg(long, default_value_t = 32, value_parser = |text: &str| whole(text, 10_000))]
    draws: usize,
    /// How many classes are printed
    #[arg(long, default_value_t = 3, value_parser = |text: &str| whole(text, 1000))]
    top: usize,
    /// By denoising: seed of the noise
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Print one JSON object a file
    #[arg(long)]
    json: bool,
}

/// What a class is judged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum By {
    /// A linear head on the mean of the clean tokens' features
    Head,
    /// The error of the predicted noise under each class
    Denoising,
}

impl Classify {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        use_calling_thread_as_worker();
        let pipeline = self.model.open()?;
        let vae = self.model.vae(&pipeline)?;
        let by = match (self.by, &pipeline.head) {
            (Some(By::Head), None) => {
                return Err(Failure::input(
                    "this model has no head: train one with `orrery acdit train --goal head`, or use `--by denoising`",
                ));
            }
            (Some(by), _) => by,
            (None, Some(_)) => By::Head,
            (None, None) => By::Denoising,
        };
        for file in &self.files {
            context.proceed()?;
            self.one(file, by, &pipeline, vae.as_ref(), context)?;
        }
        Ok(())
    }

    fn one(
        &self,
        file: &PathBuf,
        by: By,
        pipeline: &AcditPipeline,
        vae: Option<&Vae>,
        context: Context,
    ) -> Result<(), Failure> {
        let config = &pipeline.config;
        let mut frames = match config.temporal_len {
            1 => vec![media::read_image(file)?],
            _ => media::read_clip(file)?.frames,
        };
        if frames.len() < config.temporal_len {
            return Err(Failure::input(format!(
                "`{}` has {} frames, the model takes {}: give a longer clip",
                file.display(),
                frames.len(),
                config.temporal_len
            )));
        }
        frames.truncate(config.temporal_len);
        let tokens = pipeline.tokens(&frames, vae)?;
        let (scores, what) = match by {
            By::Head => (pipeline.by_head(tokens)?.unwrap_or_default(), "probability"),
            By::Denoising => {
                let mut bar = Steps::new("draws", self.json);
                let errors = pipeline.by_denoising(tokens, self.draws, self.seed, &mut |done| {
                    bar.at(done, self.draws);
                    !context.stopped()
                });
                bar.finish();
                (errors?, "error")
            }
        };
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|&a, &b| match by {
            By::Head => scores[b].total_cmp(&scores[a]),
            By::Denoising => scores[a].total_cmp(&scores[b]),
        });
        order.truncate(self.top);
        if self.json {
            let classes: Vec<_> = order
                .iter()
                .map(|&label| json!({"class": pipeline.about.name(label), "label": label, what: scores[label]}))
                .collect();
            return print_json(
                &json!({"file": base::files::shown(file), "by": what, "classes": classes}),
            );
        }
        let classes: Vec<String> = order
            .iter()
            .map(|&label| {
                let name = pipeline.about.name(label);
                match by {
                    By::Head => format!("{name} {:.1} %", 100.0 * scores[label]),
                    By::Denoising => format!("{name} (error {:.4})", scores[label]),
                }
            })
            .collect();
        print_line(&format!("{}: {}", file.display(), classes.join(", ")))
    }
}
