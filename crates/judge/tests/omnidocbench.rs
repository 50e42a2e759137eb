//! OmniDocBench against recorded numbers: every case of every kind that is there.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use base::fixtures::{Case, cases, report};
use judge::omnidocbench::Protocol;
use judge::omnidocbench::evaluate::{Evaluator, PageResult, records};
use judge::omnidocbench::matching::{Lines, Matching, Method};
use judge::omnidocbench::module::{Module, single};
use judge::omnidocbench::normalize::html_table;
use judge::omnidocbench::page::{Block, Page};
use judge::omnidocbench::score::Section;
use serde_json::{Map, Value};

const SLUG: &str = "omnidocbench";

fn committed() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures"))
}

/// What differs between two JSON values, numbers by more than `tolerance`; the first difference, by its place.
fn difference(found: &Value, expected: &Value, tolerance: f64, at: &str) -> Option<String> {
    let differs = || Some(format!("{at}: found {found}, expected {expected}"));
    match (found, expected) {
        (Value::Number(a), Value::Number(b)) => {
            let apart = (a.as_f64()? - b.as_f64()?).abs();
            if apart <= tolerance { None } else { differs() }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => a
            .iter()
            .zip(b)
            .enumerate()
            .find_map(|(i, (a, b))| difference(a, b, tolerance, &format!("{at}[{i}]"))),
        (Value::Object(a), Value::Object(b)) => {
            let missing = b.keys().find(|key| !a.contains_key(*key));
            let missing = missing.map(|key| format!("{at}: `{key}` is missing"));
            missing.or_else(|| {
                b.iter()
                    .find_map(|(k, b)| difference(a.get(k)?, b, tolerance, &format!("{at}.{k}")))
            })
        }
        _ if found == expected => None,
        _ => differs(),
    }
}

/// Blocks as a case gives them.
fn blocks(list: &Value) -> Vec<Block> {
    let objects = list.as_array().into_iter().flatten();
    objects
        .map(|block| Block::read(block.as_object().unwrap()))
        .collect()
}

/// Cases within a file.
fn inner(case: &Case) -> Vec<Value> {
    case.get("cases").and_then(Value::as_array).unwrap().clone()
}

/// The problems of all cases of a kind, printed and counted.
fn settle(kind: &str, ran: usize, problems: &[String]) {
    report(SLUG, kind, ran);
    assert!(
        problems.is_empty(),
        "{} of {ran} differ:\n{}",
        problems.len(),
        problems.join("\n")
    );
}

fn matches(kind: &str, method: Method) {
    let (mut ran, mut problems) = (0, Vec::new());
    for case in cases(SLUG, kind, committed()) {
        let tolerance = case.tolerance("edit", 1e-9);
        for (number, one) in inner(&case).iter().enumerate() {
            ran += 1;
            let matching = Matching {
                method,
                ..Matching::default()
            };
            let (gt, pred) = (blocks(&one["gt"]), blocks(&one["pred"]));
            let image = one["img"].as_str().unwrap();
            let matched = matching.run(&gt, &pred, Lines::Mixed, image);
            let found: Value = matched
                .matches
                .iter()
                .map(|found| found.to_json())
                .collect();
            let place = format!("{} {number}", case.name);
            problems.extend(difference(&found, &one["out"], tolerance, &place));
        }
    }
    settle(kind, ran, &problems);
}

#[test]
fn match_quick() {
    matches("match_quick", Method::Quick);
}

#[test]
fn match_simple() {
    matches("match_simple", Method::Simple);
}

/// The differences between an evaluation of a case's pages and what it expects under `key`.
fn evaluated(case: &Case, key: &str, protocol: Protocol) -> Vec<String> {
    let tolerance = case.tolerance("scores", 1e-9);
    compared(&case.name, &case.json, (key, tolerance), protocol)
}

fn compared(
    case_name: &str,
    case: &Value,
    (key, tolerance): (&str, f64),
    protocol: Protocol,
) -> Vec<String> {
    let evaluator = Evaluator {
        matching: Matching {
            protocol,
            ..Matching::default()
        },
        ..Evaluator::default()
    };
    let pages = case["gt"].as_array().unwrap();
    let pages: Vec<PageResult> = pages
        .iter()
        .enumerate()
        .map(|(index, page)| {
            let page = Page::read(page.as_object().unwrap());
            // Image names hold dots.
            let markdown = case["pred"][&page.image].as_str().unwrap();
            evaluator.page(index, &page, markdown)
        })
        .collect();
    let expected = &case[key];
    let mut problems: Vec<String> = Section::ALL
        .iter()
        .flat_map(|section| {
            let name = section.name();
            let found: Value = records(&pages, *section, protocol)
                .map(|record| serde_json::from_slice::<Value>(record).unwrap())
                .collect();
            // The official tool writes "" or [""] for nothing; so may a case.
            let place = format!("{case_name} {key} {name}");
            difference(&found, &plain(&expected[name]), tolerance, &place)
        })
        .collect();
    // A case with some of the pages only has no averages.
    if let Some(averages) = expected.get("metric_result") {
        let summary = evaluator.summary(&pages);
        let place = format!("{case_name} {key}");
        problems.extend(difference(&summary, averages, tolerance, &place));
    }
    problems
}

/// Records with `""` for an emptied list of predicted pieces written as `[""]`.
fn plain(records: &Value) -> Value {
    let mut records = records.clone();
    for record in records.as_array_mut().into_iter().flatten() {
        if record["pred_idx"] == "" {
            record["pred_idx"] = serde_json::json!([""]);
        }
    }
    records
}

fn end_to_end(kind: &str) {
    let all = cases(SLUG, kind, committed());
    let problems: Vec<String> = all
        .iter()
        .flat_map(|case| {
            let mut problems = evaluated(case, "expected_v1_5", Protocol::V1_5);
            problems.extend(evaluated(case, "expected_v1_0", Protocol::V1_0));
            problems
        })
        .collect();
    settle(kind, all.len(), &problems);
}

/// Numbers of the public code of v1.6, without CDM: of the committed pages, and of all that are given.
#[test]
fn e2e_v1_6() {
    let given = cases(SLUG, "e2e_v1_6", committed());
    let mut problems: Vec<String> = given
        .iter()
        .flat_map(|case| evaluated(case, "expected_v1_6", Protocol::V1_6))
        .collect();
    let path = committed().join(SLUG).join("e2e_v1_6.json");
    let ours: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let key = ("expected_v1_6", 1e-9);
    problems.extend(compared("committed", &ours, key, Protocol::V1_6));
    settle("e2e_v1_6", given.len() + 1, &problems);
}

#[test]
fn e2e_synthetic() {
    end_to_end("e2e_synthetic");
}

#[test]
fn e2e_demo() {
    end_to_end("e2e_demo");
}

#[test]
fn modules_demo() {
    let all = cases(SLUG, "modules_demo", committed());
    let mut problems = Vec::new();
    for case in &all {
        let tolerance = case.tolerance("scores", 1e-9);
        for (module, input, name) in [
            (Module::Text, "text_ocr", "ocr"),
            (Module::Table, "table", "table_recognition"),
            (Module::Formula, "formula", "formula_recognition"),
        ] {
            let pages = case.json["inputs"][input].as_array().unwrap();
            let objects: Vec<&Map<String, Value>> =
                pages.iter().map(|page| page.as_object().unwrap()).collect();
            let config = module.defaults();
            let found = single(&objects, &config).summary;
            let place = format!("{} {name}", case.name);
            problems.extend(difference(
                &found,
                &case.json["expected"][name],
                tolerance,
                &place,
            ));
        }
        problems.extend(markdown(case, tolerance));
    }
    settle("modules_demo", all.len(), &problems);
}

/// Markdown against markdown: predictions and pages are those of `e2e_demo`.
fn markdown(case: &Case, tolerance: f64) -> Vec<String> {
    let demo = cases(SLUG, "e2e_demo", committed());
    let Some(demo) = demo.first() else {
        println!("{SLUG}/modules_demo: markdown skipped: no pages");
        return Vec::new();
    };
    let evaluator = Evaluator::default();
    let pages = demo.json["gt"].as_array().unwrap().iter().enumerate();
    let pages: Vec<PageResult> = pages
        .filter_map(|(index, page)| {
            let page = Page::read(page.as_object().unwrap());
            let name = page.image.strip_suffix(".jpg").unwrap();
            let gt = case.json["md2md_ground_truth"][format!("{name}.md")].as_str()?;
            let pred = demo.json["pred"][&page.image].as_str().unwrap();
            Some(evaluator.markdown(index, &page, gt, pred))
        })
        .collect();
    let found = evaluator.summary(&pages);
    let expected = &case.json["expected"]["md2md"];
    difference(&found, expected, tolerance, "md2md")
        .into_iter()
        .collect()
}

#[test]
fn table_norm() {
    let (mut ran, mut problems) = (0, Vec::new());
    for case in cases(SLUG, "table_norm", committed()) {
        for (number, one) in inner(&case).iter().enumerate() {
            ran += 1;
            let found = html_table(one["in"].as_str().unwrap(), Protocol::V1_5);
            let place = format!("{} {number}", case.name);
            problems.extend(difference(&found.into(), &one["out"], 0.0, &place));
        }
    }
    settle("table_norm", ran, &problems);
}
