//! `orrery grape convert-pixart`.

use std::path::PathBuf;

use base::command::{Context, Failure, Output, check_out};
use clap::Args;
use engine::weights::Weights;
use serde_json::json;

use crate::grape::checkpoint;

/// Options of `convert-pixart`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  orrery grape convert-pixart PixArt-Sigma-XL-2-512-MS.pth --out pixedit-start.safetensors

The new channels, which read the picture to edit, have weights of zero: the network says what PixArt-Σ says.")]
pub struct Convert {
    /// Weights of PixArt-Σ in the authors' names or those of diffusers
    #[arg(value_name = "FILE")]
    weights: PathBuf,
    /// Where they go, as safetensors
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    output: Output,
}

impl Convert {
    pub(super) fn run(&self, _: Context) -> Result<(), Failure> {
        check_out(&self.out, [&self.weights])?;
        let wide = checkpoint::widened(&Weights::open(&self.weights)?)?;
        wide.write(&self.out)?;
        let file = self.out.display().to_string();
        self.output.print(
            &json!({ "file": file }),
            &format!("{file}: reads a picture beside the noise"),
        )
    }
}
