//! Sliding windows: the best cosine of two latents over windows at the same place. They find what was cropped or painted over.

use super::Shape;

/// Windows of latents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    shape: Shape,
    size: usize,
    stride: usize,
}

impl Windows {
    /// Square windows with side `size` every `stride` places; none where `stride` does not divide `size` or `size` exceeds
    /// a side.
    pub fn new(shape: Shape, size: usize, stride: usize) -> Option<Self> {
        let fits = stride > 0 && size.is_multiple_of(stride) && size > 0;
        (fits && size <= shape.height.min(shape.width)).then_some(Self {
            shape,
            size,
            stride,
        })
    }

    /// Half the smaller side every eighth of it: 32 and 8 for 64 x 64 (official).
    pub fn usual(shape: Shape) -> Option<Self> {
        let stride = shape.height.min(shape.width) / 8;
        Self::new(shape, 4 * stride, stride)
    }

    /// Windows along both axes.
    pub fn counts(&self) -> [usize; 2] {
        [self.shape.height, self.shape.width].map(|side| (side - self.size) / self.stride + 1)
    }

    /// Number of windows.
    pub fn count(&self) -> usize {
        self.counts().iter().product()
    }

    /// Values of a window.
    pub fn dimension(&self) -> usize {
        self.shape.channels * self.size * self.size
    }

    /// The inner products of `a` and `b` in all windows, row by row.
    pub fn products(&self, a: &[f32], b: &[f32]) -> Vec<f32> {
        let Self {
            shape,
            size,
            stride,
        } = *self;
        let [rows, columns] = self.counts();
        let across = size / stride;
        let [cell_rows, cell_columns] = [rows, columns].map(|count| count + across - 1);
        let mut cells = vec![0.0f32; cell_rows * cell_columns];
        let width = shape.width;
        let planes = a
            .chunks_exact(shape.plane())
            .zip(b.chunks_exact(shape.plane()));
        for (a, b) in planes {
            let lines = a.chunks_exact(width).zip(b.chunks_exact(width));
            for (y, (a, b)) in lines.take(cell_rows * stride).enumerate() {
                let cells = &mut cells[y / stride * cell_columns..][..cell_columns];
                let parts = a.chunks_exact(stride).zip(b.chunks_exact(stride));
                for (cell, (a, b)) in cells.iter_mut().zip(parts) {
                    *cell += a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
                }
            }
        }
        let windows = (0..rows).flat_map(|y| (0..columns).map(move |x| [y, x]));
        windows
            .map(|[y, x]| {
                let lines = (y..y + across).map(|row| &cells[row * cell_columns + x..][..across]);
                lines.flatten().sum()
            })
            .collect()
    }

    /// The best cosine over windows, given the inner products of the two latents and of each with itself.
    pub fn best(products: &[f32], a: &[f32], b: &[f32]) -> f32 {
        let squares = a.iter().zip(b).map(|(a, b)| a * b);
        products
            .iter()
            .zip(squares)
            .filter(|(_, squares)| *squares > 0.0)
            .map(|(product, squares)| product / squares.sqrt())
            .fold(-1.0, f32::max)
    }

    /// The best cosine of `a` and `b` over windows.
    pub fn cosine(&self, a: &[f32], b: &[f32]) -> f32 {
        let own = [a, b].map(|values| self.products(values, values));
        Self::best(&self.products(a, b), &own[0], &own[1])
    }
}
