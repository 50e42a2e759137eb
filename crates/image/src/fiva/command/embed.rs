//! `orrery fiva embed`.

use std::path::PathBuf;

use base::command::{
    Context, Failure, Output, print_json, print_line, use_calling_thread_as_worker,
};
use clap::Args;
use engine::weights::Weights;
use serde_json::json;

use super::options::ReferenceOptions;

/// Options of `embed`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  orrery fiva embed --adapter ip_adapter.bin --qformer pytorch_model_1.bin --vocab vocab.txt \\
      --ref sunset.png:color --ref stage.png:lighting:0.8 --out look.safetensors

The file holds the tokens of the references and those that stand for none; `orrery fiva generate --tokens look.safetensors` draws with
them and needs no Q-Former.")]
pub struct Embed {
    /// The adapter (`ip_adapter.bin`, or safetensors with its names)
    #[arg(long, value_name = "FILE")]
    adapter: PathBuf,
    #[command(flatten)]
    references: ReferenceOptions,
    /// Where the tokens go
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Device: cpu; cuda, metal, rocm or wgpu in a program built with that feature
    #[arg(long, default_value = "cpu")]
    device: String,
    #[command(flatten)]
    output: Output,
}

impl Embed {
    pub(super) fn run(&self, _: Context) -> Result<(), Failure> {
        use_calling_thread_as_worker();
        let device = engine::device(&self.device)?;
        let adapter = Weights::open(&self.adapter)?;
        let guide = self.references.guide(&adapter, &device)?;
        guide.file()?.write(&self.out)?;
        let [_, tokens, width] = guide.tokens.dims();
        if self.output.json {
            let report = json!({
                "file": self.out.display().to_string(), "tokens": tokens, "width": width, "tags": guide.tags,
            });
            return print_json(&report);
        }
        print_line(&format!(
            "{}: {tokens} tokens of width {width} for {}",
            self.out.display(),
            guide.tags.join(", ")
        ))
    }
}
