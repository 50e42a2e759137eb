//! The factor plot: for each indicator, what every factor does to its mean.

use std::fmt::Write;

use base::table::escape_html;

use super::FactorEffect;
use super::indicators::PANELS;

const WIDTH: f64 = 300.0;
const ROW: f64 = 26.0;
const LEFT: f64 = 56.0;
const COLUMNS: usize = 3;

/// An SVG picture with a panel for each indicator: a line a factor, from the mean without it (hollow) to the mean with it
/// (full). Blue is the better direction, red the worse.
pub fn factor_plot(effects: &[FactorEffect]) -> String {
    let mut factors: Vec<&str> = Vec::new();
    for effect in effects {
        if !factors.contains(&effect.factor.as_str()) {
            factors.push(&effect.factor);
        }
    }
    let measured = PANELS
        .iter()
        .filter(|panel| effects.iter().any(|it| it.panel == panel.0));
    let panels: Vec<_> = measured.collect();
    let height = 74.0 + ROW * factors.len() as f64;
    let rows = panels.len().div_ceil(COLUMNS).max(1);
    let columns = panels.len().clamp(1, COLUMNS);
    let (all_width, all_height) = (columns as f64 * WIDTH + 20.0, rows as f64 * height + 34.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {all_width} {all_height}\" width=\"{all_width}\" height=\"{all_height}\" font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    );
    for (number, (name, more, _)) in panels.into_iter().enumerate() {
        let x = 10.0 + (number % COLUMNS) as f64 * WIDTH;
        let y = 10.0 + (number / COLUMNS) as f64 * height;
        let of_panel: Vec<&FactorEffect> = effects.iter().filter(|it| it.panel == *name).collect();
        let _ = writeln!(svg, "<g transform=\"translate({x} {y})\">");
        panel(&mut svg, (name, *more), &factors, &of_panel);
        svg.push_str("</g>\n");
    }
    let _ = writeln!(
        svg,
        "<text x=\"14\" y=\"{}\" fill=\"#555\">hollow: mean of the configurations without the factor; full: with it; arrow: the better direction</text>\n</svg>",
        all_height - 12.0
    );
    svg
}

fn panel(
    svg: &mut String,
    (name, more): (&str, bool),
    factors: &[&str],
    effects: &[&FactorEffect],
) {
    let ends = effects.iter().flat_map(|it| [it.with, it.without]);
    let (low, high) = ends.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    let spread = if high > low { high - low } else { 1.0 };
    let room = WIDTH - LEFT - 30.0;
    let place = |value: f64| LEFT + 8.0 + (value - low) / spread * (room - 16.0);
    let arrow = if more { "→" } else { "←" };
    let bottom = 30.0 + ROW * factors.len() as f64;
    let _ = writeln!(
        svg,
        "<text x=\"{LEFT}\" y=\"16\" font-weight=\"bold\">{name} {arrow}</text>\n<rect x=\"{LEFT}\" y=\"26\" width=\"{room}\" height=\"{}\" fill=\"#f6f6f6\" stroke=\"#ccc\"/>",
        bottom - 26.0
    );
    for (row, factor) in factors.iter().enumerate() {
        let y = 26.0 + ROW * (row as f64 + 0.5);
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
            LEFT - 8.0,
            y + 4.0,
            escape_html(factor)
        );
        if let Some(effect) = effects.iter().find(|it| it.factor == *factor) {
            let (from, to) = (place(effect.without), place(effect.with));
            let better = (effect.with > effect.without) == more;
            let color = if better { "#1f6fb2" } else { "#c0392b" };
            let _ = writeln!(
                svg,
                "<line x1=\"{from:.1}\" y1=\"{y}\" x2=\"{to:.1}\" y2=\"{y}\" stroke=\"{color}\" stroke-width=\"2\"/><circle cx=\"{from:.1}\" cy=\"{y}\" r=\"4\" fill=\"#fff\" stroke=\"{color}\" stroke-width=\"2\"/><circle cx=\"{to:.1}\" cy=\"{y}\" r=\"5\" fill=\"{color}\"/>"
            );
        }
    }
    for (value, anchor) in [(low, "start"), (high, "end")] {
        let x = if anchor == "start" { LEFT } else { LEFT + room };
        let _ = writeln!(
            svg,
            "<text x=\"{x}\" y=\"{}\" text-anchor=\"{anchor}\" fill=\"#555\">{value:.3}</text>",
            bottom + 16.0
        );
    }
}
