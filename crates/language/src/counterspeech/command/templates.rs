//! `orrery counterspeech templates`.

use std::path::PathBuf;

use base::command::{Context, Failure, is_quiet, print_line, report};
use base::files::{make_folder, write_new};
use base::job::jsonl;
use clap::Args;

use crate::counterspeech::study::Preregistration;
use crate::counterspeech::{Grid, Prompts, synthetic, synthetic_comments};

/// Options of `templates`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  orrery counterspeech templates --out mine")]
pub struct Templates {
    /// A folder; files that are there stay as they are
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

impl Templates {
    pub(super) fn run(&self, _: Context) -> Result<(), Failure> {
        make_folder(&self.out)?;
        let records = jsonl::text(synthetic()?).map_err(Failure::failed)?;
        let comments = jsonl::text(synthetic_comments()?).map_err(Failure::failed)?;
        let grid = Grid::built_in().to_owned();
        let files = [
            ("prompts.toml", Prompts::built_in().to_owned()),
            ("grid.toml", grid),
            ("prereg.toml", Preregistration::template().to_owned()),
            ("records.jsonl", records),
            ("comments.jsonl", comments),
        ];
        for (name, text) in files {
            let path = self.out.join(name);
            let new = write_new(&path, text.as_bytes())?;
            if is_quiet() {
                continue;
            }
            match new {
                true => report(false, &format!("wrote `{}`", path.display()))?,
                false => print_line(&format!("`{}` was there and stays", path.display()))?,
            }
        }
        Ok(())
    }
}
