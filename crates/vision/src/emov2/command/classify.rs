//! `orrery emov2 classify`.

use std::path::PathBuf;

use base::command::{Context, Failure, eprint_line, print_json, print_line};
use base::media::read_still;
use clap::Args;
use serde_json::json;

use super::options::{Model, write_drawn};
use crate::emov2::{Guess, draw};

/// Options of `classify`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orrery emov2 classify shoe.png
  orrery emov2 classify photo.jpg --model EMOv2_5M_224.pth --labels imagenet.txt --out answer.png")]
pub struct Classify {
    /// Pictures: PNG, JPEG, WebP or GIF; of a moving one the first frame
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,
    #[command(flatten)]
    model: Model,
    /// Classes to name
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    topk: u16,
    /// A picture with the answer drawn below, for a single image
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print one JSON object a picture
    #[arg(long)]
    json: bool,
}

impl Classify {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        if self.out.is_some() && self.images.len() > 1 {
            return Err(Failure::input(
                "`--out` takes the answer for one picture: give one, or leave `--out` away",
            ));
        }
        let model = self.model.open()?;
        if model.class_count == 0 {
            return Err(Failure::input(format!(
                "{} is a backbone without a head: use `orrery emov2 features`",
                self.model.name()
            )));
        }
        for path in &self.images {
            context.proceed()?;
            let still = read_still(path)?;
            if still.animated && !self.json {
                eprint_line(&format!(
                    "`{}` moves: its first frame is classified",
                    path.display()
                ));
            }
            let guesses = model.classify(&still.picture, usize::from(self.topk));
            self.show(path, &guesses)?;
            if let Some(out) = &self.out {
                write_drawn(out, &draw::classes(&still.picture, &guesses))?;
            }
        }
        Ok(())
    }

    fn show(&self, path: &std::path::Path, guesses: &[Guess]) -> Result<(), Failure> {
        if self.json {
            return print_json(&json!({"image": base::files::shown(path), "classes": guesses}));
        }
        print_line(&format!("{}", path.display()))?;
        for guess in guesses {
            print_line(&format!(
                "  {:5.1} %  {}",
                100.0 * guess.probability,
                guess.name
            ))?;
        }
        Ok(())
    }
}
