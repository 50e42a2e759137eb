//! The report of a proof, and its files.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::markdown;
use super::measure::{Measure, Outcome, Unit};
use crate::files::{FileError, make_folder, write_bytes};
#[cfg(feature = "media")]
use crate::media::{Image, MediaError, png_bytes};

/// One of the things that an experiment compares.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Arm {
    /// A few words, the head of its row.
    pub name: String,
    /// What is special about it.
    pub about: String,
}

impl Experiment {
    /// The measure of a name.
    pub fn measure(&self, name: &str) -> Option<&Measure> {
        self.measures.iter().find(|measure| measure.name == name)
    }
}

impl Arm {
    /// An arm.
    pub fn new(name: &str, about: &str) -> Self {
        Self {
            name: name.to_owned(),
            about: about.to_owned(),
        }
    }
}

/// Arms on equal terms, with what was measured.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Experiment {
    /// Its name.
    pub title: String,
    /// What was done, in a few sentences.
    pub about: String,
    /// What is compared.
    pub arms: Vec<Arm>,
    /// What was measured.
    pub measures: Vec<Measure>,
}

/// What became of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The threshold was met, by the whole interval where there is one.
    Shown,
    /// The point estimate meets the threshold, its interval does not.
    ShownNarrowly,
    /// The threshold was not met.
    NotShown,
    /// This run did not look.
    NotRun,
}

impl Verdict {
    /// Shown where `met`.
    pub fn from_met(met: bool) -> Self {
        if met { Self::Shown } else { Self::NotShown }
    }

    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Shown => "shown",
            Self::ShownNarrowly => "shown, narrowly",
            Self::NotShown => "not shown",
            Self::NotRun => "not run",
        }
    }
}

/// Something that the method's authors, or we, say about it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Claim {
    /// What is claimed.
    pub statement: String,
    /// Who claims it, and where.
    pub source: String,
    /// What would show it, fixed before anything was run.
    pub threshold: String,
    /// What became of it.
    pub verdict: Verdict,
    /// The figures behind the verdict.
    pub evidence: String,
    /// Whether the threshold is another than in an earlier report of the same claim; [`Report::write`] finds out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub revised: bool,
}

impl Claim {
    /// A claim, given as its statement and its threshold, that was looked at: shown where `met`.
    pub fn settled(
        [statement, threshold]: [&str; 2],
        source: &str,
        met: bool,
        evidence: String,
    ) -> Self {
        Self {
            statement: statement.to_owned(),
            source: source.to_owned(),
            threshold: threshold.to_owned(),
            verdict: Verdict::from_met(met),
            evidence,
            revised: false,
        }
    }

    /// A claim about a measured outcome: [`Verdict::Shown`] needs the 95 % interval on the right side of the bound, the
    /// point alone gives [`Verdict::ShownNarrowly`].
    pub fn tested(
        statement: &str,
        source: &str,
        bound: Bound,
        (measure, outcome): (&Measure, &Outcome),
    ) -> Self {
        Self {
            statement: statement.to_owned(),
            source: source.to_owned(),
            threshold: format!("{} {}", measure.name, bound.words(measure.unit)),
            verdict: bound.verdict(outcome),
            evidence: format!("{}: {}", outcome.arm, measure.cell(outcome)),
            revised: false,
        }
    }

    /// A claim that this run did not look at, and why.
    pub fn not_run([statement, threshold]: [&str; 2], source: &str, why: &str) -> Self {
        Self {
            verdict: Verdict::NotRun,
            ..Self::settled([statement, threshold], source, false, why.to_owned())
        }
    }
}

/// What would show a claim about one number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// The value or more.
    AtLeast(f64),
    /// More than the value.
    Above(f64),
    /// The value or less.
    AtMost(f64),
    /// Less than the value.
    Below(f64),
}

impl Bound {
    fn met(self, value: f64) -> bool {
        match self {
            Self::AtLeast(bound) => value >= bound,
            Self::Above(bound) => value > bound,
            Self::AtMost(bound) => value <= bound,
            Self::Below(bound) => value < bound,
        }
    }

    fn verdict(self, outcome: &Outcome) -> Verdict {
        let ends = outcome
            .interval
            .map(|interval| [interval.low, interval.high]);
        match ends {
            Some(ends) if ends.iter().all(|end| self.met(*end)) => Verdict::Shown,
            _ if self.met(outcome.mean) => Verdict::ShownNarrowly,
            _ => Verdict::NotShown,
        }
    }

    fn words(self, unit: Unit) -> String {
        match self {
            Self::AtLeast(bound) => format!("at least {}", unit.show(bound)),
            Self::Above(bound) => format!("above {}", unit.show(bound)),
            Self::AtMost(bound) => format!("at most {}", unit.show(bound)),
            Self::Below(bound) => format!("below {}", unit.show(bound)),
        }
    }
}

/// A picture beside the report.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Figure {
    /// Its file name, such as `pictures.png`.
    pub file: String,
    /// What is to be seen.
    pub caption: String,
    #[serde(skip)]
    bytes: Vec<u8>,
}

impl Figure {
    /// A still as PNG.
    ///
    /// # Errors
    /// When the picture cannot be encoded.
    #[cfg(feature = "media")]
    pub fn still(file: &str, caption: &str, picture: &Image) -> Result<Self, MediaError> {
        Ok(Self::encoded(file, caption, png_bytes(picture, &[])?))
    }

    /// Anything that is encoded already.
    pub fn encoded(file: &str, caption: &str, bytes: Vec<u8>) -> Self {
        Self {
            file: file.to_owned(),
            caption: caption.to_owned(),
            bytes,
        }
    }
}

/// Why a report could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A file or folder cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The report does not go into JSON.
    #[error("the report cannot be put into JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// What one run of a proof found.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Report {
    /// The system's slug.
    pub slug: String,
    /// The system's title.
    pub title: String,
    /// What to type to get this report again.
    pub command: String,
    /// The program's version.
    pub version: String,
    /// Whether nothing was cut short.
    pub full: bool,
    /// Seeds of the run.
    pub seeds: Vec<u64>,
    /// Processor cores that were there.
    pub cores: usize,
    /// Seconds that all parts took, also those from earlier runs; of a part that was stopped and went on, the last go.
    pub seconds: f64,
    /// The claims.
    pub claims: Vec<Claim>,
    /// The experiments.
    pub experiments: Vec<Experiment>,
    /// What the reader should know besides.
    pub notes: Vec<String>,
    /// The pictures.
    pub figures: Vec<Figure>,
}

impl Report {
    /// An empty report of this machine.
    pub fn new(slug: &str, title: &str, command: &str, full: bool, seeds: &[u64]) -> Self {
        Self {
            slug: slug.to_owned(),
            title: title.to_owned(),
            command: command.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            full,
            seeds: seeds.to_vec(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            seconds: 0.0,
            claims: Vec::new(),
            experiments: Vec::new(),
            notes: Vec::new(),
            figures: Vec::new(),
        }
    }

    /// Claims of one source that this run does not look at, and why.
    pub fn not_run(&mut self, statements: &[&str], threshold: &str, source: &str, why: &str) {
        let claim = |statement: &&str| Claim::not_run([statement, threshold], source, why);
        self.claims.extend(statements.iter().map(claim));
    }

    /// The report for people.
    pub fn markdown(&self) -> String {
        markdown::render(self)
    }

    /// Takes in the claims, experiments, notes and pictures of a part.
    pub fn append(&mut self, part: Self) {
        self.claims.extend(part.claims);
        self.experiments.extend(part.experiments);
        self.notes.extend(part.notes);
        self.figures.extend(part.figures);
        self.seconds += part.seconds;
    }

    /// The same with every claim marked whose threshold differs from the report in the file `earlier`, if there is one.
    fn beside_earlier(&self, earlier: &Path) -> Self {
        let mut marked = self.clone();
        let Some(earlier) = std::fs::read(earlier)
            .ok()
            .and_then(|bytes| serde_json::from_slice::<Self>(&bytes).ok())
        else {
            return marked;
        };
        for claim in &mut marked.claims {
            let same = |other: &&Claim| other.statement == claim.statement;
            if let Some(before) = earlier.claims.iter().find(same) {
                claim.revised = before.revised || before.threshold != claim.threshold;
            }
        }
        marked
    }

    /// Keeps a part of a report for a later run: its pictures in `folder`, the rest in the file `path`.
    ///
    /// # Errors
    /// [`ReportError`].
    pub fn keep(&self, path: &Path, folder: &Path) -> Result<(), ReportError> {
        for folder in path.parent().into_iter().chain([folder]) {
            make_folder(folder)?;
        }
        for figure in &self.figures {
            write_bytes(folder.join(&figure.file), &figure.bytes)?;
        }
        Ok(write_bytes(path, &serde_json::to_vec_pretty(self)?)?)
    }

    /// The part in the file `path`; none where there is no such part, or its pictures are not in `folder`.
    pub fn kept(path: &Path, folder: &Path) -> Option<Self> {
        let mut part: Self = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
        for figure in &mut part.figures {
            let name = Path::new(&figure.file).file_name()?;
            figure.bytes = std::fs::read(folder.join(name)).ok()?;
        }
        Some(part)
    }

    /// Writes pictures, `report.md` and last `report.json` into `folder`, which is made when absent. Each file is
    /// whole or not there.
    ///
    /// # Errors
    /// [`ReportError`].
    pub fn write(&self, folder: &Path) -> Result<(), ReportError> {
        make_folder(folder)?;
        for figure in &self.figures {
            write_bytes(folder.join(&figure.file), &figure.bytes)?;
        }
        let marked = self.beside_earlier(&folder.join("report.json"));
        write_bytes(folder.join("report.md"), marked.markdown().as_bytes())?;
        let mut json = serde_json::to_vec_pretty(&marked)?;
        json.push(b'\n');
        Ok(write_bytes(folder.join("report.json"), &json)?)
    }
}
