//! Matched pairs as a web page: annotation and prediction side by side, what differs marked.

use serde_json::Value;
use similar::{Algorithm, ChangeTag, capture_diff_slices_deadline};
use std::time::{Duration, Instant};

/// Longest text of which every difference is looked for, in characters; a longer one is cut.
const LONGEST: usize = 20_000;

/// Time for the differences of one pair; after it they become coarser.
const TIME: Duration = Duration::from_millis(200);

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:80rem;padding:0 1rem;color:#1c2024}
table{border-collapse:collapse;width:100%;table-layout:fixed}
td,th{border:1px solid #d5d9de;padding:.5rem;vertical-align:top;text-align:left;overflow-wrap:anywhere}
td{white-space:pre-wrap}th{background:#f3f5f7}.head{width:11rem;font-size:13px;color:#555}
del{background:#ffd9d6;text-decoration:none}ins{background:#c9f0cf;text-decoration:none}
@media(prefers-color-scheme:dark){body{background:#16181b;color:#e6e8ea}th{background:#22262b}
td,th{border-color:#3a4047}.head{color:#9aa3ad}del{background:#6b2622}ins{background:#1f5130}}";

/// The page; every pair is a record of a result file.
pub fn html(title: &str, pairs: &[&Value]) -> String {
    let rows: String = pairs.iter().map(|pair| row(pair)).collect();
    let title = escaped(title);
    format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><style>{STYLE}</style>\n<h1>{title}</h1>\n\
         <p>{} pairs. <del>Annotated, not predicted</del>; <ins>predicted, not annotated</ins>.</p>\n\
         <table><tr><th class=\"head\">page</th><th>annotated</th><th>predicted</th></tr>\n{rows}</table></html>\n",
        pairs.len()
    )
}

fn row(pair: &Value) -> String {
    let side = |norm: &str, raw: &str| {
        let text = |key: &str| match pair.get(key) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Array(list)) => {
                let items: Vec<String> = list.iter().map(Value::to_string).collect();
                items.join(" ")
            }
            _ => String::new(),
        };
        let raw = text(raw);
        if raw.is_empty() { text(norm) } else { raw }
    };
    let [gt, pred] = marked(&side("norm_gt", "gt"), &side("norm_pred", "pred"));
    let name = |key: &str| escaped(pair.get(key).and_then(Value::as_str).unwrap_or(""));
    let scores = pair.get("metric").and_then(Value::as_object);
    let scores: Vec<String> = scores
        .into_iter()
        .flatten()
        .filter_map(|(name, score)| Some(format!("{} {:.3}", escaped(name), score.as_f64()?)))
        .collect();
    let why = ["CDM_failed", "TEDS_failed"].iter().map(|key| name(key));
    let why: Vec<String> = why.filter(|why| !why.is_empty()).collect();
    format!(
        "<tr><td class=\"head\">{}\n{} → {}\n{}\n{}</td><td>{gt}</td><td>{pred}</td></tr>\n",
        name("image_name"),
        name("gt_category_type"),
        name("pred_category_type"),
        scores.join("\n"),
        why.join("\n"),
    )
}

/// Both texts as HTML, with marks around what only one of them has.
fn marked(gt: &str, pred: &str) -> [String; 2] {
    let cut = |text: &str| text.chars().take(LONGEST).collect::<Vec<char>>();
    let (gt, pred) = (cut(gt), cut(pred));
    let deadline = Some(Instant::now() + TIME);
    let steps = capture_diff_slices_deadline(Algorithm::Myers, &gt, &pred, deadline);
    let mut out = [String::new(), String::new()];
    for change in steps.iter().flat_map(|step| step.iter_slices(&gt, &pred)) {
        let (tag, slice) = change;
        let text = escaped(&slice.iter().collect::<String>());
        match tag {
            ChangeTag::Equal => out.iter_mut().for_each(|side| side.push_str(&text)),
            ChangeTag::Delete => out[0].push_str(&format!("<del>{text}</del>")),
            ChangeTag::Insert => out[1].push_str(&format!("<ins>{text}</ins>")),
        }
    }
    out
}

/// Text that is safe inside HTML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::marked;

    #[test]
    fn what_differs_is_marked_and_nothing_is_taken_for_html() {
        let [gt, pred] = marked("a<b c", "a<b d");
        assert_eq!(gt, "a&lt;b <del>c</del>");
        assert_eq!(pred, "a&lt;b <ins>d</ins>");
    }
}
