//! `orrery sd eval`.

use std::path::PathBuf;

use base::command::{Context, Failure, Steps, print_line, use_calling_thread_as_worker};
use base::files::{make_folder, settings, write_bytes};
use base::hash::{FNV_START, fnv1a};
use clap::{Args, ValueEnum};
use engine::models::emoji_judge::Judge;
use engine::models::stable_diffusion::{Request, SamplerKind, Sampling, StableDiffusion};
use engine::ops::{Precision, set_precision};
use engine::weights::Weights;
use serde_json::{Value, json};

use crate::base_model::{BaseModel, EMBEDDED};
use crate::sd::eval::{Evaluation, Plan, Report};
use crate::sd::options::{guidance, share};
use crate::sd::train::data::{Grid, Split};

/// Which held-out pairs.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum HeldOut {
    /// Those that settings are chosen by
    #[default]
    Dev,
    /// Those that nothing is chosen by: look once, when all is settled
    Test,
}

/// Options of `eval`.
#[derive(Args, Debug)]
pub struct Eval {
    /// The folder of the pack emoji-styles-64
    #[arg(long, value_name = "FOLDER")]
    data: PathBuf,
    /// A model that `train` made, its folder or packed file [default: embedded]
    #[arg(long, value_name = "DIR|FILE", default_value = EMBEDDED, hide_default_value = true)]
    model: String,
    /// The held-out pairs
    #[arg(long, value_enum, default_value_t)]
    split: HeldOut,
    /// At most so many pairs, trained and held-out ones each [default: all that are held out, and as many trained ones]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pairs: Option<u32>,
    /// Pictures of each pair
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=20))]
    seeds: u64,
    /// Seed that theirs follow from
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Steps of the sampler [default: what the model's files say, else 25]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1000))]
    steps: Option<u16>,
    /// How closely to follow the prompt [default: what the model's files say, else 7.5]
    #[arg(long, value_parser = guidance, allow_negative_numbers = true)]
    guidance: Option<f64>,
    /// The share of the steps, from the noisiest on, that is guided [default: what the model's files say, else 1]
    #[arg(long = "guided-until", value_parser = share)]
    guided: Option<f64>,
    /// ddim, dpm++, euler, euler-a, heun, plms, lcm or edm [default: what the model's files name, else dpm++]
    #[arg(long)]
    sampler: Option<SamplerKind>,
    /// A judge that `orrery stiv train --stage judge` wrote [default: the embedded one]
    #[arg(long, value_name = "FILE")]
    judge: Option<PathBuf>,
    /// Folder for pictures, lines and sheets; the same command goes on there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Multiply in bf16
    #[arg(long)]
    bf16: bool,
    /// Device: cpu; cuda, metal, rocm or wgpu in a program built with that feature
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Eval {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        use_calling_thread_as_worker();
        if self.bf16 {
            set_precision(Precision::Bf16);
        }
        let device = engine::device(&self.device)?;
        let grid = Grid::read(&self.data)?;
        let judge = match &self.judge {
            Some(path) => Judge::open(&Weights::open(path)?, &device)?,
            None => Judge::embedded(&device)?,
        };
        let model = BaseModel::find(&self.model)?.open(&Default::default(), &device)?;
        let usual = model.request().sampling;
        let sampling = Sampling {
            steps: self.steps.map_or(usual.steps, usize::from),
            guidance: self.guidance.unwrap_or(usual.guidance),
            guided: self.guided.unwrap_or(usual.guided),
            sampler: self.sampler.unwrap_or(usual.sampler),
            ..usual
        };
        let split = match self.split {
            HeldOut::Dev => Split::Development,
            HeldOut::Test => Split::Test,
        };
        let most = self.pairs.map(|it| it as usize);
        let seeds = (self.seeds, self.seed);
        let plan = Plan::new(&grid, split, most, seeds, sampling);
        let told = self.settings(&model, &plan)?;
        self.keep(&told)?;
        let evaluation = Evaluation {
            model: &model,
            grid: &grid,
            judge: &judge,
            plan: &plan,
            out: &self.out,
        };
        let mut bar = Steps::new("drawing", self.json);
        let report = evaluation.run(context, &mut |done, all| bar.at(done, all));
        bar.finish();
        let report = report?;
        let whole = json!({ "settings": told, "report": report });
        let path = self.out.join("report.json");
        write_bytes(&path, format!("{whole:#}\n").as_bytes())?;
        match self.json {
            true => print_line(&whole.to_string()),
            false => in_words(&report, &self.out.join("held-out.png")),
        }
    }

    /// What the pictures depend on.
    fn settings(&self, model: &StableDiffusion, plan: &Plan) -> Result<Value, Failure> {
        let sampling = &plan.sampling;
        // Files may change under one name: what the model draws in one step tells it.
        let mut request = Request {
            prompt: "a".into(),
            ..model.request()
        };
        request.sampling.steps = 1;
        let drawn = model.draw(&request, &mut (), &mut |_, _| true)?;
        let bytes = drawn.into_iter().flat_map(|it| it.pixels);
        Ok(json!({
            "model": self.model, "model_draws": format!("{:016x}", fnv1a(FNV_START, bytes)),
            "split": format!("{:?}", self.split).to_lowercase(), "pairs": plan.pairs.len(), "seeds": plan.seeds, "seed": plan.seed,
            "steps": sampling.steps, "guidance": sampling.guidance, "guided": sampling.guided,
            "sampler": sampling.sampler.to_string(), "bf16": self.bf16,
            "judge": self.judge.as_ref().map(base::files::shown), "version": env!("CARGO_PKG_VERSION"),
        }))
    }

    /// Writes the settings, or finds them as they are.
    fn keep(&self, told: &Value) -> Result<(), Failure> {
        make_folder(&self.out)?;
        let path = self.out.join("settings.json");
        match std::fs::read(&path) {
            Ok(bytes) => match serde_json::from_slice::<Value>(&bytes) {
                Ok(there) if there == *told => Ok(()),
                _ => Err(Failure::input(format!(
                    "`{}` holds an evaluation with other settings or of another model: choose another `--out`",
                    self.out.display()
                ))),
            },
            Err(_) => Ok(write_bytes(&path, settings(told)?.as_bytes())?),
        }
    }
}

fn in_words(report: &Report, sheet: &std::path::Path) -> Result<(), Failure> {
    print_line(
        "            pairs  pictures  subject    style     both  real both   Fréchet  autoencoder",
    )?;
    for group in &report.groups {
        let percent = |share: f64| format!("{:.1} %", 100.0 * share);
        print_line(&format!(
            "{:<10}{:>7}{:>10}{:>9}{:>9}{:>9}{:>11}{:>10}{:>9.2} dB, {:.4}",
            group.group.name(),
            group.pairs,
            group.drawn.pictures,
            percent(group.drawn.subject),
            percent(group.drawn.style),
            percent(group.drawn.both),
            percent(group.real.both),
            group
                .frechet
                .map_or("-".into(), |distance| format!("{distance:.3}")),
            group.autoencoder_psnr,
            group.autoencoder_l1,
        ))?;
    }
    print_line(&format!("see `{}`", sheet.display()))
}
