//! `orrery grape run`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use base::command::{
    Context, Failure, Output, Steps, any_seed, eprint_line, use_calling_thread_as_worker,
};
use base::files::{make_folder, write_bytes};
use base::media::provenance::{Provenance, check_ending, image_bytes};
use base::media::{png_bytes, read_image};
use clap::Args;
use serde_json::json;

use super::options::{EditorOptions, GeneratorOptions, PlannerOptions, write_json};
use crate::grape::judge::{Judge, ModelJudge};
use crate::grape::pipeline::{self, Components, Generator, Given, Made};

/// Key of the provenance in a picture.
const KEY: &str = "orrery grape";

/// Options of `run`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orrery grape run --prompt \"two red cups left of a green plate\" --generator sd-v1-5 --url http://127.0.0.1:8000/v1 \\
      --planner Qwen2-VL-7B-Instruct --editor epoch_40_step_90041.pth --parts pixart_sigma_sdxlvae_T5_diffusers --trace out
  orrery grape run --prompt \"two red cups\" --image drawn.png --url https://api.openai.com/v1 --planner gpt-4o \\
      --editor epoch_40_step_90041.pth --parts pixart_sigma_sdxlvae_T5_diffusers --verify")]
pub struct RunVerb {
    /// What is to be seen
    #[arg(long)]
    prompt: String,
    /// Begin with this picture, drawn with anything
    #[arg(long, value_name = "FILE", conflicts_with_all = ["generator", "tokenizer", "draw_steps", "guidance", "size"])]
    image: Option<PathBuf>,
    #[command(flatten)]
    generator: GeneratorOptions,
    #[command(flatten)]
    planner: PlannerOptions,
    #[command(flatten)]
    editor: EditorOptions,
    /// Ask questions about the prompt before and after each edit, and undo it where fewer are answered yes
    #[arg(long)]
    verify: bool,
    /// Who answers them, on the planner's server [default: the planner]
    #[arg(long, value_name = "NAME", requires = "verify")]
    judge: Option<String>,
    /// Seed of picture and edits [default: drawn]
    #[arg(long)]
    seed: Option<u64>,
    /// The result, PNG, JPEG, WebP or GIF, which says how it was made
    #[arg(long, value_name = "FILE", default_value = "final.png")]
    out: PathBuf,
    /// Folder for the picture before editing, after each step, `plan.json` and `trace.json`
    #[arg(long, value_name = "DIR")]
    trace: Option<PathBuf>,
    /// Device: cpu; cuda, metal, rocm or wgpu in a program built with that feature
    #[arg(long, default_value = "cpu")]
    device: String,
    #[command(flatten)]
    output: Output,
}

impl RunVerb {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        let begun = Instant::now();
        use_calling_thread_as_worker();
        check_ending(&self.out)?;
        let device = engine::device(&self.device)?;
        let seed = self.seed.unwrap_or_else(any_seed);
        let mut options = self.planner.options(seed);
        let planner = self.planner.open(context)?;
        let mut generator: Box<dyn Generator> = match &self.image {
            Some(path) => {
                // There is no other picture to ask for.
                options.regenerate = 0;
                Box::new(Given(read_image(path)?))
            }
            None => Box::new(self.generator.open(&device)?),
        };
        let mut editor = self.editor.open(&device)?;
        let judge = self.judge.as_deref().unwrap_or(&self.planner.planner);
        let judge = ModelJudge(self.planner.endpoint(judge, context)?);
        let questions = match self.verify {
            true => judge.questions(&self.prompt)?,
            false => Vec::new(),
        };
        let mut bars = Bars::new(self.output.json);
        let mut watch = |what, done, of| {
            bars.at(what, done, of);
            !context.stopped()
        };
        let mut components = Components {
            generator: generator.as_mut(),
            planner: &planner,
            editor: editor.as_mut(),
            verify: self
                .verify
                .then_some((&judge as &dyn Judge, questions.as_slice())),
        };
        let made = pipeline::run(&self.prompt, &mut components, &options, &mut watch);
        bars.finish();
        let made = made?;
        for line in &made.trace.warnings {
            eprint_line(&format!("warning: {line}"));
        }
        if let Some(folder) = &self.trace {
            write_trace(folder, &made)?;
        }
        let settings = json!({
            "prompt": self.prompt, "generator": self.generator.name(), "planner": made.trace.planner, "editor": made.trace.editor,
            "steps": made.plan.steps, "seed": seed, "version": env!("CARGO_PKG_VERSION"),
        });
        let provenance = Provenance::new(KEY, &settings)?;
        image_bytes(&self.out, &made.picture, &provenance)?.write(&self.out)?;
        let kept = made.trace.edits.iter().filter(|it| it.kept).count();
        let seconds = (begun.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
        let report = json!({
            "file": self.out.display().to_string(), "seed": seed, "verdict": made.plan.verdict, "steps": made.plan.steps,
            "kept": kept, "drafts": made.trace.drafts.len(), "warnings": made.trace.warnings, "seconds": seconds,
        });
        let planned = made.plan.steps.len();
        let text = match planned {
            0 => "nothing to edit".to_owned(),
            _ => format!("{kept} of {planned} edits kept"),
        };
        let text = format!(
            "{} (seed {seed}, {text}, {seconds:.1} s)",
            self.out.display()
        );
        self.output.print(&report, &text)
    }
}

/// `draft.png`, `step_1.png`…, `final.png`, `plan.json`, `trace.json`.
pub(super) fn write_trace(folder: &Path, made: &Made) -> Result<(), Failure> {
    make_folder(folder)?;
    for (at, picture) in made.pictures.iter().enumerate() {
        let name = match at {
            0 => "draft.png".to_owned(),
            at => format!("step_{at}.png"),
        };
        write_bytes(folder.join(name), &png_bytes(picture, &[])?)?;
    }
    write_bytes(folder.join("final.png"), &png_bytes(&made.picture, &[])?)?;
    write_json(folder, "plan.json", &made.plan)?;
    write_json(folder, "trace.json", &made.trace)
}

/// A bar for what is under way.
pub(super) struct Bars {
    quiet: bool,
    shown: Option<(&'static str, Steps)>,
}

impl Bars {
    pub(super) fn new(quiet: bool) -> Self {
        Self { quiet, shown: None }
    }

    pub(super) fn at(&mut self, what: &'static str, done: usize, of: usize) {
        if self.shown.as_ref().is_none_or(|(title, _)| *title != what) {
            self.finish();
            self.shown = Some((what, Steps::new(what, self.quiet)));
        }
        if let Some((_, bar)) = &mut self.shown {
            bar.at(done, of);
        }
    }

    pub(super) fn finish(&self) {
        if let Some((_, bar)) = &self.shown {
            bar.finish();
        }
    }
}
