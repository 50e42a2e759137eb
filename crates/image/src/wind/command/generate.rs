//! `orrery wind generate` and `inpaint`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use base::command::{Context, Failure, print_json, print_line};
use base::media::{Image, read_image, write_image};
use clap::Args;
use serde_json::json;

use super::options::{Index, Model, Secret, index, positive};
use crate::wind::{Detector, Key, Ledger, Region, Shape};

/// What both verbs have.
#[derive(Args, Debug)]
struct Output {
    #[command(flatten)]
    secret: Secret,
    /// What to draw; `ideal` has 8 kinds, named by number; other words stand for one of them
    #[arg(long, value_name = "TEXT", default_value = "")]
    prompt: String,
    /// The picture to write (png, jpg, webp, gif)
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The ledger: a line a picture is added, and no noise is used twice
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Which noise, or `auto` for a random one that is not in the ledger
    #[arg(long, value_name = "I", default_value = "auto", value_parser = index)]
    index: Index,
    #[command(flatten)]
    model: Model,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Output {
    fn ledger(&self, key: &Key) -> Result<Option<Ledger>, Failure> {
        let open = |path: &PathBuf| Ledger::open(path, key);
        Ok(self.log.as_ref().map(open).transpose()?)
    }

    /// Draws with `draw`, notes the noise first so that it is not used again, and writes the picture.
    fn make(
        &self,
        shape: Shape,
        draw: impl FnOnce(&Detector, u64) -> Result<Image, Failure>,
        more: serde_json::Value,
    ) -> Result<(), Failure> {
        let key = self.secret.open()?;
        let detector = Detector::new(key.clone(), shape)?;
        let mut ledger = self.ledger(&key)?;
        let index = self.index.of(&key, ledger.as_ref())?;
        let begun = Instant::now();
        let picture = draw(&detector, index)?;
        if let Some(ledger) = &mut ledger {
            ledger.append(index, &self.prompt)?;
        }
        write_image(&self.out, &picture, &[])?;
        let seconds = begun.elapsed().as_secs_f64();
        let group = key.group_of(index);
        let head = ledger.as_ref().map(|ledger| ledger.head().to_owned());
        match self.json {
            true => {
                let mut line = json!({"out": self.out.display().to_string(), "key": key.id(), "index": index, "group": group, "seconds": seconds, "ledger_head": head});
                if let (Some(line), Some(more)) = (line.as_object_mut(), more.as_object()) {
                    line.extend(more.clone());
                }
                print_json(&line)
            }
            false => print_line(&format!(
                "{}: noise {index}, group {group}, {seconds:.2} s",
                self.out.display()
            )),
        }
    }
}

/// Options of `generate`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orrery wind generate --key key.json --prompt 3 --out picture.png --log ledger.jsonl
  orrery wind generate --key key.json --model stable-diffusion-2-1-base --prompt lighthouse --out picture.png

The ledger holds no prompt, only a code that follows from key and prompt.")]
pub struct Generate {
    #[command(flatten)]
    output: Output,
}

impl Generate {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        let output = &self.output;
        let model = output.model.open(context, output.json)?;
        output.make(
            model.shape(),
            |detector, index| Ok(model.generate(&detector.initial(index)?, &output.prompt)?),
            json!({}),
        )
    }
}

/// Options of `inpaint`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  orrery wind inpaint --key key.json --image photo.jpg --fraction 0.5 --out marked.png
  orrery wind detect --key key.json --image marked.png --fraction 0.5

Only the square in the middle is drawn anew and carries the mark; detection needs its size.")]
pub struct Inpaint {
    /// The photograph
    #[arg(long, value_name = "FILE")]
    image: PathBuf,
    /// Side of the square in the middle, as a share of each side
    #[arg(long, value_name = "SHARE", default_value = "0.5", value_parser = positive)]
    fraction: f32,
    #[command(flatten)]
    output: Output,
}

impl Inpaint {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        let output = &self.output;
        let model = output.model.open(context, output.json)?;
        let photograph = read_image(Path::new(&self.image))?;
        let region = Region::middle(model.shape(), self.fraction);
        output.make(
            model.shape(),
            |detector, index| {
                let latents = detector.initial(index)?;
                Ok(model.inpaint(&photograph, region, &latents, &output.prompt)?)
            },
            json!({"fraction": self.fraction}),
        )
    }
}
