//! Matched pairs as a web page: annotation and prediction side by side, what differs marked.
//!
//! Tables are drawn as tables. Nothing of what was annotated or predicted is taken for HTML; the page loads nothing and runs
//! nothing.

mod marks;
mod table;

use base::table::escape_html;
use serde_json::Value;

use marks::marked;

const STYLE: &str = include_str!("style.css");

/// The page; every pair is a record of a result file.
pub fn html(title: &str, pairs: &[&Value]) -> String {
    let pairs_html: String = pairs.iter().map(|pair| section(pair)).collect();
    let title = escape_html(title);
    let noun = if pairs.len() == 1 { "pair" } else { "pairs" };
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><style>{STYLE}</style></head><body>\n<h1>{title}</h1>\n\
         <p>{} {noun}. <del>Annotated, not predicted</del> · <ins>predicted, not annotated</ins></p>\n{pairs_html}</body></html>\n",
        pairs.len()
    )
}

/// A text field; a list as its items.
fn text(pair: &Value, key: &str) -> String {
    match pair.get(key) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(list)) => {
            let items: Vec<String> = list.iter().map(Value::to_string).collect();
            items.join(" ")
        }
        _ => String::new(),
    }
}

fn section(pair: &Value) -> String {
    let side = |raw: &str, norm: &str| {
        let raw = text(pair, raw);
        if raw.is_empty() {
            text(pair, norm)
        } else {
            raw
        }
    };
    let (gt, pred) = (side("gt", "norm_gt"), side("pred", "norm_pred"));
    let category = text(pair, "gt_category_type");
    let drawn = match category.as_str() {
        "table" => table::drawn(&text(pair, "norm_gt"), &text(pair, "norm_pred")),
        _ => None,
    };
    let source = marked(&gt, &pred);
    let kind = match category.contains("equation") || drawn.is_some() {
        true => "code",
        false => "text",
    };
    let body = match drawn {
        Some(tables) => {
            let [gt, pred] = source.map(|side| format!("<div class=\"code\">{side}</div>"));
            format!(
                "{}<details><summary>HTML</summary>{}</details>",
                sides(tables, "drawn"),
                sides([gt, pred], "code")
            )
        }
        None => sides(source, kind),
    };
    format!("<section>{}{body}</section>\n", head(pair, &category))
}

/// The page's name, what the two are, the scores, and why there are none.
fn head(pair: &Value, category: &str) -> String {
    let predicted = text(pair, "pred_category_type");
    let kinds = match (category.is_empty(), predicted.is_empty()) {
        (false, false) => format!("{category} → {predicted}"),
        _ => format!("{category}{predicted}"),
    };
    let scores = pair.get("metric").and_then(Value::as_object);
    let scores = scores.into_iter().flatten().filter_map(|(name, score)| {
        let name = name.replace('_', " ");
        Some(format!(
            "<span class=\"score\">{} {:.3}</span>",
            escape_html(&name),
            score.as_f64()?
        ))
    });
    let scores: String = scores.collect();
    let why = ["CDM_failed", "TEDS_failed"].map(|key| escape_html(&text(pair, key)));
    format!(
        "<header><b>{}</b><span class=\"kind\">{}</span>{scores}<span class=\"why\">{}</span></header>",
        escape_html(&text(pair, "image_name")),
        escape_html(&kinds),
        why.join(" ").trim()
    )
}

/// Both sides, beside one another where there is room.
fn sides([gt, pred]: [String; 2], class: &str) -> String {
    let side = |name: &str, body: &str| {
        let body = match body.is_empty() {
            true => "<span class=\"none\">nothing</span>",
            false => body,
        };
        format!("<div class=\"side\"><h2>{name}</h2><div class=\"body {class}\">{body}</div></div>")
    };
    format!(
        "<div class=\"sides\">{}{}</div>",
        side("annotated", &gt),
        side("predicted", &pred)
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::html;

    #[test]
    fn what_was_predicted_is_never_html() {
        let bad = "<script>alert(1)</script><img src=x onerror=y>";
        let pairs = [
            json!({"gt": bad, "pred": bad, "image_name": bad, "gt_category_type": "text_block", "metric": {"Edit_dist": 0.5}}),
            json!({"gt_category_type": "table", "gt": "x", "pred": "y", "TEDS_failed": bad,
                "norm_gt": format!("<table><tr><td>{bad}</td></tr></table>"), "norm_pred": "<table><tr><td>&lt;script></td></tr></table>"}),
        ];
        let page = html(bad, &pairs.iter().collect::<Vec<_>>());
        assert!(
            !page.contains("<script") && !page.contains("<img"),
            "{page}"
        );
        assert!(page.contains("2 pairs") && page.contains("Edit dist 0.500"));
    }
}
