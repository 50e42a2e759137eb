//! Layers built on [`crate::ops`].
