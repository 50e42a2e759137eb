//! The cards of this crate's systems.

use engine::card::Card;

use crate::{codearena, omnidocbench};

/// Cards in the order of the map.
pub const CARDS: &[Card] = &[omnidocbench::CARD, codearena::CARD];
