//! `orrery emov2 eval`.

use std::path::PathBuf;

use base::command::{Context, Failure, Steps, say};
use base::numerics::statistics::wilson;
use clap::Args;
use serde_json::json;

use super::options::Model;
use crate::emov2::data::{DataSet, Split};
use crate::emov2::train::evaluate;

/// Options of `eval`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  orrery emov2 eval --data pictures --model runs/mine/model.safetensors

The data set is a folder with `val` or `test`, else every tenth picture of each class is taken, as `train` leaves them out.")]
pub struct Eval {
    /// A folder with one folder of pictures a class, or IDX files of the MNIST family
    #[arg(long, value_name = "FOLDER")]
    data: PathBuf,
    #[command(flatten)]
    model: Model,
    /// Pictures that go through the network together
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=1024))]
    batch: u16,
    /// Only the first N pictures
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Eval {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        let model = self.model.open()?;
        let device = model.device();
        let names = (!model.classes.is_empty()).then_some(model.classes.as_slice());
        let mut data = DataSet::open(&self.data, Split::Test, names)?;
        if data.classes.len() != model.class_count {
            return Err(Failure::input(format!(
                "`{}` has {} classes, the network {}: give the data set that it was trained for, or `--labels`",
                self.data.display(),
                data.classes.len(),
                model.class_count
            )));
        }
        if let Some(limit) = self.limit {
            data = data.truncated(limit.max(1));
        }
        let mut bar = Steps::new("pictures", self.json);
        let total = data.len();
        let batch = usize::from(self.batch);
        let sees = (model.size, model.crop);
        let score = evaluate(
            |x| model.network.forward(x),
            &data,
            sees,
            batch,
            &device,
            |done| {
                bar.at(done, total);
                !context.stopped()
            },
        )?;
        bar.finish();
        context.proceed()?;
        let share = |hits: usize| hits as f64 / score.pictures.max(1) as f64;
        let interval = wilson(score.top1, score.pictures);
        if self.json {
            let interval = interval.map(|it| [it.low, it.high]);
            return say(&json!({
                "pictures": score.pictures, "top1": share(score.top1), "top5": share(score.top5),
                "top1_interval": interval,
            })
            .to_string());
        }
        let within = interval.map_or_else(String::new, |it| {
            format!(
                " (95 % interval {:.2} to {:.2} %)",
                100.0 * it.low,
                100.0 * it.high
            )
        });
        say(&format!(
            "{} pictures: top-1 {:.2} %{within}, top-5 {:.2} %",
            score.pictures,
            100.0 * share(score.top1),
            100.0 * share(score.top5)
        ))
    }
}
