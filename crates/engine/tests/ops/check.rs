//! What an operation is checked for.

use std::cell::RefCell;

use burn::tensor::{Device, Tensor, TensorData};
use engine::{burn, ops};

thread_local! {
    static DEVICE: RefCell<Option<Device>> = const { RefCell::new(None) };
}

/// Where this thread's tensors are made: what Burn takes by default, a GPU in a build with one.
pub fn device() -> Device {
    DEVICE.with_borrow(|device| device.clone().unwrap_or_default())
}

/// This thread's tensors are made for `device` from now on.
pub fn work_on(device: Device) {
    DEVICE.set(Some(device));
}

/// Numbers between −1.5 and 1.5 that look random and differ with `salt`.
pub fn noise<const D: usize>(shape: [usize; D], salt: u64) -> Tensor<D> {
    let mut state = salt.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let values: Vec<f32> = (0..shape.iter().product::<usize>())
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1 << 24) as f32 * 3.0 - 1.5
        })
        .collect();
    Tensor::from_data(TensorData::new(values, shape), &device().autodiff())
}

/// One tensor of any rank, flattened; its shape beside it.
#[derive(Clone)]
pub struct Input {
    values: Tensor<1>,
    shape: Vec<usize>,
}

impl Input {
    pub fn new<const D: usize>(values: Tensor<D>) -> Self {
        let shape = values.dims().to_vec();
        let values = flat(values);
        Self { values, shape }
    }

    pub fn get<const D: usize>(&self) -> Tensor<D> {
        let shape: [usize; D] = self.shape.clone().try_into().unwrap();
        self.values.clone().reshape(shape)
    }
}

pub fn flat<const D: usize>(tensor: Tensor<D>) -> Tensor<1> {
    let len = tensor.shape().num_elements();
    tensor.reshape([len])
}

pub fn vector(tensor: Tensor<1>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

/// Value of `op` on `on` and the gradient of `Σ weight · value` for each input.
fn run(
    inputs: &[Input],
    op: &dyn Fn(&[Input]) -> Tensor<1>,
    on: &Device,
    fallback: bool,
) -> (Vec<f32>, Vec<Vec<f32>>) {
    let before = device();
    work_on(on.clone());
    ops::set_fallback(fallback);
    let inputs: Vec<Input> = inputs
        .iter()
        .map(|input| Input {
            values: Tensor::from_data(input.values.to_data(), &on.clone().autodiff())
                .require_grad(),
            shape: input.shape.clone(),
        })
        .collect();
    let value = op(&inputs);
    let weight = noise(value.dims(), 99);
    let grads = (value.clone() * weight).sum().backward();
    let grads = inputs
        .iter()
        .map(|input| vector(input.values.grad(&grads).unwrap()))
        .collect();
    ops::set_fallback(false);
    work_on(before);
    (vector(value), grads)
}

pub fn assert_close(name: &str, got: &[f32], want: &[f32], tolerance: f32) {
    assert_eq!(got.len(), want.len(), "{name}");
    let scale = want.iter().fold(1.0f32, |a, b| a.max(b.abs()));
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        assert!(
            (got - want).abs() <= tolerance * scale,
            "{name} at {i}: {got}, expected {want} (largest {scale})"
        );
    }
}

/// `op` equals Burn's own operations on the CPU and the differences, and does not depend on threads. What is tried are the
/// kernels, or another device where the build has one.
pub fn check(name: &str, inputs: &[Input], op: impl Fn(&[Input]) -> Tensor<1> + Sync) {
    let (on, cpu) = (device(), Device::flex());
    // Others have faster and coarser exponentials.
    let coarse = if on == cpu { 1.0 } else { 20.0 };
    let (value, grads) = run(inputs, &op, &on, false);
    let (want, want_grads) = run(inputs, &op, &cpu, true);
    assert_close(name, &value, &want, 5e-6 * coarse);
    for (i, (grad, want)) in grads.iter().zip(&want_grads).enumerate() {
        assert_close(&format!("{name}, gradient {i}"), grad, want, 2e-5 * coarse);
    }
    differences(name, inputs, &grads, &op);
    if on != cpu {
        return;
    }
    for threads in [1, 2, 3] {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        let again = pool.install(|| run(inputs, &op, &cpu, false));
        assert!(
            again == (value.clone(), grads.clone()),
            "{name} differs with {threads} threads"
        );
    }
}

/// Along one direction for each input, the change of `Σ weight · value` equals what the gradient says.
pub fn differences(
    name: &str,
    inputs: &[Input],
    grads: &[Vec<f32>],
    op: &dyn Fn(&[Input]) -> Tensor<1>,
) {
    let product = |a: &[f32], b: &[f32]| -> f64 {
        a.iter()
            .zip(b)
            .map(|(&a, &b)| f64::from(a) * f64::from(b))
            .sum()
    };
    for (i, grad) in grads.iter().enumerate() {
        let direction = noise([grad.len()], 7 + i as u64);
        let size = product(grad, grad).sqrt();
        let step = 0.02 / (grad.len() as f32).sqrt();
        let moved = |step: f32| -> f64 {
            let mut inputs = inputs.to_vec();
            inputs[i].values = inputs[i].values.clone() + direction.clone() * step;
            let value = vector(op(&inputs));
            product(&value, &vector(noise([value.len()], 99)))
        };
        let slope = (moved(step) - moved(-step)) / f64::from(2.0 * step);
        let want = product(grad, &vector(direction.clone()));
        assert!(
            (slope - want).abs() <= 1e-2 * (0.1 + size),
            "{name}, input {i}: difference {slope}, gradient {want} (of size {size})"
        );
    }
}
