//! `orrery grape plan`.

use std::path::PathBuf;

use base::command::{Context, Failure, Output, eprint_line};
use base::files::write_bytes;
use base::media::read_image;
use clap::Args;

use super::options::PlannerOptions;
use crate::grape::pipeline;

/// Options of `plan`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  orrery grape plan --image drawn.png --prompt \"two red cups left of a green plate\" --url http://127.0.0.1:8000/v1 \\
      --planner Qwen2-VL-7B-Instruct --out plan.json")]
pub struct PlanVerb {
    /// The picture
    #[arg(long, value_name = "FILE")]
    image: PathBuf,
    /// What it is to show
    #[arg(long)]
    prompt: String,
    #[command(flatten)]
    planner: PlannerOptions,
    /// Where the plan goes, as JSON
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
}

impl PlanVerb {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        let picture = read_image(&self.image)?;
        let planner = self.planner.open(context)?;
        let options = self.planner.options(0);
        let (plan, warnings) = pipeline::plan(&planner, &picture, &self.prompt, &options)?;
        for line in warnings {
            eprint_line(&format!("warning: {line}"));
        }
        if let Some(out) = &self.out {
            let text = serde_json::to_string_pretty(&plan).map_err(Failure::failed)?;
            write_bytes(out, format!("{text}\n").as_bytes())?;
        }
        let steps = plan.steps.iter().enumerate();
        let lines: Vec<String> = steps
            .map(|(at, it)| format!("{}. {}", at + 1, it.instruction))
            .collect();
        let text = match plan.verdict.as_str() {
            "edit" => lines.join("\n"),
            "ok" => "nothing to edit".into(),
            _ => "draw another picture: this one is too far from the prompt".into(),
        };
        self.output.print(&plan, &text)
    }
}
