//! `orrery sd`: Stable Diffusion 1.x, 2.x and XL with weights of the user's own. The networks and the pipeline are in
//! [`engine::models::stable_diffusion`]; here are its verbs, and what is written into a picture so that it can be made again.

mod command;
mod options;
mod ticket;

pub use command::Command;
pub use ticket::{KEY, Ticket};
