//! `orrery lora-rar judge`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base::command::{Context, Failure, Output, Steps, print_json, print_line};
use base::endpoint::{Dialect, Endpoint, EndpointConfig, Retry};
use base::job::jsonl;
use base::media::{Image, read_image};
use burn::tensor::Device;
use clap::Args;
use engine::models::emoji_judge::Judge as EmojiJudge;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::lora_rar::judge::{
    Votes, embedded_votes, endpoint_votes, scaled, scores, shown, style_words,
};

/// Options of `judge`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orrery lora-rar judge --generated pictures --references data --model embedded --out votes.jsonl
  orrery lora-rar judge --generated pictures --references data --url http://127.0.0.1:8000/v1 --model llava-critic-7b --out votes.jsonl

Generated pictures are in pictures/SUBJECT/STYLE/, references in data/subjects/SUBJECT/ and data/styles/STYLE/. The key, where the server
wants one, comes from OPENAI_API_KEY. What is in --out already is not asked again.")]
pub struct Judge {
    /// Folder of generated pictures: SUBJECT/STYLE/*.png
    #[arg(long, value_name = "DIR")]
    generated: PathBuf,
    /// Folder with subjects/SUBJECT/* and styles/STYLE/*
    #[arg(long, value_name = "DIR")]
    references: PathBuf,
    /// Address of an OpenAI-compatible server whose model sees pictures
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// The model's name on that server, or `embedded`: a judge inside the program, which knows emoji
    #[arg(long, value_name = "NAME")]
    model: String,
    /// Where the answers go, one JSON object a picture
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    output: Output,
}

/// What the judge inside the program is called.
const EMBEDDED: &str = "embedded";

/// Where the votes come from.
enum VoteBackend {
    Embedded(Box<EmojiJudge>),
    Endpoint(Box<Endpoint>),
}

/// The answers about one picture.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Line {
    picture: String,
    subject: String,
    style: String,
    model: String,
    votes: Votes,
}

impl Judge {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        let pictures = self.pictures()?;
        let mut lines = self.earlier()?;
        let backend = self.backend(context)?;
        let mut references: BTreeMap<PathBuf, Vec<Image>> = BTreeMap::new();
        let mut bar = Steps::new("pictures", self.output.json);
        for (at, (path, subject, style)) in pictures.iter().enumerate() {
            bar.at(at, pictures.len());
            let name = path.display().to_string();
            let known = |line: &Line| line.picture == name && line.model == self.model;
            if lines.iter().any(known) {
                continue;
            }
            context.proceed_or_resume()?;
            let folders = [("subjects", subject), ("styles", style)]
                .map(|(kind, of)| self.references.join(kind).join(of));
            for folder in &folders {
                if !references.contains_key(folder) {
                    let paths = files(folder)?;
                    let seen = paths.iter().map(|path| Ok(scaled(&read_image(path)?)));
                    references.insert(folder.clone(), seen.collect::<Result<_, Failure>>()?);
                }
            }
            let [subjects, styles] = folders
                .each_ref()
                .map(|folder| references.get(folder).map_or(&[][..], Vec::as_slice));
            let test = read_image(path)?;
            let votes = match &backend {
                VoteBackend::Embedded(judge) => embedded_votes(judge, &test, subjects, styles),
                VoteBackend::Endpoint(model) => {
                    let all = |pictures: &[Image]| pictures.iter().map(shown).collect();
                    let [subjects, styles]: [Result<Vec<String>, _>; 2] =
                        [all(subjects), all(styles)];
                    let styles = styles?;
                    endpoint_votes(
                        model,
                        &shown(&test)?,
                        &subjects?,
                        (&style_words(style), &styles),
                    )?
                }
            };
            lines.push(Line {
                picture: name,
                subject: subject.clone(),
                style: style.clone(),
                model: self.model.clone(),
                votes,
            });
            jsonl::write(&self.out, &lines)?;
        }
        bar.finish();
        self.print_scores(&lines, &pictures)
    }

    fn backend(&self, context: Context) -> Result<VoteBackend, Failure> {
        let url = match &self.url {
            Some(url) => url.clone(),
            None if self.model == EMBEDDED => {
                let judge = EmojiJudge::embedded(&Device::flex())?;
                return Ok(VoteBackend::Embedded(Box::new(judge)));
            }
            None => {
                return Err(Failure::input(
                    "no server was named: give its address with `--url`, or `--model embedded`",
                ));
            }
        };
        let endpoint = EndpointConfig {
            url,
            model: self.model.clone(),
            key: std::env::var("OPENAI_API_KEY")
                .ok()
                .map(|key| key.trim().to_owned())
                .filter(|key| !key.is_empty()),
            timeout: Duration::from_secs(600),
            retry: Retry::default(),
            dialect: Dialect::default(),
        };
        let model = Endpoint::new(endpoint, Some(context.stop)).map_err(Failure::input)?;
        Ok(VoteBackend::Endpoint(Box::new(model)))
    }

    /// Path, subject and style of every generated picture.
    fn pictures(&self) -> Result<Vec<(PathBuf, String, String)>, Failure> {
        let mut all = Vec::new();
        for subject in entries(&self.generated)?
            .into_iter()
            .filter(|path| path.is_dir())
        {
            for style in entries(&subject)?.into_iter().filter(|path| path.is_dir()) {
                all.extend(
                    files(&style)?
                        .into_iter()
                        .map(|path| (path, name(&subject), name(&style))),
                );
            }
        }
        match all.is_empty() {
            true => Err(Failure::input(format!(
                "`{}` holds no SUBJECT/STYLE folder with a picture: put generated pictures there",
                self.generated.display()
            ))),
            false => Ok(all),
        }
    }

    fn earlier(&self) -> Result<Vec<Line>, Failure> {
        let Ok(text) = std::fs::read_to_string(&self.out) else {
            return Ok(Vec::new());
        };
        let lines = text.lines().enumerate().map(|(at, line)| {
            serde_json::from_str(line).map_err(|error| {
                Failure::input(format!(
                    "line {} of `{}` is not an answer of this command ({error}): give another `--out`",
                    at + 1,
                    self.out.display()
                ))
            })
        });
        lines.collect()
    }

    fn print_scores(
        &self,
        lines: &[Line],
        pictures: &[(PathBuf, String, String)],
    ) -> Result<(), Failure> {
        let mut scenarios: BTreeMap<(&str, &str), Vec<[bool; 3]>> = BTreeMap::new();
        for (path, subject, style) in pictures {
            let name = path.display().to_string();
            let found = lines
                .iter()
                .find(|line| line.picture == name && line.model == self.model);
            if let Some(line) = found {
                scenarios
                    .entry((subject, style))
                    .or_default()
                    .push(line.votes.verdicts());
            }
        }
        let all: Vec<Vec<[bool; 3]>> = scenarios.values().cloned().collect();
        let [subject, style, both] = scores(&all);
        if self.output.json {
            let rows: Vec<_> = scenarios
                .iter()
                .map(|((subject, style), verdicts)| {
                    let [s, t, b] = scores(std::slice::from_ref(verdicts));
                    json!({"subject": subject, "style": style, "pictures": verdicts.len(), "scores": [s, t, b]})
                })
                .collect();
            return print_json(
                &json!({"subject": subject, "style": style, "both": both, "scenarios": rows}),
            );
        }
        let percent = |share: f64| format!("{:.1} %", 100.0 * share);
        print_line(&format!(
            "subject {}, style {}, both {}: {} pictures, {} scenarios",
            percent(subject),
            percent(style),
            percent(both),
            pictures.len(),
            all.len()
        ))
    }
}

fn name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let read = std::fs::read_dir(folder).map_err(|error| {
        Failure::input(format!(
            "cannot read the folder `{}`: {error}: check its name",
            folder.display()
        ))
    })?;
    let mut paths: Vec<PathBuf> = read.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    Ok(paths)
}

/// The files of a folder, hidden ones aside; at least one.
fn files(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut files = entries(folder)?;
    files.retain(|path| path.is_file() && !name(path).starts_with('.'));
    match files.is_empty() {
        true => Err(Failure::input(format!(
            "`{}` holds no picture: put some there",
            folder.display()
        ))),
        false => Ok(files),
    }
}
