//! Parity of OmniDocBench's extraction and normalisation with the official evaluator.

use std::path::Path;

use base::fixtures::{Case, cases, report};
use judge::omnidocbench::extract::{extract, markdown_tables_to_html};
use judge::omnidocbench::normalize::{clean, formula, latex_to_text, text_to_unicode};
use judge::omnidocbench::{Element, Protocol};
use serde_json::{Map, Value, json};

const SLUG: &str = "omnidocbench";

fn files(kind: &str) -> Vec<Case> {
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    cases(SLUG, kind, &committed)
}

/// Runs `check` on every entry of every file of a kind.
fn each(kind: &str, check: impl Fn(&Value)) {
    let mut ran = 0;
    for file in files(kind) {
        for entry in file.json["cases"].as_array().into_iter().flatten() {
            check(entry);
            ran += 1;
        }
    }
    report(SLUG, kind, ran);
}

fn text<'a>(entry: &'a Value, field: &str) -> &'a str {
    entry[field].as_str().unwrap_or_default()
}

#[test]
fn texts_are_normalised() {
    each("text_norm", |entry| {
        let unicode = text_to_unicode(text(entry, "in"), Protocol::V1_5);
        assert_eq!(unicode, text(entry, "unicode"), "{entry}");
        assert_eq!(
            clean(&unicode, Protocol::V1_5),
            text(entry, "clean"),
            "{entry}"
        );
        assert_eq!(
            clean(text(entry, "in"), Protocol::V1_5),
            text(entry, "clean_only"),
            "{entry}"
        );
    });
}

#[test]
fn formulas_are_normalised() {
    each("formula_norm", |entry| {
        let normal = formula(text(entry, "in"), Protocol::V1_5);
        assert_eq!(normal, text(entry, "out"), "{entry}");
    });
}

#[test]
fn latex_becomes_text() {
    each("latex2text", |entry| {
        let got = latex_to_text(text(entry, "in")).ok();
        assert_eq!(got.as_deref(), entry["out"].as_str(), "{entry}");
    });
}

/// `\today` and `\maketitle` are left out: the recorded texts hold the day of the recording and the fields of the calls before.
#[test]
fn every_known_macro_becomes_text() {
    let mut ran = 0;
    for file in files("latex2text_macros") {
        for (call, wanted) in file.json["macros"].as_object().into_iter().flatten() {
            if call.starts_with("\\today") || call.starts_with("\\maketitle") {
                continue;
            }
            assert_eq!(
                latex_to_text(call).ok().as_deref(),
                wanted.as_str(),
                "{call}"
            );
            ran += 1;
        }
    }
    report(SLUG, "latex2text_macros", ran);
}

#[test]
fn pipe_tables_become_html() {
    each("md_table", |entry| {
        let html = markdown_tables_to_html(text(entry, "in"));
        assert_eq!(html, text(entry, "out"), "{entry}");
    });
}

fn grouped(elements: &[Element]) -> Value {
    let mut groups = Map::new();
    for element in elements {
        let name = element.kind.name();
        let mut fields = json!({
            "category_type": name,
            "position": element.position,
            "content": element.content,
        });
        if let Some(fine) = element.fine {
            fields["fine_category_type"] = fine.name().into();
        }
        if let Some(language) = &element.language {
            fields["language"] = language.as_str().into();
        }
        if let Some(list) = groups
            .entry(name)
            .or_insert_with(|| json!([]))
            .as_array_mut()
        {
            list.push(fields);
        }
    }
    Value::Object(groups)
}

#[test]
fn pages_are_taken_apart() {
    each("md_extract", |entry| {
        let elements = extract(text(entry, "in"), Protocol::V1_5);
        assert_eq!(grouped(&elements), entry["out"], "{}", entry["in"]);
    });
}
