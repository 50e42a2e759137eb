//! Evaluation end to end: a prediction is taken apart, matched and scored page by page; then everything is averaged.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::cdm::Renderer;
use super::extract::extract;
use super::matching::Matching;
use super::matching::page::{PageMatches, match_markdown, match_page};
use super::normalize::latex_table_to_html;
use super::page::{Attributes, Page};
use super::score::{Metric, Metrics, Pages, Sample, Section, aggregate, order_sample, sample};
use super::{Element, Kind, Protocol};

/// Lists of records of a page. Formulas that became text, and LaTeX tables, follow those of all pages in the official
/// results, so that they are kept apart until then.
const LISTS: [(&str, Section); 6] = [
    ("text_block", Section::Text),
    ("formula_as_text", Section::Text),
    ("display_formula", Section::Formula),
    ("table", Section::Table),
    ("latex_table", Section::Table),
    ("reading_order", Section::Order),
];

/// How to evaluate.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evaluator {
    /// How pieces are matched, and whose rules.
    pub matching: Matching,
    /// What is scored, and by what.
    pub metrics: Metrics,
    /// What becomes of tables in LaTeX.
    pub latex_tables: LatexTables,
    /// Who draws formulas for CDM.
    pub renderer: Renderer,
}

/// What becomes of tables that a parser wrote in LaTeX.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LatexTables {
    /// They are not read, as in the official tool: their TEDS is 0.
    #[default]
    Unread,
    /// They count as if the parser had written them in HTML.
    Convert,
}

impl LatexTables {
    /// Its name: `official` or `convert`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unread => "official",
            Self::Convert => "convert",
        }
    }

    /// The pieces of a page under this rule.
    pub fn pieces(self, markdown: &str, protocol: Protocol) -> Vec<Element> {
        let mut pieces = extract(markdown, protocol);
        if self == Self::Convert {
            let tables = pieces
                .iter_mut()
                .filter(|piece| piece.kind == Kind::LatexTable);
            for table in tables {
                if let Some(html) = latex_table_to_html(&table.content) {
                    (table.kind, table.content) = (Kind::HtmlTable, html);
                }
            }
        }
        pieces
    }
}

/// What came of a page: its records, as JSON lists of objects. It is a line of a journal as it stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PageResult {
    /// Its place in the ground truth, from 0.
    pub index: usize,
    /// File name of its picture.
    pub image: String,
    /// Its attributes.
    pub attribute: Attributes,
    /// Whether there was a prediction; if not there may be no records either.
    pub predicted: bool,
    /// Lists that were matched simply because their time was up.
    pub out_of_time: usize,
    /// Records by list.
    records: Map<String, Value>,
}

impl Evaluator {
    /// Evaluates a page whose prediction is `markdown`.
    pub fn page(&self, index: usize, page: &Page, markdown: &str) -> PageResult {
        let pieces = self.latex_tables.pieces(markdown, self.matching.protocol);
        let found = match_page(page, &pieces, &self.matching);
        self.result(index, page, &found)
    }

    /// Evaluates a page whose ground truth is markdown as well; of `page` the picture's name and the attributes count.
    pub fn markdown(&self, index: usize, page: &Page, gt: &str, markdown: &str) -> PageResult {
        let [gt, pred] =
            [gt, markdown].map(|text| self.latex_tables.pieces(text, self.matching.protocol));
        let found = match_markdown(&gt, &pred, &self.matching, &page.image);
        self.result(index, page, &found)
    }

    fn result(&self, index: usize, page: &Page, found: &PageMatches) -> PageResult {
        let mut records = Map::new();
        for (name, section) in LISTS {
            let Some(metrics) = self.metrics.of(section) else {
                continue;
            };
            let matches = match name {
                "text_block" => &found.text,
                "formula_as_text" => &found.formula_as_text,
                "display_formula" => &found.formula,
                "table" => &found.html_table,
                "latex_table" => &found.latex_table,
                _ => &Vec::new(),
            };
            let mut list: Vec<Value> = matches
                .iter()
                .map(|m| sample(m, metrics, &self.renderer))
                .collect();
            if section == Section::Order {
                let order = found.order.iter();
                list.extend(order.map(|order| order_sample(order, &page.image, metrics)));
            }
            records.insert(name.to_owned(), Value::Array(list));
        }
        PageResult {
            index,
            image: page.image.clone(),
            attribute: page.attribute.clone(),
            predicted: true,
            out_of_time: found.out_of_time,
            records,
        }
    }

    /// The official result of all pages: by section `all`, `group` and `page`.
    pub fn summary(&self, pages: &[PageResult]) -> Value {
        let attributes: Pages = pages
            .iter()
            .map(|page| (page.image.clone(), page.attribute.clone()))
            .collect();
        let mut out = Map::new();
        for (section, metrics) in &self.metrics.0 {
            let texts = metrics
                .iter()
                .any(|m| matches!(m, Metric::Bleu | Metric::Meteor));
            let samples: Vec<Sample> = records(pages, *section, self.matching.protocol)
                .map(|record| Sample::read(record, texts))
                .collect();
            let result = aggregate(&samples, &attributes, metrics, self.matching.protocol);
            out.insert(section.name().to_owned(), result);
        }
        Value::Object(out)
    }
}

/// All records of a section in the official order.
///
/// Formulas that became text are left out where there is no other text. Under v1.0 tables are either those matched with
/// LaTeX, where these are more, or the others.
pub fn records(
    pages: &[PageResult],
    section: Section,
    protocol: Protocol,
) -> impl Iterator<Item = &Value> {
    let count = |name: &str| {
        pages
            .iter()
            .map(|page| page.list(name).len())
            .sum::<usize>()
    };
    let any_text = count("text_block") > 0;
    let mostly_latex = count("latex_table") > count("table");
    let either = protocol == Protocol::V1_0;
    let wanted = move |name: &str| match name {
        "formula_as_text" => any_text,
        "table" => !either || !mostly_latex,
        "latex_table" => !either || mostly_latex,
        _ => true,
    };
    LISTS
        .iter()
        .filter(move |(name, of)| *of == section && wanted(name))
        .flat_map(|(name, _)| pages.iter().flat_map(|page| page.list(name)))
}

impl PageResult {
    /// A page without a prediction, which is not scored.
    pub fn missing(index: usize, page: &Page) -> Self {
        Self {
            index,
            image: page.image.clone(),
            attribute: page.attribute.clone(),
            ..Self::default()
        }
    }

    fn list(&self, name: &str) -> &[Value] {
        let list = self.records.get(name).and_then(Value::as_array);
        list.map_or(&[], Vec::as_slice)
    }
}

/// The leaderboard's overall score in percent, of v1.5: the mean of text (one less its edit distance), TEDS and CDM.
pub fn overall(text_edit: f64, teds: f64, cdm: f64) -> f64 {
    ((1.0 - text_edit) * 100.0 + teds + cdm) / 3.0
}

impl Protocol {
    /// Its name: `v1.0` or `v1.5`.
    pub fn name(self) -> &'static str {
        match self {
            Self::V1_0 => "v1.0",
            Self::V1_5 => "v1.5",
        }
    }
}
