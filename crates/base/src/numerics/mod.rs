//! Numbers about numbers: statistics and distances, from libraries wherever one fits.

mod agreement;
mod alphabet;
mod assignment;
mod bootstrap;
mod edit_columns;
mod edit_table;
mod effect;
#[cfg(feature = "linear-algebra")]
mod frechet;
mod levenshtein;
#[cfg(feature = "linear-algebra")]
mod mixed;
mod pattern;
mod rank_tests;
mod ranks;
pub mod statistics;

pub use agreement::krippendorff_ordinal;
pub use alphabet::{Alphabet, Symbol};
pub use assignment::assign;
pub use bootstrap::{bootstrap, quantile};
pub use edit_table::levenshtein_table;
pub use effect::{benjamini_hochberg, cliffs_delta, cohens_d, holm};
#[cfg(feature = "linear-algebra")]
pub use frechet::{FrechetError, frechet};
pub use levenshtein::{levenshtein, levenshtein_numbered};
#[cfg(feature = "linear-algebra")]
pub use mixed::{Coefficient, MixedModel, mixed_model};
pub use pattern::Pattern;
pub use rank_tests::{RankTest, mann_whitney, wilcoxon};
pub use ranks::{Correlation, kendall, mid_ranks, spearman};
