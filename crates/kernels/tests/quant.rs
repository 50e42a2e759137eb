//! Quantised matrices against the formats' definitions, decoded value by value here.
#![allow(clippy::unwrap_used)]

#[path = "common/blocks.rs"]
mod blocks;
mod common;

use blocks::{assert_product, blocks, decode_all, scales, set_scales};
use common::{assert_thread_free, noise, sized};
use half::{bf16, f16};
use kernels::{
    InputBits, Level, QuantError, QuantKind, QuantMatrix, QuantRows, RowInput, RowProduct, Team,
    WeightRows, quant_linear, quant_linear_exact, row_products,
};

/// Shapes (outputs, inputs) that leave lanes, tasks and headers unfilled.
fn shapes(kind: QuantKind) -> Vec<[usize; 2]> {
    let block = kind.block();
    let usual = [
        [1, block],
        [5, 3 * block],
        [16, 2 * block],
        [33, 5 * block],
        [50, 512],
    ];
    sized(&usual[..], &[[small(kind, 17), block]]).to_vec()
}

/// `usual`, or under Miri 1 where blocks are large.
fn small(kind: QuantKind, usual: usize) -> usize {
    sized(usual, if kind.block() > 32 { 1 } else { usual })
}

const ROUNDED: f64 = 1.0 / 254.0;

#[test]
fn values_are_those_of_the_gguf_package() {
    let file: serde_json::Value = serde_json::from_str(include_str!("quant_cases.json")).unwrap();
    let cases = file["cases"].as_array().unwrap();
    let mut kinds = Vec::new();
    for case in cases {
        let number = |key: &str| case[key].as_u64().unwrap() as usize;
        let kind = QuantKind::from_gguf_type(number("type") as u32).unwrap();
        let hex = case["bytes"].as_str().unwrap();
        let bytes: Vec<u8> = (0..hex.len() / 2)
            .map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap())
            .collect();
        let want = case["values"].as_array().unwrap().iter();
        let want: Vec<f32> = want
            .map(|bits| f32::from_bits(bits.as_u64().unwrap() as u32))
            .collect();
        let matrix = QuantMatrix::from_gguf(kind, &bytes, [number("rows"), number("columns")]);
        assert_eq!(matrix.unwrap().dequantize(), want, "{kind:?}");
        kinds.push(kind);
    }
    assert!(QuantKind::ALL.iter().all(|kind| kinds.contains(kind)));
}

#[test]
fn values_are_those_of_the_formulas() {
    for kind in QuantKind::ALL {
        for [rows, columns] in shapes(kind) {
            let bytes = blocks(kind, rows, columns, 7);
            let matrix = QuantMatrix::from_gguf(kind, &bytes, [rows, columns]).unwrap();
            // All products are exact in f32, so that one rounding remains.
            let want = decode_all(kind, &bytes);
            let want: Vec<f32> = want.iter().map(|value| value.value as f32).collect();
            assert_eq!(matrix.dequantize(), want, "{kind:?} {rows}×{columns}");
        }
    }
}

#[test]
fn products_are_those_of_dequantised_values() {
    for kind in QuantKind::ALL {
        for [outputs, columns] in shapes(kind) {
            let bytes = blocks(kind, outputs, columns, 11);
            let weight = decode_all(kind, &bytes);
            let matrix = QuantMatrix::from_gguf(kind, &bytes, [outputs, columns]).unwrap();
            for &rows in sized(&[1, 2, 3, 5, 8, 15, 64, 65][..], &[small(kind, 9)]) {
                let x = noise(rows * columns, 3);
                let name = format!("{kind:?} {rows}×{columns}×{outputs}");
                let best = Level::best();
                let rounded = quant_linear(best, &x, &matrix, rows).unwrap();
                let steps = columns / 32 + 6;
                assert_product(&name, &rounded, &x, &weight, columns, ROUNDED, steps);
                let exact = quant_linear_exact(best, &x, &matrix, rows).unwrap();
                assert_product(&name, &exact, &x, &weight, columns, 0.0, columns + 4);
                for level in Level::all() {
                    let name = format!("{name} {level:?}");
                    let other = quant_linear(level, &x, &matrix, rows).unwrap();
                    assert!(bits(&rounded) == bits(&other), "{name}");
                    let other = quant_linear_exact(level, &x, &matrix, rows).unwrap();
                    assert!(bits(&exact) == bits(&other), "{name}, exact");
                }
            }
        }
    }
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

#[test]
fn integers_up_to_127_are_not_rounded() {
    // The extremes of weights and input: sums of products must not saturate anywhere.
    for &kind in sized(&QuantKind::ALL[..], &[QuantKind::Q8_0, QuantKind::Q4_1]) {
        for &fill in sized(&[0x00, 0x80, 0x7f, 0xff, 0x88][..], &[0x80]) {
            let [outputs, columns] = sized([17, 512], [2, kind.block()]);
            let mut bytes = vec![fill; outputs * columns / kind.block() * kind.block_bytes()];
            set_scales(kind, &mut bytes, |i| if i % 3 == 0 { 0.5 } else { -0.25 });
            let matrix = QuantMatrix::from_gguf(kind, &bytes, [outputs, columns]).unwrap();
            let weight = decode_all(kind, &bytes);
            let signs = noise(3 * columns, 5);
            let mut x = vec![127.0; columns];
            x.extend(vec![-127.0; columns]);
            x.extend(signs[..columns].iter().map(|x| 127.0 * x.signum()));
            x.extend(signs[..columns].iter().enumerate().map(|(i, x)| {
                if i % 32 == 0 {
                    127.0
                } else {
                    (x * 127.0).round()
                }
            }));
            for level in Level::all() {
                let name = format!("{kind:?} of {fill:#x}, {level:?}");
                let y = quant_linear(level, &x, &matrix, 4).unwrap();
                assert_product(&name, &y, &x, &weight, columns, 0.0, columns / 32 + 6);
            }
        }
    }
}

#[test]
fn bf16_counts_as_the_same_f32() {
    for kind in QuantKind::ALL {
        let ([outputs, columns], rows) = sized(([20, 256], 3), ([3, kind.block()], 1));
        let bytes = blocks(kind, outputs, columns, 1);
        let matrix = QuantMatrix::from_gguf(kind, &bytes, [outputs, columns]).unwrap();
        let short: Vec<bf16> = noise(rows * columns, 2)
            .into_iter()
            .map(bf16::from_f32)
            .collect();
        let long: Vec<f32> = short.iter().map(|x| x.to_f32()).collect();
        let level = Level::best();
        assert_eq!(
            quant_linear(level, &short, &matrix, rows),
            quant_linear(level, &long, &matrix, rows)
        );
        assert_eq!(
            quant_linear_exact(level, &short, &matrix, rows),
            quant_linear_exact(level, &long, &matrix, rows)
        );
    }
}

/// `x · weightᵀ` as language models compute it.
fn product(level: Level, bits: InputBits, x: &[f32], weight: &QuantMatrix) -> Vec<f32> {
    let rows = x.len() / weight.columns();
    let mut out = vec![0.0; rows * weight.rows()];
    Team::gather(|team| {
        let mut rounded = QuantRows::default();
        rounded.round(team, level, x, rows, bits).unwrap();
        let product = RowProduct {
            input: RowInput {
                values: x,
                rounded: &rounded,
                rows,
            },
            weight: WeightRows::Quant(weight),
            out: &mut out,
        };
        row_products(team, level, &mut [product]).unwrap();
    });
    out
}

#[test]
fn sixteen_bits_are_two_times_eight_and_a_row_is_the_same_among_others() {
    for &kind in sized(&QuantKind::ALL[..], &[QuantKind::Q4_1]) {
        let [outputs, columns, many] = sized([35, 512, 70], [18, kind.block(), 5]);
        let bytes = blocks(kind, outputs, columns, 1);
        let matrix = QuantMatrix::from_gguf(kind, &bytes, [outputs, columns]).unwrap();
        let weight = decode_all(kind, &bytes);
        let x = noise(many * columns, 2);
        let all = product(Level::best(), InputBits::Sixteen, &x, &matrix);
        // The second rounding, and what is left for it, which f32 holds to 24 bits of the value.
        let rounding = ROUNDED * ROUNDED + 2f64.powi(-23);
        let steps = 2 * columns / 32 + 8;
        assert_product(
            &format!("{kind:?}"),
            &all,
            &x,
            &weight,
            columns,
            rounding,
            steps,
        );
        for level in Level::all() {
            for rows in [1, 2, 3, 4, 5, 9, 64, 65, many] {
                let rows = rows.min(many);
                let some = product(level, InputBits::Sixteen, &x[..rows * columns], &matrix);
                let name = format!("{kind:?} {level:?} {rows}");
                assert_eq!(bits(&some), bits(&all[..rows * outputs]), "{name}");
                let eight = product(level, InputBits::Eight, &x[..rows * columns], &matrix);
                let plain = quant_linear(level, &x[..rows * columns], &matrix, rows).unwrap();
                assert_eq!(bits(&eight), bits(&plain), "{name}");
            }
        }
    }
}

#[test]
fn bits_do_not_depend_on_threads() {
    for &kind in sized(&QuantKind::ALL[..], &[QuantKind::Q4_1]) {
        let [outputs, columns, many] = sized([1001, 1024, 70], [18, kind.block(), 9]);
        let bytes = blocks(kind, outputs, columns, 1);
        let x = noise(many * columns, 2);
        assert_thread_free(&format!("{kind:?}"), || {
            let matrix = QuantMatrix::from_gguf(kind, &bytes, [outputs, columns]).unwrap();
            let level = Level::best();
            [1, 2, many].map(|rows| {
                let x = &x[..rows * columns];
                let rounded = quant_linear(level, x, &matrix, rows).unwrap();
                let exact = quant_linear_exact(level, x, &matrix, rows).unwrap();
                (bits(&rounded), bits(&exact))
            })
        });
    }
}

#[test]
fn what_is_not_a_number_spoils_its_row() {
    for &kind in sized(&QuantKind::ALL[..], &[QuantKind::Q4_1]) {
        let [outputs, columns] = sized([20, 512], [8, kind.block()]);
        let bytes = blocks(kind, outputs, columns, 1);
        let matrix = QuantMatrix::from_gguf(kind, &bytes, [outputs, columns]).unwrap();
        let clean = noise(3 * columns, 2);
        for level in Level::all() {
            let want = quant_linear(level, &clean, &matrix, 3).unwrap();
            let bad = [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY];
            for &bad in sized(&bad[..], &bad[1..3]) {
                let mut x = clean.clone();
                x[columns + 20] = bad;
                let y = quant_linear(level, &x, &matrix, 3).unwrap();
                let name = format!("{kind:?} {level:?} {bad}");
                let (first, second) = (outputs, 2 * outputs);
                assert!(y[first..second].iter().all(|y| y.is_nan()), "{name}");
                assert_eq!(y[..first], want[..first], "{name}");
                assert_eq!(y[second..], want[second..], "{name}");
                let y = quant_linear_exact(level, &x, &matrix, 3).unwrap();
                assert!(y[first..second].iter().all(|y| !y.is_finite()), "{name}");
                assert!(y[..first].iter().all(|y| y.is_finite()), "{name}");
            }
        }
        // A scale that is no number spoils the outputs of its row of the weight.
        let mut bytes = bytes;
        let row = columns / kind.block() * kind.block_bytes();
        let at = 7 * row + scales(kind)[0];
        bytes[at..at + 2].copy_from_slice(&f16::NAN.to_le_bytes());
        let matrix = QuantMatrix::from_gguf(kind, &bytes, [outputs, columns]).unwrap();
        for level in Level::all() {
            let y = quant_linear(level, &clean, &matrix, 3).unwrap();
            for (i, y) in y.iter().enumerate() {
                assert_eq!(y.is_nan(), i % outputs == 7, "{kind:?} {level:?} at {i}");
            }
        }
    }
}

#[test]
fn tiny_and_huge_input_is_sound() {
    let bytes = blocks(QuantKind::Q8_0, 3, 64, 1);
    let matrix = QuantMatrix::from_gguf(QuantKind::Q8_0, &bytes, [3, 64]).unwrap();
    for level in Level::all() {
        let y = quant_linear(level, &[1e-36; 64], &matrix, 1).unwrap();
        assert_eq!(y, [0.0; 3]);
        let zero = quant_linear(level, &[0.0; 64], &matrix, 1).unwrap();
        assert_eq!(zero, [0.0; 3]);
        let weight = decode_all(QuantKind::Q8_0, &bytes);
        for size in [2e-35, 1e35] {
            let x: Vec<f32> = noise(64, 4).iter().map(|x| x * size).collect();
            let y = quant_linear(level, &x, &matrix, 1).unwrap();
            assert_product("scaled", &y, &x, &weight, 64, ROUNDED, 8);
        }
    }
}

#[test]
fn empty_matrices_give_empty_or_zero_results() {
    let level = Level::best();
    for kind in QuantKind::ALL {
        let none = QuantMatrix::from_gguf(kind, &[], [0, 256]).unwrap();
        assert!(none.dequantize().is_empty());
        assert_eq!(quant_linear(level, &[1.0; 512], &none, 2), Ok(Vec::new()));
        let narrow = QuantMatrix::from_gguf(kind, &[], [3, 0]).unwrap();
        let nothing: [f32; 0] = [];
        assert_eq!(quant_linear(level, &nothing, &narrow, 2), Ok(vec![0.0; 6]));
        assert_eq!(
            quant_linear_exact(level, &nothing, &narrow, 2),
            Ok(vec![0.0; 6])
        );
        let bytes = blocks(kind, 3, 256, 1);
        let matrix = QuantMatrix::from_gguf(kind, &bytes, [3, 256]).unwrap();
        assert_eq!(quant_linear(level, &nothing, &matrix, 0), Ok(Vec::new()));
    }
}

#[test]
fn wrong_lengths_are_named() {
    let message = |kind, bytes: &[u8], shape| {
        let error = QuantMatrix::from_gguf(kind, bytes, shape).unwrap_err();
        error.to_string()
    };
    assert_eq!(
        message(QuantKind::Q4K, &[0; 144], [1, 128]),
        "Q4K has blocks of 256 values, which do not divide a row of 128"
    );
    assert_eq!(
        message(QuantKind::Q8_0, &[0; 67], [2, 32]),
        "a Q8_0 matrix of 2×32 takes 68 bytes, 67 are there"
    );
    assert_eq!(
        QuantMatrix::from_gguf(QuantKind::Q4_0, &[], [usize::MAX, 64]).unwrap_err(),
        QuantError::TooLarge {
            rows: usize::MAX,
            columns: 64
        }
    );
    let matrix = QuantMatrix::from_gguf(QuantKind::Q4_0, &[0; 36], [2, 32]).unwrap();
    let error = quant_linear(Level::best(), &[0.0; 63], &matrix, 2).unwrap_err();
    assert_eq!(error.to_string(), "`x` holds 63 values, its shape needs 64");
    let error = quant_linear(Level::best(), &[0.0; 32], &matrix, usize::MAX).unwrap_err();
    assert_eq!(error.name, "x");
    assert_eq!(QuantKind::from_gguf_type(0), None);
}
