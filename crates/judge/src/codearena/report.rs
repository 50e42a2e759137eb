//! The report of a judged file as one web page: scores, the judge's bias, and the items whose two orders disagree, with both
//! judgements side by side.

use std::fmt::Write;

use super::bias::{Bias, disagrees};
use super::games::Game;
use super::scores::{Groups, JudgedFile, JudgedItem, Scores};
use super::tables::By;

/// Most disagreements that are shown.
const SHOWN: usize = 200;

/// The page. Writing into a string cannot fail, so results of `write!` are dropped.
pub fn html(file: &JudgedFile) -> String {
    let scores = Scores::of(&file.items, file.model.clone());
    let bias = Bias::of(&file.items);
    let name = escape(file.model.as_deref().unwrap_or("the model"));
    let mut out = String::new();
    let _ = write!(
        out,
        "<!doctype html><meta charset=\"utf-8\"><title>CodeArena: {name}</title><style>{STYLE}</style>\
         <h1>CodeArena: {name}</h1><p>{} items: won {:.1} %, tied {:.1} %, score {:.1} %. {} items have no label at all and \
         count as ties.</p><p>The judge: {} of {} items with both labels were decided by the place alone; {} games have no \
         label.</p>",
        scores.all.items,
        100.0 * scores.all.win_rate(),
        100.0 * scores.all.tie_rate(),
        100.0 * scores.all.score(),
        scores.failed,
        bias.disagree,
        bias.complete,
        bias.failed_games,
    );
    for (title, by) in [
        ("Main classes", By::Main),
        ("Subclasses", By::Sub),
        ("Languages", By::Language),
        ("Difficulty", By::Difficulty),
    ] {
        section(&mut out, title, &by.groups(&file.items));
    }
    let apart: Vec<&JudgedItem> = file.items.iter().filter(|item| disagrees(item)).collect();
    let _ = write!(
        out,
        "<h2>Items whose two orders disagree: {}</h2>",
        apart.len()
    );
    for item in apart.iter().take(SHOWN) {
        disagreement(&mut out, item);
    }
    out
}

fn section(out: &mut String, title: &str, groups: &Groups) {
    let _ = write!(
        out,
        "<h2>{title}</h2><table><tr><th><th>items<th>won/tied, %"
    );
    for (name, tally) in groups {
        let _ = write!(
            out,
            "<tr><td>{}<td>{}<td>{}",
            escape(name),
            tally.items,
            tally.cell()
        );
    }
    out.push_str("</table>");
}

fn disagreement(out: &mut String, item: &JudgedItem) {
    let games = item.item.record.get("games").cloned().unwrap_or_default();
    let games: Vec<Game> = serde_json::from_value(games).unwrap_or_default();
    let _ = write!(
        out,
        "<details><summary>{}: {}</summary><pre>{}</pre><div class=two>",
        escape(&item.item.id),
        item.labels
            .iter()
            .map(|label| escape(label.as_deref().unwrap_or("no label")))
            .collect::<Vec<_>>()
            .join(", then "),
        escape(&item.item.question)
    );
    for (game, title) in games.iter().zip(["baseline first", "model first"]) {
        let _ = write!(
            out,
            "<div><b>{title}</b><pre>{}</pre></div>",
            escape(&game.judgment)
        );
    }
    out.push_str("</div></details>");
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

const STYLE: &str = "body{font:16px/1.5 system-ui;max-width:70rem;margin:2rem auto;padding:0 1rem}table{border-collapse:collapse}\
td,th{border-bottom:1px solid #ccc;padding:.2rem .8rem;text-align:left}pre{white-space:pre-wrap;background:#f6f6f6;padding:.5rem}\
.two{display:grid;grid-template-columns:1fr 1fr;gap:1rem}summary{cursor:pointer}";
