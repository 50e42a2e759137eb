//! `orrery grape edit`.

use std::path::PathBuf;
use std::time::Instant;

use base::command::{
    Context, Failure, Output, Steps, any_seed, check_out, use_calling_thread_as_worker,
};
use base::media::provenance::{Provenance, check_ending, image_bytes};
use base::media::read_image;
use clap::Args;
use serde_json::json;

use super::options::EditorOptions;

/// Options of `edit`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  orrery grape edit --image drawn.png --instruction \"add a lamp behind the microwave\" --editor epoch_40_step_90041.pth \\
      --parts pixart_sigma_sdxlvae_T5_diffusers --captions captions --seed 1 --out edited.png

  orrery grape edit --image drawn.png --instruction \"add a lamp\" --editor instruct-pix2pix --out edited.png

PixEdit edits squares of 512 pixels: pictures of other sizes are resized. InstructPix2Pix keeps the size.")]
pub struct EditVerb {
    /// The picture
    #[arg(long, value_name = "FILE")]
    image: PathBuf,
    /// What to do with it; given again, one edit after the other
    #[arg(long, value_name = "TEXT", required = true)]
    instruction: Vec<String>,
    #[command(flatten)]
    editor: EditorOptions,
    /// Seed of every edit [default: drawn]
    #[arg(long)]
    seed: Option<u64>,
    /// The result, PNG, JPEG, WebP or GIF, which says how it was made
    #[arg(long, value_name = "FILE", default_value = "edited.png")]
    out: PathBuf,
    /// Device: cpu; cuda, metal, rocm or wgpu in a program built with that feature
    #[arg(long, default_value = "cpu")]
    device: String,
    #[command(flatten)]
    output: Output,
}

impl EditVerb {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        let begun = Instant::now();
        use_calling_thread_as_worker();
        check_ending(&self.out)?;
        check_out(&self.out, [&self.image])?;
        let device = engine::device(&self.device)?;
        let mut picture = read_image(&self.image)?;
        let mut editor = self.editor.open(&device)?;
        editor.prepare(&self.instruction)?;
        let seed = self.seed.unwrap_or_else(any_seed);
        let all = self.instruction.len();
        let mut bar = Steps::new("editing", self.output.json);
        for (at, instruction) in self.instruction.iter().enumerate() {
            let mut watch = |done: usize, of: usize| {
                bar.at(at * of + done, all * of);
                !context.stopped()
            };
            picture = editor.edit(&picture, instruction, seed, &mut watch)?;
        }
        bar.finish();
        let settings = json!({
            "instructions": self.instruction, "editor": editor.name(), "seed": seed, "version": env!("CARGO_PKG_VERSION"),
        });
        let provenance = Provenance::new("orrery grape", &settings)?;
        image_bytes(&self.out, &picture, &provenance)?.write(&self.out)?;
        let seconds = (begun.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
        let file = self.out.display().to_string();
        self.output.print(
            &json!({"file": file, "seed": seed, "seconds": seconds}),
            &format!("{file} (seed {seed}, {seconds:.1} s)"),
        )
    }
}
