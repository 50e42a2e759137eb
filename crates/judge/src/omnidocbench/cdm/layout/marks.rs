//! What is put over and under: lines, accents, braces, arrows, stacked symbols (TeXbook, appendix G, rules 9, 10 and 12).

use super::atoms::{Atom, Class, Item, Limits, assemble};
use super::boxes::Bx;
use super::build::{Builder, Built, End};
use super::style::Style;
use super::symbols::accent;

impl Builder {
    pub(super) fn line(&mut self, above: bool, style: Style) -> Built<Bx> {
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

    pub(super) fn accented(&mut self, name: &str, style: Style) -> Built<Atom> {
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

    pub(super) fn stacked(&mut self, name: &str, style: Style) -> Built<Atom> {
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

    /// A brace below: four pieces and the rules between them.
    pub(super) fn brace(&mut self, style: Style) -> Built<Bx> {
        let colour = self.colour();
        let mut inner = self.argument(Style::DISPLAY)?;
        let font = style.font("cmex");
        let pieces: Vec<Bx> = [0x7c, 0x7b, 0x7a, 0x7d]
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
        let down = inner.depth + 3.0 + brace.height;
        inner = inner.centred(width);
        inner.lay(brace, 0.0, down);
        Ok(inner)
    }

    pub(super) fn arrow(&mut self, right: bool, style: Style) -> Built<Bx> {
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
}
