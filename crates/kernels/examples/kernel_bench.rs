//! Times each kernel on one thread and on all: the best of many runs, in milliseconds.
//!
//! `cargo run --release -p orrery-kernels --example kernel_bench`; a name as argument picks the kernels whose names
//! hold it.

use std::hint::black_box;
use std::time::Instant;

use kernels::{
    Attention, AttentionDims, Heads, LayerNorm, Level, LinearDims, Mask, Precision, RmsNorm,
    Rotation, ShapeError,
};

fn best(run: &mut dyn FnMut()) -> f64 {
    let mut best = f64::INFINITY;
    let start = Instant::now();
    while start.elapsed().as_secs_f64() < 0.4 {
        let start = Instant::now();
        run();
        best = best.min(start.elapsed().as_secs_f64());
    }
    best * 1e3
}

fn report(name: &str, mut run: impl FnMut() + Send) {
    if std::env::args()
        .nth(1)
        .is_some_and(|only| !name.contains(&only))
    {
        return;
    }
    let all = best(&mut run);
    let one = match rayon::ThreadPoolBuilder::new().num_threads(1).build() {
        Ok(pool) => pool.install(|| best(&mut run)),
        Err(_) => f64::NAN,
    };
    println!("{name:<44} {one:8.3} ms, all threads {all:8.3} ms");
}

fn ramp(len: usize) -> Vec<f32> {
    (0..len).map(|i| (i % 1013) as f32 / 500.0 - 1.0).collect()
}

fn main() -> Result<(), ShapeError> {
    let level = Level::best();
    let x = ramp(4096 * 768);
    let y = ramp(4096 * 768);
    report("gelu 4096×768", || {
        drop(black_box(kernels::gelu(level, &x)))
    });
    report("gelu backward", || {
        drop(black_box(kernels::gelu_backward(level, &x, &y)))
    });
    report("softmax 4096×768", || {
        drop(black_box(kernels::softmax(level, &x, 768)))
    });
    norms(level, &x[..4096 * 192], &y[..4096 * 192])?;
    for (rows, input, output) in [(4096, 192, 192), (4096, 192, 768), (4096, 768, 192)] {
        linears(rows, input, output)?;
    }
    for (batch, tokens, heads, head) in [
        (64, 64, 6, 32),
        (64, 64, 3, 64),
        (8, 8, 192, 64),
        (1, 1024, 8, 64),
        (8, 512, 3, 64),
        (64, 16, 6, 32),
        (8, 256, 8, 24),
    ] {
        attentions(level, batch, tokens, heads, head)?;
    }
    Ok(())
}

fn norms(level: Level, x: &[f32], y: &[f32]) -> Result<(), ShapeError> {
    let factor = ramp(64 * 192);
    let norm = LayerNorm {
        dims: [64, 64, 192],
        eps: 1e-6,
        factor: Some(&factor),
        shift: Some(&factor),
        residual: None,
    };
    let (_, stats) = kernels::layer_norm(level, x, &norm)?;
    report("modulated layer norm 64×64×192", || {
        drop(black_box(kernels::layer_norm(level, x, &norm)));
    });
    report("modulated layer norm backward", || {
        let grads =
            kernels::layer_norm_backward(level, x, &stats, Some(&factor), y, norm.dims, true);
        drop(black_box(grads));
    });
    let angles = ramp(64 * 32);
    let norm = RmsNorm {
        dims: [64, 64, 6, 32],
        weight: Some(&factor[..32]),
        eps: 1e-6,
        rotation: Some(Rotation {
            cos: &angles,
            sin: &angles,
            sections: 2,
        }),
    };
    report("rms norm and rope 64×64×6×32", || {
        drop(black_box(kernels::rms_norm(level, x, &norm)))
    });
    report("rms norm and rope backward", || {
        drop(black_box(kernels::rms_norm_backward(level, x, &norm, y)));
    });
    Ok(())
}

fn linears(rows: usize, input: usize, output: usize) -> Result<(), ShapeError> {
    let dims = LinearDims {
        rows,
        input,
        output,
    };
    let (x, w, b) = (ramp(rows * input), ramp(input * output), ramp(output));
    for precision in [Precision::F32, Precision::Bf16] {
        let name = format!("linear {input}→{output} {precision:?}");
        let grad = kernels::linear(precision, &x, &w, Some(&b), dims)?;
        report(&name, || {
            drop(black_box(kernels::linear(
                precision,
                &x,
                &w,
                Some(&b),
                dims,
            )));
        });
        report(&format!("{name} dx"), || {
            let dx = kernels::linear_backward_input(precision, &grad, &w, dims);
            drop(black_box(dx));
        });
        report(&format!("{name} dw"), || {
            let dw = kernels::linear_backward_weight(precision, &grad, &x, dims);
            drop(black_box(dw));
        });
    }
    report(&format!("column sums {rows}×{input}"), || {
        drop(black_box(kernels::column_sums(&x, input)));
    });
    Ok(())
}

fn attentions(
    level: Level,
    batch: usize,
    tokens: usize,
    heads: usize,
    head: usize,
) -> Result<(), ShapeError> {
    let x = noise(batch * tokens * heads * head);
    let rows = Heads::dense(&x, tokens, heads, head);
    for (mask, kind) in [(Mask::default(), ""), (Mask::CAUSAL, " causal")] {
        for precision in [Precision::F32, Precision::Bf16] {
            let input = Attention {
                dims: AttentionDims {
                    batch,
                    queries: tokens,
                    keys: tokens,
                    heads,
                    group: 1,
                    head,
                    values: head,
                },
                q: rows,
                k: rows,
                v: rows,
                mask,
                windows: None,
                bias: None,
                precision,
            };
            let (out, sums) = kernels::attention(level, &input)?;
            let out = Heads::dense(&out, tokens, heads, head);
            let name = format!("attention {batch}×{tokens}×{heads}×{head}{kind} {precision:?}");
            report(&name, || drop(black_box(kernels::attention(level, &input))));
            report(&format!("{name} backward"), || {
                drop(black_box(kernels::attention_backward(
                    level, &input, out, &sums, rows,
                )));
            });
        }
    }
    Ok(())
}

/// Numbers between −1 and 1 that repeat late.
fn noise(len: usize) -> Vec<f32> {
    let mut state = 1u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..len).map(next).collect()
}
