//! The verbs of `orrery omnidocbench`, and what they make of bad input.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::Path;

use common::{folder, names, orrery};
use serde_json::{Value, json};

fn page(image: &str, text: &str) -> Value {
    json!({
        "layout_dets": [
            {"category_type": "title", "order": 1, "anno_id": 1, "text": "A title", "poly": [0, 0, 1]},
            {"category_type": "text_block", "order": 2, "anno_id": 2, "text": text,
             "attribute": {"text_language": "text_english"}},
        ],
        "extra": {"relation": []},
        "page_info": {"image_path": image, "page_attribute": {"language": "english"}},
    })
}

/// Two pages and their predictions in `at`: the second differs in one of eleven characters.
fn two_pages(at: &Path) {
    let pages = json!([page("a.jpg", "Hello world"), page("b.jpg", "Hello world")]);
    fs::write(at.join("gt.json"), pages.to_string()).unwrap();
    fs::create_dir(at.join("md")).unwrap();
    fs::write(at.join("md/a.md"), "# A title\n\nHello world\n").unwrap();
    fs::write(at.join("md/b.md"), "# A title\r\n\r\nHello wurld\r\n").unwrap();
}

const EVAL: [&str; 6] = ["omnidocbench", "eval", "--gt", "gt.json", "--pred", "md"];

fn eval<'a>(more: &[&'a str]) -> Vec<&'a str> {
    EVAL.iter().copied().chain(more.iter().copied()).collect()
}

fn result(at: &Path, more: &[&str]) -> Value {
    let mut args = eval(more);
    args.push("--json");
    serde_json::from_str(&orrery(at, &args).worked().out).unwrap()
}

fn text_edit(result: &Value) -> f64 {
    let all = &result["result"]["text_block"]["all"]["Edit_dist"];
    all["ALL_page_avg"].as_f64().unwrap()
}

#[test]
fn pages_are_scored_and_files_have_the_official_names() {
    let folder = folder();
    let at = folder.path();
    two_pages(at);
    let found = result(at, &["--out", "result"]);
    // One edit of 16 characters ("Atitle" and "Helloworld") on one of two pages.
    assert!(
        (text_edit(&found) - 1.0 / 16.0 / 2.0).abs() < 1e-12,
        "{found}"
    );
    assert_eq!(found["run"]["predicted"], 2);
    assert_eq!(
        names(&at.join("result")),
        [
            "md_quick_match_display_formula_result.json",
            "md_quick_match_metric_result.json",
            "md_quick_match_reading_order_result.json",
            "md_quick_match_run.json",
            "md_quick_match_table_result.json",
            "md_quick_match_text_block_result.json",
        ]
    );
    let board = [
        "omnidocbench",
        "leaderboard",
        "result/md_quick_match_metric_result.json",
    ];
    let board = orrery(at, &board).worked().out;
    assert!(board.contains("| md_quick_match |  | 0.031 |"), "{board}");
    let pairs = "result/md_quick_match_text_block_result.json";
    orrery(at, &["omnidocbench", "show", pairs, "--out", "p.html"]).worked();
    let html = fs::read_to_string(at.join("p.html")).unwrap();
    assert!(html.contains("<del>o</del>") && html.contains("<ins>u</ins>"));
}

#[test]
fn shards_put_together_are_the_whole() {
    let folder = folder();
    let at = folder.path();
    two_pages(at);
    let whole = result(at, &[]);
    for shard in ["0/2", "1/2"] {
        orrery(at, &eval(&["--out", "parts", "--shard", shard])).worked();
    }
    let merge = [
        "omnidocbench",
        "merge",
        "parts/md_quick_match.0-of-2.jsonl",
        "parts/md_quick_match.1-of-2.jsonl",
        "--out",
        "parts",
        "--json",
    ];
    let merged: Value = serde_json::from_str(&orrery(at, &merge).worked().out).unwrap();
    assert_eq!(merged["result"], whole["result"]);
    assert!(
        orrery(at, &eval(&["--out", "x", "--shard", "2/2"]))
            .refused(2)
            .contains("I/N")
    );
    fs::write(at.join("no.jsonl"), "{}\n").unwrap();
    let no = ["omnidocbench", "merge", "no.jsonl", "--out", "y"];
    assert!(orrery(at, &no).refused(2).contains("not a run log"));
}

#[test]
fn a_run_goes_on_where_it_was_cut_off() {
    let folder = folder();
    let at = folder.path();
    two_pages(at);
    let whole = result(at, &[]);
    orrery(at, &eval(&["--out", "r", "--shard", "0/1"])).worked();
    let path = at.join("r/md_quick_match.0-of-1.jsonl");
    let journal = fs::read_to_string(&path).unwrap();
    fs::write(&path, &journal[..journal.len() - 40]).unwrap();
    orrery(at, &eval(&["--out", "r", "--shard", "0/1", "--resume"])).worked();
    assert_eq!(fs::read_to_string(&path).unwrap(), journal);
    let other = eval(&[
        "--out",
        "r",
        "--shard",
        "0/1",
        "--resume",
        "--protocol",
        "v1.0",
    ]);
    assert!(orrery(at, &other).refused(2).contains("other settings"));
    assert_eq!(result(at, &["--out", "r"])["result"], whole["result"]);
}

#[test]
fn pages_without_predictions_are_told_and_can_count() {
    let folder = folder();
    let at = folder.path();
    two_pages(at);
    fs::remove_file(at.join("md/b.md")).unwrap();
    let ran = orrery(at, &eval(&[])).worked();
    assert!(
        ran.out.contains("1 of 2 pages predicted (50.0 %)"),
        "{}",
        ran.out
    );
    let skipped = result(at, &[]);
    assert_eq!(text_edit(&skipped), 0.0);
    assert_eq!(skipped["run"]["missing"], json!(["b.jpg"]));
    assert_eq!(text_edit(&result(at, &["--missing", "zero"])), 0.5);
}

#[test]
fn odd_pages_are_scored_with_a_warning() {
    let folder = folder();
    let at = folder.path();
    two_pages(at);
    // A byte order mark, pages of one name, text that is not UTF-8, fields of the wrong type.
    let odd = json!([
        page("a.jpg", "x"),
        page("a.jpg", "x"),
        page("b.jpg", "Hello world"),
        {}
    ]);
    fs::write(at.join("gt.json"), format!("\u{feff}{odd}")).unwrap();
    fs::write(at.join("md/b.md"), b"Hello w\xf6rld").unwrap();
    let ran = orrery(at, &eval(&[])).worked();
    assert!(
        ran.err.contains("2 pages are called `a.jpg`"),
        "{}",
        ran.err
    );
    assert!(ran.err.contains("is not UTF-8"), "{}", ran.err);
}

#[test]
fn each_mistake_is_one_line() {
    let folder = folder();
    let at = folder.path();
    two_pages(at);
    let said = |args: &[&str], words: &str| {
        let line = orrery(at, args).refused(2);
        assert!(line.contains(words), "{line}");
    };
    let gt = |file: &'static str| ["omnidocbench", "eval", "--gt", file, "--pred", "md"];
    fs::write(at.join("half.json"), r#"[{"layout_dets": [{"#).unwrap();
    fs::write(
        at.join("nan.json"),
        r#"[{"layout_dets": [{"score": NaN}]}]"#,
    )
    .unwrap();
    fs::write(at.join("deep.json"), "[".repeat(100_000)).unwrap();
    fs::write(at.join("none.json"), "[]").unwrap();
    fs::write(at.join("bad.yaml"), "end2end_eval: {dataset: {").unwrap();
    fs::write(at.join("file"), "").unwrap();
    said(&gt("half.json"), "is not a whole JSON list of pages");
    said(&gt("nan.json"), "is not a whole JSON list of pages");
    said(&gt("deep.json"), "is not a whole JSON list of pages");
    said(&gt("none.json"), "none of the 0 pages");
    said(&gt("absent.json"), "cannot read `absent.json`");
    let no_folder = [
        "omnidocbench",
        "eval",
        "--gt",
        "gt.json",
        "--pred",
        "absent",
    ];
    said(&no_folder, "`absent` is not a directory");
    said(&eval(&["--out", "file/below"]), "choose another place");
    said(&eval(&["--out", "/dev/null"]), "choose another place");
    // A file of another kind under the run log's name stays as it is.
    let log = at.join("r/md_quick_match.jsonl");
    fs::create_dir(at.join("r")).unwrap();
    for (text, more) in [
        ("notes", None),
        ("{\"a\": 1}\n", None),
        ("{\"a\": 1}\n", Some("--resume")),
    ] {
        fs::write(&log, text).unwrap();
        let args = [&["--out", "r"][..], more.as_slice()].concat();
        said(
            &eval(&args),
            "`r/md_quick_match.jsonl` is not a run log: choose another `--out`",
        );
        assert_eq!(fs::read_to_string(&log).unwrap(), text);
    }
    said(&eval(&["--filter", "language"]), "attribute=value");
    said(
        &eval(&["--filter", "language=klingon"]),
        "none of the 2 pages",
    );
    said(&eval(&["--metrics", "ROUGE"]), "Edit_dist");
    said(
        &["omnidocbench", "eval", "--config", "bad.yaml"],
        "is not YAML",
    );
    said(&["omnidocbench", "ocr", "--gt", "gt.json"], "no block");
    said(
        &["omnidocbench", "match", "--gt", "gt.json", "file"],
        "has no page",
    );
    said(
        &["omnidocbench", "cdm", "--gt", "}", "--pred", "x"],
        "true formula",
    );
    said(
        &["omnidocbench", "leaderboard", "gt.json"],
        "holds no scores",
    );
}

#[test]
fn long_and_deep_pages_end() {
    let folder = folder();
    let at = folder.path();
    two_pages(at);
    fs::write(at.join("md/a.md"), "Hello world ".repeat(900_000)).unwrap();
    fs::write(at.join("md/b.md"), "<table><tr><td>".repeat(10_000)).unwrap();
    let found = result(at, &[]);
    assert!(text_edit(&found) > 0.0);
}

#[test]
fn latex_tables_are_scored_where_that_is_asked_for() {
    let folder = folder();
    let at = folder.path();
    let html =
        "<table><tr><td rowspan=\"2\">a</td><td>b &amp; c</td></tr><tr><td>5 %</td></tr></table>";
    let mut gt = page("a.jpg", "Hello world");
    gt["layout_dets"].as_array_mut().unwrap().push(json!({
        "category_type": "table", "order": 3, "anno_id": 3, "html": html, "latex": "annotated",
    }));
    fs::write(at.join("gt.json"), json!([gt]).to_string()).unwrap();
    fs::create_dir(at.join("md")).unwrap();
    let table = "\\begin{tabular}{ll}\n\\hline\n\\multirow{2}{*}{a} & \\textbf{b \\& c} \\\\ \\cline{2-2}\n & 5 \\% \\\\ \\hline\n\\end{tabular}";
    fs::write(
        at.join("md/a.md"),
        format!("# A title\n\nHello world\n\n{table}\n"),
    )
    .unwrap();
    let teds = |found: &Value| found["result"]["table"]["all"]["TEDS"]["all"].as_f64();
    let official = result(at, &[]);
    assert_eq!(teds(&official), Some(0.0), "{official}");
    let converted = result(at, &["--latex-tables", "convert"]);
    assert_eq!(teds(&converted), Some(1.0), "{converted}");
    assert_eq!(converted["run"]["latex_tables"], "convert");
}

#[test]
fn a_renderer_that_is_not_installed_is_named() {
    let folder = folder();
    let at = folder.path();
    let bare = orrery(at, &["omnidocbench", "cdm", "--gt", "x", "--pred", "x"])
        .worked()
        .out;
    assert!(bare.starts_with("F1 1.000"), "{bare}");
    let mut command = common::command(
        at,
        &[
            "omnidocbench",
            "cdm",
            "--gt",
            "x",
            "--pred",
            "x",
            "--renderer",
            "xelatex",
        ],
    );
    let found = common::Ran::from(command.env("PATH", "").output().unwrap());
    assert!(found.refused(2).contains("`xelatex` is not on the PATH"));
}

#[test]
fn a_folder_of_other_predictions_is_refused() {
    let folder = folder();
    let at = folder.path();
    two_pages(at);
    fs::create_dir(at.join("other")).unwrap();
    fs::write(at.join("other/c.md"), "Hello").unwrap();
    let args = ["omnidocbench", "eval", "--gt", "gt.json", "--pred", "other"];
    let line = orrery(at, &args).refused(2);
    assert!(
        line.contains("belongs to any of the 2 pages") && line.contains("`a.md`"),
        "{line}"
    );
}

#[test]
fn results_of_other_rules_are_told_apart() {
    let folder = folder();
    let at = folder.path();
    two_pages(at);
    orrery(at, &eval(&["--out", "p", "--shard", "0/2"])).worked();
    orrery(
        at,
        &eval(&["--out", "q", "--shard", "1/2", "--protocol", "v1.0"]),
    )
    .worked();
    let merge = [
        "omnidocbench",
        "merge",
        "p/md_quick_match.0-of-2.jsonl",
        "q/md_quick_match.1-of-2.jsonl",
        "--out",
        "all",
    ];
    let line = orrery(at, &merge).refused(2);
    assert!(
        line.contains("protocol v1.5 against v1.0") && !line.contains("--resume"),
        "{line}"
    );
    for (name, protocol) in [("a", "v1.5"), ("b", "v1.0")] {
        orrery(
            at,
            &eval(&["--out", "r", "--name", name, "--protocol", protocol]),
        )
        .worked();
    }
    let board = [
        "omnidocbench",
        "leaderboard",
        "r/a_metric_result.json",
        "r/b_metric_result.json",
    ];
    let ran = orrery(at, &board).worked();
    assert!(
        ran.err.contains("not by the same rules") && ran.err.contains("protocol v1.0"),
        "{}",
        ran.err
    );
    let ran = orrery(at, &board[..3]).worked();
    assert!(ran.err.is_empty(), "{}", ran.err);
}
