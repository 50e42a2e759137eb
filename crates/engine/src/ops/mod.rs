//! The only door to the kernels: every operation a model may use, each with its gradient.
