//! Which character of which font a symbol is (LaTeX's `fontmath.ltx`, amssymb).

use std::collections::HashMap;
use std::sync::LazyLock;

use super::atoms::{Atom, Class, Limits};
use super::boxes::Bx;
use super::delimiter::grown;
use super::measured;
use super::style::Style;

/// Name, class, family and code.
static SYMBOLS: LazyLock<HashMap<&str, (u8, &str, u16)>> = LazyLock::new(|| {
    include_str!("symbols.txt")
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            Some((
                words.next()?,
                (
                    words.next()?.parse().ok()?,
                    words.next()?,
                    words.next()?.parse().ok()?,
                ),
            ))
        })
        .collect()
});

/// The family that an alphabet command sets letters in. As in the official set-up, `\mathbf` is Latin Modern's demi-bold.
pub(super) fn alphabet(name: &str) -> Option<&'static str> {
    Some(match name {
        "mathrm" | "textrm" | "text" | "mbox" | "hbox" | "rm" | "textnormal" | "textup"
        | "textmd" | "operatorname" | "textsc" => "lmr",
        "mathbf" | "textbf" | "bf" => "lmb",
        "mathit" | "textit" | "it" | "emph" => "lmi",
        "mathsf" | "textsf" => "lms",
        "mathtt" | "texttt" => "lmt",
        "mathcal" | "cal" => "cmsy",
        "mathbb" => "msbm",
        "mathfrak" => "eufm",
        "boldsymbol" | "pmb" | "bm" => "cmmib",
        _ => return None,
    })
}

fn atom(
    class: Class,
    family: &str,
    code: u16,
    style: Style,
    colour: Option<usize>,
) -> Option<Atom> {
    let glyph = style.font(family).glyph(code)?;
    let nucleus = Bx::glyph(style.font(family), code, colour)?;
    Some(Atom {
        character: true,
        italic: glyph.italic,
        skew: glyph.skew,
        ..Atom::new(class, nucleus)
    })
}

/// A plain character of a formula.
pub(super) fn character(
    c: char,
    family: Option<&'static str>,
    style: Style,
    colour: Option<usize>,
) -> Option<Atom> {
    let code = u16::try_from(u32::from(c)).ok()?;
    let (class, usual, code) = match c {
        'a'..='z' | 'A'..='Z' => {
            let family = match family {
                Some("cmsy" | "msbm") if c.is_ascii_lowercase() => None,
                other => other,
            };
            return atom(Class::Ord, family.unwrap_or("cmmi"), code, style, colour);
        }
        '0'..='9' => {
            let family = match family {
                Some("cmmib") => "lmb",
                Some("cmsy" | "msbm" | "eufm") | None => "cmr",
                Some(other) => other,
            };
            return atom(Class::Ord, family, code, style, colour);
        }
        '+' => (Class::Bin, "cmr", code),
        '-' => (Class::Bin, "cmsy", 0x00),
        '*' => (Class::Bin, "cmsy", 0x03),
        '/' => (Class::Ord, "cmmi", 0x3d),
        '.' => (Class::Ord, "cmmi", 0x3a),
        ',' => (Class::Punct, "cmmi", 0x3b),
        ';' => (Class::Punct, "cmr", code),
        ':' | '=' => (Class::Rel, "cmr", code),
        '<' => (Class::Rel, "cmmi", 0x3c),
        '>' => (Class::Rel, "cmmi", 0x3e),
        '(' | '[' => (Class::Open, "cmr", code),
        ')' | ']' | '!' | '?' => (Class::Close, "cmr", code),
        '|' => (Class::Ord, "cmsy", 0x6a),
        '@' | '"' | '`' => (Class::Ord, "lmr", code),
        _ => {
            return ideograph(c, style, colour)
                .or_else(|| measured::character(c, family, style, colour));
        }
    };
    atom(class, usual, code, style, colour)
}

/// Chinese, Japanese and Korean characters fill a square.
fn ideograph(c: char, style: Style, colour: Option<usize>) -> Option<Atom> {
    if !matches!(u32::from(c), 0x2e80..=0x9fff | 0xac00..=0xd7af | 0xf900..=0xfaff | 0xff00..=0xffef | 0x20000..=0x3ffff)
    {
        return None;
    }
    let size = f64::from(style.points());
    let mut square = Bx::space(size);
    square.lay(
        Bx::rule(0.9 * size, 0.84 * size, 0.06 * size, colour),
        0.05 * size,
        0.0,
    );
    Some(Atom::new(Class::Ord, square))
}

/// A command that is a symbol.
pub(super) fn symbol(
    name: &str,
    family: Option<&'static str>,
    style: Style,
    colour: Option<usize>,
) -> Option<Atom> {
    let &(class, usual, code) = SYMBOLS.get(name)?;
    let class = Class::of(class);
    if class != Class::Op {
        let family = match (family, usual) {
            (Some("cmmib"), "cmmi") => "cmmib",
            _ => usual,
        };
        return atom(class, family, code, style, colour);
    }
    // A large operator: the larger form in display style, in the middle of the axis.
    let glyph = style.font(usual).glyph(code)?;
    let code = if style.display() && glyph.next != 0 {
        glyph.next
    } else {
        code
    };
    let italic = style.font(usual).glyph(code)?.italic;
    let nucleus = Bx::glyph(style.font(usual), code, colour)?.on_axis(style.axis());
    let limits = if matches!(name, "int" | "oint" | "smallint") {
        Limits::Never
    } else {
        Limits::Display
    };
    Some(Atom {
        italic,
        limits,
        ..Atom::new(class, nucleus)
    })
}

/// The sign of a root at least `size` points tall.
pub(super) fn root_sign(size: f64, style: Style, colour: Option<usize>) -> Bx {
    let small = Bx::glyph(style.font("cmsy"), 0x70, colour).filter(|sign| sign.total() >= size);
    small
        .or_else(|| grown(0x70, size, style, colour))
        .unwrap_or_default()
}

/// An accent at most `width` wide, where it comes in several widths.
pub(super) fn accent(name: &str, width: f64, style: Style, colour: Option<usize>) -> Option<Bx> {
    let (family, mut code) = match name {
        "hat" => ("cmr", 0x5e),
        "check" => ("cmr", 0x14),
        "tilde" | "Tilde" => ("cmr", 0x7e),
        "acute" => ("cmr", 0x13),
        "grave" => ("cmr", 0x12),
        "dot" => ("cmr", 0x5f),
        "ddot" => ("cmr", 0x7f),
        "breve" => ("cmr", 0x15),
        "bar" | "Bar" => ("cmr", 0x16),
        "vec" | "Vec" => ("cmmi", 0x7e),
        "mathring" => ("cmr", 0x17),
        "widehat" => ("cmex", 0x62),
        "widetilde" => ("cmex", 0x65),
        _ => return None,
    };
    let font = style.font(family);
    for _ in 0..4 {
        match font.glyph(code).map(|glyph| glyph.next) {
            Some(next)
                if next != 0 && font.glyph(next).is_some_and(|wider| wider.width <= width) =>
            {
                code = next
            }
            _ => break,
        }
    }
    Bx::glyph(font, code, colour)
}
