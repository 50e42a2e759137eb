//! `orrery fiva qformer`.

use std::path::PathBuf;

use base::command::{Context, Failure, Output, use_calling_thread_as_worker};
use base::files::{make_folder, write_bytes};
use base::rng::Rng;
use clap::Args;
use serde_json::json;

use super::data::RecordOptions;
use crate::fiva::{TagTokenizer, Taxonomy, checkpoint, tags, tower};

/// Options of `qformer`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  orrery fiva qformer set/records.jsonl --out qformer

For small models; with Stable Diffusion XL begin with BLIP-Diffusion's. The folder holds `qformer.safetensors`, `config.json` and
`vocab.txt`, as `orrery fiva train --qformer` takes them. The word `reference` asks for all of a picture.")]
pub struct QFormerVerb {
    #[command(flatten)]
    records: RecordOptions,
    /// Height and width of what it sees, in pixels
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(8..=512))]
    side: u16,
    /// Steps of 32 pictures
    #[arg(long, default_value_t = 600)]
    steps: u64,
    /// Seed
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The folder, which is made
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Device: cpu; cuda, metal, rocm or wgpu in a program built with that feature
    #[arg(long, default_value = "cpu")]
    device: String,
    #[command(flatten)]
    output: Output,
}

impl QFormerVerb {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        use_calling_thread_as_worker();
        let device = engine::device(&self.device)?.autodiff();
        let side = usize::from(self.side);
        if !side.is_multiple_of(8) {
            return Err(Failure::input(format!(
                "--side {side} cannot be cut into 8 x 8 patches: use a multiple of 8"
            )));
        }
        let there = self.out.join(checkpoint::QFORMER);
        if there.exists() {
            return Err(Failure::input(format!(
                "`{}` holds a Q-Former already: choose another `--out`, or remove it",
                self.out.display()
            )));
        }
        let records = self.records.read()?;
        let taxonomy = Taxonomy::ours()?;
        let vocabulary = tags::vocabulary(&taxonomy, &[tower::ALL]);
        let tokenizer = TagTokenizer::from_pieces(&vocabulary)?;
        let config = tower::small(side, vocabulary.len());
        let rng = &Rng::new(self.seed).child("qformer");
        let qformer = tower::of_records(
            &records,
            &config,
            (&taxonomy, &tokenizer),
            self.steps,
            (context, rng, &device),
        )?;
        make_folder(&self.out)?;
        checkpoint::write_qformer(&qformer, &config, &self.out)?;
        write_bytes(self.out.join("vocab.txt"), vocabulary.join("\n").as_bytes())?;
        let folder = self.out.display().to_string();
        self.output.print(
            &json!({"folder": folder, "records": records.len(), "steps": self.steps}),
            &format!(
                "{folder}: a Q-Former that has learned from {} pictures",
                records.len()
            ),
        )
    }
}
