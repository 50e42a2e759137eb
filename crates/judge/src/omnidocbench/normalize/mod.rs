//! The text, formula and table forms that are matched and measured.

mod clean;
mod formula;
mod latex;
mod latex_table;
mod table;
mod text;

pub use clean::clean;
pub use formula::formula;
pub use latex::{Error as LatexError, latex_to_text};
pub use latex_table::latex_table_to_html;
pub use table::{html_table, table_cells};
pub use text::text_to_unicode;
