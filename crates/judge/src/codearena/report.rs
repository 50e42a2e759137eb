//! The report of a judged file as one web page: scores, the judge's bias, and the items whose two orders disagree, with both
//! judgements side by side.

use std::fmt::Write;

use base::table::escape_html;

use super::bias::{Bias, disagrees};
use super::games::Game;
use super::scores::{Groups, JudgedFile, JudgedItem, Scores};
use super::tables::By;
use super::tally::Tally;

/// Most disagreements that are shown.
const SHOWN: usize = 200;

/// The page. Writing into a string cannot fail, so results of `write!` are dropped.
pub fn html(file: &JudgedFile) -> String {
    let scores = Scores::of(&file.items, file.about.model.clone());
    let bias = Bias::of(&file.items);
    let name = escape_html(file.about.model.as_deref().unwrap_or("the model"));
    let all = scores.all;
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    let lost = all.items.saturating_sub(all.wins + all.ties) as f64 / all.items.max(1) as f64;
    let mut out = String::new();
    let _ = write!(
        out,
        "<!doctype html><html lang=en><meta charset=\"utf-8\"><meta name=viewport content=\"width=device-width\">\
         <title>CodeArena: {name}</title><style>{STYLE}</style><h1>CodeArena: {name}</h1>\
         <p class=figures><span><b>{}</b>won</span><span><b>{}</b>tied</span><span><b>{}</b>lost</span>\
         <span><b>{}</b>score</span><span><b>{}</b>items</span></p>",
        percent(all.win_rate()),
        percent(all.tie_rate()),
        percent(lost),
        percent(all.score()),
        all.items,
    );
    bar(&mut out, &all);
    let against = file.about.baseline.as_deref().unwrap_or("the baseline");
    let _ = write!(
        out,
        "<p>Two games an item against {}, the second with the places swapped; more points in both together win. Score: wins and \
         half of the ties. {} items have no label at all and count as ties.</p>\
         <p>The judge: {} of {} items with both labels were decided by the place alone; {} games have no label.</p>",
        escape_html(against),
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
        "<h2>Items whose two orders disagree: {}</h2><p>Each game was won by the same place, so the place decided, not the \
         answer. In the first game A is {}, in the second {name}.</p>",
        apart.len(),
        escape_html(against),
    );
    for item in apart.iter().take(SHOWN) {
        disagreement(&mut out, item);
    }
    if apart.len() > SHOWN {
        let _ = write!(out, "<p>And {} more.</p>", apart.len() - SHOWN);
    }
    out
}

fn section(out: &mut String, title: &str, groups: &Groups) {
    let _ = write!(
        out,
        "<h2>{title}</h2><table><tr><th><th class=n>items<th class=n>won, %<th class=n>tied, %<th>"
    );
    for (name, tally) in groups {
        let cell = tally.cell();
        let (won, tied) = cell.split_once('/').unwrap_or((&cell, ""));
        let _ = write!(
            out,
            "<tr><td>{}<td class=n>{}<td class=n>{won}<td class=n>{tied}<td>",
            escape_html(name),
            tally.items,
        );
        bar(out, tally);
    }
    out.push_str("</table>");
}

/// Wins, ties and the rest as one bar.
fn bar(out: &mut String, tally: &Tally) {
    let _ = write!(
        out,
        "<div class=bar title=\"won {}, tied {}, of {}\"><i class=won style=\"width:{:.2}%\"></i>\
         <i class=tied style=\"width:{:.2}%\"></i></div>",
        tally.wins,
        tally.ties,
        tally.items,
        100.0 * tally.win_rate(),
        100.0 * tally.tie_rate(),
    );
}

fn disagreement(out: &mut String, item: &JudgedItem) {
    let games = item.item.record.get("games").cloned().unwrap_or_default();
    let games: Vec<Game> = serde_json::from_value(games).unwrap_or_default();
    let labels = item.labels.iter();
    let labels: Vec<String> = labels
        .map(|label| escape_html(label.as_deref().unwrap_or("no label")))
        .collect();
    let first = item
        .item
        .question
        .lines()
        .find(|line| !line.trim().is_empty());
    let start: String = first.unwrap_or_default().chars().take(90).collect();
    let _ = write!(
        out,
        "<details><summary><b>{}</b> <code>{}</code> {}</summary><h3>Question</h3><pre>{}</pre><div class=two>",
        escape_html(&item.item.id),
        labels.join("</code> then <code>"),
        escape_html(&base::command::one_line(&start)),
        escape_html(&item.item.question)
    );
    let titles = [
        "First game: A is the baseline",
        "Second game: A is the model",
    ];
    for ((game, title), label) in games.iter().zip(titles).zip(labels) {
        let _ = write!(
            out,
            "<div><h3>{title} <code>{label}</code></h3><pre>{}</pre></div>",
            escape_html(&game.judgment)
        );
    }
    out.push_str("</div></details>");
}

const STYLE: &str = ":root{color-scheme:light dark;--line:#8884;--soft:#8881;--won:#2a7de1;--tied:#9db8d8}\
body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}\
h1{line-height:1.2}h2{margin:2rem 0 .5rem}h3{font-size:1rem;margin:.8rem 0 .3rem}\
.figures{display:flex;flex-wrap:wrap;gap:.5rem 2.5rem;margin:0 0 .8rem}.figures b{display:block;font-size:1.6rem;line-height:1.2}\
table{border-collapse:collapse;width:100%}td,th{border-bottom:1px solid var(--line);padding:.3rem .8rem .3rem 0;text-align:left}\
td:last-child{width:35%;padding-right:0}.n{width:5rem;text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}\
.bar{display:flex;height:.7rem;background:var(--soft);border-radius:.2rem;overflow:hidden;min-width:4rem}\
.won{background:var(--won)}.tied{background:var(--tied)}\
pre{white-space:pre-wrap;overflow-wrap:anywhere;background:var(--soft);padding:.6rem;margin:0;max-height:30rem;overflow:auto;font-size:.9rem}\
details{border-bottom:1px solid var(--line);padding:.3rem 0}summary{cursor:pointer;overflow-wrap:anywhere}\
code{background:var(--soft);padding:.1rem .3rem}\
.two{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,22rem),1fr));gap:1rem;margin-bottom:1rem}\
@media(max-width:36rem){td:last-child,th:last-child{display:none}}";
