//! `orrery counterspeech study`.

use std::path::PathBuf;

use base::command::{Context, Failure, Output, eprint_line, print_json, print_line};
use base::files::write_bytes;
use clap::Args;
use serde_json::json;

use super::design::DesignStudy;
use super::power::Power;
use crate::counterspeech::read_table;
use crate::counterspeech::study::{
    Design, Preregistration, analyse, collected, markdown, read_participants, read_ratings, serve,
    withdraw, write_participants, write_ratings,
};

base::verbs! {
    /// What `orrery counterspeech study` can do.
    pub enum Study {
        /// Plan who rates which replies in which order
        Design(DesignStudy),
        /// Serve the form on this machine
        Serve(Serve),
        /// Make tables of what the form collected, or check those of another form
        Import(Import),
        /// Analyse the ratings as the pre-registration says
        Analyse(Analyse),
        /// Simulate studies with known effects
        Power(Power),
        /// Delete what a participant answered, for good
        Withdraw(Withdraw),
    }
}

/// Options of `serve`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  orrery counterspeech study serve --study pilot

The form listens on loopback only. For people elsewhere, put a web server with encryption in front of it. Answers are on
the disk before the page hears so; a page that loses the network keeps them and sends them again. Ctrl-C ends it, the
same command goes on.")]
pub struct Serve {
    /// The folder of the study
    #[arg(long, value_name = "DIR")]
    study: PathBuf,
    /// Port; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 8765)]
    port: u16,
}

impl Serve {
    fn run(&self, context: Context) -> Result<(), Failure> {
        serve(&self.study, self.port, context, |address| {
            print_line(&format!("http://{address}/"))
        })?;
        eprint_line("stopped; all answers that were sent are stored");
        Ok(())
    }
}

/// Options of `import`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orrery counterspeech study import --study pilot
  orrery counterspeech study import --study pilot --csv other.csv

Columns of a ratings table: participant, condition (context or no_context), record, config, aspect, value, order,
seconds, attention_ok (true, false or empty).")]
pub struct Import {
    /// The folder of the study, which gets `ratings.csv` and `participants.csv`
    #[arg(long, value_name = "DIR")]
    study: PathBuf,
    /// Ratings of another form, which are checked against the design
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
}

impl Import {
    fn run(&self, _: Context) -> Result<(), Failure> {
        let (participants, ratings) = match &self.csv {
            None => collected(&self.study)?,
            Some(path) => {
                let design = Design::open(&self.study.join("design.json"))?;
                let ratings = read_ratings(path)?;
                let scale = 1..=i64::from(design.points);
                let known = |record: &str, config: &str| {
                    design
                        .items
                        .iter()
                        .any(|it| it.record == record && it.config == config)
                };
                for it in &ratings {
                    let wrong = match it {
                        it if !scale.contains(&it.value) => format!(
                            "the value {} is off the scale 1 to {}",
                            it.value, design.points
                        ),
                        it if !design.aspects.iter().any(|aspect| aspect.name == it.aspect) => {
                            format!("no aspect is called `{}`", it.aspect)
                        }
                        it if !known(&it.record, &it.config) => format!(
                            "the design has no reply to `{}` as `{}`",
                            it.record, it.config
                        ),
                        _ => continue,
                    };
                    return Err(Failure::input(format!(
                        "`{}`, participant `{}`: {wrong}",
                        path.display(),
                        it.participant
                    )));
                }
                (Vec::new(), ratings)
            }
        };
        if ratings.is_empty() {
            return Err(Failure::input(format!(
                "nobody has answered yet in `{}`",
                self.study.display()
            )));
        }
        write_ratings(&self.study.join("ratings.csv"), &ratings)?;
        if self.csv.is_none() {
            write_participants(&self.study.join("participants.csv"), &participants)?;
        }
        match self.output.json {
            true => {
                print_json(&json!({"ratings": ratings.len(), "participants": participants.len()}))
            }
            false => print_line(&format!(
                "{} ratings in `{}`",
                ratings.len(),
                self.study.join("ratings.csv").display()
            )),
        }
    }
}

/// Options of `analyse`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  orrery counterspeech study analyse --study pilot --indicators indicators.csv

Writes `report.md` and `report.json` into the folder. With `participants.csv` there, its covariates and consents count.")]
pub struct Analyse {
    /// The folder of the study, with `ratings.csv` and `prereg.toml`
    #[arg(long, value_name = "DIR")]
    study: PathBuf,
    /// Indicators of the replies, to compare with the ratings
    #[arg(long, value_name = "FILE")]
    indicators: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
}

impl Analyse {
    fn run(&self, _: Context) -> Result<(), Failure> {
        let file = |name: &str| self.study.join(name);
        let prereg = Preregistration::open(&file("prereg.toml"))?;
        let ratings = file("ratings.csv");
        if !ratings.exists() {
            return Err(Failure::input(format!(
                "there is no `{}`: `orrery counterspeech study import --study {}` makes it of what the form collected",
                ratings.display(),
                self.study.display()
            )));
        }
        let ratings = read_ratings(&ratings)?;
        let participants = match file("participants.csv") {
            path if path.exists() => read_participants(&path)?,
            _ => Vec::new(),
        };
        let measured = match &self.indicators {
            Some(path) => read_table(path)?,
            None => Vec::new(),
        };
        let analysis = analyse(&ratings, &participants, &prereg, &measured)?;
        let json = serde_json::to_vec_pretty(&analysis).map_err(Failure::failed)?;
        let text = markdown(&analysis);
        write_bytes(file("report.md"), text.as_bytes())?;
        write_bytes(file("report.json"), &json)?;
        self.output.print(&analysis, &text)
    }
}

/// Options of `withdraw`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  orrery counterspeech study withdraw --study pilot --participant p007

Run `study analyse` again afterwards: reports that were made before still count the person. Stop `study serve` first.")]
pub struct Withdraw {
    /// The folder of the study
    #[arg(long, value_name = "DIR")]
    study: PathBuf,
    /// The number that the page showed
    #[arg(long, value_name = "NUMBER")]
    participant: String,
}

impl Withdraw {
    fn run(&self, _: Context) -> Result<(), Failure> {
        match withdraw(&self.study, &self.participant)? {
            0 => Err(Failure::input(format!(
                "nothing is kept of `{}`: nothing was deleted",
                self.participant
            ))),
            rows => print_line(&format!(
                "{rows} rows of `{}` are deleted",
                self.participant
            )),
        }
    }
}
