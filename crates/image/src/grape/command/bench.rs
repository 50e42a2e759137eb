//! `orrery grape bench`.

use std::path::PathBuf;
use std::sync::Mutex;

use base::command::{Context, Failure, Output, Steps, eprint_line};
use base::endpoint::ChatError;
use base::files::make_folder;
use base::hash::{FNV_START, fnv1a};
use base::job::journal::{Journal, Lasting};
use base::job::jsonl::Record;
use clap::Args;
use serde_json::Value;

use super::options::{EditorOptions, GeneratorOptions, PlannerOptions, write_json};
use super::run::write_trace;
use crate::grape::SystemError;
use crate::grape::bench::{self, Item, Outcome, Scores};
use crate::grape::judge::{Judge, ModelJudge};
use crate::grape::pipeline::{self, Components, Diffusion, Options};
use crate::grape::{Editor, ModelPlanner};

/// Options of `bench`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  orrery grape bench --bench conceptmix-k3.json --generator sd-v1-5 --url http://127.0.0.1:8000/v1 --planner Qwen2-VL-7B-Instruct \\
      --judge Qwen2-VL-72B-Instruct --editor epoch_40_step_90041.pth --parts pixart_sigma_sdxlvae_T5_diffusers --out bench-k3

The benchmark is an array or JSON lines, of {\"sentence\": …, \"question\": [\"Is there …?\", …]} (ConceptMix) or {\"text\": …,
\"qid2question\": {\"1\": …}, \"qid2dependency\": {\"2\": [1]}} (DSG). What is in --out is not done again: the same command goes on.")]
pub struct BenchVerb {
    /// Prompts with questions
    #[arg(long, value_name = "FILE")]
    bench: PathBuf,
    #[command(flatten)]
    generator: GeneratorOptions,
    #[command(flatten)]
    planner: PlannerOptions,
    #[command(flatten)]
    editor: EditorOptions,
    /// Who answers the questions, on the planner's server
    #[arg(long, value_name = "NAME")]
    judge: String,
    /// Undo edits after which the judge answers yes to fewer questions; the scores are then of the judge's own choice
    #[arg(long)]
    verify: bool,
    /// Seed of pictures and edits
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Folder for answers, scores, and pictures and trace of each prompt
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Device: cpu; cuda, metal, rocm or wgpu in a program built with that feature
    #[arg(long, default_value = "cpu")]
    device: String,
    #[command(flatten)]
    output: Output,
}

/// Why an item is not done.
struct Undone(SystemError);

impl Lasting for Undone {
    fn is_lasting(&self) -> bool {
        match &self.0 {
            SystemError::Chat(error) => error.is_lasting(),
            _ => true,
        }
    }
}

/// Everybody who works on an item.
struct BenchModels {
    models: Mutex<(Diffusion, Box<dyn Editor>)>,
    planner: ModelPlanner<base::endpoint::Endpoint>,
    judge: ModelJudge<base::endpoint::Endpoint>,
    options: Options,
}

impl BenchVerb {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        let items = bench::read(&self.bench)?;
        let device = engine::device(&self.device)?;
        let models_in_use = BenchModels {
            planner: self.planner.open(context)?,
            judge: ModelJudge(self.planner.endpoint(&self.judge, context)?),
            options: self.planner.options(self.seed),
            models: Mutex::new((self.generator.open(&device)?, self.editor.open(&device)?)),
        };
        make_folder(&self.out)?;
        let mut journal =
            Journal::open(&self.out.join("answers.jsonl"), |it| outcome(it).is_some())?;
        let hashes: Vec<String> = items.iter().map(|it| self.hash(it)).collect();
        let mut bar = Steps::new("prompts", self.output.json);
        let work = |at: usize| {
            self.item(at, &items[at], &models_in_use, context)
                .map_err(Undone)
        };
        let mut watch = |done, of| bar.at(done, of);
        // One at a time: the models are what takes long.
        let progress = journal.work(&hashes, 1, context.stop, work, &mut watch)?;
        bar.finish();
        context.proceed_or_resume()?;
        if let Some(Undone(error)) = progress.error {
            match progress.made + progress.resumed {
                0 => return Err(error.into()),
                _ => eprint_line(&format!(
                    "warning: {} of {} prompts are not done: {error}",
                    progress.missing,
                    items.len()
                )),
            }
        }
        let done = items.iter().zip(&hashes);
        let (items, outcomes): (Vec<Item>, Vec<Outcome>) = done
            .filter_map(|(item, hash)| Some((item.clone(), outcome(journal.get(hash)?)?)))
            .unzip();
        let scores = Scores::of(&items, &outcomes);
        write_json(&self.out, "scores.json", &scores)?;
        self.output.print(&scores, &told(&scores))
    }

    /// What a result depends on.
    fn hash(&self, item: &Item) -> String {
        let text = format!(
            "{item:?}\n{:?}\n{:?}\n{}\n{}\n{}\n{}",
            self.generator,
            self.planner,
            self.editor.key(),
            self.judge,
            self.verify,
            self.seed
        );
        format!("{:016x}", fnv1a(FNV_START, text.bytes()))
    }

    fn item(
        &self,
        at: usize,
        item: &Item,
        models_in_use: &BenchModels,
        context: Context,
    ) -> Result<Record, SystemError> {
        let mut models = models_in_use
            .models
            .lock()
            .map_err(|_| SystemError::Failed("an earlier prompt ended badly".into()))?;
        let (generator, editor) = &mut *models;
        let questions: Vec<String> = item.questions.values().cloned().collect();
        let judge: &dyn Judge = &models_in_use.judge;
        let mut components = Components {
            generator,
            planner: &models_in_use.planner,
            editor: editor.as_mut(),
            verify: self.verify.then_some((judge, questions.as_slice())),
        };
        let mut watch = |_: &'static str, _: usize, _: usize| !context.stopped();
        let made = pipeline::run(
            &item.prompt,
            &mut components,
            &models_in_use.options,
            &mut watch,
        )?;
        let outcome = Outcome::of(item, &made, judge)?;
        let folder = self.out.join(format!("{:04}", at + 1));
        write_trace(&folder, &made).map_err(SystemError::input)?;
        match serde_json::to_value(&outcome) {
            Ok(Value::Object(record)) => Ok(record),
            _ => Err(ChatError::Unable("an outcome is no object".into()).into()),
        }
    }
}

fn outcome(record: &Record) -> Option<Outcome> {
    serde_json::from_value(Value::Object(record.clone())).ok()
}

/// The scores for people.
fn told(scores: &Scores) -> String {
    let row = |name: &str, [base, edited]: [f64; 2]| {
        format!("{name}: {base:.3} before, {edited:.3} after")
    };
    let mut lines = vec![
        row("mean question score", scores.mean_question_score),
        row("full marks", scores.full_mark_rate),
    ];
    lines.extend(
        scores
            .dsg_with_dependencies
            .map(|it| row("DSG with dependencies", it)),
    );
    let gain = scores
        .gain
        .map_or(String::new(), |it| format!("gain {:.1} %, ", 100.0 * it));
    lines.push(format!(
        "{gain}{:.1} edits a prompt, {} prompts",
        scores.steps, scores.items
    ));
    lines.join("\n")
}
