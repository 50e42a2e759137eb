//! Every operation's value and gradients: the kernels against Burn's own operations, and against differences.

use burn::tensor::{Bool, Device, Tensor, TensorData};
use engine::burn;
use engine::ops::{self, Rope};

/// Numbers between −1.5 and 1.5 that look random and differ with `salt`.
fn noise<const D: usize>(shape: [usize; D], salt: u64) -> Tensor<D> {
    let mut state = salt.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let values: Vec<f32> = (0..shape.iter().product::<usize>())
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1 << 24) as f32 * 3.0 - 1.5
        })
        .collect();
    let device = Device::default().autodiff();
    Tensor::from_data(TensorData::new(values, shape), &device)
}

/// One tensor of any rank, flattened; its shape beside it.
#[derive(Clone)]
struct Input {
    values: Tensor<1>,
    shape: Vec<usize>,
}

impl Input {
    fn new<const D: usize>(values: Tensor<D>) -> Self {
        let shape = values.dims().to_vec();
        let values = flat(values);
        Self { values, shape }
    }

    fn get<const D: usize>(&self) -> Tensor<D> {
        let shape: [usize; D] = self.shape.clone().try_into().unwrap();
        self.values.clone().reshape(shape)
    }
}

fn flat<const D: usize>(tensor: Tensor<D>) -> Tensor<1> {
    let len = tensor.shape().num_elements();
    tensor.reshape([len])
}

fn vector(tensor: Tensor<1>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

/// Value of `op` and the gradient of `Σ weight · value` for each input.
fn run(
    inputs: &[Input],
    op: &dyn Fn(&[Input]) -> Tensor<1>,
    fallback: bool,
) -> (Vec<f32>, Vec<Vec<f32>>) {
    ops::set_fallback(fallback);
    let inputs: Vec<Input> = inputs
        .iter()
        .map(|input| Input {
            values: input.values.clone().detach().require_grad(),
            shape: input.shape.clone(),
        })
        .collect();
    let value = op(&inputs);
    let weight = noise(value.dims(), 99);
    let grads = (value.clone() * weight).sum().backward();
    let grads = inputs
        .iter()
        .map(|input| vector(input.values.grad(&grads).unwrap().into()))
        .collect();
    ops::set_fallback(false);
    (vector(value), grads)
}

fn assert_close(name: &str, got: &[f32], want: &[f32], tolerance: f32) {
    assert_eq!(got.len(), want.len(), "{name}");
    let scale = want.iter().fold(1.0f32, |a, b| a.max(b.abs()));
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        assert!(
            (got - want).abs() <= tolerance * scale,
            "{name} at {i}: {got}, expected {want} (largest {scale})"
        );
    }
}

/// The kernel path of `op` equals the fallback path and the differences, and does not depend on threads.
fn check(name: &str, inputs: &[Input], op: impl Fn(&[Input]) -> Tensor<1> + Sync) {
    let (value, grads) = run(inputs, &op, false);
    let (want, want_grads) = run(inputs, &op, true);
    assert_close(name, &value, &want, 5e-6);
    for (i, (grad, want)) in grads.iter().zip(&want_grads).enumerate() {
        assert_close(&format!("{name}, gradient {i}"), grad, want, 2e-5);
    }
    differences(name, inputs, &grads, &op);
    for threads in [1, 2, 3] {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        let again = pool.install(|| run(inputs, &op, false));
        assert!(
            again == (value.clone(), grads.clone()),
            "{name} differs with {threads} threads"
        );
    }
}

/// Along one direction for each input, the change of `Σ weight · value` equals what the gradient says.
fn differences(
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

#[test]
fn activations() {
    for shape in [[1, 1, 1], [2, 3, 17], [9, 70, 67]] {
        let x = [Input::new(noise(shape, 1) * 3.0)];
        check("gelu", &x, |x| flat(ops::gelu(x[0].get::<3>())));
        check("silu", &x, |x| flat(ops::silu(x[0].get::<3>())));
        check("softmax", &x, |x| flat(ops::softmax(x[0].get::<3>())));
        check("transposed gelu", &x, |x| {
            flat(ops::gelu(x[0].get::<3>().swap_dims(0, 2)))
        });
    }
}

#[test]
fn layer_norms() {
    for [batch, tokens, width] in [[1, 1, 2], [3, 5, 24], [2, 130, 192], [5, 7, 33]] {
        let x = Input::new(noise([batch, tokens, width], 1));
        let y = Input::new(noise([batch, tokens, width], 2) * 2.0 + 0.5);
        let a = Input::new(noise([batch, width], 3));
        let b = Input::new(noise([batch, width], 4));
        check("layer_norm", &[y.clone()], |x| {
            flat(ops::layer_norm(x[0].get::<3>(), 1e-2))
        });
        check("modulated", &[y.clone(), a.clone(), b], |x| {
            flat(ops::modulated_layer_norm(
                x[0].get(),
                x[1].get(),
                x[2].get(),
                1e-2,
            ))
        });
        check("residual", &[x.clone(), y.clone()], |x| {
            flat(ops::add_gated_layer_norm(
                x[0].get(),
                x[1].get(),
                None,
                1e-2,
            ))
        });
        check("gated residual", &[x, y, a], |x| {
            let gate = Some(x[2].get());
            flat(ops::add_gated_layer_norm(
                x[0].get(),
                x[1].get(),
                gate,
                1e-2,
            ))
        });
    }
}

#[test]
fn rms_norms_and_rotations() {
    let device = Device::default();
    for [batch, tokens, heads, head, sections] in [
        [1, 1, 1, 2, 1],
        [2, 5, 3, 24, 2],
        [3, 130, 3, 64, 2],
        [2, 9, 2, 20, 1],
    ] {
        let x = Input::new(noise([batch, tokens, heads, head], 1));
        let weight = Input::new(noise([head], 2) + 1.0);
        let positions: Vec<f32> = (0..tokens * sections).map(|i| i as f32 * 0.7).collect();
        let rope = Rope::new(&positions, sections, head, 100.0, &device);
        check("rms_norm", &[x.clone(), weight.clone()], |x| {
            flat(ops::rms_norm(x[0].get::<4>(), x[1].get(), 1e-3))
        });
        check("rotate", &[x.clone()], |x| {
            flat(ops::rotate(x[0].get(), &rope))
        });
        for rope in [None, Some(&rope)] {
            check("rms_norm_rope", &[x.clone(), weight.clone()], |x| {
                flat(ops::rms_norm_rope(x[0].get(), x[1].get(), rope, 1e-3))
            });
        }
    }
}

#[test]
fn linear_layers() {
    for [batch, tokens, input, output] in [
        [1, 1, 1, 1],
        [2, 3, 5, 7],
        [3, 67, 40, 33],
        [8, 150, 192, 100],
    ] {
        let x = Input::new(noise([batch, tokens, input], 1));
        let weight = Input::new(noise([output, input], 2) * 0.3);
        let bias = Input::new(noise([output], 3));
        check("linear", &[x.clone(), weight.clone()], |x| {
            flat(ops::linear(x[0].get::<3>(), x[1].get(), None))
        });
        check(
            "linear with bias",
            &[x.clone(), weight.clone(), bias],
            |x| flat(ops::linear(x[0].get::<3>(), x[1].get(), Some(x[2].get()))),
        );
        check("linear of swapped", &[x, weight], |x| {
            flat(ops::linear(
                x[0].get::<3>().swap_dims(0, 1),
                x[1].get(),
                None,
            ))
        });
    }
}

#[test]
fn attentions() {
    let device = Device::default();
    for [batch, queries, keys, heads, head] in [
        [1, 1, 1, 1, 1],
        [2, 3, 5, 2, 4],
        [3, 64, 64, 3, 32],
        [2, 8, 8, 3, 24],
        [1, 300, 70, 2, 20],
        [2, 65, 130, 1, 64],
    ] {
        let q = Input::new(noise([batch, queries, heads, head], 1));
        let k = Input::new(noise([batch, keys, heads, head], 2));
        let v = Input::new(noise([batch, keys, heads, head], 3));
        check("attention", &[q.clone(), k.clone(), v.clone()], |x| {
            flat(ops::attention(x[0].get(), x[1].get(), x[2].get(), None))
        });
        let seen: Vec<bool> = (0..batch * keys)
            .map(|i| i % keys == 0 || i % 3 != 1)
            .collect();
        let mask = Tensor::<2, Bool>::from_data(TensorData::new(seen, [batch, keys]), &device);
        check("masked attention", &[q, k, v], |x| {
            let mask = Some(mask.clone());
            flat(ops::attention(x[0].get(), x[1].get(), x[2].get(), mask))
        });
    }
}

#[test]
fn attention_reads_slices_in_place() {
    let [batch, tokens, heads, head] = [2, 33, 3, 16];
    let all = Input::new(noise([batch, tokens, 3 * heads * head], 1));
    check("attention of slices", &[all], |x| {
        let parts: Tensor<5> = x[0].get::<3>().reshape([batch, tokens, 3, heads, head]);
        let part = |i| {
            parts
                .clone()
                .narrow(2, i, 1)
                .reshape([batch, tokens, heads, head])
        };
        flat(ops::attention(part(0), part(1), part(2), None))
    });
    let all = Input::new(noise([tokens, batch, heads, head], 2));
    check("attention of swapped", &[all], |x| {
        let x: Tensor<4> = x[0].get::<4>().swap_dims(0, 1);
        flat(ops::attention(x.clone(), x.clone() * 0.5, x, None))
    });
}
