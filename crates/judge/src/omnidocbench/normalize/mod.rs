//! One spelling for what means the same: text, formulas, tables.
