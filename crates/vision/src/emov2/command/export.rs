//! `orrery emov2 export`.

use std::path::PathBuf;

use base::command::{Context, Failure, Output, report};
use base::tensor_file::Precision;
use clap::{Args, ValueEnum};
use serde_json::json;

use super::options::Model;
use crate::emov2::checkpoint;

/// Type of the numbers in a file.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Numbers {
    /// 32 bits: exact
    F32,
    /// 16 bits, 11 of them significant
    F16,
    /// 16 bits with the range of f32
    Bf16,
}

/// Options of `export`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  orrery emov2 export --model EMOv2_5M_224_KD.pth --labels imagenet.txt --precision f16 --out emov2-5m.safetensors")]
pub struct Export {
    #[command(flatten)]
    model: Model,
    /// Type of the numbers
    #[arg(long, value_enum, default_value = "f32")]
    precision: Numbers,
    /// The file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    output: Output,
}

impl Export {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        let model = self.model.open()?;
        context.proceed()?;
        let precision = match self.precision {
            Numbers::F32 => Precision::F32,
            Numbers::F16 => Precision::F16,
            Numbers::Bf16 => Precision::BF16,
        };
        let (emo, config) = self.model.emo(&model)?;
        let notes = checkpoint::notes(config, &model.classes, model.size, model.crop);
        checkpoint::save(emo, &notes, precision, &self.out)?;
        let parameters = crate::emov2::params(config);
        report(
            self.output.json,
            &match self.output.json {
                true => json!({"out": base::files::shown(&self.out), "parameters": parameters})
                    .to_string(),
                false => format!("wrote {}: {parameters} parameters", self.out.display()),
            },
        )
    }
}
