//! Quantised weights, beside what bounds them: one row beside a plain read of as many bytes, 64 rows beside our own bf16
//! product.

use std::hint::black_box;

use kernels::{Level, PackedWeight, Precision, QuantKind, QuantMatrix, quant_linear};
use rayon::prelude::*;

use super::{Benchmark, Run};
use base::rng::Rng;

const INPUT: usize = 2048;
const OUTPUT: usize = 5632;
/// Weights that one row goes through: far more than the caches hold.
const BYTES: usize = 256 << 20;
const ROWS: usize = 64;
/// Words that one task of the plain read sums.
const WORDS: usize = 1 << 15;

pub(super) fn benchmarks() -> Vec<Benchmark> {
    let one = |name, make| {
        let about = "x · Wᵀ, one row, 256 MB of weights; beside it a plain read of 256 MB";
        Benchmark::with_own(name, about, make, read)
    };
    let many = |name, make| {
        let about = "x · Wᵀ, 64 × 2048 × 5632; beside it our bf16 product, packed";
        Benchmark::with_own(name, about, make, bf16)
    };
    vec![
        one("row-q8_0", || row(QuantKind::Q8_0)),
        one("row-q4_0", || row(QuantKind::Q4_0)),
        one("row-q4_1", || row(QuantKind::Q4_1)),
        one("row-q4_k", || row(QuantKind::Q4K)),
        one("row-q6_k", || row(QuantKind::Q6K)),
        many("rows-q8_0", || rows(QuantKind::Q8_0)),
        many("rows-q4_0", || rows(QuantKind::Q4_0)),
        many("rows-q4_1", || rows(QuantKind::Q4_1)),
        many("rows-q4_k", || rows(QuantKind::Q4K)),
        many("rows-q6_k", || rows(QuantKind::Q6K)),
    ]
}

/// Bytes of a matrix.
fn size(kind: QuantKind) -> usize {
    INPUT / kind.block() * kind.block_bytes() * OUTPUT
}

/// A matrix whose bytes are all alike: half-precision scales of 0.065, and the same weight everywhere.
fn matrix(kind: QuantKind) -> Option<QuantMatrix> {
    let bytes = vec![0x2c; size(kind)];
    QuantMatrix::from_gguf(kind, &bytes, [OUTPUT, INPUT]).ok()
}

fn row(kind: QuantKind) -> Run {
    let x = Rng::new(1).normals(INPUT);
    let count = BYTES.div_ceil(size(kind));
    let weights: Vec<QuantMatrix> = (0..count).filter_map(|_| matrix(kind)).collect();
    Box::new(move || {
        for weight in &weights {
            drop(black_box(quant_linear(Level::best(), &x, weight, 1)));
        }
    })
}

fn rows(kind: QuantKind) -> Run {
    let x = Rng::new(1).normals(ROWS * INPUT);
    let weight = matrix(kind);
    Box::new(move || {
        if let Some(weight) = &weight {
            drop(black_box(quant_linear(Level::best(), &x, weight, ROWS)));
        }
    })
}

/// Sums as many bytes as the weights of one row take.
fn read() -> Run {
    let words = vec![3_u64; BYTES / 8];
    Box::new(move || {
        let parts = words.par_chunks(WORDS);
        let sums = parts.map(|part| {
            part.iter()
                .fold(0, |sum: u64, word| sum.wrapping_add(*word))
        });
        black_box(sums.reduce(|| 0, u64::wrapping_add));
    })
}

fn bf16() -> Run {
    let x = Rng::new(1).normals(ROWS * INPUT);
    let values = Rng::new(2).normals(OUTPUT * INPUT);
    let weight = PackedWeight::new(Precision::Bf16, &values, OUTPUT, INPUT);
    Box::new(move || {
        if let Ok(weight) = &weight {
            drop(black_box(weight.linear(&x, None, ROWS)));
        }
    })
}
