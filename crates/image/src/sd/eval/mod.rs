//! What a small model draws of pairs of subject and style, beside the real pictures: of pairs that it was trained on, and of some that
//! were held out. An independent judge says what it sees; pictures, lines and sheets are kept in a folder.

mod report;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use base::command::{Context, Failure};
use base::job::jsonl::read_any;
use base::job::log::Log;
use base::media::{Image, png_bytes, read_image};
use base::rng::Rng;
use engine::data::pack::Style;
use engine::models::emoji_judge::Judge;
use engine::models::stable_diffusion::{DiffusionError, Request, Sampling, StableDiffusion};
use serde::{Deserialize, Serialize};

use super::train::data::{Grid, Pair, Split};
use super::train::prompts::plain;
pub use report::{Figures, GroupReport, Report};

/// A line for each picture.
pub const LINES: &str = "pictures.jsonl";

/// Whether pairs were trained on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Group {
    /// The model was trained on them.
    Trained,
    /// It never saw them.
    HeldOut,
}

impl Group {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Trained, Self::HeldOut];

    /// Its name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Trained => "trained",
            Self::HeldOut => "held-out",
        }
    }
}

/// What is drawn, of each pair so often.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Trained pairs, then held-out ones.
    pub pairs: Vec<(Group, Pair)>,
    /// Pictures a pair.
    pub seeds: u64,
    /// Seed that theirs follow from.
    pub seed: u64,
    /// How they are sampled.
    pub sampling: Sampling,
}

/// A picture that was drawn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Whether its pair was trained on.
    pub group: Group,
    /// Code of the subject.
    pub code: String,
    /// The style.
    pub style: String,
    /// What was asked for.
    pub prompt: String,
    /// Seed of the picture.
    pub seed: u64,
    /// The picture, in the folder.
    pub file: String,
    /// The real one, in the folder.
    pub real: String,
    /// Code of the subject that the judge sees.
    pub seen_subject: String,
    /// The style that it sees.
    pub seen_style: String,
    /// The judge's probability of that subject.
    pub confidence: f32,
}

impl Line {
    /// Whether the judge sees the subject and the style that were asked for.
    pub fn right(&self) -> [bool; 2] {
        [
            self.seen_subject == self.code,
            self.seen_style == self.style,
        ]
    }
}

impl Plan {
    /// Trained pairs and those of `split`, evenly spaced: at most `most` of each, and as many trained ones as held-out ones.
    pub fn new(
        grid: &Grid,
        split: Split,
        most: Option<usize>,
        (seeds, seed): (u64, u64),
        sampling: Sampling,
    ) -> Self {
        let held_out = spaced(grid.of(split), most.unwrap_or(usize::MAX));
        let trained = spaced(grid.of(Split::Train), held_out.len());
        let of = |group: Group, pairs: Vec<Pair>| pairs.into_iter().map(move |pair| (group, pair));
        Self {
            pairs: of(Group::Trained, trained)
                .chain(of(Group::HeldOut, held_out))
                .collect(),
            seeds,
            seed,
            sampling,
        }
    }

    fn seed_of(&self, code: &str, style: usize, number: u64) -> u64 {
        let rng = Rng::new(self.seed).child("eval").child(code);
        rng.item(style as u64).item(number).bits() >> 32
    }
}

fn spaced(pairs: Vec<Pair>, most: usize) -> Vec<Pair> {
    let count = pairs.len().min(most);
    (0..count)
        .map(|at| pairs[at * pairs.len() / count])
        .collect()
}

/// An evaluation in its folder.
pub struct Evaluation<'a> {
    /// The model.
    pub model: &'a StableDiffusion,
    /// The pairs.
    pub grid: &'a Grid,
    /// Who looks.
    pub judge: &'a Judge,
    /// What is drawn.
    pub plan: &'a Plan,
    /// The folder.
    pub out: &'a Path,
}

impl Evaluation<'_> {
    /// Draws what is not there yet, and measures. `at` hears of pictures done and in all.
    ///
    /// # Errors
    /// [`Failure::Interrupted`] at Ctrl-C, with what was drawn kept; when the folder cannot be written or a picture not be drawn.
    pub fn run(
        &self,
        context: Context,
        at: &mut dyn FnMut(usize, usize),
    ) -> Result<Report, Failure> {
        for folder in ["made", "real"] {
            let folder = self.out.join(folder);
            base::files::make_folder(&folder)?;
        }
        let path = self.out.join(LINES);
        let mut log = Log::open(&path)?;
        let mut done = HashMap::new();
        for (_, record) in read_any(&path)?.records {
            if let Ok(line) = serde_json::from_value::<Line>(record.into())
                && self.out.join(&line.file).is_file()
            {
                done.insert(line.file.clone(), line);
            }
        }
        let all = self.plan.pairs.len() * self.plan.seeds as usize;
        let mut lines = Vec::with_capacity(all);
        for &(group, pair) in &self.plan.pairs {
            let real = self.real(pair)?;
            for number in 0..self.plan.seeds {
                at(lines.len(), all);
                let mut line = self.asked(group, pair, number, &real);
                match done.remove(&line.file) {
                    Some(known) => line = known,
                    None => {
                        self.draw(&mut line, context)?;
                        log.append(&line)?;
                    }
                }
                lines.push(line);
            }
        }
        at(all, all);
        self.sheets(&lines)?;
        report::measure(self, &lines)
    }

    /// Writes the real picture of a pair; its name in the folder.
    fn real(&self, pair: Pair) -> Result<String, Failure> {
        let subject = &self.grid.subjects[pair.subject];
        let name = format!("real/{}-{}.png", subject.code, Style::ALL[pair.style]);
        let path = self.out.join(&name);
        if !path.is_file() {
            let (picture, _) = self.grid.image(pair)?;
            base::files::write_bytes(path, &png_bytes(&picture, &[])?)?;
        }
        Ok(name)
    }

    fn asked(&self, group: Group, pair: Pair, number: u64, real: &str) -> Line {
        let subject = &self.grid.subjects[pair.subject];
        let style = Style::ALL[pair.style];
        let seed = self.plan.seed_of(&subject.code, pair.style, number);
        Line {
            group,
            code: subject.code.clone(),
            style: style.to_string(),
            prompt: plain(subject, pair.style),
            seed,
            file: format!("made/{}-{style}-{seed}.png", subject.code),
            real: real.to_owned(),
            seen_subject: String::new(),
            seen_style: String::new(),
            confidence: 0.0,
        }
    }

    fn draw(&self, line: &mut Line, context: Context) -> Result<(), Failure> {
        let request = Request {
            prompt: line.prompt.clone(),
            seeds: vec![line.seed],
            sampling: self.plan.sampling.clone(),
            ..self.model.request()
        };
        let mut watch = |_, _| !context.stopped();
        let drawn = self.model.draw(&request, &mut (), &mut watch);
        let drawn = drawn.map_err(|error| match error {
            DiffusionError::Stopped => {
                Failure::interrupted("stopped: the same command goes on from here")
            }
            error => error.into(),
        })?;
        for picture in drawn {
            base::files::write_bytes(self.out.join(&line.file), &png_bytes(&picture, &[])?)?;
            for seen in self.judge.judge(&[Judge::values(&picture)]) {
                let code = self.judge.codes().get(seen.subject);
                line.seen_subject = code.cloned().unwrap_or_default();
                line.seen_style = seen.style.to_string();
                line.confidence = seen.confidence;
            }
        }
        Ok(())
    }

    /// A picture of the folder.
    fn read(&self, name: &str) -> Result<Image, Failure> {
        Ok(read_image(self.out.join(name))?)
    }

    /// A sheet a group: the real picture, and what was drawn of it.
    fn sheets(&self, lines: &[Line]) -> Result<(), Failure> {
        let seeds = (self.plan.seeds as usize).max(1);
        for group in Group::ALL {
            let of: Vec<&Line> = lines.iter().filter(|line| line.group == group).collect();
            if let Some(sheet) = report::sheet(self, &of, seeds)? {
                let path: PathBuf = self.out.join(format!("{}.png", group.name()));
                base::files::write_bytes(path, &png_bytes(&sheet, &[])?)?;
            }
        }
        Ok(())
    }

    /// What people call a subject.
    fn name<'a>(&'a self, code: &'a str) -> &'a str {
        let subject = self.grid.subjects.iter().find(|it| it.code == code);
        subject.and_then(|it| it.name("en")).unwrap_or(code)
    }
}
