//! Pixels: where the ink of each token is on the page.

use super::super::boxes::{Drawing, TokenBox};
use super::boxes::{Bx, Ink, Shape};

/// Pixels in a point at 200 dots per inch.
const PIXEL: f64 = 200.0 / 72.27;
/// Margin of the cropped picture.
const MARGIN: i64 = 8;
/// Middle of the page, and the baseline of the line before the formula, in points: landscape A5 at 0.98 of its size.
const MIDDLE: f64 = 105.0 / 25.4 * 72.27;
const LINE: f64 = 1.184 / 25.4 * 72.27 + 12.0;
/// Distance of baselines, and the least space between lines.
const BASELINE: f64 = 14.5;
const LINESKIP: f64 = 1.0;

/// Half the width of lines.
const HALF_LINE: f64 = 0.98 * MIDDLE;

/// Adds a tag, which ends at the right margin, to a formula in the middle of the line.
pub(super) fn add_tag(formula: &mut Bx, tag: Bx) {
    let x = formula.width / 2.0 + HALF_LINE - tag.width;
    formula.lay(tag, x.max(formula.width), 0.0);
}

/// Left, top, right and bottom pixel, all within.
type Bounds = [i64; 4];

/// The picture of a formula with the given names of its colours; nothing where no token left ink.
pub(super) fn draw(formula: Bx, visible: &[String]) -> Option<Drawing> {
    let left = MIDDLE - formula.width / 2.0;
    let base = LINE + BASELINE.max(formula.height + LINESKIP);
    let mut boxes: Vec<Option<Bounds>> = vec![None; visible.len()];
    let mut page: Option<Bounds> = None;
    for ink in &formula.ink {
        let (x, y) = ((left + ink.x) * PIXEL, (base + ink.y) * PIXEL);
        let (full, touched) = pixels(ink, x, y);
        join(&mut page, touched);
        // The official tool sees a colour in every pixel that it touches: a thin accent has no other.
        if let Some(place) = ink.colour.and_then(|colour| boxes.get_mut(colour)) {
            join(place, full.unwrap_or(touched));
        }
    }
    let [page_left, page_top, page_right, page_bottom] = page?;
    let (x, y) = (page_left - MARGIN, page_top - MARGIN);
    let boxes: Vec<TokenBox> = visible
        .iter()
        .zip(boxes)
        .filter_map(|(token, bounds)| {
            let [left, top, right, bottom] = bounds?;
            Some(TokenBox {
                token: token.clone(),
                bounds: [left - 1 - x, top - 1 - y, right + 1 - x, bottom + 1 - y],
            })
        })
        .collect();
    let side = |from: i64, to: i64| (to - from + 2 * MARGIN).max(1) as usize;
    (!boxes.is_empty()).then_some(Drawing {
        size: [side(page_left, page_right), side(page_top, page_bottom)],
        boxes,
    })
}

fn join(all: &mut Option<Bounds>, one: Bounds) {
    *all = Some(match *all {
        None => one,
        Some(all) => [
            all[0].min(one[0]),
            all[1].min(one[1]),
            all[2].max(one[2]),
            all[3].max(one[3]),
        ],
    });
}

/// The pixels that are inked wholly, if any, and those that are touched.
fn pixels(ink: &Ink, x: f64, y: f64) -> (Option<Bounds>, Bounds) {
    match ink.shape {
        Shape::Glyph(glyph) => {
            // Characters are placed to a quarter of a pixel.
            let (quarter_x, quarter_y) = ((x * 4.0).round() as i64, (y * 4.0).round() as i64);
            let (column, row) = (quarter_x.div_euclid(4), quarter_y.div_euclid(4));
            let phase = (quarter_y.rem_euclid(4) * 4 + quarter_x.rem_euclid(4)) as usize;
            let [left, top, right, bottom] = glyph
                .ink
                .get(phase)
                .copied()
                .unwrap_or_default()
                .map(i64::from);
            let (at_x, at_y) = (quarter_x as f64 / 4.0, quarter_y as f64 / 4.0);
            let [outline_left, outline_top, outline_right, outline_bottom] = glyph.outline;
            let touched = [
                (at_x + outline_left).floor() as i64,
                (at_y + outline_top).floor() as i64,
                (at_x + outline_right).ceil() as i64 - 1,
                (at_y + outline_bottom).ceil() as i64 - 1,
            ];
            // Never further than a pixel outside the outline.
            let full = [
                (column + left).max(touched[0] - 1),
                (row + top).max(touched[1] - 1),
                (column + right).min(touched[2] + 1),
                (row + bottom).min(touched[3] + 1),
            ];
            let some = full[0] <= full[2] && full[1] <= full[3];
            (some.then_some(full), touched)
        }
        Shape::Rule(width, height) => {
            let (right, bottom) = (x + width * PIXEL, y + height * PIXEL);
            let touched = [
                x.floor() as i64,
                y.floor() as i64,
                right.ceil() as i64 - 1,
                bottom.ceil() as i64 - 1,
            ];
            // A pixel is full when its 4 x 4 samples are; a sample counts when the rule touches it.
            let first = |from: f64| ((from * 4.0).floor() / 4.0).ceil() as i64;
            let last = |to: f64| ((to * 4.0).ceil() / 4.0).floor() as i64 - 1;
            let full = [first(x), first(y), last(right), last(bottom)];
            (
                (full[0] <= full[2] && full[1] <= full[3]).then_some(full),
                touched,
            )
        }
    }
}
