//! Single kernels.

use std::hint::black_box;

use kernels::{
    Attention, AttentionDims, Heads, LayerNorm, Level, LinearDims, Mask, PackedWeight, Precision,
    attention, attention_backward,
};

use super::{Benchmark, Run};
use base::rng::Rng;

pub(super) fn benchmarks() -> Vec<Benchmark> {
    let benchmark = Benchmark::with_peer;
    vec![
        benchmark("gemm-f32", "x · Wᵀ, 1024 × 1024 × 1024, f32", || {
            linear([1024; 3], Precision::F32)
        }),
        benchmark(
            "gemm-bf16",
            "x · Wᵀ, 1024 × 1024 × 1024, bf16 products",
            || linear([1024; 3], Precision::Bf16),
        ),
        benchmark(
            "packed-bf16",
            "x · Wᵀ, 64 × 768 × 3072, bf16, W packed before",
            || packed(64, 768, 3072),
        ),
        benchmark(
            "matvec-bf16",
            "x · Wᵀ, 1 × 2048 × 2048, bf16, W packed before",
            || packed(1, 2048, 2048),
        ),
        benchmark(
            "attention-f32",
            "8 heads, 1024 queries and keys of 64, f32",
            || attend(Precision::F32, false),
        ),
        benchmark(
            "attention-backward-f32",
            "gradients of the same, without its forward pass",
            || attend(Precision::F32, true),
        ),
        benchmark("attention-bf16", "the same, bf16 products", || {
            attend(Precision::Bf16, false)
        }),
        benchmark(
            "attention-backward-bf16",
            "gradients of the same, bf16 products",
            || attend(Precision::Bf16, true),
        ),
        benchmark("gelu", "GELU (tanh) of 3.1 M values", gelu),
        benchmark("silu", "SiLU of 3.1 M values", silu),
        benchmark("softmax", "softmax over 8 × 1024 rows of 1024", softmax),
        benchmark("layer-norm", "layer norm over 4096 rows of 768", layer_norm),
    ]
}

fn noise(count: usize, seed: u64) -> Vec<f32> {
    Rng::new(seed).normals(count)
}

fn linear([rows, input, output]: [usize; 3], precision: Precision) -> Run {
    let dims = LinearDims {
        rows,
        input,
        output,
    };
    let (x, w) = (noise(rows * input, 1), noise(output * input, 2));
    Box::new(move || drop(black_box(kernels::linear(precision, &x, &w, None, dims))))
}

fn packed(rows: usize, input: usize, output: usize) -> Run {
    let (x, w) = (noise(rows * input, 1), noise(output * input, 2));
    let weight = PackedWeight::new(Precision::Bf16, &w, output, input);
    Box::new(move || {
        if let Ok(weight) = &weight {
            drop(black_box(weight.linear(&x, None, rows)));
        }
    })
}

fn attend(precision: Precision, backward: bool) -> Run {
    let [tokens, heads, head] = [1024, 8, 64];
    let dims = AttentionDims {
        batch: 1,
        queries: tokens,
        keys: tokens,
        heads,
        group: 1,
        head,
        values: head,
    };
    let values = [1, 2, 3, 4].map(|seed| noise(tokens * heads * head, seed));
    let level = Level::best();
    let mut given = None;
    Box::new(move || {
        let [q, k, v, grad] = values
            .each_ref()
            .map(|values| Heads::dense(values, tokens, heads, head));
        let input = Attention {
            dims,
            q,
            k,
            v,
            mask: Mask::default(),
            windows: None,
            bias: None,
            precision,
        };
        if backward {
            let (out, sums) =
                given.get_or_insert_with(|| attention(level, &input).unwrap_or_default());
            let out = Heads::dense(out, tokens, heads, head);
            drop(black_box(attention_backward(
                level, &input, out, sums, grad,
            )));
        } else {
            drop(black_box(attention(level, &input)));
        }
    })
}

fn gelu() -> Run {
    let x = noise(4096 * 768, 1);
    Box::new(move || drop(black_box(kernels::gelu(Level::best(), &x))))
}

fn silu() -> Run {
    let x = noise(4096 * 768, 1);
    Box::new(move || drop(black_box(kernels::silu(Level::best(), &x))))
}

fn softmax() -> Run {
    let x = noise(8 * 1024 * 1024, 1);
    Box::new(move || drop(black_box(kernels::softmax(Level::best(), &x, 1024))))
}

fn layer_norm() -> Run {
    let x = noise(4096 * 768, 1);
    Box::new(move || {
        let norm = LayerNorm {
            dims: [1, 4096, 768],
            eps: 1e-6,
            factor: None,
            shift: None,
            residual: None,
        };
        drop(black_box(kernels::layer_norm(Level::best(), &x, &norm)));
    })
}
