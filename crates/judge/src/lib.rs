//! Evaluation systems: document parsing, code models.
