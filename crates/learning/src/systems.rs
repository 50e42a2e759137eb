//! The systems of this crate, in the order of the README's table.

use base::system::System;

/// See [`System`].
pub const SYSTEMS: &[System] = &[
    #[cfg(feature = "hyperfl")]
    crate::hyperfl::SYSTEM,
    #[cfg(feature = "rapl")]
    crate::rapl::SYSTEM,
];
