//! What the parser makes of a formula.

/// A piece of a formula. Names keep their backslash.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    /// A letter, or any command that nobody knows: taken apart into characters under `\mathrm`.
    Letter(String),
    /// A known symbol: printed as it is.
    Symbol(String),
    /// A space; the plain blank of text is printed as `~`.
    Space(String),
    /// `{…}`.
    Group(Vec<Node>),
    /// `\text{…}`, `\mbox{…}`.
    Text(Vec<Node>),
    /// Sub- and superscript on a base, which may be missing.
    Scripts {
        base: Option<Box<Node>>,
        sub: Option<Box<Node>>,
        sup: Option<Box<Node>>,
    },
    /// `\frac` (with a bar) or `\binom`.
    Fraction {
        bar: bool,
        upper: Box<Node>,
        lower: Box<Node>,
    },
    /// Rows of cells; a column without alignment prints nothing.
    Array {
        columns: Option<Vec<Option<String>>>,
        rows: Vec<Vec<Vec<Node>>>,
    },
    /// `\sqrt[index]{body}`.
    Root {
        index: Option<Box<Node>>,
        body: Box<Node>,
    },
    /// `\left … \right`.
    Fence {
        left: String,
        right: String,
        body: Vec<Node>,
    },
    /// `\hat{x}` and its like.
    Accent { name: String, base: Box<Node> },
    /// `\sum` (a symbol) or `\lim` (a word).
    Operator {
        name: String,
        limits: bool,
        symbol: bool,
    },
    /// `\mathbf{x}` and everything else that takes one argument.
    Font { name: String, body: Box<Node> },
    /// `\big(`.
    Sized { name: String, delimiter: String },
    /// `\displaystyle`, `\bf`: acts to the end of its group.
    Declaration { name: String, body: Vec<Node> },
    /// `\overline`, `\underline`, `\llap`, `\rlap`.
    Line { name: String, body: Box<Node> },
    /// `\rule`: width and height, each with its unit.
    Rule {
        width: (f64, String),
        height: (f64, String),
    },
    /// `\phantom{…}`.
    Phantom(Vec<Node>),
    /// `\over` or `\choose`, until its group is complete.
    Infix { bar: bool },
    /// `\\`, only between rows.
    RowEnd,
    /// The name in `\begin{…}` or `\end{…}`.
    Environment(String),
    /// What the printer has no form for, such as a colour: printing fails with its name.
    Unprintable(String),
}

impl Node {
    /// The members of a group, or the node itself as the only one.
    pub(super) fn members(self) -> Vec<Node> {
        match self {
            Self::Group(members) => members,
            other => vec![other],
        }
    }
}
