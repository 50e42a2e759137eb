//! `orrery wind detect`.

use std::path::PathBuf;
use std::time::Instant;

use base::command::{Context, Failure, Output, Steps, print_json, print_line};
use base::media::read_image;
use clap::Args;
use serde_json::{Value, json};

use super::options::{Method, Model, Numbers, Secret, numbers, positive, read_latents};
use crate::wind::{
    Detection, Detector, Key, Mode, Reading, Region, Search, Shape, Stage, SystemError, TurnBack,
    readings,
};

/// Options of `detect`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orrery wind detect --key key.json --image picture.png
  orrery wind detect --key key.json --image found.jpg --mode full --angles 0:360:4 --json
  orrery wind detect --key key.json --latent z.safetensors

A match means: an unrelated picture comes as near to any noise with a chance of alpha at most.")]
pub struct Detect {
    #[command(flatten)]
    secret: Secret,
    #[command(flatten)]
    model: Model,
    /// The picture
    #[arg(long, value_name = "FILE", required_unless_present = "latent")]
    image: Option<PathBuf>,
    /// Initial latents that another program found by inversion, in place of a picture
    #[arg(long, value_name = "FILE", conflicts_with = "image")]
    latent: Option<PathBuf>,
    /// `fast` compares the noises of one group, `full` all of them where that finds nothing
    #[arg(long, value_name = "MODE", default_value = "fast")]
    mode: Mode,
    /// Degrees by which the picture may have been turned: a list, or FROM:TO:STEP
    #[arg(long, value_name = "ANGLES", default_value = "0", value_parser = numbers, allow_hyphen_values = true)]
    angles: Numbers,
    /// What is turned back
    #[arg(long, value_name = "WHAT", default_value = "latents")]
    turn: TurnBack,
    /// Factors by which it may have been enlarged, such as 1,1.08,1.15
    #[arg(long, value_name = "SCALES", default_value = "1", value_parser = numbers)]
    scales: Numbers,
    /// Places by which windows may have moved, such as -8:9:4; full mode only, and slow
    #[arg(long, value_name = "SHIFTS", default_value = "0", value_parser = numbers, allow_hyphen_values = true)]
    shifts: Numbers,
    /// In full mode compare wholes only, no windows
    #[arg(long)]
    no_windows: bool,
    /// The picture was made by `inpaint` with this fraction
    #[arg(long, value_name = "SHARE", value_parser = positive)]
    fraction: Option<f32>,
    /// Chance of a false match over all comparisons together
    #[arg(long, value_name = "CHANCE", default_value_t = 1e-6)]
    alpha: f64,
    /// Which kind of mark
    #[arg(long, value_name = "METHOD", default_value = "wind")]
    method: Method,
    #[command(flatten)]
    output: Output,
}

impl Detect {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        let key = self.secret.open()?;
        let begun = Instant::now();
        let angles = &self.angles.0;
        let (readings, shape) = match (&self.latent, &self.image) {
            (Some(path), _) => {
                let (latents, shape) = read_latents(path)?;
                let angles = angles.clone();
                (
                    vec![Reading {
                        angles,
                        ..Reading::straight(latents)
                    }],
                    shape,
                )
            }
            (None, Some(path)) => {
                let picture = read_image(path)?;
                let model = self.model.open(context, self.output.json)?;
                let shape = model.shape();
                (readings(&*model, &picture, angles, self.turn)?, shape)
            }
            (None, None) => return Err(Failure::input("no picture: give `--image` or `--latent`")),
        };
        let inverting = begun.elapsed().as_secs_f64();
        if self.method == Method::TreeRing {
            return self.tree_ring(&key, &readings, shape);
        }
        let detector = Detector::new(key.clone(), shape)?;
        if self.method == Method::Ringid {
            return self.ring_id(&detector, &readings);
        }
        let region = self
            .fraction
            .map(|fraction| Region::middle(shape, fraction));
        let search = Search {
            mode: self.mode,
            scales: self.scales.0.clone(),
            shifts: self.shifts.0.iter().map(|&shift| shift as i32).collect(),
            alpha: self.alpha,
            windows: !self.no_windows,
            region,
        };
        let searching = Instant::now();
        let mut bar = Steps::new("noises", self.output.json);
        let mut progress = |at: u64, of: u64| {
            bar.at(at as usize, of as usize);
            context.proceed().map_err(SystemError::from)
        };
        let found = detector.detect_all(&[readings], &search, &mut progress)?;
        bar.finish();
        let Some(found) = found.into_iter().next() else {
            return Err(Failure::failed("nothing was compared"));
        };
        let times = [inverting, searching.elapsed().as_secs_f64()];
        match self.output.json {
            true => {
                let mut line = serde_json::to_value(&found).map_err(Failure::failed)?;
                line["alpha"] = json!(self.alpha);
                line["noises"] = json!(key.noises());
                line["angles"] = json!(angles.len());
                line["timings"] = json!({"invert_s": times[0], "search_s": times[1]});
                print_json(&line)
            }
            false => self.print_detection(&found, &key, times),
        }
    }

    fn print_detection(
        &self,
        found: &Detection,
        key: &Key,
        times: [f64; 2],
    ) -> Result<(), Failure> {
        let turned = match (found.angle, found.scale) {
            (0.0, 1.0) => String::new(),
            (angle, scale) => format!(", turned by {angle}°, enlarged by {scale}"),
        };
        print_line(&match found.matched {
            true => format!(
                "match: noise {} (group {}){turned}",
                found.index, found.group
            ),
            false => "no match".to_owned(),
        })?;
        print_line(&format!(
            "score {:.4} ({}); alpha {:e} asks for {:.4} in {} dimensions; chance {}",
            found.cosine,
            match found.stage {
                Stage::Group => "among the noises of one group",
                Stage::All => "among all noises",
                Stage::Window => "in a window",
                Stage::Region => "in the part given",
            },
            self.alpha,
            found.threshold,
            found.dimension,
            chance(found.log10_p)
        ))?;
        print_line(&format!(
            "{} noises, angles tried: {}, {} comparisons; mark of group {}, distance {:.2}, the next {:.2} farther",
            key.noises(),
            self.angles.0.len(),
            found.comparisons,
            found.marked_group,
            found.group_distance,
            found.group_margin
        ))?;
        print_line(&format!(
            "{:.2} s inverting, {:.2} s searching",
            times[0], times[1]
        ))
    }

    fn ring_id(&self, detector: &Detector, readings: &[Reading]) -> Result<(), Failure> {
        let mut best = (0, f32::INFINITY, 0.0, 0.0);
        let shape = detector.shape();
        for (angle, latents) in readings.iter().flat_map(|reading| reading.turns(shape)) {
            let groups = detector.groups(&latents);
            let next = groups.get(1).map_or(groups[0].1, |next| next.1);
            if groups[0].1 < best.1 {
                best = (groups[0].0, groups[0].1, next - groups[0].1, angle);
            }
        }
        let (group, distance, margin, angle) = best;
        self.output.print(
            &json!({"method": "ringid", "group": group, "group_distance": distance, "group_margin": margin, "angle": angle}),
            &format!(
                "nearest key {group}: distance {distance:.2}, the next {margin:.2} farther; RingID has no test of its own"
            ),
        )
    }

    fn tree_ring(&self, key: &Key, readings: &[Reading], shape: Shape) -> Result<(), Failure> {
        let mut best = (0, f64::INFINITY, 0.0);
        let turned: Vec<_> = readings
            .iter()
            .flat_map(|reading| reading.turns(shape))
            .collect();
        for which in 0..key.groups() {
            let ring = key.tree_ring(which, shape)?;
            for (angle, latents) in &turned {
                let ln_p = ring.test(latents).ln_p;
                if ln_p < best.1 {
                    best = (which, ln_p, *angle);
                }
            }
        }
        let tries = (key.groups() * turned.len()) as f64;
        let ln_p = (best.1 + tries.ln()).min(0.0);
        let verdict = if ln_p <= self.alpha.ln() {
            "match"
        } else {
            "no match"
        };
        let log10 = ln_p / std::f64::consts::LN_10;
        match self.output.json {
            true => {
                let line: Value = json!({"method": "tree-ring", "verdict": verdict, "group": best.0, "p_value": ln_p.exp(), "log10_p": log10, "angle": best.2, "comparisons": tries});
                print_json(&line)
            }
            false => print_line(&format!(
                "{verdict}: nearest key {}; chance {} over {tries} comparisons",
                best.0,
                chance(log10)
            )),
        }
    }
}

/// The chance whose logarithm to base 10 this is, in words where its digits say nothing.
fn chance(log10: f64) -> String {
    match log10 {
        ..-300.0 => "below 1e-300".into(),
        -0.01.. => "about 1".into(),
        _ => format!("{:.1e}", libm::pow(10.0, log10)),
    }
}
