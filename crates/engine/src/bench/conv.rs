//! Convolutions.

use std::hint::black_box;

use kernels::{ConvAxis, ConvDims, Level, Precision, conv};

use super::{Benchmark, Run};
use base::rng::Rng;

pub(super) fn benchmarks() -> Vec<Benchmark> {
    let benchmark = Benchmark::with_peer;
    vec![
        benchmark(
            "conv2d-64-bf16",
            "3 × 3 over 64 × 64, 64 → 64 channels, bf16",
            || convolve(Precision::Bf16, 64, 1, &[64, 64], 3),
        ),
        benchmark(
            "conv2d-320-bf16",
            "3 × 3 over 32 × 32, 320 → 320 channels, bf16",
            || convolve(Precision::Bf16, 320, 1, &[32, 32], 3),
        ),
        benchmark(
            "conv3d-bf16",
            "3 × 3 × 3 over 16 × 32 × 32, 32 → 32 channels, bf16",
            || convolve(Precision::Bf16, 32, 1, &[16, 32, 32], 3),
        ),
        benchmark(
            "depthwise-f32",
            "5 × 5 over 64 × 64, each of 256 channels apart, f32",
            || convolve(Precision::F32, 256, 256, &[64, 64], 5),
        ),
    ]
}

/// As many channels after as before; the padding keeps the size.
fn convolve(
    precision: Precision,
    channels: usize,
    groups: usize,
    size: &[usize],
    kernel: usize,
) -> Run {
    let axes: Vec<ConvAxis> = size
        .iter()
        .map(|&input| ConvAxis {
            padding: [kernel / 2; 2],
            ..ConvAxis::new(input, kernel)
        })
        .collect();
    let Ok(dims) = ConvDims::new(1, channels, channels, groups, &axes) else {
        return Box::new(|| ());
    };
    let x = Rng::new(1).normals(dims.input_len());
    let weight = Rng::new(2).normals(dims.weight_len());
    Box::new(move || {
        drop(black_box(conv(
            Level::best(),
            precision,
            &x,
            &weight,
            None,
            &dims,
        )));
    })
}
