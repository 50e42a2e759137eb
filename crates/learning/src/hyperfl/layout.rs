//! Named tensors in one flat list of values: what optimisers, averages, uploads and attacks work on.

use std::ops::Range;

use base::tensor_file::{Precision, TensorFile, Weights};

use crate::error::{LearningError, Result};

/// One tensor of a [`Layout`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Its name in a state dict.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its place in the flat list.
    pub range: Range<usize>,
}

/// Names and places of tensors that lie one after another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    slots: Vec<Slot>,
}

impl Layout {
    /// Adds a tensor at the end and gives its place.
    pub fn push(&mut self, name: impl Into<String>, shape: &[usize]) -> Range<usize> {
        let from = self.len();
        let range = from..from + shape.iter().product::<usize>();
        self.slots.push(Slot {
            name: name.into(),
            shape: shape.to_vec(),
            range: range.clone(),
        });
        range
    }

    /// The tensors, in order.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// Number of values of all tensors.
    pub fn len(&self) -> usize {
        self.slots.last().map_or(0, |slot| slot.range.end)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Place of the tensor called `name`.
    pub fn find(&self, name: &str) -> Option<Range<usize>> {
        let slot = self.slots.iter().find(|slot| slot.name == name)?;
        Some(slot.range.clone())
    }

    /// The tensors that lie in `range`, moved to its start.
    pub fn part(&self, range: Range<usize>) -> Self {
        let inside = |slot: &&Slot| slot.range.start >= range.start && slot.range.end <= range.end;
        let moved = |slot: &Slot| Slot {
            range: slot.range.start - range.start..slot.range.end - range.start,
            ..slot.clone()
        };
        Self {
            slots: self.slots.iter().filter(inside).map(moved).collect(),
        }
    }

    /// The values of all tensors, read from `weights` under `prefix` before each name.
    ///
    /// # Errors
    /// Where one is missing or has another shape.
    pub fn read(&self, weights: &Weights, prefix: &str) -> Result<Vec<f32>> {
        let mut values = Vec::with_capacity(self.len());
        for slot in &self.slots {
            let name = format!("{prefix}{}", slot.name);
            let shape = weights.shape(&name).ok_or_else(|| weights.absent(&name))?;
            if shape != slot.shape {
                return Err(LearningError::invalid(format!(
                    "`{name}` of `{}` is {shape:?}, the model needs {:?}: give a file of the same model",
                    weights.origin(),
                    slot.shape
                )));
            }
            values.extend(weights.values(&name)?);
        }
        Ok(values)
    }

    /// Adds all tensors to `file` under `prefix` before each name.
    ///
    /// # Errors
    /// Where a name is taken.
    pub fn write(
        &self,
        file: &mut TensorFile,
        prefix: &str,
        values: &[f32],
        precision: Precision,
    ) -> Result<()> {
        for slot in &self.slots {
            let name = format!("{prefix}{}", slot.name);
            let values = &values[slot.range.clone()];
            file.floats(&name, &slot.shape, values, precision)?;
        }
        Ok(())
    }
}
