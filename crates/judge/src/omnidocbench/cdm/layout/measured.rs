//! Commands and characters of which only the outer box is known, as measured in the official set-up (XeLaTeX 2022, Latin
//! Modern, Noto Sans CJK SC): everything that shows something there and is not built of glyphs here.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use super::atoms::{Atom, Class, Limits};
use super::boxes::Bx;
use super::style::Style;

/// Size that the boxes were measured at, in points.
const MEASURED_AT: f64 = 12.0;

/// Operators among the commands whose scripts stand beside them in display style, too.
const NO_LIMITS: [&str; 2] = ["iiiint", "idotsint"];

/// Class, advance, and left, top, right and bottom of the ink from the origin, in hundredths of a point.
struct Measure(u8, [f64; 5]);

/// Name, then the numbers of a [`Measure`].
static COMMANDS: LazyLock<HashMap<&str, Measure>> = LazyLock::new(|| {
    let lines = include_str!("measured.txt").lines();
    lines
        .filter_map(|line| {
            let mut words = line.split(' ');
            let name = words.next()?;
            let class = words.next()?.parse().ok()?;
            let numbers: Vec<f64> = words.filter_map(|word| word.parse().ok()).collect();
            Some((name, Measure(class, numbers.try_into().ok()?)))
        })
        .collect()
});

/// Character, `m` where maths has it and `r` where only upright text has, width, height, depth in hundredths of a point.
static CHARACTERS: LazyLock<HashMap<char, (bool, [f64; 3])>> = LazyLock::new(|| {
    let lines = include_str!("characters.txt").lines();
    lines
        .filter_map(|line| {
            let mut words = line.split(' ');
            let c = words.next()?.chars().next()?;
            let in_maths = words.next()? == "m";
            let numbers: Vec<f64> = words.filter_map(|word| word.parse().ok()).collect();
            Some((c, (in_maths, numbers.try_into().ok()?)))
        })
        .collect()
});

/// Commands of LaTeX, amsmath, amssymb and xcolor that are not drawn here, nor known to show nothing.
static UNDRAWN: LazyLock<HashSet<&str>> =
    LazyLock::new(|| include_str!("undrawn.txt").split_whitespace().collect());

/// A box of ink, scaled to the style.
fn ink([left, top, right, bottom]: [f64; 4], style: Style, colour: Option<usize>) -> Bx {
    let scale = f64::from(style.points()) / MEASURED_AT / 100.0;
    let mut out = Bx::default();
    let rule = Bx::rule((right - left) * scale, -top * scale, bottom * scale, colour);
    out.lay(rule, left * scale, 0.0);
    out
}

fn scaled(length: f64, style: Style) -> f64 {
    length / 100.0 * f64::from(style.points()) / MEASURED_AT
}

/// A command that shows one thing.
pub(super) fn command(name: &str, style: Style, colour: Option<usize>) -> Option<Atom> {
    let &Measure(class, [advance, left, top, right, bottom]) = COMMANDS.get(name)?;
    let mut nucleus = ink([left, top, right, bottom], style, colour);
    nucleus.width = scaled(advance, style);
    let class = Class::of(class);
    Some(Atom {
        limits: match class == Class::Op && !NO_LIMITS.contains(&name) {
            true => Limits::Display,
            false => Limits::Never,
        },
        ..Atom::new(class, nucleus)
    })
}

/// A character beyond ASCII; nothing for one that the official fonts lack, which leaves nothing there as well.
pub(super) fn character(
    c: char,
    family: Option<&str>,
    style: Style,
    colour: Option<usize>,
) -> Option<Atom> {
    let &(in_maths, [width, height, depth]) = CHARACTERS.get(&c)?;
    let upright = family.is_some_and(|family| family.starts_with("lm"));
    if !in_maths && !upright {
        return None;
    }
    let margin = 0.05 * width;
    let mut nucleus = ink([margin, -height, width - margin, depth], style, colour);
    nucleus.width = scaled(width, style);
    Some(Atom::new(Class::Ord, nucleus))
}

/// Whether LaTeX knows a command that is not drawn here.
pub(super) fn is_undrawn(name: &str) -> bool {
    UNDRAWN.contains(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_read_whole_and_do_not_contradict_each_other() {
        let lines = |text: &str| text.lines().count();
        assert_eq!(COMMANDS.len(), lines(include_str!("measured.txt")));
        assert_eq!(CHARACTERS.len(), lines(include_str!("characters.txt")));
        assert!(COMMANDS.keys().all(|name| !is_undrawn(name)));
        assert!(is_undrawn("genfrac") && !is_undrawn("notacommand") && !is_undrawn("relax"));
    }
}
