//! A text as a heat map: one HTML file without scripts or outside parts.

use std::fmt::Write;

/// A token with what was measured at it.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct TokenProbe {
    /// How it is written.
    pub text: String,
    /// The projection of the window that begins with it.
    pub projection: f64,
    /// The probe at it.
    pub probe: f64,
}

const STYLE: &str = "\
:root{color-scheme:light dark;--bg:#fff;--fg:#1c1c1c;--faint:#666;--line:#d0d0d0}
@media(prefers-color-scheme:dark){:root{--bg:#17181a;--fg:#ececec;--faint:#a0a0a0;--line:#44474c}}
body{background:var(--bg);color:var(--fg);font:16px/1.9 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.15rem;line-height:1.4;margin:0 0 .2rem}p{color:var(--faint);font-size:.9rem;line-height:1.5;margin:.3rem 0}
.text{white-space:pre-wrap;overflow-wrap:anywhere;margin:1.4rem 0}
.text span{color:#111;padding:.18rem 0;border-radius:.2rem}
.key{display:inline-block;width:12rem;height:.8rem;border-radius:.2rem;vertical-align:middle;margin:0 .5rem;background:linear-gradient(90deg,rgb(49,110,186),rgb(245,245,245),rgb(217,112,22))}
svg{width:100%;height:auto;margin:.6rem 0}";

/// The page: tokens coloured by their projections, and the probe as a line below.
pub fn heat_map(concept: &str, model: &str, kind: &str, tokens: &[TokenProbe]) -> String {
    let finite = |values: &dyn Fn(&TokenProbe) -> f64| {
        let sizes = tokens.iter().map(|token| values(token).abs());
        sizes.filter(|x| x.is_finite()).fold(1e-9, f64::max)
    };
    let most = finite(&|token| token.projection);
    let mut text = String::new();
    for token in tokens {
        let [red, green, blue] = colour(token.projection / most);
        let shown = escape(&token.text);
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "<span style=\"background:rgb({red},{green},{blue})\" title=\"projection {:.3}, probe {:.3}\">{shown}</span>",
            token.projection, token.probe
        );
    }
    let total = tokens.last().map_or(f64::NAN, |token| token.probe);
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
<title>{concept}</title><style>{STYLE}</style></head><body>\n<h1>How much the text expresses <code>{concept}</code></h1>\n\
<p>Model {model}; {} tokens; {kind} probe at the end {total:+.3}.</p>\n\
<p>Projection of each token: −{most:.2}<span class=\"key\"></span>+{most:.2}. Point at a token for its numbers.</p>\n\
<div class=\"text\">{text}</div>\n<p>The {kind} probe, token by token:</p>\n{}\n</body></html>\n",
        tokens.len(),
        line(tokens, finite(&|token| token.probe)),
        concept = escape(concept),
        model = escape(model),
    )
}

/// Blue for −1, nearly white for 0, orange for 1.
fn colour(share: f64) -> [u8; 3] {
    let end = if share < 0.0 {
        [49.0, 110.0, 186.0]
    } else {
        [217.0, 112.0, 22.0]
    };
    let strength = share.abs().min(1.0);
    // Full colours would hide dark letters.
    end.map(|end: f64| (245.0 + (end - 245.0) * 0.85 * strength) as u8)
}

fn line(tokens: &[TokenProbe], most: f64) -> String {
    let (width, height) = (800.0, 160.0);
    let x = |at: usize| 10.0 + at as f64 * (width - 20.0) / (tokens.len().max(2) - 1) as f64;
    let y = |value: f64| height / 2.0 - value / most * (height / 2.0 - 12.0);
    let points: String = tokens
        .iter()
        .enumerate()
        .filter(|(_, token)| token.probe.is_finite())
        .map(|(at, token)| format!("{:.1},{:.1} ", x(at), y(token.probe)))
        .collect();
    format!(
        "<svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"probe by token\"><line x1=\"10\" x2=\"790\" y1=\"80\" y2=\"80\" stroke=\"var(--line)\"/>\
<text x=\"12\" y=\"11\" font-size=\"11\" fill=\"var(--faint)\">+{most:.2}</text><text x=\"12\" y=\"157\" font-size=\"11\" fill=\"var(--faint)\">−{most:.2}</text>\
<polyline points=\"{}\" fill=\"none\" stroke=\"rgb(217,112,22)\" stroke-width=\"2\"/></svg>",
        points.trim_end()
    )
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' => escaped.push_str("⏎\n"),
            '\t' => escaped.push('→'),
            c if c.is_control() => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_markup() {
        let token = |text: &str, projection| TokenProbe {
            text: text.into(),
            projection,
            probe: f64::NAN,
        };
        let tokens = [token("<script>\"&\u{1b}", -2.0), token(" b", 1.0)];
        let page = heat_map("<i>", "m", "cumulative", &tokens);
        assert!(!page.contains("<script") && !page.contains("<i>") && !page.contains('\u{1b}'));
        assert!(page.contains("&lt;script&gt;&quot;&amp;"));
        assert_eq!((colour(0.0), colour(-1.0)), ([245; 3], [78, 130, 194]));
    }
}
