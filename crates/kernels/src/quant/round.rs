//! Values rounded to blocks of 8 bits.

use half::f16;
use rayon::prelude::*;

use super::{BLOCK, QuantError, QuantKind, QuantMatrix};

/// Bytes of a block.
const BYTES: usize = 34;

impl QuantMatrix {
    /// `values`, `[rows, columns]`, rounded to [`QuantKind::Q8_0`]; `columns` must be a multiple of 32.
    ///
    /// The scale `d` of 32 values is the least f16 that is not below their largest magnitude over 127, so that each value moves
    /// by at most `d/2`. A block with a NaN, an infinity or a magnitude above 8.3 million becomes NaN.
    pub fn rounded(values: &[f32], shape: [usize; 2]) -> Result<Self, QuantError> {
        let (blocks, _) = values.as_chunks::<BLOCK>();
        let mut bytes = vec![0; blocks.len() * BYTES];
        let rows = bytes.par_chunks_mut(BYTES * 256);
        rows.zip(blocks.par_chunks(256))
            .for_each(|(bytes, blocks)| {
                for (bytes, block) in bytes.as_chunks_mut::<BYTES>().0.iter_mut().zip(blocks) {
                    *bytes = rounded(block);
                }
            });
        Self::from_gguf(QuantKind::Q8_0, &bytes, shape)
    }
}

fn rounded(block: &[f32; BLOCK]) -> [u8; BYTES] {
    // A NaN stays.
    let most = block.iter().fold(0.0_f32, |most, value| {
        let value = value.abs();
        if value > most || value.is_nan() {
            value
        } else {
            most
        }
    });
    let wanted = most / 127.0;
    let mut scale = f16::from_f32(wanted);
    if scale.to_f32() < wanted {
        scale = f16::from_bits(scale.to_bits() + 1);
    }
    let mut bytes = [0; BYTES];
    bytes[..2].copy_from_slice(&scale.to_le_bytes());
    let scale = scale.to_f32();
    for (byte, value) in bytes[2..].iter_mut().zip(block) {
        // What is no number, as with a scale of 0, becomes 0.
        *byte = ((value / scale).round() as i8) as u8;
    }
    bytes
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_value_moves_by_at_most_half_a_scale() {
        let mut state = 1_u32;
        let mut drawn = |scale: f32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((state >> 8) as f32 / (1 << 23) as f32 - 1.0) * scale
        };
        let (rows, columns) = (21, 96);
        let values: Vec<f32> = (0..rows * columns)
            .map(|i| drawn([1.0, 1e-3, 2e-6, 3e5, 0.0][i / columns % 5]))
            .collect();
        let matrix = QuantMatrix::rounded(&values, [rows, columns]).unwrap();
        let held = matrix.dequantize();
        for (block, held) in values.chunks(BLOCK).zip(held.chunks(BLOCK)) {
            let most = block.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
            // The scale as an f16: at most one part in 1024 more, or one step where such numbers are small.
            let half = (most / 127.0 * (1.0 + 1.0 / 1024.0) + 6e-8) / 2.0;
            for (value, held) in block.iter().zip(held) {
                assert!((value - held).abs() <= half, "{value} {held} {half}");
            }
        }
        for bad in [f32::NAN, f32::INFINITY, 1e9] {
            let mut values = vec![1.0; 64];
            values[40] = bad;
            let held = QuantMatrix::rounded(&values, [1, 64]).unwrap().dequantize();
            assert!(held[..32].iter().all(|x| (x - 1.0).abs() < 0.005));
            assert!(held[32..].iter().all(|x| x.is_nan()), "{bad}");
        }
        assert!(QuantMatrix::rounded(&[0.0; 48], [1, 48]).is_err());
        assert!(QuantMatrix::rounded(&[0.0; 64], [1, 32]).is_err());
    }
}
