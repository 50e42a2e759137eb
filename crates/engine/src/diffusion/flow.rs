//! Flow matching on straight paths, time running from noise (0) to data (1).

use burn::tensor::Tensor;

/// The point `t·data + (1−t)·noise` of the path; `t` broadcasts.
pub fn point<const D: usize>(data: Tensor<D>, noise: Tensor<D>, t: Tensor<D>) -> Tensor<D> {
    noise.clone() + (data - noise) * t
}

/// The velocity `data − noise` of the path: what the network learns.
pub fn velocity<const D: usize>(data: Tensor<D>, noise: Tensor<D>) -> Tensor<D> {
    data - noise
}
