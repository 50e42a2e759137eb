//! From TeX's tokens to boxes: lists, groups, scripts and plain symbols.

use super::LayoutError;
use super::atoms::{Atom, Class, Item, Limits, assemble};
use super::boxes::Bx;
use super::lex::Tex;
use super::style::Style;
use super::symbols::{alphabet, character, symbol};

/// How deep lists may nest.
const MAX_DEPTH: usize = 120;

/// Where a list ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// At the brace that closes it.
    Group,
    /// At `\right`.
    Right,
    /// At `&`, `\\` or `\end`.
    Cell,
    /// At `]`.
    Bracket,
}

pub(super) struct Builder {
    tokens: Vec<Tex>,
    at: usize,
    /// Colours, the innermost last.
    colours: Vec<usize>,
    /// The family that letters and digits are set in, where it is not the usual one.
    pub(super) family: Option<&'static str>,
    depth: usize,
    /// What `\tag` puts at the margin.
    pub(super) tag: Option<Bx>,
}

pub(super) type Built<T> = Result<T, LayoutError>;

impl Builder {
    pub(super) fn new(tokens: Vec<Tex>) -> Self {
        Self {
            tokens,
            at: 0,
            colours: Vec::new(),
            family: None,
            depth: 0,
            tag: None,
        }
    }

    pub(super) fn colour(&self) -> Option<usize> {
        self.colours.last().copied()
    }

    pub(super) fn peek(&self) -> Option<&Tex> {
        self.tokens.get(self.at)
    }

    /// All tokens that come.
    pub(super) fn rest(&self) -> &[Tex] {
        self.tokens.get(self.at..).unwrap_or_default()
    }

    /// The next token that is no colour; colours take effect.
    pub(super) fn peek_drawn(&mut self) -> Option<&Tex> {
        while let Some(token @ (Tex::Paint(_) | Tex::Unpaint)) = self.tokens.get(self.at) {
            match token {
                Tex::Paint(colour) => self.colours.push(*colour),
                _ => drop(self.colours.pop()),
            }
            self.at += 1;
        }
        self.tokens.get(self.at)
    }

    pub(super) fn advance(&mut self) -> Option<Tex> {
        let token = self.peek_drawn().cloned();
        self.at += 1;
        token
    }

    /// A list up to its end, which is passed over only where it is a closing brace or bracket.
    pub(super) fn list(&mut self, style: Style, end: End) -> Built<Bx> {
        let items = self.items(style, end)?;
        Ok(assemble(items.0, items.1))
    }

    /// The items of a list, and the style that it is in at its end.
    pub(super) fn items(&mut self, mut style: Style, end: End) -> Built<(Vec<Item>, Style)> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(LayoutError::Depth);
        }
        let family = self.family;
        let mut items = Vec::new();
        while let Some(token) = self.peek_drawn() {
            match token {
                Tex::Close => {
                    if end == End::Group {
                        self.at += 1;
                    }
                    break;
                }
                Tex::Char('&') if end == End::Cell => break,
                Tex::Char(']') if end == End::Bracket => {
                    self.at += 1;
                    break;
                }
                Tex::Command(name) if end == End::Right && name == "right" => break,
                Tex::Command(name)
                    if end == End::Cell && matches!(name.as_str(), "\\" | "cr" | "end") =>
                {
                    break;
                }
                _ => {}
            }
            let Some(token) = self.advance() else { break };
            self.item(token, &mut style, &mut items)?;
        }
        self.family = family;
        self.depth -= 1;
        Ok((items, style))
    }

    fn item(&mut self, token: Tex, style: &mut Style, items: &mut Vec<Item>) -> Built<()> {
        match token {
            Tex::Open => {
                let inner = self.list(*style, End::Group)?;
                items.push(Item::Atom(Atom::new(Class::Ord, inner)));
            }
            Tex::Char(mark @ ('^' | '_')) => {
                let script = if mark == '^' {
                    style.sup()
                } else {
                    style.sub()
                };
                let script = self.argument(script)?;
                self.attach(items, mark == '^', script);
            }
            Tex::Char('\'') => {
                if let Some(prime) = Bx::glyph(style.sup().font("cmsy"), 0x30, self.colour()) {
                    self.attach(items, true, prime);
                }
            }
            Tex::Char('~') => items.push(Item::Space(style.sigma(6) / 3.0)),
            Tex::Char('&') => {}
            Tex::Char(c) => {
                items.extend(character(c, self.family, *style, self.colour()).map(Item::Atom))
            }
            Tex::Command(name) => self.command(&name, style, items)?,
            Tex::Close | Tex::Paint(_) | Tex::Unpaint => {}
        }
        Ok(())
    }

    /// Hangs a script on the last atom, or on nothing.
    fn attach(&self, items: &mut Vec<Item>, above: bool, script: Bx) {
        if !matches!(items.last(), Some(Item::Atom(_))) {
            items.push(Item::Atom(Atom::new(Class::Ord, Bx::default())));
        }
        let Some(Item::Atom(atom)) = items.last_mut() else {
            return;
        };
        let place = if above { &mut atom.sup } else { &mut atom.sub };
        match place {
            // A second script of a kind is an error that TeX mends by an empty base; it follows the first.
            Some(first) => first.push(script, 0.0),
            None => *place = Some(script),
        }
    }

    /// One argument as a box: a group, or a single token with its own arguments.
    pub(super) fn argument(&mut self, style: Style) -> Built<Bx> {
        let items = self.argument_items(style)?;
        Ok(assemble(items, style))
    }

    pub(super) fn argument_items(&mut self, style: Style) -> Built<Vec<Item>> {
        match self.advance() {
            Some(Tex::Open) => Ok(self.items(style, End::Group)?.0),
            Some(Tex::Close) => {
                self.at -= 1;
                Ok(Vec::new())
            }
            Some(token) => {
                self.depth += 1;
                if self.depth > MAX_DEPTH {
                    return Err(LayoutError::Depth);
                }
                let (mut items, mut style) = (Vec::new(), style);
                self.item(token, &mut style, &mut items)?;
                self.depth -= 1;
                Ok(items)
            }
            None => Ok(Vec::new()),
        }
    }

    /// An argument whose letters are set in `family`.
    pub(super) fn styled(&mut self, family: &'static str, style: Style) -> Built<Vec<Item>> {
        let outer = self.family.replace(family);
        let items = self.argument_items(style);
        self.family = outer;
        items
    }

    /// The text of a group such as `{array}` or `{1.5 cm}`.
    pub(super) fn raw_group(&mut self) -> String {
        let mut out = String::new();
        if self.peek_drawn() != Some(&Tex::Open) {
            return out;
        }
        let mut open = 0_usize;
        while let Some(token) = self.advance() {
            match token {
                Tex::Open => open += 1,
                Tex::Close => {
                    open -= 1;
                    if open == 0 {
                        break;
                    }
                }
                Tex::Char(c) => out.push(c),
                _ => {}
            }
        }
        out
    }

    /// Passes over one token if it is this character.
    pub(super) fn skip(&mut self, c: char) -> bool {
        let there = self.peek_drawn() == Some(&Tex::Char(c));
        self.at += usize::from(there);
        there
    }

    /// The name of the delimiter that comes next.
    pub(super) fn delimiter_name(&mut self) -> String {
        match self.advance() {
            Some(Tex::Char(c)) => c.to_string(),
            Some(Tex::Command(name)) if name == "|" => "Vert".into(),
            Some(Tex::Command(name)) => name,
            Some(Tex::Open | Tex::Close) => {
                self.at -= 1;
                String::new()
            }
            _ => String::new(),
        }
    }

    /// A command that is a symbol; nothing for one that is not known.
    pub(super) fn symbol(&self, name: &str, style: Style) -> Option<Atom> {
        symbol(name, self.family, style, self.colour())
    }

    /// Applies `\limits` and `\nolimits` to the last atom.
    pub(super) fn set_limits(items: &mut [Item], limits: Limits) {
        if let Some(Item::Atom(atom)) = items.last_mut() {
            atom.limits = limits;
        }
    }

    pub(super) fn alphabet(name: &str) -> Option<&'static str> {
        alphabet(name)
    }
}
