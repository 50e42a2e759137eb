//! Atoms, their scripts and the spaces between them (TeXbook, appendix G, rules 5 to 20).

use super::boxes::Bx;
use super::style::Style;

/// What an atom is to its neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Ord,
    Op,
    Bin,
    Rel,
    Open,
    Close,
    Punct,
    Inner,
}

impl Class {
    pub(super) fn of(number: u8) -> Self {
        [
            Self::Ord,
            Self::Op,
            Self::Bin,
            Self::Rel,
            Self::Open,
            Self::Close,
            Self::Punct,
            Self::Inner,
        ][usize::from(number.min(7))]
    }
}

/// Where the scripts of an operator go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limits {
    /// Above and below in display style.
    Display,
    Always,
    Never,
}

#[derive(Clone, Debug)]
pub(super) struct Atom {
    pub class: Class,
    pub nucleus: Bx,
    /// Whether the nucleus is a single character, whose scripts hang on font parameters alone.
    pub character: bool,
    pub italic: f64,
    pub skew: f64,
    pub limits: Limits,
    pub sup: Option<Bx>,
    pub sub: Option<Bx>,
}

impl Atom {
    pub(super) fn new(class: Class, nucleus: Bx) -> Self {
        Self {
            class,
            nucleus,
            character: false,
            italic: 0.0,
            skew: 0.0,
            limits: Limits::Never,
            sup: None,
            sub: None,
        }
    }
}

/// A piece of a list.
#[derive(Clone, Debug)]
pub(super) enum Item {
    Atom(Atom),
    /// A space in points.
    Space(f64),
}

/// Space around pairs of atoms in math units; negative ones vanish in scripts. TeXbook, chapter 18.
const SPACES: [[i8; 8]; 8] = [
    [0, 3, -4, -5, 0, 0, 0, -3],
    [3, 3, 0, -5, 0, 0, 0, -3],
    [-4, -4, 0, 0, -4, 0, 0, -4],
    [-5, -5, 0, 0, -5, 0, 0, -5],
    [0, 0, 0, 0, 0, 0, 0, 0],
    [0, 3, -4, -5, 0, 0, 0, -3],
    [-3, -3, 0, -3, -3, -3, -3, -3],
    [-3, 3, -4, -5, -3, 0, -3, -3],
];

/// A list of atoms as one box.
pub(super) fn assemble(items: Vec<Item>, style: Style) -> Bx {
    let mut classes: Vec<Class> = items
        .iter()
        .filter_map(|item| match item {
            Item::Atom(atom) => Some(atom.class),
            Item::Space(_) => None,
        })
        .collect();
    settle_binaries(&mut classes);
    let mut out = Bx::default();
    let mut before: Option<Class> = None;
    let mut classes = classes.into_iter();
    for item in items {
        match item {
            Item::Space(width) => out.width += width,
            Item::Atom(atom) => {
                let class = classes.next().unwrap_or(Class::Ord);
                if let Some(before) = before {
                    let space = SPACES[before as usize][class as usize];
                    if space > 0 || !style.small() {
                        out.width += f64::from(space.abs()) * style.mu();
                    }
                }
                before = Some(class);
                out.push(with_scripts(atom, style), 0.0);
            }
        }
    }
    out
}

/// Binary operators without two operands are ordinary.
fn settle_binaries(classes: &mut [Class]) {
    for at in 0..classes.len() {
        let lone = match at.checked_sub(1).map(|before| classes[before]) {
            None => true,
            Some(before) => matches!(
                before,
                Class::Op | Class::Bin | Class::Rel | Class::Open | Class::Punct
            ),
        };
        if classes[at] == Class::Bin && lone {
            classes[at] = Class::Ord;
        }
        if at > 0
            && classes[at - 1] == Class::Bin
            && matches!(classes[at], Class::Rel | Class::Close | Class::Punct)
        {
            classes[at - 1] = Class::Ord;
        }
    }
    if let Some(last @ Class::Bin) = classes.last_mut() {
        *last = Class::Ord;
    }
}

fn with_scripts(atom: Atom, style: Style) -> Bx {
    let limits = atom.limits == Limits::Always || atom.limits == Limits::Display && style.display();
    if atom.sup.is_none() && atom.sub.is_none() {
        let mut nucleus = atom.nucleus;
        nucleus.width += atom.italic;
        return nucleus;
    }
    if limits && atom.class == Class::Op {
        return with_limits(atom, style);
    }
    let mut out = atom.nucleus;
    if atom.sub.is_none() {
        out.width += atom.italic;
    }
    let height = style.sigma(5);
    let script = style.sup();
    let (mut up, mut down) = match atom.character {
        true => (0.0, 0.0),
        false => (out.height - script.sigma(18), out.depth + script.sigma(19)),
    };
    let at = out.width;
    // \scriptspace
    let widen = |script: &Bx| script.width + 0.5;
    match (atom.sup, atom.sub) {
        (None, Some(sub)) => {
            down = down.max(style.sigma(16)).max(sub.height - 0.8 * height);
            out.width += widen(&sub);
            out.lay(sub, at, down);
        }
        (Some(sup), sub) => {
            let least = if style.cramped {
                style.sigma(15)
            } else if style.display() {
                style.sigma(13)
            } else {
                style.sigma(14)
            };
            up = up.max(least).max(sup.depth + height / 4.0);
            let Some(sub) = sub else {
                out.width += widen(&sup);
                out.lay(sup, at, -up);
                return out;
            };
            down = down.max(style.sigma(17));
            let gap = (up - sup.depth) - (sub.height - down);
            if gap < 4.0 * style.rule() {
                down += 4.0 * style.rule() - gap;
                let rise = 0.8 * height - (up - sup.depth);
                if rise > 0.0 {
                    up += rise;
                    down -= rise;
                }
            }
            out.width += (widen(&sup) + atom.italic).max(widen(&sub));
            out.lay(sup, at + atom.italic, -up);
            out.lay(sub, at, down);
        }
        (None, None) => {}
    }
    out
}

fn with_limits(atom: Atom, style: Style) -> Bx {
    let mut base = atom.nucleus;
    base.width += atom.italic;
    let width = [
        Some(base.width),
        atom.sup.as_ref().map(|sup| sup.width),
        atom.sub.as_ref().map(|sub| sub.width),
    ]
    .into_iter()
    .flatten()
    .fold(0.0, f64::max);
    let mut out = base.centred(width);
    let half = atom.italic / 2.0;
    if let Some(sup) = atom.sup {
        let gap = style.xi(9).max(style.xi(11) - sup.depth);
        let up = out.height + gap + sup.depth;
        let top = up + sup.height + style.xi(13);
        out.lay(sup.centred(width), half, -up);
        out.height = top;
    }
    if let Some(sub) = atom.sub {
        let gap = style.xi(10).max(style.xi(12) - sub.height);
        let down = out.depth + gap + sub.height;
        let bottom = down + sub.depth + style.xi(13);
        out.lay(sub.centred(width), -half, down);
        out.depth = bottom;
    }
    out
}
