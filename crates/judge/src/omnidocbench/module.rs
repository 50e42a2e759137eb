//! Single modules: text recognition, tables, formulas, as pairs that stand in one file.

use serde_json::{Map, Value};

use super::Protocol;
use super::cdm::Renderer;
use super::matching::Match;
use super::metrics::html::HtmlParser;
use super::normalize::{clean, formula, html_table, text_to_unicode};
use super::page::{Attributes, Page, text_of};
use super::score::{Known, Metric, Pages, Sample, Tools, aggregate, sample};

/// What is recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Module {
    /// Text.
    Text,
    /// Tables, in HTML.
    Table,
    /// Display formulas, in LaTeX.
    Formula,
}

/// What to compare in a file of pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModuleConfig {
    /// What is recognised.
    pub module: Module,
    /// The field of a block that holds what is annotated.
    pub data_key: String,
    /// The field that holds what was recognised.
    pub pred_key: String,
    /// Categories of blocks that count; of none all do.
    pub categories: Vec<String>,
    /// What to score by.
    pub metrics: Vec<Metric>,
    /// Whose rules.
    pub protocol: Protocol,
    /// Who draws formulas for CDM.
    pub renderer: Renderer,
    /// Who reads tables for TEDS.
    pub html_parser: HtmlParser,
}

/// What came of single blocks.
#[derive(Clone, Debug, PartialEq)]
pub struct ModuleResult {
    /// `all`, `group` and `page`, as in the official result.
    pub summary: Value,
    /// A record a block, with its scores.
    pub records: Vec<Value>,
    /// Blocks that have no prediction, and are not scored.
    pub missing: usize,
}

impl Module {
    /// Its official configuration.
    pub fn defaults(self) -> ModuleConfig {
        let (data_key, categories, metrics): (_, &[&str], _) = match self {
            Self::Text => ("text", &[], vec![Metric::EditDist]),
            Self::Table => ("html", &["table"], vec![Metric::Teds, Metric::EditDist]),
            Self::Formula => ("latex", &["equation_isolated"], vec![Metric::EditDist]),
        };
        ModuleConfig {
            module: self,
            data_key: data_key.into(),
            pred_key: "pred".into(),
            categories: categories.iter().map(|name| (*name).to_owned()).collect(),
            metrics,
            protocol: Protocol::default(),
            renderer: Renderer::default(),
            html_parser: HtmlParser::default(),
        }
    }

    fn normalised(self, text: &str, protocol: Protocol) -> String {
        match self {
            Self::Text => clean(&text_to_unicode(text, protocol), protocol),
            Self::Table => html_table(text, protocol),
            Self::Formula => formula(text, protocol),
        }
    }
}

/// Scores what was recognised in the blocks of pages.
pub fn single(pages: &[&Map<String, Value>], config: &ModuleConfig) -> ModuleResult {
    let tools = Tools {
        renderer: &config.renderer,
        html_parser: config.html_parser,
    };
    let mut records = Vec::new();
    let mut attributes = Pages::new();
    let mut missing = 0;
    for page in pages {
        let head = Page::read_head(page);
        let blocks = page.get("layout_dets").and_then(Value::as_array);
        for block in blocks.into_iter().flatten().filter_map(Value::as_object) {
            let category = block
                .get("category_type")
                .and_then(Value::as_str)
                .unwrap_or("");
            let wanted = config.categories.is_empty()
                || config.categories.iter().any(|name| name == category);
            let Some(gt) = block
                .get(&config.data_key)
                .and_then(text_of)
                .filter(|_| wanted)
            else {
                continue;
            };
            let pred = block.get(&config.pred_key).and_then(text_of);
            // As in the official tool an empty prediction is none.
            let Some(pred) = pred.filter(|pred| !pred.is_empty()) else {
                missing += 1;
                continue;
            };
            let found = Match {
                norm_gt: config.module.normalised(&gt, config.protocol),
                norm_pred: config.module.normalised(&pred, config.protocol),
                gt,
                pred,
                gt_category: category.to_owned(),
                gt_attribute: vec![attribute(block).into()],
                image: head.image.clone(),
                ..Match::default()
            };
            records.push(sample(&found, &config.metrics, tools));
        }
        attributes.insert(head.image, head.attribute);
    }
    let texts = config
        .metrics
        .iter()
        .any(|m| matches!(m, Metric::Bleu | Metric::Meteor));
    let samples: Vec<Sample> = records.iter().map(|r| Sample::read(r, texts)).collect();
    let samples: Vec<&Sample> = samples.iter().collect();
    ModuleResult {
        summary: aggregate(
            &samples,
            &Known {
                pages: &attributes,
                annotated: &[],
            },
            &config.metrics,
            config.protocol,
        ),
        records,
        missing,
    }
}

fn attribute(block: &Map<String, Value>) -> Attributes {
    let attribute = block.get("attribute").and_then(Value::as_object);
    attribute.cloned().unwrap_or_default()
}
