//! `orrery stiv scenes`, `vbench-aggregate` and `caption-check`: what the data engine and the tables are made of.

use std::path::{Path, PathBuf};

use base::command::{Context, Failure, Output, number_in, print_json, print_line};
use base::media::{Image, each_frame};
use clap::{Args, ValueEnum};
use serde::Deserialize;
use serde_json::json;

use crate::stiv::metrics::{Mention, Scores, Totals, aggregate, dsg_video};
use crate::stiv::scenes::{self, brightness, changes, content_cuts, cuts_at_fades};

/// Largest file of scores or answers that is read, in bytes.
const LARGEST: u64 = 16 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Detector {
    /// Hard cuts, by the change of hue, saturation and value
    Content,
    /// Fades to black
    Fade,
}

/// Options of `scenes`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  orrery stiv scenes --clip film.gif\n  orrery stiv scenes --clip frames/ --detector fade --json"
)]
pub struct Scenes {
    /// A GIF, APNG or WebP, or a folder of frames
    #[arg(long)]
    clip: PathBuf,
    /// What to look for
    #[arg(long, value_enum, default_value = "content")]
    detector: Detector,
    /// Change that makes a cut, or brightness below which a frame is dark, 0 to 255 [default: 27, for fades 12]
    #[arg(long, value_parser = level, allow_negative_numbers = true)]
    threshold: Option<f32>,
    /// Frames that a scene lasts at least
    #[arg(long, default_value_t = scenes::MIN_LENGTH)]
    min_length: usize,
    #[command(flatten)]
    output: Output,
}

fn level(text: &str) -> Result<f32, String> {
    number_in(text, 0.0, 255.0)
}

impl Scenes {
    pub(super) fn run(&self, _: Context) -> Result<(), Failure> {
        // Only what is compared is kept: films are longer than memory.
        let mut seen = Vec::new();
        let mut levels = Vec::new();
        let mut before: Option<Image> = None;
        each_frame(&self.clip, &mut |frame| {
            levels.push(brightness(&frame));
            before = Some(match before.take() {
                Some(before) if self.detector == Detector::Content => {
                    let pair = [before, frame];
                    seen.extend(changes(&pair));
                    let [_, frame] = pair;
                    frame
                }
                _ => frame,
            });
        })?;
        let threshold = |usual: f64| self.threshold.map_or(usual, f64::from);
        let cuts = match self.detector {
            Detector::Content => {
                content_cuts(&seen, threshold(scenes::CONTENT_THRESHOLD), self.min_length)
            }
            Detector::Fade => {
                cuts_at_fades(&levels, threshold(scenes::FADE_THRESHOLD), self.min_length)
            }
        };
        let frames = levels.len();
        if self.output.json {
            return print_json(&json!({"frames": frames, "cuts": cuts}));
        }
        let starts = [0].into_iter().chain(cuts.iter().copied());
        let ends = cuts.iter().copied().chain([frames]);
        print_line("scene  frames")?;
        for (i, (start, end)) in starts.zip(ends).enumerate() {
            print_line(&format!(
                "{:<6} {start} to {}",
                i + 1,
                end.saturating_sub(1)
            ))?;
        }
        Ok(())
    }
}

/// Options of `vbench-aggregate`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  orrery stiv vbench-aggregate scores.json

scores.json holds raw scores in [0, 1], such as {\"subject consistency\": 0.97, …}: the sixteen dimensions of VBench, or the
nine of VBench-I2V with \"i2v subject\", \"i2v background\" and \"i2v camera motion\" among them.")]
pub struct Aggregate {
    /// JSON with a raw score for each dimension
    scores: PathBuf,
    #[command(flatten)]
    output: Output,
}

impl Aggregate {
    pub(super) fn run(&self, _: Context) -> Result<(), Failure> {
        let scores: Scores = read(&self.scores, "an object of numbers")?;
        if let Some((name, score)) = scores
            .iter()
            .find(|(_, score)| !(0.0..=1.0).contains(*score))
        {
            return Err(Failure::input(format!(
                "`{name}` is {score}: raw scores lie in [0, 1], divide percentages by 100"
            )));
        }
        let totals = aggregate(&scores).map_err(Failure::input)?;
        if self.output.json {
            return print_json(&totals);
        }
        let percent = |value: f64| format!("{:.1}", 100.0 * value);
        print_line(&match totals {
            Totals::TextToVideo {
                quality,
                semantic,
                total,
            } => format!(
                "VBench      quality {}  semantic {}  total {}",
                percent(quality),
                percent(semantic),
                percent(total)
            ),
            Totals::ImageToVideo {
                i2v,
                quality,
                total,
            } => format!(
                "VBench-I2V  i2v {}  quality {}  total {}",
                percent(i2v),
                percent(quality),
                percent(total)
            ),
        })
    }
}

/// Options of `caption-check`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  orrery stiv caption-check answers.json

answers.json holds a list of sentences, each a list of {\"object\": \"a dog\", \"frame_answers\": [true, false]}: what the
caption mentions, and whether somebody who looked saw it on each frame.")]
pub struct CaptionCheck {
    /// JSON with the answers
    answers: PathBuf,
    #[command(flatten)]
    output: Output,
}

impl CaptionCheck {
    pub(super) fn run(&self, _: Context) -> Result<(), Failure> {
        let sentences: Vec<Vec<Mention>> =
            read(&self.answers, "a list of sentences with mentions")?;
        let found = dsg_video(&sentences);
        if self.output.json {
            return print_json(&found);
        }
        print_line(&format!(
            "made up: {:.1} % of the mentions (DSG-Video_i), {:.1} % of the sentences (DSG-Video_s); {} objects",
            100.0 * found.dsg_i,
            100.0 * found.dsg_s,
            found.objects
        ))
    }
}

/// JSON of a file.
fn read<T: for<'a> Deserialize<'a>>(path: &Path, what: &str) -> Result<T, Failure> {
    let shown = path.display();
    let cannot = |cause: std::io::Error| Failure::input(format!("cannot read `{shown}`: {cause}"));
    if std::fs::metadata(path).map_err(cannot)?.len() > LARGEST {
        return Err(Failure::input(format!(
            "`{shown}` is larger than {} MB",
            LARGEST >> 20
        )));
    }
    let text = base::files::read(path).map_err(cannot)?;
    serde_json::from_slice(&text)
        .map_err(|cause| Failure::input(format!("`{shown}` is not {what}: {cause}")))
}
