//! Where the uniform draws of a second look come from.

use base::rng::Rng;

use super::SystemError;

/// A source of uniform draws in `[0, 1)`: one for each coordinate of each reframed position, row by row.
pub trait Uniforms: Send {
    /// Fills `out`, `[positions, width]`.
    ///
    /// # Errors
    /// [`SystemError::Failed`] when there are no more.
    fn fill(&mut self, out: &mut [f32]) -> Result<(), SystemError>;
}

impl Uniforms for Rng {
    fn fill(&mut self, out: &mut [f32]) -> Result<(), SystemError> {
        out.iter_mut().for_each(|draw| *draw = self.uniform());
        Ok(())
    }
}

/// Draws that somebody recorded, such as those of the official code.
#[derive(Clone, Debug)]
pub struct Recorded {
    values: Vec<f32>,
    used: usize,
}

impl Recorded {
    /// Gives out `values` from the first to the last.
    pub fn new(values: Vec<f32>) -> Self {
        Self { values, used: 0 }
    }

    /// How many are left.
    pub fn left(&self) -> usize {
        self.values.len() - self.used
    }
}

impl Uniforms for Recorded {
    fn fill(&mut self, out: &mut [f32]) -> Result<(), SystemError> {
        let missing = out.len().saturating_sub(self.left());
        if missing > 0 {
            return Err(SystemError::Failed(format!(
                "the recorded draws end {missing} values too early: record one for each coordinate of each second look"
            )));
        }
        out.copy_from_slice(&self.values[self.used..][..out.len()]);
        self.used += out.len();
        Ok(())
    }
}
