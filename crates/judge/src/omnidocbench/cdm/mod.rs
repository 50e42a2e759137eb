//! CDM: formulas compared by what they look like.
