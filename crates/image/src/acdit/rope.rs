//! RoPE-ND (paper section 3.3): rotary positions of several axes.

use burn::tensor::{Device, Tensor, TensorData};
use engine::ops::{self, Rope};

use super::config::{AcditConfig, RopeMode};
use super::layout;

/// The base for an axis of `length` positions: 100 up to 39, 200 up to 78, …
pub fn base(length: usize) -> f64 {
    let turns = (8.0 * length as f64 / std::f64::consts::PI) as usize;
    ((turns / 100 + 1) * 100) as f64
}

/// Cosines and sines for tokens at `positions` (one list an axis), a segment of the head an axis, `[tokens, head]` each.
pub fn tables(
    positions: &[Vec<usize>],
    segments: &[usize],
    bases: &[f64],
    mode: RopeMode,
) -> [Vec<f32>; 2] {
    let tokens = positions.first().map_or(0, Vec::len);
    let mut tables = [Vec::new(), Vec::new()];
    for token in 0..tokens {
        for ((places, &width), &base) in positions.iter().zip(segments).zip(bases) {
            let half = width / 2;
            let angles = (0..half).map(|i| {
                // `linspace(0, 1, half)`: both ends are there.
                let exponent = match mode {
                    RopeMode::Released => i as f64 / (half.max(2) - 1) as f64,
                    RopeMode::Paper => i as f64 / half as f64,
                };
                libm::sincos(places[token] as f64 * libm::pow(base, -exponent))
            });
            let angles: Vec<(f64, f64)> = angles.collect();
            for (sin, cos) in angles.iter().chain(&angles) {
                tables[0].push(*cos as f32);
                tables[1].push(*sin as f32);
            }
        }
    }
    tables
}

/// The positions of a model: a rotation of the whole head (released form) or one of each segment (paper).
#[derive(Clone, Debug)]
pub struct Positions {
    parts: Vec<Rope>,
}

impl Positions {
    /// Those of the tokens of `blocks` blocks, in block order. Clips may have more blocks than in training, images not.
    ///
    /// # Errors
    /// Where heads cannot be split among the axes, and where an image would have more blocks than places.
    pub fn new(config: &AcditConfig, blocks: usize, device: &Device) -> Result<Self, String> {
        let segments = config.segments()?;
        let tokens = blocks * config.block_size;
        if config.temporal_len == 1 && blocks > config.ar_len {
            return Err(format!(
                "an image of this model has {} blocks, {blocks} were asked for",
                config.ar_len
            ));
        }
        let positions = layout::positions(config, tokens);
        let lengths = [config.temporal_len, config.side(), config.side()];
        let bases: Vec<f64> = lengths[lengths.len() - segments.len()..]
            .iter()
            .map(|length| base(*length))
            .collect();
        let part = |positions: &[Vec<usize>], segments: &[usize], bases: &[f64]| {
            let width = segments.iter().sum();
            let [cos, sin] = tables(positions, segments, bases, config.rope)
                .map(|table| Tensor::from_data(TensorData::new(table, [tokens, width]), device));
            Rope {
                cos,
                sin,
                sections: 1,
            }
        };
        let parts = match config.rope {
            // Value `i` of the head is paired with `i + head/2`, whatever the segments.
            RopeMode::Released => vec![part(&positions, &segments, &bases)],
            RopeMode::Paper => (0..segments.len())
                .map(|at| part(&positions[at..=at], &segments[at..=at], &bases[at..=at]))
                .collect(),
        };
        Ok(Self { parts })
    }

    /// Those of the tokens `from..from + count`.
    pub fn narrow(&self, from: usize, count: usize) -> Self {
        let cut = |rope: &Rope| Rope {
            cos: rope.cos.clone().narrow(0, from, count),
            sin: rope.sin.clone().narrow(0, from, count),
            sections: rope.sections,
        };
        Self {
            parts: self.parts.iter().map(cut).collect(),
        }
    }

    /// The same twice: for clean tokens and their noisy ones.
    pub fn twice(&self) -> Self {
        let double = |table: &Tensor<2>| Tensor::cat(vec![table.clone(), table.clone()], 0);
        let parts = self.parts.iter().map(|rope| Rope {
            cos: double(&rope.cos),
            sin: double(&rope.sin),
            sections: rope.sections,
        });
        Self {
            parts: parts.collect(),
        }
    }

    /// RMS norm of each head, then its rotation; `x` is `[batch, tokens, heads, head]`.
    pub fn norm_and_rotate(&self, x: Tensor<4>, weight: Tensor<1>, eps: f32) -> Tensor<4> {
        if let [rope] = &self.parts[..] {
            return ops::rms_norm_rope(x, weight, Some(rope), eps);
        }
        let x = ops::rms_norm(x, weight, eps);
        let mut from = 0;
        let turned = self.parts.iter().map(|rope| {
            let width = rope.cos.dims()[1];
            let segment = x.clone().narrow(3, from, width);
            from += width;
            ops::rotate(segment, rope)
        });
        Tensor::cat(turned.collect(), 3)
    }
}
