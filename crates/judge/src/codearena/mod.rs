//! CodeArena and SynCode-Instruct (arXiv 2412.05210): code models aligned with human preference.
