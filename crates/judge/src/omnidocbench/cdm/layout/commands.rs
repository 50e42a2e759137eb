//! Commands that arrange what follows them.

use super::atoms::{Atom, Class, Item, Limits, assemble};
use super::boxes::Bx;
use super::build::{Builder, Built};
use super::delimiter::fence;
use super::lex::Tex;
use super::style::Style;
use super::symbols::character;
use super::{LayoutError, measured};

/// How tall `\big` is; `\Big`, `\bigg` and `\Bigg` are 1.5, 2 and 2.5 times that.
const BIG: f64 = 14.4;

impl Builder {
    /// Sets a command. One that LaTeX does not know leaves nothing, as in TeX's nonstop mode; one that it knows and that is
    /// not drawn here is an error, since what it shows would be missing.
    pub(super) fn command(
        &mut self,
        name: &str,
        style: &mut Style,
        items: &mut Vec<Item>,
    ) -> Built<()> {
        let mut put = |class: Class, nucleus: Bx| items.push(Item::Atom(Atom::new(class, nucleus)));
        match name {
            "frac" | "dfrac" | "tfrac" | "cfrac" => put(Class::Ord, self.fraction(true, *style)?),
            "binom" | "dbinom" | "tbinom" => put(Class::Ord, self.fraction(false, *style)?),
            "sqrt" => put(Class::Ord, self.root(*style)?),
            "left" => put(Class::Inner, self.fenced(*style)?),
            "begin" => {
                let array = self.environment(*style)?;
                put(Class::Ord, array);
            }
            // As tall as a parenthesis around a fraction: what it stands between is not measured.
            "middle" => {
                let delimiter = self.delimiter_name();
                let (up, down) = (BIG + style.axis(), BIG - style.axis());
                put(
                    Class::Rel,
                    fence(&delimiter, up, down, *style, self.colour()),
                );
            }
            "overline" | "underline" => put(Class::Ord, self.line(name == "overline", *style)?),
            "hat" | "check" | "tilde" | "Tilde" | "acute" | "grave" | "dot" | "ddot" | "breve"
            | "bar" | "Bar" | "vec" | "Vec" | "mathring" | "widehat" | "widetilde" => {
                let accented = self.accented(name, *style)?;
                items.push(Item::Atom(accented));
            }
            "overset" | "stackrel" | "underset" => {
                let stacked = self.stacked(name, *style)?;
                items.push(Item::Atom(stacked));
            }
            "underbrace" => {
                let braced = self.brace(*style)?;
                items.push(Item::Atom(Atom {
                    limits: Limits::Always,
                    ..Atom::new(Class::Op, braced)
                }));
            }
            "xrightarrow" | "xleftarrow" => {
                put(Class::Rel, self.arrow(name == "xrightarrow", *style)?)
            }
            "operatorname" | "mathop" => {
                let star = self.skip('*');
                let word = match name {
                    "mathop" => self.argument_items(*style)?,
                    _ => self.styled("lmr", *style)?,
                };
                let limits = if star || name == "mathop" {
                    Limits::Display
                } else {
                    Limits::Never
                };
                let word = assemble(word, *style);
                items.push(Item::Atom(Atom {
                    limits,
                    ..Atom::new(Class::Op, word)
                }));
            }
            "ln" | "lg" | "lim" | "max" | "min" | "sup" | "inf" | "det" | "gcd" | "Pr" | "arg"
            | "deg" | "dim" | "hom" | "ker" | "sec" | "csc" | "cot" | "coth" | "log" | "exp"
            | "sin" | "cos" | "tan" | "sinh" | "cosh" | "tanh" | "arcsin" | "arccos" | "arctan" => {
                let mut word = Bx::default();
                for letter in name.chars() {
                    if let Some(atom) = character(letter, Some("lmr"), *style, self.colour()) {
                        word.push(atom.nucleus, 0.0);
                    }
                }
                let limits = match name {
                    "lim" | "max" | "min" | "sup" | "inf" | "det" | "gcd" | "Pr" => Limits::Display,
                    _ => Limits::Never,
                };
                items.push(Item::Atom(Atom {
                    limits,
                    ..Atom::new(Class::Op, word)
                }));
            }
            "limits" => Self::set_limits(items, Limits::Always),
            "nolimits" => Self::set_limits(items, Limits::Never),
            "displaystyle" => *style = Style { level: 0, ..*style },
            "textstyle" => *style = Style { level: 1, ..*style },
            "scriptstyle" => *style = Style { level: 2, ..*style },
            "scriptscriptstyle" => *style = Style { level: 3, ..*style },
            "mathbin" => put(Class::Bin, self.argument(*style)?),
            "mathrel" => put(Class::Rel, self.argument(*style)?),
            "phantom" | "vphantom" | "hphantom" => {
                let mut hidden = self.argument(*style)?;
                hidden.ink.clear();
                if name == "vphantom" {
                    hidden.width = 0.0;
                }
                put(Class::Ord, hidden);
            }
            "not" => {
                if let Some(slash) = Bx::glyph(style.font("cmsy"), 0x36, self.colour()) {
                    put(
                        Class::Rel,
                        Bx {
                            width: 0.0,
                            ..slash
                        },
                    );
                }
            }
            "ne" | "neq" | "notin" => {
                let over = if name == "notin" { "in" } else { "" };
                let equal = if over.is_empty() {
                    Bx::glyph(style.font("cmr"), 0x3d, self.colour())
                } else {
                    self.symbol(over, *style).map(|atom| atom.nucleus)
                };
                let (Some(mut base), Some(slash)) =
                    (equal, Bx::glyph(style.font("cmsy"), 0x36, self.colour()))
                else {
                    return Ok(());
                };
                base.lay(slash, 0.0, 0.0);
                put(Class::Rel, base);
            }
            "ldots" | "dots" | "cdots" => {
                let (family, code) = if name == "cdots" {
                    ("cmsy", 0x01)
                } else {
                    ("cmmi", 0x3a)
                };
                let mut dots = Bx::default();
                for at in 0..3 {
                    if let Some(dot) = Bx::glyph(style.font(family), code, self.colour()) {
                        dots.width += if at > 0 { 3.0 * style.mu() } else { 0.0 };
                        dots.push(dot, 0.0);
                    }
                }
                put(Class::Inner, dots);
            }
            "vdots" | "ddots" => put(Class::Ord, self.slanted_dots(name == "ddots", *style)),
            "iint" | "iiint" => {
                let mut signs = Bx::default();
                let count = if name == "iint" { 2 } else { 3 };
                let overlap = if style.display() { 10.0 } else { 6.0 } * style.mu();
                let mut italic = 0.0;
                for at in 0..count {
                    if let Some(sign) = self.symbol("int", *style) {
                        signs.width += if at > 0 { sign.italic - overlap } else { 0.0 };
                        italic = sign.italic;
                        signs.push(sign.nucleus, 0.0);
                    }
                }
                items.push(Item::Atom(Atom {
                    italic,
                    ..Atom::new(Class::Op, signs)
                }));
            }
            "label" => drop(self.raw_group()),
            // Where a colour ends before the argument, the argument is not taken, and seen.
            "hspace" | "vspace" | "ref" => {
                if self.peek() == Some(&Tex::Open) {
                    self.raw_group();
                }
            }
            "tag" => self.tag(*style)?,
            "," | "thinspace" => items.push(Item::Space(3.0 * style.mu())),
            ":" | ">" | "medspace" => items.push(Item::Space(4.0 * style.mu())),
            ";" | "thickspace" => items.push(Item::Space(5.0 * style.mu())),
            "!" => items.push(Item::Space(-3.0 * style.mu())),
            " " | "space" | "" => items.push(Item::Space(3.92)),
            "quad" => items.push(Item::Space(11.75)),
            "qquad" => items.push(Item::Space(23.5)),
            "enspace" => items.push(Item::Space(5.87)),
            "rm" | "bf" | "it" | "cal" => self.family = Self::alphabet(name),
            "mathscr" => items.extend(self.argument_items(*style)?),
            _ => {
                if let Some(scale) = big(name) {
                    let delimiter = self.delimiter_name();
                    let size = BIG * scale;
                    let class = match name.chars().last() {
                        Some('l') => Class::Open,
                        Some('r') => Class::Close,
                        Some('m') => Class::Rel,
                        _ => Class::Ord,
                    };
                    put(
                        class,
                        fence(
                            &delimiter,
                            size / 2.0 + style.axis(),
                            size / 2.0 - style.axis(),
                            *style,
                            self.colour(),
                        ),
                    );
                } else if let Some(family) = Self::alphabet(name) {
                    let inner = self.styled(family, *style)?;
                    // A single character stays what it is; a longer argument is one ordinary atom.
                    match inner.len() {
                        1 => items.extend(inner),
                        _ => put(Class::Ord, assemble(inner, *style)),
                    }
                } else if let Some(atom) = self.symbol(name, *style) {
                    items.push(Item::Atom(atom));
                } else if let Some(atom) = measured::command(name, *style, self.colour()) {
                    items.push(Item::Atom(atom));
                } else if measured::is_undrawn(name) {
                    return Err(LayoutError::Command(name.to_owned()));
                }
            }
        }
        Ok(())
    }

    /// `\tag{1}`: `(1)` at the margin.
    fn tag(&mut self, style: Style) -> Built<()> {
        let colour = self.colour();
        let fence = |c| character(c, Some("lmr"), style, colour).map(Item::Atom);
        let mut items: Vec<Item> = fence('(').into_iter().collect();
        items.extend(self.styled("lmr", style)?);
        items.extend(fence(')'));
        self.tag = Some(assemble(items, style));
        Ok(())
    }

    fn slanted_dots(&self, slanted: bool, style: Style) -> Bx {
        let mut out = Bx::default();
        for at in 0..3 {
            if let Some(dot) = Bx::glyph(style.font("cmr"), 0x2e, self.colour()) {
                let y = if slanted {
                    -f64::from(2 - at) * 4.0 + 1.0
                } else {
                    f64::from(at) * -4.0 - 1.0
                };
                match slanted {
                    true => out.push(dot, y),
                    false => {
                        out.width = dot.width;
                        out.lay(dot, 0.0, y);
                    }
                }
            }
        }
        out
    }
}

/// How much taller than `\big` a sized delimiter is.
fn big(name: &str) -> Option<f64> {
    let name = name.strip_suffix(['l', 'r', 'm']).unwrap_or(name);
    Some(match name {
        "big" => 1.0,
        "Big" => 1.5,
        "bigg" => 2.0,
        "Bigg" => 2.5,
        _ => return None,
    })
}
