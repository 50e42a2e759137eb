//! Blocks of GGUF files, decoded value by value in f64.

use half::f16;
use kernels::QuantKind;

use crate::common::noise;

/// A value in f64 and the sum of the magnitudes that it is computed from.
#[derive(Clone, Copy)]
pub struct Value {
    pub value: f64,
    pub size: f64,
}

/// Value `i` of a block, by the formulas of ggml.
fn decode(kind: QuantKind, block: &[u8], i: usize) -> Value {
    let half = |at: usize| f64::from(f16::from_le_bytes([block[at], block[at + 1]]));
    let nibble = |byte: u8, high: bool| f64::from(if high { byte >> 4 } else { byte & 15 });
    let (product, shift) = match kind {
        QuantKind::Q8_0 => (half(0) * f64::from(block[2 + i] as i8), 0.0),
        QuantKind::Q4_0 => (half(0) * (nibble(block[2 + i % 16], i >= 16) - 8.0), 0.0),
        QuantKind::Q4_1 => (half(0) * nibble(block[4 + i % 16], i >= 16), half(2)),
        QuantKind::Q4K => {
            let (group, s) = (i / 32, &block[4..16]);
            let (scale, min) = if group < 4 {
                (s[group] & 63, s[group + 4] & 63)
            } else {
                (
                    (s[group + 4] & 15) + 16 * (s[group - 4] >> 6),
                    (s[group + 4] >> 4) + 16 * (s[group] >> 6),
                )
            };
            let q = nibble(block[16 + i / 64 * 32 + i % 32], group % 2 == 1);
            (half(0) * f64::from(scale) * q, -half(2) * f64::from(min))
        }
        QuantKind::Q5_0 | QuantKind::Q5_1 => {
            let old = kind == QuantKind::Q5_0;
            let at = if old { 2 } else { 4 };
            let high = block[at + i / 8] >> (i % 8) & 1;
            let q = nibble(block[at + 4 + i % 16], i >= 16) + 16.0 * f64::from(high);
            match old {
                true => (half(0) * (q - 16.0), 0.0),
                false => (half(0) * q, half(2)),
            }
        }
        QuantKind::Q5K => {
            let same = [&block[..16], &block[48..]].concat();
            let four = decode(QuantKind::Q4K, &same, i);
            let ones = decode(
                QuantKind::Q4K,
                &[&block[..16], &[0x11; 128][..]].concat(),
                i,
            );
            let zero = decode(QuantKind::Q4K, &[&block[..16], &[0; 128][..]].concat(), i);
            let scale = ones.value - zero.value;
            let high = block[16 + i % 32] >> (i / 32) & 1;
            let q = four.value - zero.value;
            (q + 16.0 * f64::from(high) * scale, zero.value)
        }
        QuantKind::Q2K | QuantKind::Q3K => {
            let (part, j) = (i / 128, i % 128);
            let two = |from: usize| block[from + part * 32 + j % 32] >> (j / 32 * 2) & 3;
            if kind == QuantKind::Q2K {
                let scale = block[i / 16];
                let product = half(80) * f64::from(scale & 15) * f64::from(two(16));
                (product, -half(82) * f64::from(scale >> 4))
            } else {
                let s = &block[96..108];
                let n = i / 16;
                let low = if n < 8 { s[n] & 15 } else { s[n - 8] >> 4 };
                let scale = i32::from(low) + 16 * i32::from(s[8 + n % 4] >> (n / 4 * 2) & 3) - 32;
                let high = block[i % 32] >> (i / 32) & 1;
                let q = f64::from(two(32)) + 4.0 * f64::from(high) - 4.0;
                (half(108) * f64::from(scale) * q, 0.0)
            }
        }
        QuantKind::Q6K => {
            let (part, j) = (i / 128, i % 128);
            let low = nibble(block[part * 64 + j % 64], j >= 64);
            let high = block[128 + part * 32 + j % 32] >> (j / 32 * 2) & 3;
            let scale = f64::from(block[192 + i / 16] as i8);
            (
                half(208) * scale * (low + 16.0 * f64::from(high) - 32.0),
                0.0,
            )
        }
    };
    Value {
        value: product + shift,
        size: product.abs() + shift.abs(),
    }
}

pub fn decode_all(kind: QuantKind, bytes: &[u8]) -> Vec<Value> {
    bytes
        .chunks_exact(kind.block_bytes())
        .flat_map(|block| (0..kind.block()).map(move |i| decode(kind, block, i)))
        .collect()
}

/// Where the f16 scales of a block lie.
pub fn scales(kind: QuantKind) -> &'static [usize] {
    match kind {
        QuantKind::Q8_0 | QuantKind::Q4_0 | QuantKind::Q5_0 => &[0],
        QuantKind::Q4_1 | QuantKind::Q5_1 | QuantKind::Q4K | QuantKind::Q5K => &[0, 2],
        QuantKind::Q2K => &[80, 82],
        QuantKind::Q3K => &[108],
        QuantKind::Q6K => &[208],
    }
}

/// Blocks of a matrix with random bits, and scales between −1/64 and 1/64.
pub fn blocks(kind: QuantKind, rows: usize, columns: usize, salt: u64) -> Vec<u8> {
    let count = rows * columns / kind.block();
    let random = noise(count * kind.block_bytes(), salt);
    let mut bytes: Vec<u8> = random.iter().map(|x| (x * 1e6) as i32 as u8).collect();
    set_scales(kind, &mut bytes, |i| random[i] / 64.0);
    bytes
}

pub fn set_scales(kind: QuantKind, bytes: &mut [u8], scale: impl Fn(usize) -> f32) {
    for (i, block) in bytes.chunks_exact_mut(kind.block_bytes()).enumerate() {
        for (j, &at) in scales(kind).iter().enumerate() {
            let half = f16::from_f32(scale(2 * i + j));
            block[at..at + 2].copy_from_slice(&half.to_le_bytes());
        }
    }
}

/// Every output within the documented bound of the exact product: `rounding` for input in `a/127`, and `steps`
/// roundings in f32.
pub fn assert_product(
    name: &str,
    got: &[f32],
    x: &[f32],
    weight: &[Value],
    columns: usize,
    rounding: f64,
    steps: usize,
) {
    let outputs = weight.len() / columns;
    assert_eq!(got.len(), x.len() / columns * outputs, "{name}");
    for (i, &got) in got.iter().enumerate() {
        let x = &x[i / outputs * columns..][..columns];
        let weight = &weight[i % outputs * columns..][..columns];
        let (mut want, mut moved, mut size) = (0.0, 0.0, 0.0);
        for (x, weight) in x.chunks_exact(32).zip(weight.chunks_exact(32)) {
            let largest = x.iter().fold(0f32, |a, x| a.max(x.abs()));
            let step = f64::from(largest) * rounding;
            for (&x, weight) in x.iter().zip(weight) {
                want += f64::from(x) * weight.value;
                moved += step * weight.value.abs();
                size += (f64::from(x.abs()) + step) * weight.size;
            }
        }
        // Rounding to the nearest integer happens in f32: a little off the middle.
        let bound = moved * 1.001 + steps as f64 * 2f64.powi(-24) * size;
        let error = (f64::from(got) - want).abs();
        assert!(
            error <= bound,
            "{name} at {i}: {got}, expected {want} ± {bound}"
        );
    }
}
