//! A piece of a predicted page.

/// The list that a piece of markdown belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `text_all`: running text and code.
    TextAll,
    /// `equation_isolated`: a display formula, or an inline one as a candidate for it.
    EquationIsolated,
    /// `html_table`.
    HtmlTable,
    /// `latex_table`.
    LatexTable,
}

/// `fine_category_type`: what a piece is within its [`Kind`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fine {
    /// `text_block`.
    TextBlock,
    /// `code`.
    Code,
    /// `equation_inline`.
    EquationInline,
    /// `md2html_table`: a markdown pipe table, converted.
    Md2HtmlTable,
}

/// A piece of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    /// Which list it belongs to.
    pub kind: Kind,
    /// First and one-past-last character (not byte) in the page's cleaned text, as the official code counts them.
    pub position: [usize; 2],
    /// The piece itself.
    pub content: String,
    /// What it is within its kind, where that is said.
    pub fine: Option<Fine>,
    /// Language of a piece of code.
    pub language: Option<String>,
}

impl Kind {
    /// The official name.
    pub fn name(self) -> &'static str {
        match self {
            Self::TextAll => "text_all",
            Self::EquationIsolated => "equation_isolated",
            Self::HtmlTable => "html_table",
            Self::LatexTable => "latex_table",
        }
    }
}

impl Fine {
    /// The official name.
    pub fn name(self) -> &'static str {
        match self {
            Self::TextBlock => "text_block",
            Self::Code => "code",
            Self::EquationInline => "equation_inline",
            Self::Md2HtmlTable => "md2html_table",
        }
    }
}
