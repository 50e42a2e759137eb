//! Products with weights in blocks.

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use engine::burn;
use engine::ops::{self, QuantKind, QuantMatrix};

use crate::check::{assert_close, flat, noise, vector, work_on};

/// A matrix of 8-bit blocks whose scales are a 64th.
fn weight(rows: usize, columns: usize) -> Arc<QuantMatrix> {
    let mut state = 7_u32;
    let bytes: Vec<u8> = (0..rows * columns / 32)
        .flat_map(|_| {
            // 1/64 as f16, then 32 values.
            let scale = [0x00, 0x24];
            let values = std::iter::repeat_with(|| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            });
            scale.into_iter().chain(values.take(32).collect::<Vec<_>>())
        })
        .collect();
    Arc::new(QuantMatrix::from_gguf(QuantKind::Q8_0, &bytes, [rows, columns]).unwrap())
}

#[test]
fn products_and_their_gradient_are_those_of_the_weight() {
    work_on(Device::flex());
    let (rows, columns) = (40, 96);
    let weight = weight(rows, columns);
    let held = weight.dequantize();
    let of = |plain: bool| {
        ops::set_fallback(plain);
        let x: Tensor<3> = noise([2, 5, columns], 1).require_grad();
        let bias = noise([rows], 2).require_grad();
        let y = ops::quant_linear(x.clone(), &weight, Some(bias.clone()));
        assert_eq!(y.dims(), [2, 5, rows]);
        let grads = (y.clone() * noise([2, 5, rows], 3)).sum().backward();
        ops::set_fallback(false);
        let to_x = flat(x.grad(&grads).unwrap());
        [flat(y.detach()), to_x, bias.grad(&grads).unwrap()].map(vector)
    };
    let [y, to_x, to_bias] = of(false);
    let [want, want_x, want_bias] = of(true);
    assert_close("gradient of x", &to_x, &want_x, 1e-5);
    assert_close("gradient of bias", &to_bias, &want_bias, 1e-5);
    // A value of a block of x moves by at most 1/254 of the block's largest magnitude, 1.5 here.
    for (i, (y, want)) in y.iter().zip(&want).enumerate() {
        let row = &held[i % rows * columns..][..columns];
        let moved = row.iter().map(|w| w.abs()).sum::<f32>() * 1.5 / 254.0;
        assert!((y - want).abs() <= moved + 1e-4, "{y} {want} {moved}");
    }
    assert!(y != want);

    // On plain tensors, and wrong widths are Burn's to refuse.
    let x = Tensor::<2>::from_data(
        TensorData::new(vec![1.0_f32; columns], [1, columns]),
        &Device::flex(),
    );
    let y = vector(flat(ops::quant_linear(x, &weight, None)));
    for (y, row) in y.iter().zip(held.chunks(columns)) {
        assert!((y - row.iter().sum::<f32>()).abs() < 1e-3);
    }
}
