//! `orrery omnidocbench show`: matched pairs on a web page.

use std::path::PathBuf;

use base::command::{Context, Failure, report};
use base::files::write_bytes;
use clap::Args;
use serde_json::Value;

use super::blocks::read_result;
use crate::omnidocbench::report::html;

/// Options of `show`.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  orrery omnidocbench show result/mine_text_block_result.json --out pairs.html --worst 50"
)]
pub struct Show {
    /// A file of matched pairs that `eval` wrote: `NAME_text_block_result.json` and the like
    #[arg(value_name = "FILE")]
    pairs: PathBuf,
    /// The web page
    #[arg(long, value_name = "FILE", default_value = "pairs.html")]
    out: PathBuf,
    /// Show only so many pairs, those with most edits first [default: all, page by page]
    #[arg(long, value_name = "COUNT")]
    worst: Option<usize>,
    /// Show only this page
    #[arg(long, value_name = "IMAGE")]
    image: Option<String>,
}

impl Show {
    pub(super) fn run(&self, _: Context) -> Result<(), Failure> {
        let json = read_result(&self.pairs)?;
        let all = json.as_array().map(Vec::as_slice).unwrap_or_default();
        let wanted = |pair: &&Value| {
            self.image
                .as_ref()
                .is_none_or(|image| pair["image_name"] == image.as_str())
        };
        let mut pairs: Vec<&Value> = all.iter().filter(wanted).collect();
        if pairs.is_empty() {
            return Err(Failure::input(format!(
                "`{}` holds no such pairs: give a file called `NAME_text_block_result.json`",
                self.pairs.display()
            )));
        }
        if let Some(count) = self.worst {
            let edits = |pair: &Value| pair["Edit_num"].as_u64().unwrap_or(0);
            pairs.sort_by_key(|pair| std::cmp::Reverse(edits(pair)));
            pairs.truncate(count);
        }
        let title = self.pairs.file_stem().unwrap_or_default().to_string_lossy();
        write_bytes(&self.out, html(&title, &pairs).as_bytes())?;
        report(
            false,
            &format!("wrote {} pairs to {}", pairs.len(), self.out.display()),
        )
    }
}
