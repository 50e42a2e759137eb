//! Linear layers and attention.

use burn::tensor::Tensor;
use engine::burn;
use engine::ops::{self, AttentionMask, Precision};

use crate::check::{Input, assert_close, check, flat, noise, vector};

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
    let all = AttentionMask::default();
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
        check("attention", &[q, k, v], |x| {
            flat(ops::attention(x[0].get(), x[1].get(), x[2].get(), &all))
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
        flat(ops::attention(
            part(0),
            part(1),
            part(2),
            &AttentionMask::default(),
        ))
    });
    let all = Input::new(noise([tokens, batch, heads, head], 2));
    check("attention of swapped", &[all], |x| {
        let x: Tensor<4> = x[0].get::<4>().swap_dims(0, 1);
        flat(ops::attention(
            x.clone(),
            x.clone() * 0.5,
            x,
            &AttentionMask::default(),
        ))
    });
}

/// Value of a linear layer and the gradients of its sum of squares, one after the other.
fn linear_with_grads(precision: Precision) -> Vec<f32> {
    ops::set_precision(precision);
    let [x, weight] = [[300, 64], [96, 64]].map(|shape| noise(shape, 5).require_grad());
    let bias = noise([96], 6).require_grad();
    let y = ops::linear(x.clone(), weight.clone(), Some(bias.clone()));
    ops::set_precision(Precision::F32);
    // The gradient follows the choice that the layer was called with.
    let grads = y.clone().square().mean().backward();
    let of = |tensor: &Tensor<2>| tensor.grad(&grads).unwrap();
    let bias = bias.grad(&grads).unwrap();
    let all = vec![flat(y.detach()), flat(of(&x)), flat(of(&weight)), bias];
    all.into_iter().flat_map(vector).collect()
}

#[test]
fn reduced_linear_layers_stay_close() {
    let exact = linear_with_grads(Precision::F32);
    let bf16 = linear_with_grads(Precision::Bf16);
    assert!(
        exact == linear_with_grads(Precision::F32),
        "the choice does not linger"
    );
    assert_close("bf16", &bf16, &exact, 4e-3);
}
