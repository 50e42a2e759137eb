//! `orrery sd pack`.

use std::path::{Path, PathBuf};

use base::command::{Context, Failure, report};
use clap::{Args, ValueEnum};
use engine::models::stable_diffusion::pack;
use engine::weights::Precision;
use serde_json::json;

/// How weights are stored.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub enum Stored {
    /// Half precision
    #[default]
    F16,
    /// Half precision with the range of f32
    Bf16,
    /// As they are trained
    F32,
}

/// Options of `pack`.
#[derive(Args, Debug)]
pub struct Pack {
    /// The diffusers folder of a model with one text encoder
    model: PathBuf,
    /// The file to write, .safetensors
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// How weights are stored
    #[arg(long, value_enum, default_value_t)]
    precision: Stored,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Pack {
    pub(super) fn run(&self, _: Context) -> Result<(), Failure> {
        let precision = match self.precision {
            Stored::F16 => Precision::F16,
            Stored::Bf16 => Precision::BF16,
            Stored::F32 => Precision::F32,
        };
        if self.out.extension().is_none_or(|it| it != "safetensors") {
            return Err(Failure::input(format!(
                "`{}` is not a name of a packed model: let it end in .safetensors",
                self.out.display()
            )));
        }
        let here = |path: &Path| std::fs::canonicalize(path).ok();
        let parent = self.out.parent().filter(|it| !it.as_os_str().is_empty());
        if let (Some(folder), Some(model)) =
            (here(parent.unwrap_or(Path::new("."))), here(&self.model))
            && folder.starts_with(&model)
        {
            return Err(Failure::input(format!(
                "`{}` lies in the model's own folder: choose an `--out` outside it",
                self.out.display()
            )));
        }
        let file = pack(&self.model, precision)?;
        file.write(&self.out)?;
        let bytes = std::fs::metadata(&self.out).map_or(0, |it| it.len());
        report(
            self.json,
            &match self.json {
                true => json!({ "out": base::files::shown(&self.out), "bytes": bytes }).to_string(),
                false => format!("wrote {}: {:.1} MB", self.out.display(), bytes as f64 / 1e6),
            },
        )
    }
}
