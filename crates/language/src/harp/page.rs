//! What happened at each token, as one HTML page.

use std::fmt::Write;

use base::table::escape_html;

use super::trace::{BANDS, band, printable, summary};
use super::{GenerateConfig, Generation, HarpConfig, Metric, TokenStep};

/// Colours of the bands on a page.
const PAGE: [&str; 6] = [
    "#e3f1e4", "#c9e4cd", "#f7ecc1", "#f9d9a4", "#f6b98a", "#ee8f7e",
];

/// All of it as one page that needs nothing else: tokens by entropy, the curve of entropy with its threshold, and what the
/// second looks changed.
pub fn html_page(
    prompts: &[String],
    generations: &[Generation],
    config: &GenerateConfig,
) -> String {
    let harp = &config.harp;
    let mut page = String::from(HEAD);
    let threshold = match harp.metric {
        Metric::Entropy => format!("looks twice above θ = {} bits", harp.theta),
        Metric::Top2Ratio => format!("looks twice where p₂/p₁ is above {}", harp.theta),
        Metric::Always => "looks twice at every token".into(),
        Metric::Never => "never looks twice".into(),
    };
    let _ = write!(
        page,
        "<p class=settings>{threshold} · δ = {} · β = {} · seed {}</p><p class=legend>Entropy in bits ",
        harp.delta, harp.beta, harp.seed
    );
    let mut from = 0.0;
    for (at, color) in PAGE.iter().enumerate() {
        let words = match BANDS.get(at) {
            Some(end) => format!("{from}–{end}"),
            None => format!("over {from}"),
        };
        let _ = write!(page, "<span style=background:{color}>{words}</span>");
        from = BANDS.get(at).copied().unwrap_or(from);
    }
    page.push_str("<span class=h>looked twice</span><span class=c>changed by it</span></p>");
    for (prompt, generation) in prompts.iter().zip(generations) {
        let _ = write!(
            page,
            "<section><pre class=prompt>{}</pre><pre class=text>",
            escape(prompt)
        );
        for step in &generation.trace {
            page.push_str(&span(step));
        }
        let _ = write!(page, "</pre>{}", curve(generation, harp));
        let _ = write!(
            page,
            "<p class=settings>{}</p>",
            escape(&summary(generation, harp))
        );
        page.push_str(&changes(generation));
        page.push_str("</section>");
    }
    page + "</main></html>\n"
}

fn span(step: &TokenStep) -> String {
    let class = match (step.changed(), step.hesitated) {
        (true, _) => " class=c",
        (false, true) => " class=h",
        (false, false) => "",
    };
    let mut title = format!("{:.2} bits, token {}", step.entropy, step.id);
    if step.changed() {
        let _ = write!(
            title,
            "; the first look said {}",
            quoted(&step.vanilla_text)
        );
    }
    format!(
        "<span{class} style=background:{} title=\"{}\">{}</span>",
        PAGE[band(step.entropy)],
        escape(&title),
        escape(&step.text)
    )
}

/// The entropy of each token as bars, with the threshold as a line.
fn curve(generation: &Generation, config: &HarpConfig) -> String {
    let steps = &generation.trace;
    let most = steps
        .iter()
        .fold(2.0f32, |most, step| most.max(step.entropy));
    let (width, height) = (steps.len().max(1) * 7, 80.0);
    let mut out = format!(
        "<svg viewBox=\"0 0 {width} {height}\" preserveAspectRatio=none style=\"max-width:{width}px\" role=img aria-label=\"Entropy of each token, at most {most:.1} bits\">"
    );
    for (at, step) in steps.iter().enumerate() {
        let tall = height * step.entropy / most;
        let _ = write!(
            out,
            "<rect x={} y={:.1} width=6 height={tall:.1} fill={}><title>{} {:.2} bits</title></rect>",
            at * 7,
            height - tall,
            PAGE[band(step.entropy)],
            escape(&quoted(&step.text)),
            step.entropy
        );
    }
    if config.metric == Metric::Entropy && config.theta <= most {
        let y = height * (1.0 - config.theta / most);
        let _ = write!(out, "<line x1=0 x2={width} y1={y:.1} y2={y:.1} />");
    }
    out + "</svg>"
}

/// The tokens that a second look changed.
fn changes(generation: &Generation) -> String {
    let changed = generation
        .trace
        .iter()
        .enumerate()
        .filter(|it| it.1.changed());
    let mut rows = String::new();
    for (at, step) in changed {
        let _ = write!(
            rows,
            "<tr><td>{}<td>{:.2}<td>{}<td>{}",
            at + 1,
            step.entropy,
            escape(&quoted(&step.vanilla_text)),
            escape(&quoted(&step.text))
        );
    }
    match rows.is_empty() {
        true => String::new(),
        false => format!("<table><tr><th>token<th>bits<th>first look<th>taken{rows}</table>"),
    }
}

/// Text in quotes, with its line breaks written out.
fn quoted(text: &str) -> String {
    format!("“{}”", text.replace('\n', "⏎").replace('\t', "⇥"))
}

fn escape(text: &str) -> String {
    escape_html(&printable(text))
}

const HEAD: &str = "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
<title>HARP</title><style>\
body{margin:0;background:#fdfdfb;color:#222;font:16px/1.5 system-ui,sans-serif}\
main{max-width:52rem;margin:2rem auto;padding:0 1rem}h1{font-size:1.3rem;margin:0}\
.settings,.legend{color:#555;font-size:.9rem}.legend span{padding:.1em .5em;margin:0 .15em;color:#222}\
section{margin:1.5rem 0;border-top:1px solid #ddd;padding-top:1rem}\
pre{white-space:pre-wrap;overflow-wrap:anywhere;font:1.05rem/1.9 Georgia,serif;margin:.5rem 0}\
.prompt{color:#666;font:.9rem/1.5 ui-monospace,monospace}\
.text span{padding:.12em 0;border-radius:2px;color:#222}\
.h{text-decoration:underline 2px #a5452f;text-underline-offset:3px}\
.c{outline:2px solid #a5452f;font-weight:bold}\
svg{width:100%;height:80px;display:block;border-bottom:1px solid #999}svg rect{stroke:#0003;stroke-width:.5}\
svg line{stroke:#a5452f;stroke-width:1.5;stroke-dasharray:5 4}\
table{border-collapse:collapse;font-size:.9rem}td,th{padding:.15rem .8rem .15rem 0;text-align:left}\
</style><main><h1>Where the model hesitated</h1>";

#[cfg(test)]
mod tests {
    use engine::decode::StopReason;

    use super::super::trace::tests::step;
    use super::*;

    #[test]
    fn the_page_shows_text_as_text() {
        let generation = Generation {
            ids: vec![2],
            text: "<script>".into(),
            reason: StopReason::Length,
            steps: 1,
            hesitations: 1,
            trace: vec![step("<script>", 3.0, true, 2)],
        };
        let page = html_page(&["<i>\"".into()], &[generation], &GenerateConfig::default());
        assert!(!page.contains("<script>") && !page.contains("<i>") && !page.contains("<b>"));
        assert!(
            page.contains("&lt;script&gt;") && page.contains("the first look said “&lt;b&gt;”")
        );
        assert!(!page.contains("http"), "nothing is loaded from elsewhere");
    }
}
