//! Real parsers, ranked end to end on real PDFs.

use base::proof::{Arm, Experiment, Measure, Outcome, Report};
use serde_json::Value;

use crate::omnidocbench::evaluate::{Evaluator, PageResult};
use crate::omnidocbench::page::Page;
use crate::omnidocbench::score::Section;

/// A document's reference, and what each parser of [`PARSERS`] made of it.
struct Document {
    name: &'static str,
    reference: &'static str,
    parsed: [&'static str; 4],
}

const PARSERS: [(&str, &str); 4] = [
    ("markitdown", "markitdown 0.1.9"),
    ("pdfplumber", "pdfplumber 0.11.10, `extract_text`"),
    ("pypdfium2", "pypdfium2 5.15.2, `get_text_range`"),
    ("pdfminer.six", "pdfminer.six 20260107, `extract_text`"),
];

macro_rules! document {
    ($name:literal) => {
        Document {
            name: $name,
            reference: document!("reference", $name),
            parsed: [
                document!("markitdown", $name),
                document!("pdfplumber", $name),
                document!("pypdfium2", $name),
                document!("pdfminer.six", $name),
            ],
        }
    };
    ($folder:literal, $name:literal) => {
        include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/assets/docling-pdf/",
            $folder,
            "/",
            $name,
            ".md"
        ))
    };
}

const DOCUMENTS: [Document; 3] = [
    document!("amt_handbook_sample"),
    document!("code_and_formula"),
    document!("multi_page"),
];

/// What is ranked: the section and what its column says.
const MODULES: [(Section, &str); 2] = [
    (Section::Text, "text edit distance"),
    (Section::Order, "reading order edit distance"),
];

/// The documents' results for the parser at `parser`.
fn results(parser: usize) -> Vec<PageResult> {
    let evaluator = Evaluator::default();
    let documents = DOCUMENTS.iter().enumerate();
    documents
        .filter_map(|(index, document)| {
            let page = Page {
                image: format!("{}.jpg", document.name),
                ..Page::default()
            };
            let parsed = document.parsed.get(parser)?;
            Some(evaluator.markdown(index, &page, document.reference, parsed))
        })
        .collect()
}

/// The official average over pages of a section's edit distance.
fn average(summary: &Value, section: Section) -> Option<f64> {
    let all = summary.get(section.name())?.get("all")?;
    all.get("Edit_dist")?.get("ALL_page_avg")?.as_f64()
}

/// Ranks the parsers module by module.
pub(super) fn parsers(seed: u64, report: &mut Report) {
    let evaluator = Evaluator::default();
    let summaries: Vec<Value> = (0..PARSERS.len())
        .map(|parser| evaluator.summary(&results(parser)))
        .collect();
    let mut measures = Vec::new();
    for (section, name) in MODULES {
        let mut measure = Measure::lower(
            name,
            "mean over the documents of edits by characters or places (v1.5, markdown against markdown)",
        );
        let mut ranked = Vec::new();
        for ((parser, _), summary) in PARSERS.iter().zip(&summaries) {
            if let Some(value) = average(summary, section) {
                // Nothing is drawn: one seed stands for all.
                measure
                    .outcomes
                    .push(Outcome::numbers(parser, &[(seed, value)]));
                ranked.push((value, *parser));
            }
        }
        report
            .notes
            .push(format!("Ranking by {name}: {}.", ranking(ranked)));
        measures.push(measure);
    }
    report.experiments.push(Experiment {
        title: "Real parsers".into(),
        about: "Four parsers read three PDFs of the docling project's tests; docling's own checked markdown is the reference. \
                What they wrote is stored with the program, with the command that made it. The references hold neither \
                tables nor display formulas, so that these modules rank nobody here; the parsers write no headings or \
                blank lines of their own, or few, and three documents are a small sample: the order says how well \
                each keeps these pages' paragraphs, not how good a parser it is."
            .into(),
        arms: PARSERS.iter().map(|(name, about)| Arm::new(name, about)).collect(),
        measures,
    });
}

/// `a (0.100), b and c (0.200)`, the least value first.
fn ranking(mut ranked: Vec<(f64, &str)>) -> String {
    ranked.sort_by(|a, b| a.0.total_cmp(&b.0));
    let ranks: Vec<String> = ranked
        .chunk_by(|a, b| a.0 == b.0)
        .map(|equal| {
            let names: Vec<&str> = equal.iter().map(|(_, name)| *name).collect();
            let value = equal.first().map_or(f64::NAN, |(value, _)| *value);
            format!("{} ({value:.3})", names.join(" and "))
        })
        .collect();
    ranks.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_against_itself_beats_every_parser() {
        let evaluator = Evaluator::default();
        let own: Vec<PageResult> = DOCUMENTS
            .iter()
            .enumerate()
            .map(|(index, one)| {
                evaluator.markdown(index, &Page::default(), one.reference, one.reference)
            })
            .collect();
        let own = evaluator.summary(&own);
        for (section, name) in MODULES {
            assert_eq!(average(&own, section), Some(0.0), "{name}");
            for parser in 0..PARSERS.len() {
                let found = average(&evaluator.summary(&results(parser)), section);
                assert!(
                    found.is_some_and(|found| (0.0..=1.0).contains(&found)),
                    "{name}: {found:?}"
                );
            }
        }
    }

    #[test]
    fn equal_parsers_share_a_rank() {
        let ranked = vec![(0.2, "b"), (0.1, "a"), (0.2, "c")];
        assert_eq!(ranking(ranked), "a (0.100), b and c (0.200)");
    }
}
