//! Linear layers against their definitions in f64.
#![allow(clippy::unwrap_used)]

mod common;

use common::{assert_close, assert_thread_free, dot, noise, sized, wide};
use kernels::{LinearDims, PackedWeight, Precision};

#[test]
fn linear_layers_equal_their_definition() {
    let usual = [
        (1, 1, 1),
        (3, 5, 7),
        (33, 17, 100),
        (1100, 20, 9),
        (2300, 9, 11),
        (2, 0, 3),
    ];
    let small = [(1, 1, 1), (3, 5, 7), (19, 4, 5), (2, 0, 3)];
    for &(rows, input, output) in sized(&usual[..], &small) {
        let dims = LinearDims {
            rows,
            input,
            output,
        };
        let (x, w, b) = (
            noise(rows * input, 1),
            noise(output * input, 2),
            noise(output, 3),
        );
        let grad = noise(rows * output, 4);
        let at = |x: &[f32], i: usize| f64::from(x[i]);
        for bias in [None, Some(&b[..])] {
            let y = kernels::linear(Precision::F32, &x, &w, bias, dims).unwrap();
            let want: Vec<f64> = (0..rows * output)
                .map(|i| {
                    let (row, o) = (i / output, i % output);
                    let sum = (0..input).map(|k| at(&x, row * input + k) * at(&w, o * input + k));
                    sum.sum::<f64>() + bias.map_or(0.0, |b| at(b, o))
                })
                .collect();
            assert_close("linear", &y, &want, 1e-5);
        }
        let dx = kernels::linear_backward_input(Precision::F32, &grad, &w, dims).unwrap();
        let want: Vec<f64> = (0..rows * input)
            .map(|i| {
                let (row, k) = (i / input, i % input);
                (0..output)
                    .map(|o| at(&grad, row * output + o) * at(&w, o * input + k))
                    .sum()
            })
            .collect();
        assert_close("dx", &dx, &want, 1e-5);
        let dw = kernels::linear_backward_weight(Precision::F32, &grad, &x, dims).unwrap();
        let want: Vec<f64> = (0..output * input)
            .map(|i| {
                let (o, k) = (i / input, i % input);
                (0..rows)
                    .map(|r| at(&grad, r * output + o) * at(&x, r * input + k))
                    .sum()
            })
            .collect();
        assert_close("dw", &dw, &want, 1e-5);
        let db = kernels::column_sums(&grad, output).unwrap();
        let want: Vec<f64> = (0..output)
            .map(|o| (0..rows).map(|r| at(&grad, r * output + o)).sum())
            .collect();
        assert_close("db", &db, &want, 1e-5);
    }
}

/// Rounded to bf16, to nearest and even.
fn bf16(x: &f32) -> f64 {
    let bits = x.to_bits();
    let rounded = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff_0000;
    f64::from(f32::from_bits(rounded))
}

#[test]
fn reduced_products_are_those_of_rounded_values() {
    #[cfg(target_arch = "x86_64")]
    let has_bf16 = is_x86_feature_detected!("avx512bf16");
    #[cfg(not(target_arch = "x86_64"))]
    let has_bf16 = false;
    let usual = [
        (1, 1, 1),
        (3, 5, 7),
        (7, 33, 16),
        (100, 64, 65),
        (97, 1100, 130),
        (2100, 31, 49),
    ];
    for &(rows, input, output) in sized(&usual[..], &[(3, 5, 7), (19, 4, 5)]) {
        let dims = LinearDims {
            rows,
            input,
            output,
        };
        let (x, w, b) = (
            noise(rows * input, 1),
            noise(output * input, 2),
            noise(output, 3),
        );
        let grad = noise(rows * output, 4);
        let round = |x: &[f32]| -> Vec<f64> {
            if has_bf16 {
                x.iter().map(bf16).collect()
            } else {
                wide(x)
            }
        };
        let (wx, ww, wg) = (round(&x), round(&w), round(&grad));
        let (columns, wb) = (|o: usize| o % output, wide(&b));
        for bias in [None, Some(&b[..])] {
            let y = kernels::linear(Precision::Bf16, &x, &w, bias, dims).unwrap();
            let packed = PackedWeight::new(Precision::Bf16, &w, output, input).unwrap();
            assert_eq!(packed.linear(&x, bias, rows).unwrap(), y);
            let want: Vec<f64> = (0..rows * output)
                .map(|i| {
                    let (row, o) = (i / output, columns(i));
                    let sum = dot(&wx[row * input..][..input], &ww[o * input..][..input]);
                    sum + if bias.is_some() { wb[o] } else { 0.0 }
                })
                .collect();
            assert_close("linear", &y, &want, 1e-5);
        }
        let dx = kernels::linear_backward_input(Precision::Bf16, &grad, &w, dims).unwrap();
        let mut want = vec![0.0; rows * input];
        for (i, want) in want.iter_mut().enumerate() {
            let (row, k) = (i / input, i % input);
            *want = (0..output)
                .map(|o| wg[row * output + o] * ww[o * input + k])
                .sum();
        }
        assert_close("dx", &dx, &want, 1e-5);
        let dw = kernels::linear_backward_weight(Precision::Bf16, &grad, &x, dims).unwrap();
        let mut want = vec![0.0; output * input];
        for (i, want) in want.iter_mut().enumerate() {
            let (o, k) = (i / input, i % input);
            *want = (0..rows)
                .map(|r| wg[r * output + o] * wx[r * input + k])
                .sum();
        }
        assert_close("dw", &dw, &want, 1e-5);
    }
    let nan = kernels::linear(
        Precision::Bf16,
        &[f32::NAN],
        &[1.0],
        None,
        LinearDims {
            rows: 1,
            input: 1,
            output: 1,
        },
    );
    assert!(nan.unwrap()[0].is_nan());
}

#[test]
fn bits_do_not_depend_on_threads() {
    let [rows, part, input, output] = sized([2500, 900, 100, 110], [25, 9, 5, 6]);
    let linear = LinearDims {
        rows,
        input,
        output,
    };
    let (x, w) = (noise(rows * input, 1), noise(output * input, 2));
    let grad = noise(rows * output, 3);
    for precision in [Precision::F32, Precision::Bf16] {
        assert_thread_free("linear", || {
            let some = LinearDims {
                rows: part,
                ..linear
            };
            [
                kernels::linear(precision, &x, &w, None, linear).unwrap(),
                kernels::linear(
                    precision,
                    &x[..part * input],
                    &w,
                    Some(&grad[..output]),
                    some,
                )
                .unwrap(),
                kernels::linear_backward_input(precision, &grad, &w, linear).unwrap(),
                kernels::linear_backward_weight(precision, &grad, &x, linear).unwrap(),
                kernels::column_sums(&grad, output).unwrap(),
            ]
        });
    }
}

#[test]
fn a_packed_weight_gives_what_an_unpacked_one_gives() {
    for precision in [Precision::F32, Precision::Bf16] {
        let usual = [
            (1, 2048, 700),
            (2, 3, 1),
            (5, 64, 130),
            (64, 768, 300),
            (0, 4, 4),
        ];
        let small = [(1, 20, 17), (2, 3, 1), (17, 5, 7), (0, 4, 4)];
        for &(rows, input, output) in sized(&usual[..], &small) {
            let (x, w) = (noise(rows * input, 1), noise(output * input, 2));
            let dims = LinearDims {
                rows,
                input,
                output,
            };
            let packed = PackedWeight::new(precision, &w, output, input).unwrap();
            assert_eq!(packed.dims(), [input, output]);
            let y = packed.linear(&x, None, rows).unwrap();
            assert_thread_free("packed", || packed.linear(&x, None, rows).unwrap());
            assert_eq!(y, kernels::linear(precision, &x, &w, None, dims).unwrap());
        }
        assert!(PackedWeight::new(precision, &[0.0; 5], 2, 3).is_err());
        let packed = PackedWeight::new(precision, &[0.0; 6], 2, 3).unwrap();
        assert!(packed.linear(&[0.0; 4], None, 1).is_err());
        assert!(packed.linear(&[0.0; 3], Some(&[0.0]), 1).is_err());
    }
}
