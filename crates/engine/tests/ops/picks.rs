//! Operations that take whole numbers: losses over classes and rows of tables.

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use engine::burn;
use engine::ops::{self, CrossEntropyOptions};
use kernels::{CrossEntropy, Level};

use crate::check::{Input, assert_close, check, device, flat, noise, vector, work_on};

const IGNORE: i64 = -100;

/// Numbers in `0..limit`, every third of them `IGNORE` if asked for.
fn numbers<const D: usize>(shape: [usize; D], limit: usize, ignoring: bool) -> Tensor<D, Int> {
    let number = |i: usize| match ignoring && i % 3 == 1 {
        true => IGNORE,
        false => (i * 7 % limit) as i64,
    };
    let numbers: Vec<i64> = (0..shape.iter().product()).map(number).collect();
    Tensor::from_data(TensorData::new(numbers, shape), &device())
}

#[test]
fn cross_entropies() {
    for [rows, classes] in [[1, 1], [2, 5], [7, 33], [12, 70]] {
        let logits = [Input::new(noise([rows, classes], 1) * 4.0)];
        for smoothing in [0.0, 0.1, 1.0] {
            for ignore in [None, Some(IGNORE)] {
                let options = CrossEntropyOptions { ignore, smoothing };
                check(&format!("{options:?}"), &logits, |x| {
                    let targets = numbers([rows], classes, ignore.is_some());
                    ops::cross_entropy(x[0].get::<2>(), targets, options)
                });
            }
        }
    }
    let logits = [Input::new(noise([3, 17, 5], 1))];
    check("of tokens, transposed", &logits, |x| {
        let logits = x[0].get::<3>().swap_dims(1, 2);
        let targets = numbers([3, 5], 17, false);
        ops::cross_entropy(logits, targets, CrossEntropyOptions::default())
    });
}

#[test]
fn cross_entropy_without_a_row_is_zero() {
    let logits = [Input::new(noise([4, 9], 1))];
    let options = CrossEntropyOptions {
        ignore: Some(0),
        smoothing: 0.1,
    };
    check("nothing counts", &logits, |x| {
        ops::cross_entropy(x[0].get::<2>(), numbers([4], 1, false), options)
    });
    let loss = ops::cross_entropy(logits[0].get::<2>(), numbers([4], 1, false), options);
    assert_eq!(vector(loss), [0.0]);
}

#[test]
fn cross_entropies_of_products() {
    let inputs = [
        Input::new(noise([2, 3, 5], 1)),
        Input::new(noise([17, 5], 2)),
    ];
    for smoothing in [0.0, 0.1] {
        for ignore in [None, Some(IGNORE)] {
            let options = CrossEntropyOptions { ignore, smoothing };
            check(&format!("{options:?}"), &inputs, |x| {
                let targets = numbers([2, 3], 17, ignore.is_some());
                ops::linear_cross_entropy(x[0].get(), x[1].get(), targets, options)
            });
        }
    }
}

#[test]
fn rows_by_parts_have_the_gradients_of_all_together() {
    work_on(Device::flex());
    let [rows, classes, width] = [130, 70_000, 3];
    let found = |parts: bool| {
        let x = noise([1, rows, width], 1).require_grad();
        let weight = noise([classes, width], 2).require_grad();
        let targets = numbers([1, rows], classes, true);
        let options = CrossEntropyOptions {
            ignore: Some(IGNORE),
            smoothing: 0.1,
        };
        let loss = match parts {
            true => ops::linear_cross_entropy(x.clone(), weight.clone(), targets, options),
            false => {
                let logits = ops::linear(x.clone(), weight.clone(), None);
                ops::cross_entropy(logits, targets, options)
            }
        };
        let grads = (loss.clone() * 3.0).backward();
        let of_x = vector(flat(x.grad(&grads).unwrap()));
        (
            vector(loss),
            of_x,
            vector(flat(weight.grad(&grads).unwrap())),
        )
    };
    let (parts, all) = (found(true), found(false));
    assert_close("loss", &parts.0, &all.0, 1e-6);
    assert_close("gradient of x", &parts.1, &all.1, 1e-6);
    assert_close("gradient of the weight", &parts.2, &all.2, 1e-6);
}

#[test]
fn embeddings() {
    for [rows, width] in [[1, 1], [3, 17], [50, 64]] {
        let table = [Input::new(noise([rows, width], 1))];
        check("embedding", &table, |x| {
            flat(ops::embedding::<1, 2>(
                x[0].get(),
                numbers([40], rows, false),
            ))
        });
        check("embedding of tokens", &table, |x| {
            flat(ops::embedding::<2, 3>(
                x[0].get(),
                numbers([2, 9], rows, false),
            ))
        });
        check("embedding of a transposed table", &table, |x| {
            let table = x[0].get::<2>().transpose();
            flat(ops::embedding::<3, 4>(
                table,
                numbers([2, 1, 5], width, false),
            ))
        });
    }
}

#[test]
fn the_kernels_of_whole_numbers_are_what_runs() {
    work_on(Device::flex());
    let logits = noise([5, 67], 1);
    let values = vector(flat(logits.clone()));
    let targets = numbers([5], 67, false);
    let numbers: Vec<i64> = targets.to_data().iter::<i64>().collect();
    let loss = CrossEntropy::new(67);
    let (losses, _) = kernels::cross_entropy(Level::best(), &loss, &values, &numbers).unwrap();
    let mean = losses.iter().map(|&loss| f64::from(loss)).sum::<f64>() as f32 * 0.2;
    let plain = Tensor::<2>::from_data(logits.to_data(), &device());
    for device in [device(), device().autodiff()] {
        for dtype in [DType::I32, DType::I64] {
            let targets = Tensor::<1, Int>::from_data(
                targets.to_data().convert_dtype(dtype),
                (&device, dtype),
            );
            for logits in [plain.clone(), logits.clone()] {
                let options = CrossEntropyOptions::default();
                let loss = ops::cross_entropy(logits, targets.clone(), options);
                assert_eq!(vector(loss), [mean], "{device:?} {dtype:?}");
            }
        }
    }
}

#[test]
fn other_dtypes_of_tables_take_the_fallback() {
    work_on(Device::flex());
    let table = noise([6, 5], 1);
    let wide = table.clone().cast(DType::F64);
    let picked: Tensor<3> = ops::embedding(wide.clone(), numbers([2, 4], 6, false));
    assert_eq!(picked.dtype(), DType::F64);
    let narrow: Tensor<3> = ops::embedding(table.clone(), numbers([2, 4], 6, false));
    assert_eq!(vector(flat(picked.cast(DType::F32))), vector(flat(narrow)));
    let options = CrossEntropyOptions::default();
    let loss = ops::cross_entropy(wide, numbers([6], 5, false), options);
    let narrow = ops::cross_entropy(table, numbers([6], 5, false), options);
    assert_close("f64", &vector(narrow), &vector(loss.cast(DType::F32)), 1e-6);
}

/// Mistakes are named, not read from elsewhere.
#[test]
#[should_panic(expected = "out of bounds")]
fn a_row_that_is_not_there_panics() {
    work_on(Device::flex());
    let picked: Tensor<2> = ops::embedding(noise([6, 5], 1), numbers([2], 1, false) + 6);
    drop(picked);
}
