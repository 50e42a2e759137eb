use crate::error::{ShapeError, expect};

/// A `[batch, width]` matrix, or one row that stands for every one of them.
pub(crate) struct PerBatch<'a> {
    values: &'a [f32],
    width: usize,
    step: usize,
}

impl<'a> PerBatch<'a> {
    pub(crate) fn new(
        name: &'static str,
        values: Option<&'a [f32]>,
        default: &'a [f32],
        batch: usize,
        width: usize,
    ) -> Result<Self, ShapeError> {
        if let Some(values) = values {
            expect(name, values.len(), batch * width)?;
        }
        Ok(Self {
            values: values.unwrap_or(default),
            width,
            step: if values.is_some() { width } else { 0 },
        })
    }

    /// The row of `batch`.
    pub(crate) fn of(&self, batch: usize) -> &'a [f32] {
        &self.values[batch * self.step..][..self.width]
    }
}
