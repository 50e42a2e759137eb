//! `orrery rapl reward`.

use std::path::PathBuf;

use base::command::{Context, Failure, Output, print_json, print_line};
use base::files::write_bytes;
use base::media::{Image, write_image};
use clap::Args;
use serde_json::json;

use super::options::Matching;
use crate::rapl::Table;
use crate::rapl::encoder::Vision;
use crate::rapl::video::read_video;

/// Options of `reward`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  orrery rapl reward --encoder encoder.safetensors --expert rollouts/0003.safetensors --video rollouts/0010.safetensors --plan plan.png --curve curve.svg")]
pub struct RewardVerb {
    /// An encoder of `align`
    #[arg(long, value_name = "FILE")]
    encoder: PathBuf,
    /// A preferred video
    #[arg(long, value_name = "VIDEO")]
    expert: PathBuf,
    /// The video to judge
    #[arg(long, value_name = "VIDEO")]
    video: PathBuf,
    #[command(flatten)]
    matching: Matching,
    /// Every frame of both videos, not only some spread evenly
    #[arg(long)]
    all: bool,
    /// Draw which frame goes to which
    #[arg(long, value_name = "PNG")]
    plan: Option<PathBuf>,
    /// Draw the reward of every frame
    #[arg(long, value_name = "SVG")]
    curve: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
}

impl RewardVerb {
    pub(super) fn run(&self, _: Context) -> Result<(), Failure> {
        let is_svg = |path: &PathBuf| {
            path.extension()
                .is_some_and(|ending| ending.eq_ignore_ascii_case("svg"))
        };
        if let Some(path) = self.curve.as_ref().filter(|path| !is_svg(path)) {
            return Err(Failure::input(format!(
                "the curve is drawn as SVG: let the name `{}` end in .svg",
                path.display()
            )));
        }
        let vision = Vision::read(&self.encoder, &engine::device("cpu")?)?;
        let look = |path: &PathBuf| -> Result<_, Failure> {
            let clip = read_video(path)?;
            Ok(match self.all {
                true => vision.look_at_all(&clip)?,
                false => vision.look(&clip)?,
            })
        };
        let found = self
            .matching
            .transport()
            .solve(&look(&self.video)?, &look(&self.expert)?)?;
        if let Some(path) = &self.plan {
            write_image(path, &drawn(&found.plan), &[])?;
        }
        let rewards = found.rewards();
        if let Some(path) = &self.curve {
            write_bytes(path, curve(&rewards).as_bytes())?;
        }
        let (total, sharpness) = (-found.cost(), found.plan.sharpness());
        let flat = -((found.plan.rows * found.plan.columns) as f64).ln();
        match self.output.json {
            true => print_json(
                &json!({"reward": total, "frames": rewards, "sharpness": sharpness, "flat": flat}),
            ),
            false => {
                print_line(&format!(
                    "reward {total:.5}, plan sharpness {sharpness:.3} (a flat plan: {flat:.3})"
                ))?;
                let frames: Vec<String> = rewards
                    .iter()
                    .map(|reward| format!("{reward:.5}"))
                    .collect();
                print_line(&format!("frames {}", frames.join(" ")))
            }
        }
    }
}

/// The plan as a picture: rows are frames of the video, columns those of the expert, dark is much.
fn drawn(plan: &Table) -> Image {
    let cell = (384 / plan.rows.max(plan.columns)).max(1) as u32;
    let most = plan.greatest();
    let mut picture = Image::filled(plan.columns as u32, plan.rows as u32, [255; 3]);
    for row in 0..plan.rows {
        for (column, mass) in plan.row(row).iter().enumerate() {
            let light = 255.0 * (1.0 - mass / most);
            picture.set(
                column as u32,
                row as u32,
                [light as u8, light as u8, (128.0 + light / 2.0) as u8],
            );
        }
    }
    picture.upscale_nearest(cell)
}

/// The reward over the frames as SVG: a line with its least and greatest value beside it.
fn curve(rewards: &[f64]) -> String {
    const SIZE: [f64; 2] = [640.0, 240.0];
    const EDGE: f64 = 40.0;
    let [width, height] = SIZE;
    let least = rewards.iter().copied().fold(f64::INFINITY, f64::min);
    let most = rewards.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let across = (width - 2.0 * EDGE) / (rewards.len().max(2) - 1) as f64;
    let up = (height - 2.0 * EDGE) / (most - least).max(f64::MIN_POSITIVE);
    let points: Vec<String> = rewards
        .iter()
        .enumerate()
        .map(|(at, reward)| {
            let (x, y) = (
                EDGE + at as f64 * across,
                height - EDGE - (reward - least) * up,
            );
            format!("{x:.1},{y:.1}")
        })
        .collect();
    let dots: String = points
        .iter()
        .filter_map(|point| point.split_once(','))
        .map(|(x, y)| format!("<circle cx=\"{x}\" cy=\"{y}\" r=\"2.5\" fill=\"#2266cc\"/>"))
        .collect();
    let last = rewards.len();
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"12\">\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\
         <path d=\"M{EDGE} {EDGE}V{bottom}H{right}\" fill=\"none\" stroke=\"#888\"/>\
         <polyline points=\"{line}\" fill=\"none\" stroke=\"#2266cc\" stroke-width=\"2\"/>{dots}\
         <text x=\"4\" y=\"{EDGE}\">{most:.4}</text><text x=\"4\" y=\"{bottom}\">{least:.4}</text>\
         <text x=\"{EDGE}\" y=\"{below}\">frame 1</text><text x=\"{right}\" y=\"{below}\" text-anchor=\"end\">{last}</text>\
         <text x=\"{middle}\" y=\"20\" text-anchor=\"middle\">reward of every frame</text></svg>\n",
        bottom = height - EDGE,
        right = width - EDGE,
        below = height - EDGE + 18.0,
        middle = width / 2.0,
        line = points.join(" "),
    )
}
