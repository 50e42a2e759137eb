//! The text, formula and table forms that are matched and measured.

mod bare_formula;
mod clean;
mod delimiters;
mod formula;
mod latex;
mod latex_table;
mod safe;
mod styling;
mod table;
mod text;

pub use clean::clean;
pub(crate) use delimiters::regex;
pub use delimiters::{without_delimiters, without_tags};
pub use formula::formula;
pub use latex::{Error as LatexError, latex_to_text};
pub use latex_table::latex_table_to_html;
pub(crate) use safe::count;
pub use safe::safe_latex_to_text;
pub(crate) use table::unescape;
pub use table::{cell_texts, html_table, layout_text, table_cells};
pub use text::text_to_unicode;
