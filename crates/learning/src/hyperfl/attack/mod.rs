//! Gradient inversion: pictures from what a client sent.
//!
//! An [`Observation`] says how far what guessed pictures would have sent is from what was seen, and how that distance changes
//! with the pictures; [`invert`] (signed Adam, Geiping et al., arXiv 2003.14053) and [`dlg`] (L-BFGS, Zhu et al., arXiv
//! 1906.08935) make it small.

mod cost;
mod dlg;
mod invert;
mod observation;
mod unrolled;

pub use cost::{Cost, cosine, total_variation};
pub use dlg::{DlgConfig, dlg};
pub use invert::{InvertConfig, Reconstruction, invert, invert_best};
pub use observation::{Compared, Guess, Observation, SingleGradient};
pub use unrolled::Unrolled;

use super::layout::Layout;

/// The label of a single picture from the gradient of a linear layer's weight `[classes, width]`: the row with the smallest
/// sum.
pub fn recover_label(layout: &Layout, name: &str, gradient: &[f32]) -> Option<u8> {
    let slot = layout.slots().iter().find(|slot| slot.name == name)?;
    let width = *slot.shape.get(1)?;
    let rows = gradient.get(slot.range.clone())?.chunks_exact(width);
    let sums = rows.map(|row| row.iter().map(|&v| f64::from(v)).sum::<f64>());
    let (at, _) = sums.enumerate().min_by(|a, b| a.1.total_cmp(&b.1))?;
    u8::try_from(at).ok()
}
