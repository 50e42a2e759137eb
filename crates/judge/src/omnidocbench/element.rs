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
    /// `formula_rescue`: text that is like a formula, as a candidate for one (v1.6).
    FormulaRescue,
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
    /// `equation_caption`: what stands beside a display formula (v1.6).
    EquationCaption,
    /// `text_formula`: text that is like a formula (v1.6).
    TextFormula,
    /// `image_formula`: a picture's description that is like one (v1.6).
    ImageFormula,
    /// `table_formula_rescue`: a cell that is like one (v1.6).
    TableFormula,
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
            Self::FormulaRescue => "formula_rescue",
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
            Self::EquationCaption => "equation_caption",
            Self::TextFormula => "text_formula",
            Self::ImageFormula => "image_formula",
            Self::TableFormula => "table_formula_rescue",
        }
    }
}
