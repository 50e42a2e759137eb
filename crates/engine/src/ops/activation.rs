use burn::tensor::{Tensor, activation};

/// GELU in its tanh form: `x/2 · (1 + tanh(√(2/π)·(x + 0.044715·x³)))`, element by element.
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    activation::gelu_approximate(x)
}

/// SiLU: `x · σ(x)`, element by element.
pub fn silu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    activation::silu(x)
}

/// Softmax over the last dimension. A row of only `-inf` gives NaN, as in the field.
pub fn softmax<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    activation::softmax(x, D - 1)
}
