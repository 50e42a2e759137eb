//! Parity of the metrics of OmniDocBench with the official evaluator.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::time::{Duration, Instant};

use base::fixtures::{self, Case};
use judge::omnidocbench::metrics::bleu::{bleu, tokens};
use judge::omnidocbench::metrics::detection::{self, Detection, Found, Layout, Page, Truth};
use judge::omnidocbench::metrics::html::{HtmlParser, Tree, parse};
use judge::omnidocbench::metrics::meteor::{meteor, word_tokens};
use judge::omnidocbench::metrics::teds::{self, Teds, TedsError};
use serde_json::{Value, json};

const PARSER: HtmlParser = HtmlParser::Libxml2_2_14;
const SLUG: &str = "omnidocbench";

/// Runs `check` on each case within each file of `kind`, with the file's tolerance.
fn each(kind: &str, check: impl Fn(&Value, f64, &str)) {
    let files = fixtures::cases(SLUG, kind, &committed());
    let mut ran = 0;
    for file in &files {
        let tolerance = file.tolerance("default", 1e-9);
        for (index, case) in file
            .get("cases")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .enumerate()
        {
            check(case, tolerance, &format!("{} {index}", file.name));
            ran += 1;
        }
    }
    fixtures::report(SLUG, kind, ran);
}

fn committed() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn texts<'a>(case: &'a Value, key: &str) -> Vec<&'a str> {
    let items = case[key].as_array().unwrap_or_else(|| panic!("no `{key}`"));
    items.iter().map(|item| item.as_str().unwrap()).collect()
}

/// A number; an absent one, null or -1 means that there was nothing to score.
fn number(value: &Value) -> Option<f64> {
    value.as_f64().filter(|&number| number != -1.0)
}

fn close(found: Option<f64>, expected: Option<f64>, tolerance: f64, what: &str) {
    match (found, expected) {
        (Some(found), Some(expected)) if (found - expected).abs() <= tolerance => {}
        (None, None) => {}
        _ => panic!("{what}: {found:?} instead of {expected:?}"),
    }
}

#[test]
fn tables_are_as_similar() {
    each("teds", |case, tolerance, name| {
        let text = |key: &str| case[key].as_str().unwrap();
        let found = teds::compare(text("norm_pred"), text("norm_gt"), PARSER).unwrap_or_default();
        close(Some(found.full), number(&case["TEDS"]), tolerance, name);
        close(
            Some(found.structure),
            number(&case["TEDS_structure_only"]),
            tolerance,
            name,
        );
    });
}

#[test]
fn texts_are_as_alike() {
    each("bleu_meteor", |case, tolerance, name| {
        let (predictions, references) = (texts(case, "predictions"), texts(case, "references"));
        let split = |split: fn(&str) -> Vec<String>| -> Value {
            json!(
                predictions
                    .iter()
                    .map(|text| split(text))
                    .collect::<Vec<_>>()
            )
        };
        for (key, found) in [
            ("pred_tokens", split(tokens)),
            ("meteor_tokens", split(word_tokens)),
        ] {
            if !case[key].is_null() {
                assert_eq!(found, case[key], "{name} {key}");
            }
        }
        let found = bleu(&predictions, &references);
        close(
            found.map(|found| found.bleu),
            number(&case["bleu"]),
            tolerance,
            name,
        );
        if let (Some(found), Some(expected)) = (found, case["precisions"].as_array()) {
            for (found, expected) in found.precisions.iter().zip(expected) {
                close(Some(*found), number(expected), tolerance, name);
            }
            close(
                Some(found.brevity_penalty),
                number(&case["brevity_penalty"]),
                tolerance,
                name,
            );
        }
        close(
            meteor(&predictions, &references),
            number(&case["meteor"]),
            tolerance,
            name,
        );
    });
}

fn same_detection(
    found: &Detection,
    classes: &[String],
    expected: &Value,
    tolerance: f64,
    name: &str,
) {
    for (key, value) in found.named(classes) {
        close(
            value,
            number(&expected[&key]),
            tolerance,
            &format!("{name} {key}"),
        );
    }
}

#[test]
fn boxes_are_found_as_precisely() {
    each("coco_det", |case, tolerance, name| {
        let classes: Vec<String> = texts(case, "classes")
            .into_iter()
            .map(str::to_owned)
            .collect();
        let corners = |item: &Value| serde_json::from_value(item["bbox"].clone()).unwrap();
        let label = |item: &Value| item["label"].as_u64().unwrap() as usize;
        let list = |value: &Value| value.as_array().unwrap().clone();
        let pages: Vec<Page> = list(&case["gt"])
            .iter()
            .zip(&list(&case["pred"]))
            .map(|(truth, found)| Page {
                truth: list(truth)
                    .iter()
                    .map(|item| Truth {
                        corners: corners(item),
                        label: label(item),
                    })
                    .collect(),
                found: list(found)
                    .iter()
                    .map(|item| Found {
                        corners: corners(item),
                        label: label(item),
                        score: item["score"].as_f64().unwrap(),
                    })
                    .collect(),
            })
            .collect();
        same_detection(
            &detection::evaluate(classes.len(), &pages),
            &classes,
            &case["out"],
            tolerance,
            name,
        );
    });
}

#[test]
fn layouts_are_found_as_precisely() {
    let truths = fixtures::cases(SLUG, "e2e_demo", &committed());
    let runs: Vec<Case> = fixtures::cases(SLUG, "modules_demo", &committed())
        .into_iter()
        .filter(|run| run.get("layout_config").is_some())
        .collect();
    let mut ran = 0;
    for (run, truth) in runs.iter().zip(&truths) {
        let layout: Layout = serde_json::from_value(run.json["layout_config"].clone()).unwrap();
        let prediction = &run.json["inputs"]["detection_prediction"];
        let read = detection::read(&truth.json["gt"], prediction, &layout, &[]).unwrap();
        assert!(read.skipped.is_empty() && read.missing.is_empty());
        let classes = layout.classes();
        let found = detection::evaluate(classes.len(), &read.pages);
        let expected = &run.json["expected"]["layout_detection"];
        same_detection(
            &found,
            &classes,
            expected,
            run.tolerance("default", 1e-9),
            &run.name,
        );
        ran += 1;
    }
    fixtures::report(SLUG, "modules_demo (layout)", ran);
}

fn document(table: &str) -> String {
    format!("<html><body><table border=\"1\" >{table}</table></body></html>")
}

#[test]
fn what_cannot_be_compared_scores_nothing_and_says_why() {
    let good = document("<tr><td>1</td></tr>");
    let error = |text: &str| teds::compare(text, &good, PARSER).unwrap_err().to_string();
    assert_eq!(error(""), "the prediction is empty");
    assert!(error("<table><tr><td>1</td></tr></table>").starts_with("the prediction has no table"));
    let odd = document("<tr><td colspan=\"two\">1</td></tr>");
    assert_eq!(
        error(&odd),
        "a cell of the prediction has `colspan=\"two\"`, which is not a whole number"
    );
    assert_eq!(
        teds::compare(&document(""), &document(""), PARSER),
        Err(TedsError::BothEmpty)
    );
    assert_eq!(teds::teds("", &good), 0.0);
    assert_eq!(
        teds::compare(&good, &good, PARSER),
        Ok(Teds {
            full: 1.0,
            structure: 1.0
        })
    );
}

#[test]
fn hostile_tables_take_bounded_time() {
    let rows = |count: usize| document(&"<tr><td>x</td></tr>".repeat(count));
    let hostile = [
        document(&"<table><tr><td>".repeat(10_000)),
        document(&"<b>".repeat(10_000)),
        document(&"<tr>".repeat(100_000)),
        format!("<html><body><table><tr><td>{}", "x".repeat(10_000_000)),
        format!("<html><body><table><tr><td {}>", "a=1 b ".repeat(500_000)),
        document(&"&amp".repeat(1_000_000)),
        format!("<html>{}", "</td>".repeat(1_000_000)),
        document(&"<!--".repeat(1_000_000)),
        document(&"<".repeat(3_000_000)),
        rows(200_000),
    ];
    let good = document("<tr><td>1</td></tr>");
    let other = rows(150_000);
    for text in &hostile {
        let start = Instant::now();
        for (a, b) in [(text, &good), (&good, text), (text, &other)] {
            let found = teds::compare(a, b, PARSER).unwrap_or_default();
            assert!(found.full <= 1.0 && found.structure <= 1.0);
        }
        let took = start.elapsed();
        println!(
            "{took:?} for {}…",
            text.chars().take(60).collect::<String>()
        );
        assert!(took < Duration::from_secs(120), "{took:?}");
    }
}

#[test]
fn unusable_boxes_are_skipped_with_a_warning() {
    let layout: Layout = serde_json::from_value(json!({
        "eval_cat": {"block_level": ["text"]},
        "gt_cat_mapping": {"text_block": "text"},
        "pred_cat_mapping": {"plain text": "text"},
    }))
    .unwrap();
    let page = |name: &str, poly: Value| {
        json!({"page_info": {"image_path": format!("images/{name}.jpg")},
            "layout_dets": [{"category_type": "text_block", "poly": poly}]})
    };
    let truth = json!([
        page("a", json!([0, 0, 10, 0, 10, 10])),
        page("b", json!([0, 0, 10])),
        page("c", json!([0, 0, 9, 9]))
    ]);
    let prediction = json!({"categories": {"0": "plain text"}, "results": [
        {"image_name": "a", "bbox": [0, 0, 10, 10], "category_id": 0, "score": 0.5},
        {"image_name": "a", "bbox": [0, 0, 10, 10], "category_id": 0, "score": null},
        {"image_name": "b", "bbox": [0, "x", 10, 10], "category_id": 0, "score": 1},
        {"image_name": "nowhere", "bbox": [0, 0, 1, 1], "category_id": 0, "score": 1},
    ]});
    let read = detection::read(&truth, &prediction, &layout, &[]).unwrap();
    assert_eq!(read.skipped.len(), 3, "{:?}", read.skipped);
    assert_eq!(read.missing, ["c"]);
    let found = detection::evaluate(1, &read.pages);
    // One of two boxes is found: precision 1 up to a recall of one half, 51 of 101 places.
    close(found.mean, Some(51.0 / 101.0), 1e-12, "mean");
    assert_eq!(
        (found.medium, detection::evaluate(1, &[]).mean),
        (None, None)
    );
    assert!(detection::read(&json!({}), &prediction, &layout, &[]).is_err());
    assert!(detection::read(&truth, &json!({"results": 1}), &layout, &[]).is_err());
}

#[test]
fn long_texts_take_bounded_time() {
    let long = "word ".repeat(200_000);
    let other = "other. ".repeat(200_000);
    let start = Instant::now();
    for (a, b) in [
        (&long, &other),
        (&long, &long),
        (&"(".repeat(1_000_000), &"...".repeat(300_000)),
    ] {
        assert!(
            meteor(&[a.as_str()], &[b.as_str()]).is_some_and(|score| (0.0..=1.0).contains(&score))
        );
        assert!(
            bleu(&[a.as_str()], &[b.as_str()])
                .is_some_and(|found| (0.0..=1.0).contains(&found.bleu))
        );
    }
    assert!(
        start.elapsed() < Duration::from_secs(60),
        "{:?}",
        start.elapsed()
    );
}

/// A tree as lxml's is recorded: tag, attributes, text, children, tail.
fn written(tree: &Tree, index: usize) -> Value {
    let element = tree.get(index).unwrap();
    let attributes: Vec<[&String; 2]> = element.attributes.iter().map(|(k, v)| [k, v]).collect();
    let children = element.children.iter().map(|&child| written(tree, child));
    let children: Vec<Value> = children.collect();
    json!([
        element.name,
        attributes,
        element.text,
        children,
        element.tail
    ])
}

/// Tables that lxml found on top of libxml2 2.9 and 2.14: of the committed documents, and of all that are given.
#[test]
fn html_trees() {
    let path = committed().join(SLUG).join("html_trees.json");
    let ours: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let given = fixtures::cases(SLUG, "html_trees", &committed());
    let (mut ran, mut problems) = (0, Vec::new());
    for case in given.iter().map(|case| &case.json).chain([&ours]) {
        let parsers = [HtmlParser::Libxml2_2_14, HtmlParser::Libxml2_2_9];
        let parser = parsers.into_iter().find(|p| p.name() == case["parser"]);
        for one in case["cases"].as_array().unwrap() {
            ran += 1;
            let text = one["in"].as_str().unwrap();
            let tree = parse(text, parser.unwrap());
            let bodies = tree.children_named(tree.roots[0], "body");
            let mut tables = bodies.flat_map(|body| tree.children_named(body, "table"));
            let mut found = tables
                .next()
                .map_or(Value::Null, |table| written(&tree, table));
            if let Some(tail) = found.get_mut(4) {
                *tail = json!("");
            }
            if found != one["table"] {
                let expected = &one["table"];
                problems.push(format!("{text:?}\n  found {found}\n  expected {expected}"));
            }
        }
    }
    fixtures::report(SLUG, "html_trees", ran);
    assert!(
        problems.is_empty(),
        "{} of {ran} differ:\n{}",
        problems.len(),
        problems.join("\n")
    );
}
