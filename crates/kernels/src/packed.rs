//! A weight that is used again and again: turned into the order of the product once.

use crate::error::{ShapeError, expect};
use crate::product::{Precision, Product};
#[cfg(target_arch = "x86_64")]
use crate::{bf16::Panels, parallel::collect};

/// A weight `[output, input]` that was packed for [`PackedWeight::linear`].
///
/// [`Precision::Bf16`] holds it in half the memory, where the machine multiplies bf16 values.
pub struct PackedWeight {
    output: usize,
    input: usize,
    form: Form,
}

enum Form {
    /// As it came.
    Rows(Vec<f32>),
    #[cfg(target_arch = "x86_64")]
    Panels(Panels),
}

impl PackedWeight {
    /// Packs `weight`, `[output, input]`.
    pub fn new(
        precision: Precision,
        weight: &[f32],
        output: usize,
        input: usize,
    ) -> Result<Self, ShapeError> {
        expect("weight", weight.len(), output * input)?;
        Ok(Self {
            output,
            input,
            form: Form::new(precision, weight, output, input),
        })
    }

    /// Packs `weight`, `[output, input]`, in half the memory; none where the machine does not multiply bf16 values.
    pub fn rounded(
        weight: &[f32],
        output: usize,
        input: usize,
    ) -> Result<Option<Self>, ShapeError> {
        expect("weight", weight.len(), output * input)?;
        Ok(Form::panels(weight, output, input).map(|form| Self {
            output,
            input,
            form,
        }))
    }

    /// The values, `[output, input]`: rounded to bf16 where they are held so.
    pub fn values(&self) -> Vec<f32> {
        match &self.form {
            Form::Rows(values) => values.clone(),
            #[cfg(target_arch = "x86_64")]
            Form::Panels(panels) => panels.columns(),
        }
    }

    /// Values of a row before and after: `[input, output]`.
    pub fn dims(&self) -> [usize; 2] {
        [self.input, self.output]
    }

    /// Bytes that the values take.
    pub fn bytes(&self) -> usize {
        match &self.form {
            Form::Rows(values) => size_of_val(&values[..]),
            #[cfg(target_arch = "x86_64")]
            Form::Panels(panels) => panels.bytes(),
        }
    }

    /// `x · weightᵀ + bias`, `[rows, output]`: `x` is `[rows, input]`, `bias` `[output]`. The values are those that
    /// [`crate::linear`] gives with the same precision, to the last bit.
    pub fn linear(
        &self,
        x: &[f32],
        bias: Option<&[f32]>,
        rows: usize,
    ) -> Result<Vec<f32>, ShapeError> {
        expect("x", x.len(), rows * self.input)?;
        if let Some(bias) = bias {
            expect("bias", bias.len(), self.output)?;
        }
        Ok(self.form.multiply(x, bias, [rows, self.output, self.input]))
    }
}

impl Form {
    fn new(precision: Precision, weight: &[f32], output: usize, input: usize) -> Self {
        let panels = match precision {
            Precision::Bf16 => Self::panels(weight, output, input),
            Precision::F32 => None,
        };
        panels.unwrap_or_else(|| Self::Rows(weight.to_vec()))
    }

    /// In bf16; none where the machine does not multiply such values.
    fn panels(weight: &[f32], output: usize, input: usize) -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        if input > 0 && crate::bf16::available() {
            // SAFETY: the machine has bf16; the weight was found to hold its values.
            let panels = unsafe { Panels::new((weight, [1, input]), input, output, true) };
            return Some(Self::Panels(panels));
        }
        let _ = (weight, output, input);
        None
    }

    fn multiply(&self, x: &[f32], bias: Option<&[f32]>, size: [usize; 3]) -> Vec<f32> {
        let input = size[2];
        let lhs = (x, [input, 1]);
        match self {
            Self::Rows(weight) => Product {
                size,
                lhs,
                rhs: (weight, [1, input]),
                bias,
            }
            .compute(Precision::F32, true),
            #[cfg(target_arch = "x86_64")]
            Self::Panels(panels) => {
                let [rows, output, _] = size;
                if rows * output == 0 {
                    return Vec::new();
                }
                // SAFETY: there are panels only where the machine has bf16; `x` was found to hold its rows; every value of
                // the result is written.
                unsafe {
                    collect(rows * output, |out| {
                        panels.write(lhs, rows, bias, out, true);
                    })
                }
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use half::bf16;

    use super::*;

    #[test]
    fn what_is_packed_can_be_read_again() {
        for [output, input] in [[1, 1], [17, 33], [64, 32], [130, 70]] {
            let weight: Vec<f32> = (0..output * input)
                .map(|i| ((i * 37 % 101) as f32 - 50.0) * 0.013)
                .collect();
            let rounded: Vec<f32> = weight
                .iter()
                .map(|value| bf16::from_f32(*value).to_f32())
                .collect();
            if let Some(packed) = PackedWeight::rounded(&weight, output, input).unwrap() {
                assert_eq!(packed.values(), rounded);
            }
            let plain = PackedWeight::new(Precision::F32, &weight, output, input).unwrap();
            assert_eq!(plain.values(), weight);
        }
    }
}
