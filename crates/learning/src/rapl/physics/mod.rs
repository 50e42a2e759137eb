//! A small rigid-body engine of the plane: convex shapes, joints with a largest force, sequential impulses.
//!
//! It follows the published algorithm of the Chipmunk engine: positions advance first; overlaps are mended by a velocity of
//! their own; contacts and joints keep their impulses from step to step; every pass solves contacts, then joints.

mod body;
mod broad;
mod contact;
mod joint;
mod shape;
mod space;
mod vector;

pub use body::{Body, polygon_inertia};
pub use contact::touching;
pub use joint::{Demand, ERROR_LEFT, Joint};
pub use shape::{MOST, Shape};
pub use space::Space;
pub use vector::Vec2;
