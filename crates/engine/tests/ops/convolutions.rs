//! Convolutions and group norm.

use burn::tensor::Tensor;
use engine::burn;
use engine::ops::{self, ConvOptions, ConvTransposeOptions, Precision};

use crate::check::{Input, assert_close, check, flat, noise, vector};

#[test]
fn convolutions_over_one_axis() {
    for (channels, output, length, kernel, stride, padding, dilation, groups) in [
        (1, 1, 1, 1, 1, 0, 1, 1),
        (4, 6, 17, 3, 1, 1, 1, 2),
        (5, 5, 30, 4, 3, 2, 2, 5),
    ] {
        let x = Input::new(noise([2, channels, length], 1));
        let weight = Input::new(noise([output, channels / groups, kernel], 2));
        let bias = Input::new(noise([output], 3));
        check("conv1d", &[x, weight, bias], |x| {
            let options = ConvOptions::new([stride], [padding], [dilation], groups);
            flat(ops::conv1d(
                x[0].get(),
                x[1].get(),
                Some(x[2].get()),
                options,
            ))
        });
    }
}

#[test]
fn convolutions_over_two_axes() {
    for (channels, output, size, kernel, stride, padding, dilation, groups) in [
        (3, 8, [9, 7], [3, 3], [1, 1], [1, 1], [1, 1], 1),
        (4, 4, [12, 10], [5, 5], [1, 1], [2, 2], [1, 1], 4),
        (6, 4, [11, 8], [3, 2], [2, 1], [0, 1], [1, 2], 2),
        (17, 5, [6, 6], [1, 1], [1, 1], [0, 0], [1, 1], 1),
    ] {
        let x = Input::new(noise([2, channels, size[0], size[1]], 1));
        let weight = Input::new(noise([output, channels / groups, kernel[0], kernel[1]], 2));
        check("conv2d", &[x.clone(), weight.clone()], |x| {
            let options = ConvOptions::new(stride, padding, dilation, groups);
            flat(ops::conv2d(x[0].get(), x[1].get(), None, options))
        });
        check("conv2d of swapped", &[x, weight], |x| {
            let options = ConvOptions::new(stride, padding, dilation, groups);
            let swapped: Tensor<4> = x[0].get::<4>().swap_dims(2, 3).swap_dims(2, 3);
            flat(ops::conv2d(swapped, x[1].get(), None, options))
        });
    }
}

#[test]
fn convolutions_over_three_axes() {
    let x = Input::new(noise([1, 4, 5, 6, 7], 1));
    let weight = Input::new(noise([6, 2, 3, 3, 3], 2));
    let bias = Input::new(noise([6], 3));
    check("conv3d", &[x, weight, bias], |x| {
        let options = ConvOptions::new([1, 2, 1], [1, 0, 1], [1, 1, 2], 2);
        flat(ops::conv3d(
            x[0].get(),
            x[1].get(),
            Some(x[2].get()),
            options,
        ))
    });
}

#[test]
fn transposed_convolutions() {
    let options = |stride, padding, out, groups| {
        ConvTransposeOptions::new([stride; 2], [padding; 2], [out; 2], [1; 2], groups)
    };
    for (channels, output, stride, padding, out, groups) in
        [(3, 5, 1, 0, 0, 1), (4, 6, 2, 1, 1, 2), (4, 4, 3, 1, 0, 4)]
    {
        let x = Input::new(noise([2, channels, 5, 4], 1));
        let weight = Input::new(noise([channels, output / groups, 3, 3], 2));
        let bias = Input::new(noise([output], 3));
        check("conv_transpose2d", &[x, weight, bias], |x| {
            let options = options(stride, padding, out, groups);
            flat(ops::conv_transpose2d(
                x[0].get(),
                x[1].get(),
                Some(x[2].get()),
                options,
            ))
        });
    }
    let x = Input::new(noise([2, 3, 9], 4));
    let weight = Input::new(noise([3, 2, 4], 5));
    check("conv_transpose1d", &[x, weight], |x| {
        let options = ConvTransposeOptions::new([2], [1], [0], [1], 1);
        flat(ops::conv_transpose1d(x[0].get(), x[1].get(), None, options))
    });
    let x = Input::new(noise([1, 2, 3, 4, 3], 6));
    let weight = Input::new(noise([2, 3, 2, 3, 2], 7));
    check("conv_transpose3d", &[x, weight], |x| {
        let options = ConvTransposeOptions::new([2, 1, 2], [0, 1, 0], [0; 3], [1; 3], 1);
        flat(ops::conv_transpose3d(x[0].get(), x[1].get(), None, options))
    });
}

#[test]
fn bf16_convolutions_stay_near_those_of_f32() {
    let (x, weight) = (noise([1, 16, 12, 12], 1), noise([8, 16, 3, 3], 2));
    let run = |precision| {
        let before = ops::set_precision(precision);
        let options = ConvOptions::new([1; 2], [1; 2], [1; 2], 1);
        let y = vector(flat(ops::conv2d(x.clone(), weight.clone(), None, options)));
        ops::set_precision(before);
        y
    };
    let (exact, bf16) = (run(Precision::F32), run(Precision::Bf16));
    // 144 products of values up to 1.5, each off by at most 2⁻⁸ of itself.
    let worst = exact.iter().zip(&bf16).map(|(a, b)| (a - b).abs());
    assert!(worst.fold(0.0, f32::max) < 0.25);
    assert_close("f32 again", &run(Precision::F32), &exact, 0.0);
}

#[test]
fn group_norms() {
    for (channels, groups, size) in [(4, 2, [5, 3]), (6, 6, [1, 9]), (32, 1, [4, 4])] {
        let x = Input::new(noise([3, channels, size[0], size[1]], 1));
        let [weight, bias] = [2, 3].map(|salt| Input::new(noise([channels], salt)));
        check("group_norm", &[x, weight, bias], |x| {
            flat(ops::group_norm(
                x[0].get::<4>(),
                groups,
                x[1].get(),
                x[2].get(),
                1e-5,
            ))
        });
    }
}

#[test]
fn swiglu() {
    let [gate, up] = [1, 2].map(|salt| Input::new(noise([3, 67], salt) * 3.0));
    check("swiglu", &[gate, up], |x| {
        flat(ops::swiglu(x[0].get::<2>(), x[1].get()))
    });
}
