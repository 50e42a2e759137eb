//! `orrery rapl align`.

use std::path::PathBuf;

use base::command::{Context, Failure, Output, check_out, eprint_line, print_json, report};
use base::rng::Rng;
use burn::tensor::Device;
use clap::Args;
use serde_json::json;

use super::options::{Learning, Matching};
use crate::rapl::encoder::{EncoderConfig, Network, Vision, VitConfig};
use crate::rapl::learn::{Fit, align};
use crate::rapl::rankings::Rankings;

/// Options of `align`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orrery rapl align --triplets rankings.jsonl --out encoder.safetensors
  orrery rapl align --triplets rankings.jsonl --encoder encoder.safetensors --epochs 5 --lr 0.0001 --out finer.safetensors
  orrery rapl align --triplets rankings.jsonl --pretrained resnet18.safetensors --only-head --out encoder.safetensors")]
pub struct Align {
    /// JSON lines `{"ranking": [BEST, SECOND, THIRD]}` or `{"anchor": FILE, "preferred": FILE, "other": FILE}`
    #[arg(long, value_name = "FILE")]
    triplets: PathBuf,
    /// `tiny`, `resnet18`, `resnet50` or `vit` with random weights, or an encoder to go on from
    #[arg(long, value_name = "ENCODER", default_value = "tiny")]
    encoder: String,
    /// Begin with official weights of torchvision, R3M, MVP or XIRL
    #[arg(long, value_name = "FILE", conflicts_with = "encoder")]
    pretrained: Option<PathBuf>,
    /// Train the linear head alone: the network runs once
    #[arg(long)]
    only_head: bool,
    /// Side that frames are scaled to [default: 48 for tiny, 112 for ResNets, 224 for official ones and vit]
    #[arg(long, value_name = "PIXELS")]
    side: Option<usize>,
    /// Frames of a video, spread evenly [default: 12]
    #[arg(long, value_name = "N")]
    frames: Option<usize>,
    /// Length of a frame's vector [default: 16 for tiny, else 32]
    #[arg(long, value_name = "N")]
    width: Option<usize>,
    #[command(flatten)]
    matching: Matching,
    #[command(flatten)]
    learning: Learning,
    /// File to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    output: Output,
}

impl Align {
    /// The encoder before it is trained.
    fn start(&self, device: &Device) -> Result<Vision, Failure> {
        let mut rng = Rng::new(self.learning.seed).child("weights");
        let frames = self.frames.unwrap_or(12);
        if let Some(path) = &self.pretrained {
            let sizes = (self.side, frames, self.width.unwrap_or(32));
            return Ok(Vision::pretrained(path, sizes, &mut rng, device)?.0);
        }
        let large = |network, side| EncoderConfig::imagenet(network, self.side.unwrap_or(side));
        let config = match self.encoder.as_str() {
            "tiny" => EncoderConfig {
                side: self.side.unwrap_or(48),
                ..EncoderConfig::default()
            },
            "resnet18" => large(Network::Resnet18, 112),
            "resnet50" => large(Network::Resnet50, 112),
            "vit" => large(Network::Vit(VitConfig::small()), 224),
            path => {
                let given = [
                    ("--side", self.side.is_some()),
                    ("--frames", self.frames.is_some()),
                    ("--width", self.width.is_some()),
                ];
                if let Some((option, _)) = given.iter().find(|(_, given)| *given) {
                    return Err(Failure::input(format!(
                        "`{option}` is for an encoder that begins with random weights, `{path}` has its own sizes: leave it out"
                    )));
                }
                return Ok(Vision::read(path.as_ref(), device)?);
            }
        };
        let config = EncoderConfig {
            frames,
            width: self.width.unwrap_or(config.width),
            ..config
        };
        Ok(Vision::new(config, &mut rng, device)?)
    }

    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        check_out(&self.out, [])?;
        let device = engine::device("cpu")?;
        let mut vision = self.start(&device)?;
        let rankings = Rankings::read(&self.triplets)?;
        if let Some(line) = rankings.contradictions() {
            eprint_line(&line);
        }
        let videos = rankings.prepared(&vision.config)?;
        let alignment = self.learning.alignment(&self.matching);
        let watch = ("align", self.output.json, context);
        let fit = Fit {
            only_head: self.only_head,
            ..self.learning.fit()
        };
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
        match self.output.json {
            true => print_json(&json!({"triplets": triplets, "videos": videos, "loss": loss})),
            false => report(
                false,
                &format!(
                    "aligned with {triplets} triplets of {videos} videos: loss {loss:.4} (0.6931 before anything is learned)"
                ),
            ),
        }
    }
}
