//! `orrery omnidocbench extract`, `match`, `cdm` and `gt2md`: the stages one by one.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use base::command::{Context, Failure, print_line, report};
use base::files::write_bytes;
use clap::Args;
use serde_json::{Value, json};

use super::options::{MatchOptions, ProtocolName, RendererName};
use super::output;
use crate::omnidocbench::Protocol;
use crate::omnidocbench::extract::{LatexTables, extract};
use crate::omnidocbench::matching::Method;
use crate::omnidocbench::matching::page::match_page;
use crate::omnidocbench::merge;
use crate::omnidocbench::page::{Block, Page, read_pages};
use crate::omnidocbench::prediction::read_text;
use crate::omnidocbench::score::order_sample;

/// Options of `extract`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  orrery omnidocbench extract page.md")]
pub struct Extract {
    /// A predicted page
    #[arg(value_name = "FILE")]
    page: PathBuf,
    /// Protocol of the extraction
    #[arg(long, value_enum, default_value = "v1.5")]
    protocol: ProtocolName,
}

/// A markdown file's text.
fn markdown(path: &Path) -> Result<String, Failure> {
    match read_text(path) {
        Ok((text, _)) => Ok(text),
        Err(error) => Err(Failure::input(format!(
            "cannot read `{}`: {error}: check the path",
            path.display()
        ))),
    }
}

impl Extract {
    pub(super) fn run(&self, _: Context) -> Result<(), Failure> {
        let pieces = extract(&markdown(&self.page)?, self.protocol.into());
        let list: Vec<Value> = pieces
            .iter()
            .map(|piece| {
                json!({
                    "category_type": piece.kind.name(),
                    "fine_category_type": piece.fine.map(|fine| fine.name()),
                    "position": piece.position,
                    "content": piece.content,
                    "language": piece.language,
                })
            })
            .collect();
        print_line(&serde_json::to_string_pretty(&list).map_err(Failure::failed)?)
    }
}

/// Options of `match`.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  orrery omnidocbench match --gt OmniDocBench.json --image page_7.jpg page_7.md"
)]
pub struct Match {
    /// The predicted page
    #[arg(value_name = "FILE")]
    page: PathBuf,
    /// The ground truth: the data set's JSON file
    #[arg(long, value_name = "FILE")]
    gt: PathBuf,
    /// File name of the page's picture in the ground truth [default: that of the prediction, with .jpg or .png]
    #[arg(long)]
    image: Option<String>,
    #[command(flatten)]
    matching: MatchOptions,
}

impl Match {
    pub(super) fn run(&self, _: Context) -> Result<(), Failure> {
        let text = markdown(&self.page)?;
        let stem = self
            .page
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let names = match &self.image {
            Some(image) => vec![image.clone()],
            None => vec![format!("{stem}.jpg"), format!("{stem}.png"), stem],
        };
        let mut found = None;
        read_pages(&self.gt, |page| {
            if names.contains(&page.image) {
                found = Some(page);
            }
            found.is_none()
        })?;
        let Some(page) = found else {
            let first = names.first().map_or("", String::as_str);
            return Err(Failure::input(format!(
                "`{}` has no page `{first}`: name its picture with `--image`",
                self.gt.display()
            )));
        };
        let matching = self.matching.matching(Method::Quick);
        let pieces = LatexTables::from(self.matching.latex_tables).pieces(&text, matching.protocol);
        let found = match_page(&page, pieces, &matching);
        let list = |matches: &[crate::omnidocbench::matching::Match]| -> Vec<Value> {
            matches.iter().map(|found| found.to_json()).collect()
        };
        let order = found
            .order
            .iter()
            .map(|order| order_sample(order, &page.image, &[]));
        let all = json!({
            "text_block": list(&found.text),
            "formula_as_text": list(&found.formula_as_text),
            "display_formula": list(&found.formula),
            "table": list(&found.html_table),
            "latex_table": list(&found.latex_table),
            "reading_order": order.collect::<Vec<Value>>(),
        });
        print_line(&serde_json::to_string_pretty(&all).map_err(Failure::failed)?)
    }
}

/// Options of `cdm`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  orrery omnidocbench cdm --gt 'x^2' --pred 'x^{2}'")]
pub struct Cdm {
    /// The true formula, in LaTeX
    #[arg(long, value_name = "LATEX", allow_hyphen_values = true)]
    gt: String,
    /// The predicted formula, in LaTeX
    #[arg(long, value_name = "LATEX", allow_hyphen_values = true)]
    pred: String,
    /// Renderer
    #[arg(long, value_enum, default_value = "built-in", value_name = "NAME")]
    renderer: RendererName,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Cdm {
    pub(super) fn run(&self, _: Context) -> Result<(), Failure> {
        let score = self
            .renderer
            .find()?
            .score(&self.pred, &self.gt)
            .map_err(Failure::input)?;
        let (recall, precision, f1) = (score.recall, score.precision, score.f1);
        print_line(&match self.json {
            true => json!({"recall": recall, "precision": precision, "F1_score": f1}).to_string(),
            false => format!("F1 {f1:.3}   recall {recall:.3}   precision {precision:.3}"),
        })
    }
}

/// Options of `gt2md`.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  orrery omnidocbench gt2md --gt OmniDocBench.json --out markdown"
)]
pub struct Gt2md {
    /// The ground truth: the data set's JSON file
    #[arg(long, value_name = "FILE")]
    gt: PathBuf,
    /// Folder for a markdown file a page
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
}

impl Gt2md {
    pub(super) fn run(&self, context: Context) -> Result<(), Failure> {
        output::folder(&self.out)?;
        let (mut count, mut problem) = (0, None);
        read_pages(&self.gt, |page| {
            let stem = page
                .image
                .rsplit_once('.')
                .map_or(page.image.as_str(), |(stem, _)| stem);
            let path = self.out.join(format!("{stem}.md"));
            match write_bytes(&path, annotated(&page).as_bytes()) {
                Ok(()) => count += 1,
                Err(error) => problem = Some(error),
            }
            problem.is_none() && !context.stopped()
        })?;
        match problem {
            Some(error) => Err(error.into()),
            None if context.stopped() => Err(Failure::interrupted(format!(
                "stopped after {count} pages: the same command begins again"
            ))),
            None => report(
                false,
                &format!("wrote {count} pages to {}", self.out.display()),
            ),
        }
    }
}

/// A page's annotation as markdown, in reading order. What the benchmark does not score is left out.
fn annotated(page: &Page) -> String {
    let mut blocks: Vec<Block> = merge::merge(page, Protocol::V1_5)
        .into_iter()
        .map(Cow::into_owned)
        .collect();
    blocks.sort_by(|a, b| a.order.unwrap_or(0.0).total_cmp(&b.order.unwrap_or(0.0)));
    let mut parts = Vec::new();
    for block in blocks {
        let text = block.text.unwrap_or_default();
        let part = match block.category.as_str() {
            "title" => format!("# {text}"),
            merge::TABLE => block.html.unwrap_or_default(),
            merge::FORMULA => {
                let latex = block.latex.unwrap_or_default();
                let bare = latex.trim().trim_matches('$').trim();
                let closed = bare.starts_with("\\[") || bare.is_empty();
                if closed {
                    bare.to_owned()
                } else {
                    format!("$$\n{bare}\n$$")
                }
            }
            "code_txt" => format!("```\n{text}\n```"),
            name if merge::TEXT.contains(&name) && !merge::IGNORED.contains(&name) => text,
            _ => continue,
        };
        if !part.trim().is_empty() {
            parts.push(part.trim().to_owned());
        }
    }
    parts.push(String::new());
    parts.join("\n\n").trim_end().to_owned() + "\n"
}
