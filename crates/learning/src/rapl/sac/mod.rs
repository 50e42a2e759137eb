//! Soft actor–critic in XIRL's form (specification 2.3 and 9.3): a tanh-squashed Gaussian actor, two critics, a learned temperature.

mod agent;
mod buffer;
mod networks;

pub use agent::{Agent, Losses, SacConfig};
pub use buffer::{Batch, Buffer, Transition};
pub use networks::{Actor, Critic, Draw, Mlp, sac_keys};
