//! The part of latents that carries the mark of an inpainted photograph.

use super::Shape;

/// A rectangle of places, inside the latents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// First row.
    pub y: usize,
    /// First column.
    pub x: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl Region {
    /// The square in the middle with the side `fraction` of each side, rounded down but at least 1.
    pub fn middle(shape: Shape, fraction: f32) -> Self {
        let part = |side: usize| ((side as f32 * fraction) as usize).clamp(1, side);
        let [height, width] = [part(shape.height), part(shape.width)];
        Self {
            y: (shape.height - height) / 2,
            x: (shape.width - width) / 2,
            height,
            width,
        }
    }

    /// Whether the place is inside.
    pub fn holds(self, y: usize, x: usize) -> bool {
        (self.y..self.y + self.height).contains(&y) && (self.x..self.x + self.width).contains(&x)
    }
}
