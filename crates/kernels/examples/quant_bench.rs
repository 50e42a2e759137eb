//! Times products with quantised weights of 2048 inputs and 5632 outputs on the threads that rayon has.
//!
//! One row, with more weights in turn than caches hold: bytes of the GGUF blocks a second, and the share of what a
//! plain read of as much memory reaches. Many rows: the speed relative to `linear` with `Precision::Bf16`. Figures
//! are medians of rounds in which the things compared take turns.
//!
//! `cargo run --release -p orrery-kernels --example quant_bench`; a kind as argument picks it.

use std::hint::black_box;
use std::time::Instant;

use kernels::{
    Level, LinearDims, Precision, QuantError, QuantKind, QuantMatrix, linear, quant_linear,
    quant_linear_exact,
};
use rayon::prelude::*;

const INPUT: usize = 2048;
const OUTPUT: usize = 5632;
/// Bytes of weights that a pass of one row reads.
const WEIGHTS: usize = 256 << 20;
const PASSES: usize = 3;
const ROUNDS: usize = 11;

fn seconds(run: impl FnOnce()) -> f64 {
    let start = Instant::now();
    run();
    start.elapsed().as_secs_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Sums all words: as fast as memory can be read.
fn read(words: &[u64]) -> u64 {
    let sum = |words: &[u64]| {
        let mut sums = [0u64; 32];
        for words in words.as_chunks::<32>().0 {
            for (sum, word) in sums.iter_mut().zip(words) {
                *sum = sum.wrapping_add(*word);
            }
        }
        sums.iter().fold(0u64, |a, b| a.wrapping_add(*b))
    };
    words
        .par_chunks(1 << 14)
        .map(sum)
        .reduce(|| 0, u64::wrapping_add)
}

fn blocks(kind: QuantKind, salt: usize) -> Vec<u8> {
    let len = INPUT * OUTPUT / kind.block() * kind.block_bytes();
    // The low byte of each f16 scale may be anything; its high byte makes it small and finite.
    let mut bytes: Vec<u8> = (0..len + salt)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 16) as u8)
        .skip(salt)
        .collect();
    for block in bytes.chunks_exact_mut(kind.block_bytes()) {
        for at in [1, 3, 209] {
            if let Some(byte) = block.get_mut(at) {
                *byte = 0x1c;
            }
        }
    }
    bytes
}

/// Times each matrix right after a read of as many bytes, so that both meet the same disturbances.
fn one_row(kind: QuantKind, matrices: &[QuantMatrix], words: &[u64]) {
    let (x, level) = (ramp(INPUT), Level::best());
    let file = (INPUT * OUTPUT / kind.block() * kind.block_bytes()) as f64;
    let packed = matrices[0].size() as f64;
    let (mut rounded, mut exact, mut plain) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..PASSES {
        for (matrix, words) in matrices.iter().zip(words.chunks_exact(file as usize / 8)) {
            let stream = file / seconds(|| _ = black_box(read(words)));
            let time = seconds(|| drop(black_box(quant_linear(level, &x, matrix, 1))));
            plain.push(stream);
            rounded.push(file / time / stream);
        }
        for (matrix, words) in matrices.iter().zip(words.chunks_exact(file as usize / 8)) {
            let stream = file / seconds(|| _ = black_box(read(words)));
            let time = seconds(|| drop(black_box(quant_linear_exact(level, &x, matrix, 1))));
            exact.push(file / time / stream);
        }
    }
    let (plain, share) = (median(plain), median(rounded));
    println!(
        "{kind:?}, 1 row: {:.1} GB/s, {share:.2} of a plain read ({:.1} GB/s); with repacked bytes {:.2}; exact {:.2}",
        share * plain / 1e9,
        plain / 1e9,
        share * packed / file,
        median(exact),
    );
}

fn ramp(len: usize) -> Vec<f32> {
    (0..len).map(|i| (i % 1013) as f32 / 500.0 - 1.0).collect()
}

fn many_rows(kind: QuantKind, matrix: &QuantMatrix, rows: usize) {
    let (x, level) = (ramp(rows * INPUT), Level::best());
    let weight = matrix.dequantize();
    let dims = LinearDims {
        rows,
        input: INPUT,
        output: OUTPUT,
    };
    let (mut quant, mut exact, mut ratio, mut exact_ratio) = (vec![], vec![], vec![], vec![]);
    for _ in 0..ROUNDS {
        let bf16 = seconds(|| drop(black_box(linear(Precision::Bf16, &x, &weight, None, dims))));
        let time = seconds(|| drop(black_box(quant_linear(level, &x, matrix, rows))));
        quant.push(time * 1e3);
        ratio.push(bf16 / time);
        let time = seconds(|| drop(black_box(quant_linear_exact(level, &x, matrix, rows))));
        exact.push(time * 1e3);
        exact_ratio.push(bf16 / time);
    }
    println!(
        "{kind:?}, {rows} rows: {:.2} ms, {:.2} times the speed of bf16; exact {:.2} ms, {:.2} times",
        median(quant),
        median(ratio),
        median(exact),
        median(exact_ratio),
    );
}

fn main() -> Result<(), QuantError> {
    let only = std::env::args().nth(1);
    println!("{} threads", rayon::current_num_threads());
    let words: Vec<u64> = (0..WEIGHTS as u64 / 8 + (2 << 20)).collect();
    for kind in QuantKind::ALL {
        if only
            .as_ref()
            .is_some_and(|only| *only != format!("{kind:?}"))
        {
            continue;
        }
        let count = (WEIGHTS * kind.block()).div_ceil(INPUT * OUTPUT * kind.block_bytes());
        let matrices = (0..count)
            .map(|i| QuantMatrix::from_gguf(kind, &blocks(kind, i), [OUTPUT, INPUT]))
            .collect::<Result<Vec<_>, _>>()?;
        one_row(kind, &matrices, &words);
        for rows in [64, 512] {
            many_rows(kind, &matrices[0], rows);
        }
    }
    Ok(())
}
