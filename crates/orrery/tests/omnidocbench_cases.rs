//! Small inputs on which the official evaluator and this one once differed; the numbers are the official ones.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::Path;

use common::{folder, names, orrery};
use serde_json::{Value, json};

fn page(image: &str, blocks: Value) -> Value {
    json!({
        "layout_dets": blocks,
        "extra": {"relation": []},
        "page_info": {"page_no": 0, "width": 200, "height": 200, "image_path": image,
            "page_attribute": {"language": "english", "data_source": if image == "b.jpg" { "exam_paper" } else { "book" }}},
    })
}

fn text(order: Value, text: &str) -> Value {
    json!({"category_type": "text_block", "order": order, "anno_id": text, "text": text, "attribute": {}})
}

fn table(html: &str) -> Value {
    json!({"category_type": "table", "order": 2, "anno_id": 9, "html": html, "attribute": {}})
}

/// Writes the annotation and one prediction for each of its pages.
fn write(at: &Path, pages: &Value, predictions: &[&str]) {
    fs::write(at.join("gt.json"), pages.to_string()).unwrap();
    fs::create_dir_all(at.join("md")).unwrap();
    for (name, text) in ["a", "b", "c"].iter().zip(predictions) {
        fs::write(at.join(format!("md/{name}.md")), text).unwrap();
    }
}

fn eval(at: &Path, more: &[&str]) -> Value {
    let mut args = vec![
        "omnidocbench",
        "eval",
        "--gt",
        "gt.json",
        "--pred",
        "md",
        "--json",
    ];
    args.extend(more);
    serde_json::from_str(&orrery(at, &args).worked().out).unwrap()
}

/// The edit distance of a section.
fn edit(found: &Value, section: &str) -> f64 {
    let all = &found["result"][section]["all"]["Edit_dist"]["ALL_page_avg"];
    all.as_f64().unwrap_or(f64::NAN)
}

fn close(found: f64, official: f64) {
    assert!(
        (found - official).abs() < 1e-4,
        "{found}, official {official}"
    );
}

/// The table edit distance of a prediction against an annotation.
fn table_edit(html: &str, predicted: &str) -> f64 {
    let folder = folder();
    write(
        folder.path(),
        &json!([page("a.jpg", json!([table(html)]))]),
        &[predicted],
    );
    edit(&eval(folder.path(), &[]), "table")
}

#[test]
fn tables_are_written_as_the_official_library_writes_them() {
    // Attributes in the order of their names.
    close(
        table_edit(
            "<table><tr><td colspan=\"1\" rowspan=\"1\">a</td></tr></table>",
            "<table><tr><td rowspan=\"1\" colspan=\"1\">a</td></tr></table>",
        ),
        0.0,
    );
    // After `<br>` the end of `<br/>` is taken for the first one's.
    close(
        table_edit(
            "<table><tr><td>a<br>b</td><td>c<br>d</td></tr></table>",
            "<table><tr><td>a<br>b</td><td>c<br/>d</td></tr></table>",
        ),
        0.0612,
    );
    // `&lt0.05` names nothing.
    close(
        table_edit(
            "<table><tr><td>p&lt;0.05</td><td>1</td></tr></table>",
            "<table><tr><td>p&lt0.05</td><td>1</td></tr></table>",
        ),
        0.0337,
    );
}

#[test]
fn spans_may_have_digits_of_any_script() {
    let folder = folder();
    let html = |span: &str| format!("<table><tr><td colspan=\"{span}\">a</td></tr></table>");
    let pages = json!([page("a.jpg", json!([table(&html("3"))]))]);
    write(folder.path(), &pages, &[&html("\u{663}")]);
    let found = eval(folder.path(), &[]);
    assert_eq!(
        found["result"]["table"]["all"]["TEDS"]["all"], 1.0,
        "{found}"
    );
}

#[test]
fn a_latex_table_without_an_annotated_one_scores_0_with_a_warning() {
    let folder = folder();
    let at = folder.path();
    let blocks = json!([
        text(json!(1), "hello world"),
        table("<table><tr><td>x</td></tr></table>")
    ]);
    write(
        at,
        &json!([page("a.jpg", blocks)]),
        &["hello world\n\n\\begin{tabular}{c}x\\end{tabular}\n"],
    );
    let ran = orrery(
        at,
        &["omnidocbench", "eval", "--gt", "gt.json", "--pred", "md"],
    )
    .worked();
    assert!(ran.err.contains("have no `latex`"), "{}", ran.err);
    assert!(
        ran.out.contains("TEDS                         0.0000"),
        "{}",
        ran.out
    );
    // The reason of a 0 is on the screen, and which mean is which.
    assert!(
        ran.err.contains("TEDS of 1 record is 0, first on `a.jpg`"),
        "{}",
        ran.err
    );
    assert!(ran.out.contains("TEDS, mean over pages"), "{}", ran.out);
}

#[test]
fn fences_stay_under_the_papers_protocol() {
    let folder = folder();
    let blocks = json!([text(json!(1), "hello world")]);
    let markdown = "hello world\n\n```html\n<table><tr><td>x</td></tr></table>\n```\n";
    write(folder.path(), &json!([page("a.jpg", blocks)]), &[markdown]);
    close(
        edit(&eval(folder.path(), &["--protocol", "v1.0"]), "text_block"),
        0.2857,
    );
    close(edit(&eval(folder.path(), &[]), "text_block"), 0.0);
}

#[test]
fn an_order_may_be_written_as_text() {
    let folder = folder();
    let orders = |orders: [Value; 3]| {
        let [first, second, third] = orders;
        json!([page(
            "a.jpg",
            json!([
                text(third, "gamma"),
                text(first, "alpha"),
                text(second, "beta")
            ])
        )])
    };
    for given in [
        [json!(1), json!(2), json!(10)],
        [json!("1"), json!("2"), json!("10")],
    ] {
        write(folder.path(), &orders(given), &["alpha\n\nbeta\n\ngamma\n"]);
        close(edit(&eval(folder.path(), &[]), "reading_order"), 0.0);
    }
}

/// A configuration like the official ones.
fn config(at: &Path, text: &str) {
    fs::write(at.join("config.yaml"), text).unwrap();
}

#[test]
fn the_official_configurations_run_with_plain_cdm() {
    let folder = folder();
    let at = folder.path();
    let formula = json!({"category_type": "equation_isolated", "order": 1, "anno_id": 1,
        "latex": "$$\nx+y\n$$", "attribute": {}});
    write(
        at,
        &json!([page("a.jpg", json!([formula]))]),
        &["$$x+y$$\n"],
    );
    config(
        at,
        "end2end_eval:\n  metrics:\n    display_formula:\n      metric:\n        - Edit_dist\n        - CDM_plain  # apart\n  \
         dataset:\n    dataset_name: end2end_dataset\n    ground_truth:\n      data_path: ./gt.json\n    prediction:\n      \
         data_path: ./md\n    match_method: quick_match\n",
    );
    orrery(
        at,
        &[
            "omnidocbench",
            "eval",
            "--config",
            "config.yaml",
            "--out",
            "result",
        ],
    )
    .worked();
    let pairs =
        fs::read_to_string(at.join("result/md_quick_match_display_formula_formula.json")).unwrap();
    let pairs: Value = serde_json::from_str(&pairs).unwrap();
    assert_eq!(
        (&pairs[0]["gt"], &pairs[0]["img_id"]),
        (&json!("x+y"), &json!("0")),
        "{pairs}"
    );
    assert_eq!(pairs[0]["img_name"], "a.jpg", "{pairs}");
    let metrics = fs::read_to_string(at.join("result/md_quick_match_metric_result.json")).unwrap();
    let metrics: Value = serde_json::from_str(&metrics).unwrap();
    assert_eq!(
        metrics["display_formula"]["all"].as_object().unwrap().len(),
        1
    );
}

#[test]
fn result_files_of_the_official_tool_may_hold_bare_nan() {
    let folder = folder();
    let result = r#"{"text_block": {"all": {"Edit_dist": {"ALL_page_avg": 0.5}}, "group": {}, "page": {"Edit_dist_var":
        {"a NaN": NaN, "b": -Infinity, "\"NaN": Infinity}, "Edit_dist": {"ALL": 0.5}}}}"#;
    fs::write(folder.path().join("x_metric_result.json"), result).unwrap();
    let board = ["omnidocbench", "leaderboard", "x_metric_result.json"];
    assert!(
        orrery(folder.path(), &board)
            .worked()
            .out
            .contains("| x |  | 0.500 |")
    );
    fs::write(
        folder.path().join("y_metric_result.json"),
        "{\"text_block\": nan}",
    )
    .unwrap();
    let broken = ["omnidocbench", "leaderboard", "y_metric_result.json"];
    assert!(
        orrery(folder.path(), &broken)
            .refused(2)
            .contains("is not whole JSON")
    );
}

#[test]
fn detection_filters_pages_and_takes_the_official_box_of_a_slanted_one() {
    let folder = folder();
    let at = folder.path();
    let title = |poly: [i32; 8]| json!([{"category_type": "title", "poly": poly, "order": 1, "anno_id": 0}]);
    let level = [10, 10, 110, 10, 110, 60, 10, 60];
    let slanted = [10, 20, 110, 10, 110, 60, 10, 70];
    let layout = |filter: &str| {
        config(
            at,
            &format!(
                "detection_eval:\n  metrics: [COCODet]\n  dataset:\n    dataset_name: detection_dataset_simple_format\n    \
                 ground_truth: {{data_path: gt.json}}\n    prediction: {{data_path: boxes.json}}\n{filter}  categories:\n    \
                 eval_cat: {{block_level: [title]}}\n    gt_cat_mapping: {{title: title}}\n    pred_cat_mapping: {{title: title}}\n"
            ),
        );
        let run = [
            "omnidocbench",
            "layout",
            "--config",
            "config.yaml",
            "--json",
        ];
        let found: Value = serde_json::from_str(&orrery(at, &run).worked().out).unwrap();
        found["result"]["bbox_mAP"].as_f64().unwrap()
    };
    let found = |image: &str, bbox: [i32; 4]| json!({"image_name": image, "bbox": bbox, "category_id": 0, "score": 0.9});
    let boxes = json!({"categories": {"0": "title"},
        "results": [found("a", [150, 150, 190, 190]), found("b", [10, 10, 110, 60])]});
    fs::write(at.join("boxes.json"), boxes.to_string()).unwrap();
    write(
        at,
        &json!([page("a.jpg", title(level)), page("b.jpg", title(level))]),
        &[],
    );
    close(layout("    filter: {data_source: exam_paper}\n"), 1.0);
    close(layout(""), 0.2525);
    let boxes = json!({"categories": {"0": "title"}, "results": [found("a", [10, 20, 110, 60])]});
    fs::write(at.join("boxes.json"), boxes.to_string()).unwrap();
    write(at, &json!([page("a.jpg", title(slanted))]), &[]);
    close(layout(""), 1.0);
}

#[test]
fn shards_that_are_missing_or_not_done_are_reported() {
    let folder = folder();
    let at = folder.path();
    let pages = json!([
        page("a.jpg", json!([text(json!(1), "good page")])),
        page(
            "b.jpg",
            json!([text(json!(1), "bad page that was not read")])
        )
    ]);
    write(at, &pages, &["good page\n", "zzzz\n"]);
    for shard in ["0/2", "1/2"] {
        let run = [
            "omnidocbench",
            "eval",
            "--gt",
            "gt.json",
            "--pred",
            "md",
            "--out",
            "r",
            "--shard",
            shard,
        ];
        orrery(at, &run).worked();
    }
    let (first, second) = (
        "r/md_quick_match.0-of-2.jsonl",
        "r/md_quick_match.1-of-2.jsonl",
    );
    let merge = |files: &[&str], more: &[&str]| {
        let args: Vec<&str> = ["omnidocbench", "merge"]
            .iter()
            .chain(files)
            .chain(&["--out", "m"])
            .chain(more)
            .copied()
            .collect();
        orrery(at, &args)
    };
    let line = merge(&[first], &[]).refused(2);
    assert!(
        line.contains("1 of 2 shards are missing: 1/2") && line.contains("--partial"),
        "{line}"
    );
    assert!(!at.join("m").exists(), "nothing is written");
    let part = merge(&[first], &["--partial"]).worked();
    assert!(
        part.out.contains("incomplete run") && !part.out.contains("100"),
        "{}",
        part.out
    );
    assert!(
        merge(&[first, second], &[])
            .worked()
            .out
            .contains("2 of 2 pages predicted (100.0 %)")
    );
    // A journal cut off, at the end of a line and within one.
    let whole = fs::read_to_string(at.join(second)).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    for cut in [
        format!("{}\n{}\n", lines[0], lines[1]),
        whole[..whole.len() - 30].to_owned(),
        format!("{}\n", lines[0]),
    ] {
        fs::write(at.join(second), cut).unwrap();
        let line = merge(&[first, second], &[]).refused(2);
        assert!(line.contains("was not done"), "{line}");
    }
    let resume = [
        "omnidocbench",
        "eval",
        "--gt",
        "gt.json",
        "--pred",
        "md",
        "--out",
        "r",
        "--shard",
        "1/2",
        "--resume",
    ];
    orrery(at, &resume).worked();
    assert_eq!(fs::read_to_string(at.join(second)).unwrap(), whole);
}

#[test]
fn files_of_single_modules_have_the_official_names() {
    let folder = folder();
    let at = folder.path();
    let block =
        json!({"category_type": "text_block", "text": "a b", "pred": "a c", "attribute": {}});
    fs::write(
        at.join("seen.v2.json"),
        json!([page("a.jpg", json!([block]))]).to_string(),
    )
    .unwrap();
    let run = ["omnidocbench", "ocr", "--gt", "seen.v2.json", "--out", "r"];
    orrery(at, &run).worked();
    assert_eq!(
        names(&at.join("r")),
        ["seen_metric_result.json", "seen_result.json"]
    );
    orrery(at, &[&run[..], &["--name", "mine"]].concat()).worked();
    assert!(at.join("r/mine_metric_result.json").exists());
    let line = orrery(at, &[&run[..], &["--name", "a/b"]].concat()).refused(2);
    assert!(line.contains("without `/`"), "{line}");
}
