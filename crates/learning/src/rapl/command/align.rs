//! `orrery rapl align`.

use std::path::PathBuf;

use base::command::{Context, Failure, say};
use base::rng::Rng;
use clap::Args;
use serde_json::json;

use super::options::{Learning, Matching};
use crate::rapl::encoder::{EncoderConfig, Vision};
use crate::rapl::learn::align;
use crate::rapl::rankings::Rankings;

/// Options of `align`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orrery rapl align --triplets rankings.jsonl --out encoder.safetensors
  orrery rapl align --triplets rankings.jsonl --encoder encoder.safetensors --epochs 5 --lr 0.0001 --out finer.safetensors")]
pub struct Align {
    /// JSON lines `{\"ranking\": [best, second, third]}` or `{\"anchor\", \"preferred\", \"other\"}`
    #[arg(long, value_name = "FILE")]
    triplets: PathBuf,
    /// `tiny`, or an encoder to go on from
    #[arg(long, value_name = "ENCODER", default_value = "tiny")]
    encoder: String,
    /// Side that frames are scaled to; divisible by 8
    #[arg(long, value_name = "PIXELS", default_value_t = 48)]
    side: usize,
    /// Frames of a video, spread evenly
    #[arg(long, value_name = "N", default_value_t = 12)]
    frames: usize,
    /// Length of a frame's vector
    #[arg(long, value_name = "N", default_value_t = 16)]
    width: usize,
    #[command(flatten)]
    matching: Matching,
    #[command(flatten)]
    learning: Learning,
    /// File to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Align {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        let device = engine::device("cpu")?;
        let mut vision = match self.encoder.as_str() {
            "tiny" => {
                let config = EncoderConfig {
                    side: self.side,
                    frames: self.frames,
                    width: self.width,
                    ..EncoderConfig::default()
                };
                Vision::new(
                    config,
                    &mut Rng::new(self.learning.seed).child("weights"),
                    &device,
                )?
            }
            path => Vision::read(path.as_ref(), &device)?,
        };
        let rankings = Rankings::read(&self.triplets)?;
        let videos = rankings.prepared(&vision.config)?;
        let alignment = self.learning.alignment(&self.matching);
        let watch = ("align", self.json, context);
        let fit = self.learning.fit();
        let loss = align(
            &mut vision,
            &videos,
            &rankings.triplets,
            &alignment,
            &fit,
            watch,
        )?;
        vision.write(&self.out)?;
        let (triplets, videos) = (rankings.triplets.len(), videos.len());
        match self.json {
            true => say(&json!({"triplets": triplets, "videos": videos, "loss": loss}).to_string()),
            false => say(&format!(
                "aligned with {triplets} triplets of {videos} videos: loss {loss:.4} (0.6931 before anything is learned)"
            )),
        }
    }
}
