//! Fractions, roots and fences (TeXbook, appendix G, rules 11 and 15).

use super::atoms::assemble;
use super::boxes::Bx;
use super::build::{Builder, Built, End};
use super::delimiter::{NULL, delimiter, fence};
use super::lex::Tex;
use super::style::Style;
use super::symbols::root_sign;

impl Builder {
    pub(super) fn fraction(&mut self, bar: bool, style: Style) -> Built<Bx> {
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

    pub(super) fn root(&mut self, style: Style) -> Built<Bx> {
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

    pub(super) fn fenced(&mut self, style: Style) -> Built<Bx> {
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
}
