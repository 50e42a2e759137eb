//! OmniDocBench against recorded numbers: every case of every kind that is there.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use engine::fixtures::{Case, cases, report};
use judge::omnidocbench::matching::{Lines, Matching, Method};
use judge::omnidocbench::page::Block;
use serde_json::Value;

const SLUG: &str = "omnidocbench";

fn committed() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures"))
}

/// What differs between two JSON values, numbers by more than `tolerance`; the first difference, by its place.
fn difference(found: &Value, expected: &Value, tolerance: f64, at: &str) -> Option<String> {
    let told = || Some(format!("{at}: found {found}, expected {expected}"));
    match (found, expected) {
        (Value::Number(a), Value::Number(b)) => {
            let apart = (a.as_f64()? - b.as_f64()?).abs();
            if apart <= tolerance { None } else { told() }
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
        _ => told(),
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
