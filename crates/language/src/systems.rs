//! The systems of this crate, in the order of the README's table.

use base::system::System;

#[cfg(feature = "counterspeech")]
use crate::counterspeech;
#[cfg(feature = "frames")]
use crate::frames;
#[cfg(feature = "guardian")]
use crate::guardian;
#[cfg(feature = "harp")]
use crate::harp;
#[cfg(feature = "moxin")]
use crate::moxin;

/// See [`System`].
pub const SYSTEMS: &[System] = &[
    #[cfg(feature = "harp")]
    harp::SYSTEM,
    #[cfg(feature = "frames")]
    frames::SYSTEM,
    #[cfg(feature = "moxin")]
    moxin::SYSTEM,
    #[cfg(feature = "guardian")]
    guardian::SYSTEM,
    #[cfg(feature = "counterspeech")]
    counterspeech::SYSTEM,
];
