//! Delimiters that grow (TeXbook, appendix G, rule 19 and `\left`).

use std::collections::HashMap;
use std::sync::LazyLock;

use super::boxes::Bx;
use super::style::Style;

/// Name, small family, small code, large code in the extension font, 255 where there is no larger one.
static DELIMITERS: LazyLock<HashMap<&str, (&str, u16, u16)>> = LazyLock::new(|| {
    include_str!("delimiters.txt")
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            Some((
                words.next()?,
                (
                    words.next()?,
                    words.next()?.parse().ok()?,
                    words.next()?.parse().ok()?,
                ),
            ))
        })
        .collect()
});

/// Most pieces of one delimiter.
const MOST_PIECES: usize = 2000;

/// `\nulldelimiterspace`.
pub(super) const NULL: f64 = 1.2;

/// The delimiter `name` at least `size` points tall, on the axis; the widest there is where none is tall enough.
pub(super) fn delimiter(name: &str, size: f64, style: Style, colour: Option<usize>) -> Bx {
    let Some(&(family, small, large)) = DELIMITERS.get(name) else {
        return Bx::space(NULL);
    };
    let small = Bx::glyph(style.font(family), small, colour);
    let found = small.clone().filter(|small| small.total() >= size);
    found
        .or_else(|| grown(large, size, style, colour))
        .or(small)
        .unwrap_or_else(|| Bx::space(NULL))
        .on_axis(style.axis())
}

/// `\left name` around something that reaches `height` above and `depth` below the baseline.
pub(super) fn fence(
    name: &str,
    height: f64,
    depth: f64,
    style: Style,
    colour: Option<usize>,
) -> Bx {
    let reach = (height - style.axis()).max(depth + style.axis());
    // \delimiterfactor=901, \delimitershortfall=5pt
    delimiter(
        name,
        (2.0 * reach * 0.901).max(2.0 * reach - 5.0),
        style,
        colour,
    )
}

/// A character of the extension font, or the next larger ones, or one built of pieces.
pub(super) fn grown(code: u16, size: f64, style: Style, colour: Option<usize>) -> Option<Bx> {
    let font = style.font("cmex");
    let mut code = code;
    let mut best = None;
    for _ in 0..16 {
        let glyph = font.glyph(code)?;
        if glyph.pieces != [0; 4] {
            return Some(stacked(glyph.pieces, size, style, colour));
        }
        best = Bx::glyph(font, code, colour);
        if glyph.height + glyph.depth >= size || glyph.next == 0 {
            break;
        }
        code = glyph.next;
    }
    best
}

fn stacked(
    [top, middle, bottom, repeated]: [u16; 4],
    size: f64,
    style: Style,
    colour: Option<usize>,
) -> Bx {
    let piece = |code: u16| {
        (code != 0)
            .then(|| Bx::glyph(style.font("cmex"), code, colour))
            .flatten()
    };
    let (top, middle, bottom) = (piece(top), piece(middle), piece(bottom));
    let repeated = piece(repeated);
    let fixed: f64 = [&top, &middle, &bottom]
        .into_iter()
        .flatten()
        .map(Bx::total)
        .sum();
    let step = repeated.as_ref().map_or(0.0, Bx::total) * if middle.is_some() { 2.0 } else { 1.0 };
    let times = if step > 0.0 {
        ((size - fixed) / step).ceil().max(0.0) as usize
    } else {
        0
    };
    let copies = || {
        repeated
            .iter()
            .cloned()
            .cycle()
            .take(times.min(MOST_PIECES) * repeated.iter().len())
    };
    let mut parts: Vec<Bx> = top.into_iter().collect();
    parts.extend(copies());
    if middle.is_some() {
        parts.extend(middle);
        parts.extend(copies());
    }
    parts.extend(bottom);
    let width = parts.iter().map(|part| part.width).fold(0.0, f64::max);
    let mut out = Bx::space(width);
    let mut y = 0.0;
    for part in parts {
        let (height, total) = (part.height, part.total());
        out.lay(part, 0.0, y + height);
        y += total;
    }
    (out.height, out.depth) = (0.0, y);
    out
}
