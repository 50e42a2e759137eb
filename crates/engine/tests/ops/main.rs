//! Every operation's value and gradients: the kernels against Burn's own operations, and against differences.
#![allow(clippy::unwrap_used)]

mod check;
mod convolutions;
mod masks;
mod picks;
mod pointwise;
mod products;
mod quant;

use burn::tensor::{DType, Device, Tensor};
use check::{assert_close, device, flat, noise, vector, work_on};
use engine::burn;
use engine::ops::{self, Rope};

#[test]
fn the_kernels_are_what_runs() {
    work_on(Device::flex());
    let x = noise([5, 67], 1);
    let kernel = vector(flat(ops::gelu(x.clone())));
    let input = vector(flat(x.clone()));
    assert!(kernel == kernels::gelu(kernels::Level::best(), &input));
    let plain = Tensor::<2>::from_data(x.clone().into_data(), &device());
    assert!(
        kernel == vector(flat(ops::gelu(plain))),
        "without gradients"
    );
    let slice = ops::gelu(x.clone().slice([1..4, 3..20]));
    let whole = ops::gelu(x).slice([1..4, 3..20]);
    assert!(vector(flat(slice)) == vector(flat(whole)), "of a slice");
}

#[test]
fn gradients_meet_those_of_checkpointing_devices() {
    let device = device();
    let checkpointing = device.clone().autodiff().gradient_checkpointing();
    let data = noise([3, 40], 1).into_data();
    let weight = noise([40, 40], 2).into_data();
    let grad = |device: &Device| {
        let x = Tensor::<2>::from_data(data.clone(), device).require_grad();
        let weight = Tensor::<2>::from_data(weight.clone(), device).require_grad();
        let h = ops::gelu(x.clone() * 2.0 + 1.0);
        let y = ops::layer_norm(
            ops::linear(h.clone() + x.clone(), weight.clone(), None),
            1e-5,
        );
        let grads = (y * h.sin()).sum().backward();
        let of = |tensor: &Tensor<2>| vector(flat(tensor.grad(&grads).unwrap()));
        (of(&x), of(&weight))
    };
    let (x, weight) = grad(&checkpointing);
    let (want_x, want_weight) = grad(&device.clone().autodiff());
    // On a GPU other operations are fused.
    let tolerance = if device == Device::flex() { 0.0 } else { 1e-5 };
    assert_close("gradient of x", &x, &want_x, tolerance);
    assert_close("gradient of the weight", &weight, &want_weight, tolerance);
}

#[test]
fn constants_may_sit_on_either_device() {
    let [plain, autodiff] = [device(), device().autodiff()];
    let x = noise([1, 3, 2, 8], 1).require_grad();
    let turned = [&plain, &autodiff].map(|device| {
        let rope = Rope::new(&[0.0, 1.0, 2.0], 1, 8, 10.0, device);
        let weight = Tensor::<1>::ones([8], device);
        vector(flat(ops::rms_norm_rope(
            x.clone(),
            weight,
            Some(&rope),
            1e-5,
        )))
    });
    assert!(turned[0] == turned[1]);
}

#[test]
fn other_dtypes_take_the_fallback() {
    work_on(Device::flex());
    let x = noise([3, 9], 1);
    let wide = ops::gelu(x.clone().cast(DType::F64));
    assert_eq!(wide.dtype(), DType::F64);
    let wide = vector(flat(wide.cast(DType::F32)));
    assert_close("f64", &vector(flat(ops::gelu(x))), &wide, 1e-6);
}
