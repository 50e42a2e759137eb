//! Weights that are the same from call to call, packed for products of bf16 values once.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use burn::backend::TensorMetadata;
use burn::tensor::Tensor;
use burn_flex::FlexTensor;
use kernels::{PackedWeight, Precision};

use super::bf16_linear::run;
use super::custom_op::{self, dense, values};
use super::linear::{linear, precision};

/// The packed form of a layer's weight: made by the first call that needs it, made anew when the weight is another one. Clones
/// share it.
#[derive(Clone, Default)]
pub struct PackedOnce(Arc<Mutex<Option<Packed>>>);

/// A weight and its packed form.
struct Packed {
    /// As long as this lives, no other weight lies at its place.
    of: FlexTensor,
    weight: Arc<PackedWeight>,
}

impl fmt::Debug for PackedOnce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PackedOnce")
    }
}

impl PackedOnce {
    /// The packed form of a dense `[out, in]`.
    fn get(&self, of: FlexTensor) -> Option<Arc<PackedWeight>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = &*known
            && std::ptr::eq(values(&known.of), values(&of))
        {
            return Some(known.weight.clone());
        }
        let [output, input]: [usize; 2] = of.shape().dims();
        let weight = PackedWeight::new(Precision::Bf16, values(&of), output, input).ok()?;
        let weight = Arc::new(weight);
        *known = Some(Packed {
            of,
            weight: weight.clone(),
        });
        Some(weight)
    }
}

/// [`linear`] by a weight that other calls use as well. With products of bf16 values and where no gradient is asked for it is
/// packed only once, which takes half as much memory again; the values are the same to the last bit.
pub fn linear_packed<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
    once: &PackedOnce,
) -> Tensor<D> {
    let packed = match precision() {
        Precision::Bf16 => custom_op::take(weight.clone())
            .ok()
            .and_then(|weight| once.get(dense(&weight)))
            .and_then(|packed| run(&x, &packed, &bias)),
        Precision::F32 => None,
    };
    packed.unwrap_or_else(|| linear(x, weight, bias))
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;
    use crate::ops::set_precision;
    use base::rng::Rng;

    #[test]
    fn a_packed_weight_gives_the_same_bits_and_follows_the_weight() {
        let device = Device::flex();
        let mut rng = Rng::new(1);
        let mut drawn = |shape: [usize; 2]| {
            let values = rng.normals(shape[0] * shape[1]);
            Tensor::<2>::from_data(TensorData::new(values, shape), &device)
        };
        let (x, bias) = (drawn([20, 33]), drawn([1, 17]).reshape([17]));
        let before = set_precision(Precision::Bf16);
        let once = PackedOnce::default();
        for weight in [drawn([17, 33]), drawn([17, 33])] {
            for _ in 0..2 {
                let plain = linear(x.clone(), weight.clone(), Some(bias.clone()));
                let packed = linear_packed(x.clone(), weight.clone(), Some(bias.clone()), &once);
                assert_eq!(plain.into_data(), packed.into_data());
            }
        }
        set_precision(before);
    }
}
