//! One line of text on a picture, in nearly every script, from an embedded bitmap font.
//!
//! The font is GNU Unifont (16 pixels high; see `assets/unifont`). Right-to-left runs are turned, Arabic letters are
//! joined and marks are laid over their letter: readable captions, not fine typography. What the font lacks, emoji
//! among it, is drawn as a small box. The same text gives the same pixels everywhere.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use unifont::Glyph;

use super::image::Image;

/// Height of a line in pixels.
pub const LINE_HEIGHT: u32 = 16;
/// Characters that are drawn at most.
const MAX_CHARS: usize = 1_024;
/// Width of the box for a character that the font lacks, the gap after it included.
const BOX_WIDTH: u32 = 10;
/// Marks on one letter that are drawn at most.
const MAX_MARKS: usize = 8;

/// A letter with the marks over it, and how it is written.
struct Cluster {
    base: char,
    marks: Vec<char>,
    direction: Direction,
}

#[derive(Clone, Copy, PartialEq)]
enum Direction {
    Left,
    Right,
    Neutral,
}

/// Width of `text` in pixels when drawn.
pub fn text_width(text: &str) -> u32 {
    clusters(text).iter().map(advance).sum()
}

/// Draws `text` on one line, its upper left corner at `(x, y)`; what leaves the picture is cut.
pub fn draw_text(picture: &mut Image, x: u32, y: u32, text: &str, colour: [u8; 3]) {
    let mut pen = x;
    for cluster in clusters(text) {
        if pen >= picture.width {
            return;
        }
        draw_cluster(picture, pen, y, &cluster, colour);
        pen += advance(&cluster);
    }
}

/// `text` in black on white, centred on a line `width` pixels wide; too long a text ends in `…`.
pub fn caption_line(text: &str, width: u32) -> Image {
    let mut line = Image::filled(width, LINE_HEIGHT, [255; 3]);
    let text = fit(text, line.width);
    let left = (line.width - text_width(&text).min(line.width)) / 2;
    draw_text(&mut line, left, 0, &text, [0; 3]);
    line
}

/// `picture` with `text` on a white line below.
pub fn with_caption(picture: &Image, text: &str) -> Image {
    let (width, height) = (picture.width, picture.height);
    let mut whole = Image::filled(width, height + LINE_HEIGHT, [255; 3]);
    whole.paste(picture, 0, 0);
    whole.paste(&caption_line(text, width), 0, height);
    whole
}

/// The longest beginning of `text` that fits, with `…` where something was left out.
fn fit(text: &str, width: u32) -> String {
    if text_width(text) <= width {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut used = text_width("…");
    for c in text.chars().take(MAX_CHARS) {
        used += text_width(c.encode_utf8(&mut [0; 4]));
        if used > width {
            break;
        }
        kept.push(c);
    }
    format!("{}…", kept.trim_end())
}

/// The text as clusters from left to right.
fn clusters(text: &str) -> Vec<Cluster> {
    let clean: String = text
        .nfc()
        .take(MAX_CHARS)
        .map(|c| if c.is_control() { ' ' } else { c })
        .filter(|&c| !is_invisible(c))
        .collect();
    let mut clusters: Vec<Cluster> = Vec::new();
    for c in unifont::i18n::preprocess_text(&clean).chars() {
        match clusters.last_mut() {
            Some(last) if is_combining_mark(c) => {
                if last.marks.len() < MAX_MARKS {
                    last.marks.push(c);
                }
            }
            _ => clusters.push(Cluster {
                base: c,
                marks: Vec::new(),
                direction: direction(c),
            }),
        }
    }
    turn(&mut clusters);
    clusters
}

/// Brings right-to-left runs into the order in which they stand on the line.
fn turn(clusters: &mut [Cluster]) {
    let strong = |c: &Cluster| c.direction != Direction::Neutral;
    let right_first = clusters
        .iter()
        .find(|c| strong(c))
        .is_some_and(|c| c.direction == Direction::Right);
    let inner = match right_first {
        true => {
            reverse(clusters);
            Direction::Left
        }
        false => Direction::Right,
    };
    // Each longest run of the other direction, neutral characters inside it included.
    let mut start = 0;
    while start < clusters.len() {
        if clusters[start].direction != inner {
            start += 1;
            continue;
        }
        let mut end = start + 1;
        for (at, cluster) in clusters.iter().enumerate().skip(start + 1) {
            match cluster.direction {
                Direction::Neutral => continue,
                same if same == inner => end = at + 1,
                _ => break,
            }
        }
        reverse(&mut clusters[start..end]);
        start = end;
    }
}

/// Turns a run round; brackets in it then open the other way.
fn reverse(run: &mut [Cluster]) {
    const PAIRS: [(char, char); 5] = [('(', ')'), ('[', ']'), ('{', '}'), ('<', '>'), ('«', '»')];
    run.reverse();
    for cluster in run {
        let base = cluster.base;
        for (open, close) in PAIRS {
            if base == open {
                cluster.base = close;
            } else if base == close {
                cluster.base = open;
            }
        }
    }
}

fn direction(c: char) -> Direction {
    match c {
        '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{feff}' => {
            Direction::Right
        }
        _ if c.is_alphanumeric() => Direction::Left,
        _ => Direction::Neutral,
    }
}

/// Joiners, direction marks and variation selectors, for which the font holds boxes.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{e0000}'..='\u{e0fff}')
}

fn advance(cluster: &Cluster) -> u32 {
    unifont::get_glyph(cluster.base).map_or(BOX_WIDTH, |glyph| glyph.get_width() as u32)
}

fn draw_cluster(picture: &mut Image, x: u32, y: u32, cluster: &Cluster, colour: [u8; 3]) {
    match unifont::get_glyph(cluster.base) {
        Some(glyph) => draw_glyph(picture, x, y, glyph, colour),
        None => draw_box(picture, x, y, colour),
    }
    let width = advance(cluster);
    for glyph in cluster.marks.iter().filter_map(|&c| unifont::get_glyph(c)) {
        // Marks are drawn for a cell of their own width: centre that cell on the letter's.
        let shift = width.saturating_sub(glyph.get_width() as u32) / 2;
        draw_glyph(picture, x + shift, y, glyph, colour);
    }
}

fn draw_glyph(picture: &mut Image, x: u32, y: u32, glyph: &Glyph, colour: [u8; 3]) {
    for row in 0..LINE_HEIGHT {
        for column in 0..glyph.get_width() as u32 {
            if glyph.get_pixel(column as usize, row as usize) {
                picture.set(x + column, y + row, colour);
            }
        }
    }
}

fn draw_box(picture: &mut Image, x: u32, y: u32, colour: [u8; 3]) {
    for row in 4..13 {
        for column in 1..BOX_WIDTH - 1 {
            if row == 4 || row == 12 || column == 1 || column == BOX_WIDTH - 2 {
                picture.set(x + column, y + row, colour);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn order(text: &str) -> String {
        clusters(text).iter().map(|cluster| cluster.base).collect()
    }

    #[test]
    fn widths_follow_the_script() {
        assert_eq!(text_width("cat"), 24);
        assert_eq!(text_width("고양이"), 48);
        assert_eq!(text_width("猫"), 16);
        assert_eq!(text_width("e\u{301}"), 8);
        assert_eq!(text_width("कि"), 16);
        assert_eq!(text_width("🐱"), BOX_WIDTH);
        assert_eq!(text_width("\u{200d}\u{fe0f}"), 0);
    }

    #[test]
    fn right_to_left_runs_are_turned() {
        assert_eq!(order("ab אבג 12"), "ab גבא 12");
        assert_eq!(order("אב cat"), "cat בא");
        assert_eq!(order("אב (cat 1)"), "(cat 1) בא");
        assert_eq!(order("one (two)"), "one (two)");
        assert!(!order("قطة").contains('ق'), "Arabic letters are joined");
    }

    #[test]
    fn a_caption_keeps_its_width_and_says_that_it_was_cut() {
        let line = caption_line("a very long caption", 40);
        assert_eq!((line.width, line.height), (40, LINE_HEIGHT));
        assert_eq!(fit("a very long caption", 48), "a ver…");
        assert_eq!(fit("short", 40), "short");
        let dark = |picture: &Image| picture.pixels.iter().filter(|&&v| v == 0).count();
        assert!(dark(&line) > 0);
        let captioned = with_caption(&Image::filled(20, 20, [9; 3]), "");
        assert_eq!((captioned.height, dark(&captioned)), (36, 0));
    }

    #[test]
    fn odd_text_is_drawn_without_harm() {
        let mut picture = Image::filled(30, 10, [255; 3]);
        let marks = "\u{301}".repeat(5_000);
        for text in ["\0\n\t", "\u{301}", &marks, "👨‍👩‍👧", &"w".repeat(100_000)] {
            draw_text(&mut picture, 25, 3, text, [0; 3]);
            caption_line(text, 0);
        }
    }
}
