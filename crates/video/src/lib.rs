//! Video generation and control.
