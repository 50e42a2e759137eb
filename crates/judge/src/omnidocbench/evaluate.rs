//! Evaluation end to end: a prediction is taken apart, matched and scored page by page; then everything is averaged.

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde_json::{Map, Value, json};

use super::Protocol;
use super::cdm::Renderer;
use super::extract::LatexTables;
use super::matching::Matching;
use super::matching::page::{PageMatches, match_markdown, match_page};
use super::merge::{FORMULA, TABLE};
use super::metrics::html::HtmlParser;
use super::page::{Attributes, Page};
use super::score::{
    Known, Metric, Metrics, Pages, Sample, Section, Tools, aggregate, write_order_sample,
    write_sample,
};

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

/// Bytes of records that are not copied for the sake of room.
const LONG: usize = 1 << 20;

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
    /// Who reads tables for TEDS.
    pub html_parser: HtmlParser,
}

/// What came of a page.
#[derive(Clone, Debug, Default, PartialEq)]
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
    /// Whether LaTeX tables were matched with annotated ones that have no LaTeX. A warning when it happens, not kept.
    pub without_latex: bool,
    /// Sections that the page has annotated blocks for, where that counts (v1.6).
    annotated: Vec<Section>,
    /// Records by list, each list at its place in [`LISTS`].
    records: [Option<Records>; LISTS.len()],
}

/// Records of a list: objects as JSON text, which they stay from here to the result file, and what averages need of each.
#[derive(Clone, Debug, Default, PartialEq)]
struct Records {
    /// One after the other.
    text: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
    samples: Vec<Sample>,
}

impl Records {
    /// Adds what `write` writes. Only memory is written to, so that there is no failure to tell.
    fn add(&mut self, write: impl FnOnce(&mut Vec<u8>) -> serde_json::Result<Sample>) {
        match write(&mut self.text) {
            Ok(sample) => {
                self.ends.push(self.text.len());
                self.samples.push(sample);
            }
            Err(_) => self.text.truncate(self.ends.last().copied().unwrap_or(0)),
        }
    }

    /// The same without room for more, which a thousand pages would have for nothing.
    fn fitted(mut self) -> Self {
        // Copied: shrunk in place a text keeps up to twice its length. A long one has but room that was never used.
        if self.text.len() < LONG {
            self.text = self.text.as_slice().to_vec();
        }
        self.samples.shrink_to_fit();
        self
    }

    fn texts(&self) -> impl Iterator<Item = &[u8]> {
        let mut begin = 0;
        self.ends.iter().filter_map(move |&end| {
            let text = self.text.get(begin..end);
            begin = end;
            text
        })
    }
}

impl Evaluator {
    /// Evaluates a page whose prediction is `markdown`.
    pub fn page(&self, index: usize, page: &Page, markdown: impl AsRef<str>) -> PageResult {
        let pieces = self.latex_tables.pieces(markdown, self.matching.protocol);
        let found = match_page(page, pieces, &self.matching);
        let mut result = self.result(index, page, found);
        if self.matching.protocol >= Protocol::V1_6 {
            let sections = [(Section::Formula, FORMULA), (Section::Table, TABLE)];
            let blocks = || page.blocks.iter().filter(|block| !block.ignore);
            let has = |category: &str| blocks().any(|block| block.category == category);
            let sections = sections.into_iter().filter(|(_, category)| has(category));
            result.annotated = sections.map(|(section, _)| section).collect();
        }
        result
    }

    /// Evaluates a page whose ground truth is markdown as well; of `page` the picture's name and the attributes count.
    pub fn markdown(&self, index: usize, page: &Page, gt: &str, markdown: &str) -> PageResult {
        let [gt, pred] =
            [gt, markdown].map(|text| self.latex_tables.pieces(text, self.matching.protocol));
        let found = match_markdown(gt, pred, &self.matching, &page.image);
        self.result(index, page, found)
    }

    fn result(&self, index: usize, page: &Page, mut found: PageMatches) -> PageResult {
        let tools = Tools {
            renderer: &self.renderer,
            html_parser: self.html_parser,
        };
        let records = LISTS.map(|(name, section)| {
            let metrics = self.metrics.of(section)?;
            // Each list is freed when it is written.
            let matches = match name {
                "text_block" => std::mem::take(&mut found.text),
                "formula_as_text" => std::mem::take(&mut found.formula_as_text),
                "display_formula" => std::mem::take(&mut found.formula),
                "table" => std::mem::take(&mut found.html_table),
                "latex_table" => std::mem::take(&mut found.latex_table),
                _ => Vec::new(),
            };
            let mut list = Records::default();
            for found in matches {
                list.add(|text| write_sample(&found, metrics, tools, text));
            }
            if let (Section::Order, Some(order)) = (section, &found.order) {
                list.add(|text| write_order_sample(order, &page.image, metrics, text));
            }
            Some(list.fitted())
        });
        PageResult {
            index,
            image: page.image.clone(),
            attribute: page.attribute.clone(),
            predicted: true,
            out_of_time: found.out_of_time,
            without_latex: found.without_latex,
            annotated: Vec::new(),
            records,
        }
    }

    /// The official result of all pages: by section `all`, `group` and `page`.
    pub fn summary(&self, pages: &[PageResult]) -> Value {
        let attributes: Pages = pages
            .iter()
            .map(|page| (page.image.clone(), page.attribute.clone()))
            .collect();
        let protocol = self.matching.protocol;
        let section = |(section, metrics): &(Section, Vec<Metric>)| {
            let samples: Vec<&Sample> = samples(pages, *section, protocol).collect();
            let annotated = pages.iter().filter(|page| page.annotated.contains(section));
            let annotated: Vec<&str> = annotated.map(|page| page.image.as_str()).collect();
            let known = Known {
                pages: &attributes,
                annotated: &annotated,
            };
            let result = aggregate(&samples, &known, metrics, protocol);
            (section.name().to_owned(), result)
        };
        let sections: Vec<(String, Value)> = self.metrics.0.par_iter().map(section).collect();
        Value::Object(Map::from_iter(sections))
    }
}

/// How many records of a metric score 0 without being compared, by reason, the most frequent first; of each a page.
pub fn failures(pages: &[PageResult]) -> Vec<(&'static str, String, usize, String)> {
    let mut counts: BTreeMap<(&'static str, &str), (usize, &str)> = BTreeMap::new();
    let samples = pages.iter().flat_map(|page| page.records.iter().flatten());
    for sample in samples.flat_map(|list| &list.samples) {
        if let Some((metric, why)) = &sample.failed {
            let entry = counts.entry((metric, why)).or_insert((0, &sample.image));
            entry.0 += 1;
        }
    }
    let mut list: Vec<_> = counts
        .into_iter()
        .map(|((metric, why), (count, page))| (metric, why.to_owned(), count, page.to_owned()))
        .collect();
    list.sort_by_key(|(_, _, count, _)| std::cmp::Reverse(*count));
    list
}

/// All records of a section in the official order, as JSON text.
///
/// Formulas that became text are left out where there is no other text. Under v1.0 tables are either those matched with
/// LaTeX, where these are more, or the others.
pub fn records(
    pages: &[PageResult],
    section: Section,
    protocol: Protocol,
) -> impl Iterator<Item = &[u8]> {
    lists(pages, section, protocol).flat_map(Records::texts)
}

/// What averages need of [`records`].
pub fn samples(
    pages: &[PageResult],
    section: Section,
    protocol: Protocol,
) -> impl Iterator<Item = &Sample> {
    lists(pages, section, protocol).flat_map(|list| &list.samples)
}

fn lists(
    pages: &[PageResult],
    section: Section,
    protocol: Protocol,
) -> impl Iterator<Item = &Records> {
    let count = |name: &str| {
        pages
            .iter()
            .filter_map(|page| page.list(name))
            .map(|list| list.ends.len())
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
        .flat_map(|(name, _)| pages.iter().filter_map(|page| page.list(name)))
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

    fn list(&self, name: &str) -> Option<&Records> {
        let at = LISTS.iter().position(|(list, _)| *list == name)?;
        self.records.get(at)?.as_ref()
    }

    /// Adds the result as a line of JSON.
    pub(super) fn write_line(&self, line: &mut Vec<u8>) {
        let mut head = json!({
            "attribute": self.attribute,
            "image": self.image,
            "index": self.index,
            "out_of_time": self.out_of_time,
            "predicted": self.predicted,
        });
        if !self.annotated.is_empty() {
            head["annotated"] = self
                .annotated
                .iter()
                .map(|section| section.name())
                .collect();
        }
        line.extend(head.to_string().bytes());
        line.pop();
        line.extend(b",\"records\":{");
        let mut comma: &[u8] = b"";
        for ((name, _), list) in LISTS.iter().zip(&self.records) {
            let Some(list) = list else { continue };
            line.extend(comma);
            comma = b",";
            line.extend(format!("\"{name}\":[").bytes());
            for (at, text) in list.texts().enumerate() {
                line.extend(if at == 0 { &b""[..] } else { b"," });
                line.extend(text);
            }
            line.push(b']');
        }
        line.extend(b"}}\n");
    }

    /// The result of such a line; `None` where it is damaged.
    pub(super) fn read(line: &str) -> Option<Self> {
        let json: Value = serde_json::from_str(line).ok()?;
        let lists = json.get("records")?.as_object()?;
        let records = LISTS.map(|(name, _)| {
            let mut list = Records::default();
            for record in lists.get(name)?.as_array()? {
                list.add(|text| {
                    serde_json::to_writer(text, record)?;
                    Ok(Sample::read(record, true))
                });
            }
            Some(list)
        });
        Some(Self {
            index: json.get("index")?.as_u64()? as usize,
            image: json.get("image")?.as_str()?.to_owned(),
            attribute: json.get("attribute")?.as_object()?.clone(),
            predicted: json.get("predicted")?.as_bool()?,
            out_of_time: json.get("out_of_time")?.as_u64()? as usize,
            without_latex: false,
            annotated: {
                let names = json.get("annotated").and_then(Value::as_array);
                let names = names.into_iter().flatten().filter_map(Value::as_str);
                names.filter_map(Section::named).collect()
            },
            records,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_read_and_written_is_the_same_to_the_last_digit() {
        let record = |at: u32| format!("{{\"edit\":{}}}", f64::from(at) / 391.0);
        let records: Vec<String> = (1..391).map(record).collect();
        let line = format!(
            "{{\"attribute\":{{}},\"image\":\"a.jpg\",\"index\":3,\"out_of_time\":0,\"predicted\":true,\"records\":{{\"text_block\":[{}]}}}}\n",
            records.join(",")
        );
        let page = PageResult::read(&line).unwrap();
        let mut written = Vec::new();
        page.write_line(&mut written);
        assert_eq!(String::from_utf8(written).unwrap(), line);
    }
}
