//! The systems of this crate, in the order of the README's table.

use base::system::System;

#[cfg(feature = "codearena")]
use crate::codearena;
#[cfg(feature = "omnidocbench")]
use crate::omnidocbench;

/// See [`System`].
pub const SYSTEMS: &[System] = &[
    #[cfg(feature = "omnidocbench")]
    omnidocbench::SYSTEM,
    #[cfg(feature = "codearena")]
    codearena::SYSTEM,
];
