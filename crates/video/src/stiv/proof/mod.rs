//! The small-scale proof of STIV.

pub mod toy;
pub mod toy_draw;
