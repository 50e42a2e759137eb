//! Commands that arrange what follows them.

use super::atoms::{Atom, Class, Item, Limits, assemble};
use super::boxes::Bx;
use super::build::{Builder, Built, End};
use super::delimiter::{NULL, delimiter, fence};
use super::lex::Tex;
use super::style::Style;
use super::symbols::{accent, root_sign};

/// How tall `\big` is; `\Big`, `\bigg` and `\Bigg` are 1.5, 2 and 2.5 times that.
const BIG: f64 = 14.4;

impl Builder {
    /// Sets a command. What is not known leaves nothing, as in TeX's nonstop mode.
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
            "underbrace" | "overbrace" => {
                let braced = self.brace(name == "overbrace", *style)?;
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
            "hspace" | "vspace" | "label" | "tag" | "ref" | "color" | "textcolor" => {
                self.raw_group();
            }
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
                }
            }
        }
        Ok(())
    }

    fn fraction(&mut self, bar: bool, style: Style) -> Built<Bx> {
        let colour = self.colour();
        let upper = self.argument(style.numerator())?;
        let lower = self.argument(style.denominator())?;
        let display = style.display();
        let thickness = if bar { style.rule() } else { 0.0 };
        let mut up = style.sigma(if display {
            8
        } else if bar {
            9
        } else {
            10
        });
        let mut down = style.sigma(if display { 11 } else { 12 });
        if bar {
            let gap = if display { 3.0 } else { 1.0 } * thickness;
            let (top, bottom) = (
                style.axis() + thickness / 2.0,
                style.axis() - thickness / 2.0,
            );
            up += (gap - (up - upper.depth - top)).max(0.0);
            down += (gap - (bottom - (lower.height - down))).max(0.0);
        } else {
            let gap = if display { 7.0 } else { 3.0 } * style.rule();
            let short = gap - ((up - upper.depth) - (lower.height - down));
            up += short.max(0.0) / 2.0;
            down += short.max(0.0) / 2.0;
        }
        let width = upper.width.max(lower.width);
        let mut body = Bx::space(width);
        body.lay(upper.centred(width), 0.0, -up);
        body.lay(lower.centred(width), 0.0, down);
        let sides = if bar {
            body.lay(
                Bx::rule(width, thickness, 0.0, colour),
                0.0,
                thickness / 2.0 - style.axis(),
            );
            [Bx::space(NULL), Bx::space(NULL)]
        } else {
            let size = style.sigma(if display { 20 } else { 21 });
            ["(", ")"].map(|name| delimiter(name, size, style, colour))
        };
        let [mut out, right] = sides;
        out.push(body, 0.0);
        out.push(right, 0.0);
        Ok(out)
    }

    fn root(&mut self, style: Style) -> Built<Bx> {
        let colour = self.colour();
        let index = match self.skip('[') {
            true => Some(self.list(Style { level: 3, ..style }, End::Bracket)?),
            false => None,
        };
        let inner = self.argument(style.cramp())?;
        let line = style.rule();
        let clear = if style.display() {
            style.sigma(5)
        } else {
            line
        };
        let mut gap = line + clear.abs() / 4.0;
        let sign = root_sign(inner.total() + gap + line, style, colour);
        let thick = sign.height;
        if sign.depth > inner.total() + gap {
            gap = (gap + sign.depth - inner.total()) / 2.0;
        }
        let top = inner.height + gap;
        let mut out = Bx::default();
        out.push(sign, -top);
        let (x, width) = (out.width, inner.width);
        out.push(inner, 0.0);
        out.lay(Bx::rule(width, thick, 0.0, colour), x, -top);
        out.height = top + 2.0 * thick;
        let Some(index) = index else { return Ok(out) };
        let lift = 0.6 * (out.height - out.depth);
        let mut whole = Bx::space(5.0 * style.mu());
        whole.push(index, -lift);
        whole.width = (whole.width - 10.0 * style.mu()).max(0.0);
        whole.push(out, 0.0);
        Ok(whole)
    }

    fn fenced(&mut self, style: Style) -> Built<Bx> {
        let left_colour = self.colour();
        let left = self.delimiter_name();
        let inner = self.items(style, End::Right)?;
        let inner = assemble(inner.0, inner.1);
        self.peek_drawn();
        let right_colour = self.colour();
        let right = match self.peek() {
            Some(Tex::Command(name)) if name == "right" => {
                self.advance();
                self.delimiter_name()
            }
            _ => String::new(),
        };
        let (height, depth) = (inner.height, inner.depth);
        let mut out = fence(&left, height, depth, style, left_colour);
        out.push(inner, 0.0);
        out.push(fence(&right, height, depth, style, right_colour), 0.0);
        Ok(out)
    }

    fn line(&mut self, above: bool, style: Style) -> Built<Bx> {
        let colour = self.colour();
        let mut inner = self.argument(if above { style.cramp() } else { style })?;
        let (width, thick) = (inner.width, style.rule());
        let rule = Bx::rule(width, thick, 0.0, colour);
        if above {
            let up = inner.height + 3.0 * thick;
            inner.lay(rule, 0.0, -up);
            inner.height = up + 2.0 * thick;
        } else {
            let down = inner.depth + 4.0 * thick;
            inner.lay(rule, 0.0, down);
            inner.depth = down + thick;
        }
        Ok(inner)
    }

    fn accented(&mut self, name: &str, style: Style) -> Built<Atom> {
        let colour = self.colour();
        let items = self.argument_items(style.cramp())?;
        let (skew, class) = match items.as_slice() {
            [Item::Atom(atom)] if atom.character => (atom.skew, atom.character),
            _ => (0.0, false),
        };
        let mut base = assemble(items, style.cramp());
        if let Some(accent) = accent(name, base.width, style, colour) {
            let height = match name {
                "vec" | "Vec" => style.font("cmmi").param(5),
                "widehat" | "widetilde" => style.font("cmex").param(5),
                _ => style.font("cmr").param(5),
            };
            let x = skew + (base.width - accent.width) / 2.0;
            let lift = base.height - base.height.min(height);
            base.lay(accent, x, -lift);
        }
        Ok(Atom {
            character: class,
            ..Atom::new(Class::Ord, base)
        })
    }

    fn stacked(&mut self, name: &str, style: Style) -> Built<Atom> {
        let script = self.argument(if name == "underset" {
            style.sub()
        } else {
            style.sup()
        })?;
        let items = self.argument_items(style)?;
        let class = match items.as_slice() {
            _ if name == "stackrel" => Class::Rel,
            [Item::Atom(atom)] => atom.class,
            _ => Class::Ord,
        };
        let mut atom = Atom {
            limits: Limits::Always,
            ..Atom::new(Class::Op, assemble(items, style))
        };
        match name {
            "underset" => atom.sub = Some(script),
            _ => atom.sup = Some(script),
        }
        Ok(Atom::new(class, assemble(vec![Item::Atom(atom)], style)))
    }

    /// A horizontal brace of four pieces and the rules between them.
    fn brace(&mut self, above: bool, style: Style) -> Built<Bx> {
        let colour = self.colour();
        let mut inner = self.argument(Style::DISPLAY)?;
        let font = style.font("cmex");
        let codes = if above {
            [0x7a, 0x7d, 0x7c, 0x7b]
        } else {
            [0x7c, 0x7b, 0x7a, 0x7d]
        };
        let pieces: Vec<Bx> = codes
            .into_iter()
            .filter_map(|code| Bx::glyph(font, code, colour))
            .collect();
        let thick = pieces.first().map_or(0.0, |piece| piece.height);
        let fill =
            ((inner.width - pieces.iter().map(|piece| piece.width).sum::<f64>()) / 2.0).max(0.0);
        let mut brace = Bx::default();
        for (at, piece) in pieces.into_iter().enumerate() {
            if at == 1 || at == 3 {
                brace.push(Bx::rule(fill, thick, 0.0, colour), 0.0);
            }
            brace.push(piece, 0.0);
        }
        let width = inner.width.max(brace.width);
        let (down, up) = (
            inner.depth + 3.0 + brace.height,
            inner.height + 3.0 + brace.depth,
        );
        inner = inner.centred(width);
        inner.lay(brace, 0.0, if above { -up } else { down });
        Ok(inner)
    }

    fn arrow(&mut self, right: bool, style: Style) -> Built<Bx> {
        let colour = self.colour();
        let below = match self.skip('[') {
            true => Some(self.list(style.sub(), End::Bracket)?),
            false => None,
        };
        let above = self.argument(style.sup())?;
        let text = above
            .width
            .max(below.as_ref().map_or(0.0, |below| below.width));
        let Some(head) = self.symbol(if right { "rightarrow" } else { "leftarrow" }, style) else {
            return Ok(above);
        };
        let width = (text + 12.0 * style.mu()).max(head.nucleus.width);
        let shaft = (width - head.nucleus.width).max(0.0);
        let shaft = Bx::rule(
            shaft,
            style.axis() + style.rule() / 2.0,
            style.rule() / 2.0 - style.axis(),
            colour,
        );
        let mut arrow = Bx::default();
        let parts = if right {
            [shaft, head.nucleus]
        } else {
            [head.nucleus, shaft]
        };
        for part in parts {
            arrow.push(part, 0.0);
        }
        let atom = Atom {
            limits: Limits::Always,
            sup: Some(above),
            sub: below,
            ..Atom::new(Class::Op, arrow)
        };
        Ok(assemble(vec![Item::Atom(atom)], style))
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
