//! Times convolutions on one thread: median and best of many runs in milliseconds, and GFLOP/s of the median.
//!
//! `RAYON_NUM_THREADS=1 cargo run --release -p orrery-kernels --example conv_bench`; a name as argument picks the
//! cases whose names hold it. Lines are `name, median ms, best ms, GFLOP/s`, divided by tabs.

use std::hint::black_box;
use std::time::Instant;

use kernels::{ConvAxis, ConvDims, Level, Precision};

/// A convolution with padding that keeps its size: channels before and after, groups, taps and axes.
struct Case {
    name: &'static str,
    channels: [usize; 2],
    groups: usize,
    kernel: usize,
    axes: &'static [usize],
}

const CASES: [Case; 5] = [
    Case {
        name: "conv2d 3×3 64ch 64²",
        channels: [64, 64],
        groups: 1,
        kernel: 3,
        axes: &[64, 64],
    },
    Case {
        name: "conv2d 3×3 320ch 32²",
        channels: [320, 320],
        groups: 1,
        kernel: 3,
        axes: &[32, 32],
    },
    Case {
        name: "conv3d 3³ 32ch 16×32²",
        channels: [32, 32],
        groups: 1,
        kernel: 3,
        axes: &[16, 32, 32],
    },
    Case {
        name: "depth-wise 5×5 256ch 64²",
        channels: [256, 256],
        groups: 256,
        kernel: 5,
        axes: &[64, 64],
    },
    Case {
        name: "conv2d 1×1 256ch 64²",
        channels: [256, 256],
        groups: 1,
        kernel: 1,
        axes: &[64, 64],
    },
];

fn report(name: &str, flops: f64, mut run: impl FnMut()) {
    let only = std::env::args().nth(1);
    if only.is_some_and(|only| !name.contains(&only)) {
        return;
    }
    let mut times = Vec::new();
    let start = Instant::now();
    while times.len() < 5 || start.elapsed().as_secs_f64() < 0.5 {
        let start = Instant::now();
        run();
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    let (median, best) = (times[times.len() / 2], times[0]);
    let speed = flops / median / 1e6;
    println!("{name}\t{median:.3}\t{best:.3}\t{speed:.1}");
}

fn ramp(len: usize) -> Vec<f32> {
    (0..len).map(|i| (i % 1013) as f32 / 500.0 - 1.0).collect()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let level = Level::best();
    for case in CASES {
        let axes: Vec<ConvAxis> = case
            .axes
            .iter()
            .map(|&input| ConvAxis {
                padding: [case.kernel / 2; 2],
                ..ConvAxis::new(input, case.kernel)
            })
            .collect();
        let [ins, outs] = case.channels;
        let dims = ConvDims::new(1, ins, outs, case.groups, &axes)?;
        let (x, w, b) = (ramp(dims.input_len()), ramp(dims.weight_len()), ramp(outs));
        let flops = 2.0 * (dims.output_len() * dims.weight_len() / outs) as f64;
        for precision in [Precision::Bf16, Precision::F32] {
            if precision == Precision::Bf16 && case.groups == ins {
                continue;
            }
            let name = format!("{} {precision:?}", case.name);
            let grad = kernels::conv(level, precision, &x, &w, Some(&b), &dims)?;
            report(&name, flops, || {
                let y = kernels::conv(level, precision, &x, &w, Some(&b), &dims);
                drop(black_box(y));
            });
            report(&format!("{name} dx"), flops, || {
                let dx = kernels::conv_backward_input(level, precision, &grad, &w, &dims);
                drop(black_box(dx));
            });
            report(&format!("{name} dw"), flops, || {
                let dw = kernels::conv_backward_weight(level, precision, &grad, &x, &dims);
                drop(black_box(dw));
            });
        }
    }
    Ok(())
}
