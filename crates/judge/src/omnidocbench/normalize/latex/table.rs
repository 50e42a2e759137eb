//! What pylatexenc's default tables know of macros and environments.

use std::sync::LazyLock;

use rustc_hash::FxHashMap;

/// An argument that a macro or an environment takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Argument {
    /// One expression: a group, a macro or a character.
    Expression(Mode),
    /// An optional group in square brackets; `false` where no blank may stand before it.
    Optional(bool),
    /// An optional star.
    Star,
    /// `\verb`: everything between two equal characters.
    Verb,
    /// Everything up to the end of the environment.
    Verbatim(&'static str),
}

/// Whether an argument is read as maths.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mode {
    /// As what is around it.
    Same,
    /// As maths.
    Math,
    /// As text.
    Text,
}

/// How a macro becomes text.
#[derive(Clone, Copy, Debug)]
pub enum Replacement {
    /// This text.
    Text(&'static str),
    /// This text with `%s` or `%(2)s` filled from the arguments.
    Format(&'static str),
    /// This combining character on each character of the argument.
    Accent(char),
    /// The argument in this mathematical alphabet.
    Style(&'static str),
    /// The arguments.
    Keep,
    /// Nothing.
    Drop,
    /// Nothing, but `\maketitle` shows the argument.
    Field(&'static str),
    /// A rule of its own.
    Rule(&'static str),
}

/// What is known of a macro.
pub struct Macro {
    /// Its arguments.
    pub arguments: Vec<Argument>,
    /// Its text.
    pub replacement: Replacement,
}

/// How an environment becomes text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Body {
    /// Its body as it is.
    Plain,
    /// Its body between two newlines.
    Block,
    /// Its body stripped and indented.
    Equation,
    /// `[ a b; c d ]`.
    Matrix,
}

/// What is known of an environment.
pub struct Environment {
    /// Its arguments.
    pub arguments: Vec<Argument>,
    /// Whether its body is maths.
    pub math: bool,
    /// Its text.
    pub body: Body,
}

/// Characters with a meaning of their own, and their texts; longer ones first.
pub const SPECIALS: [(&str, &str); 8] = [
    ("---", "—"),
    ("--", "–"),
    ("``", "“"),
    ("''", "”"),
    ("!`", "¡"),
    ("?`", "¿"),
    ("&", "   "),
    ("~", "\u{a0}"),
];

/// The lines of the macros by name; few are asked for.
static MACROS: LazyLock<FxHashMap<&str, &str>> = LazyLock::new(|| {
    let lines = include_str!("../../../../assets/pylatexenc/macros.tsv").lines();
    lines
        .skip(1)
        .filter_map(|line| line.split_once('\t'))
        .collect()
});

impl Macro {
    /// The macro of a name.
    pub fn find(name: &str) -> Option<Self> {
        let mut fields = MACROS.get(name)?.splitn(3, '\t');
        Some(Self {
            arguments: read_arguments(fields.next()?),
            replacement: read_replacement(fields.next()?, fields.next()?),
        })
    }
}

/// The environments by name.
pub static ENVIRONMENTS: LazyLock<FxHashMap<&str, Environment>> = LazyLock::new(|| {
    lines(include_str!(
        "../../../../assets/pylatexenc/environments.tsv"
    ))
    .map(|[name, arguments, math, body]| {
        (
            name,
            Environment {
                arguments: read_arguments(arguments),
                math: math == "math",
                body: match body {
                    "block" => Body::Block,
                    "equation" => Body::Equation,
                    "matrix" => Body::Matrix,
                    _ => Body::Plain,
                },
            },
        )
    })
    .collect()
});

/// The four fields of each line after the first.
fn lines(table: &'static str) -> impl Iterator<Item = [&'static str; 4]> {
    table.split('\n').skip(1).filter_map(|line| {
        let mut fields = line.splitn(4, '\t');
        Some([
            fields.next()?,
            fields.next()?,
            fields.next()?,
            fields.next()?,
        ])
    })
}

fn read_arguments(text: &str) -> Vec<Argument> {
    text.split(' ')
        .filter_map(|argument| {
            Some(match argument {
                "{" => Argument::Expression(Mode::Same),
                "M{" => Argument::Expression(Mode::Math),
                "T{" => Argument::Expression(Mode::Text),
                "[" => Argument::Optional(true),
                "[!" => Argument::Optional(false),
                "*" => Argument::Star,
                "V" => Argument::Verb,
                "E" => Argument::Verbatim("\\end{verbatim}"),
                "L" => Argument::Verbatim("\\end{lstlisting}"),
                _ => return None,
            })
        })
        .collect()
}

fn read_replacement(sort: &'static str, payload: &'static str) -> Replacement {
    match (sort, payload) {
        ("text", "\\n") => Replacement::Text("\n"),
        ("text", "\\\\") => Replacement::Text("\\"),
        // Newlines are written as `\n` in the table; only the picture has some within a longer text.
        ("text", text) if text.contains("\\n") => Replacement::Text("\n    < g r a p h i c s >\n"),
        ("text", text) => Replacement::Text(text),
        ("format", format) => Replacement::Format(format),
        ("accent", accent) => accent
            .chars()
            .next()
            .map_or(Replacement::Drop, Replacement::Accent),
        ("style", style) => Replacement::Style(style),
        ("keep", _) => Replacement::Keep,
        ("keep-field", field) => Replacement::Field(field),
        ("rule", rule) => Replacement::Rule(rule),
        _ => Replacement::Drop,
    }
}
