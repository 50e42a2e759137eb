//! A convolution's weight that is used again and again: rounded to bf16 and put in the order of the product once.

use std::borrow::Cow;

use rayon::prelude::*;

use super::units::{Weights, half};
use super::{ConvDims, forward};
use crate::error::{ShapeError, expect};
use crate::level::Level;
use crate::product::Precision;

/// A weight `[out channels, in channels, kernel..]` of a convolution without groups, in bf16: half the memory of f32.
pub struct PackedConvWeight {
    /// Channels after and before, taps of the kernel.
    size: [usize; 3],
    form: Form,
}

enum Form {
    /// Units of two channels, as [`Weights`] has them.
    Units(Vec<f32>),
    #[cfg(target_arch = "x86_64")]
    Tiles(super::tiles::TileWeights),
}

impl PackedConvWeight {
    /// Packs `weight`, `[out channels, in channels, taps]`; none where the machine does not multiply bf16 values, or not those of
    /// a single channel.
    pub fn rounded(
        weight: &[f32],
        size @ [outs, ins, taps]: [usize; 3],
    ) -> Result<Option<Self>, ShapeError> {
        expect("weight", weight.len(), size.iter().product())?;
        if weight.is_empty() {
            return Ok(None);
        }
        let level = Level::best();
        let weights = Weights::new(level, Precision::Bf16, weight, [ins, taps], outs);
        if !weights.pairs {
            return Ok(None);
        }
        #[cfg(target_arch = "x86_64")]
        {
            let (rows, steps) = ([1, outs, ins], [ins * taps, taps]);
            let all = (0..taps).collect();
            let tiles = super::tiles::TileWeights::new(&weights, rows, steps, weight.len(), all);
            if let Some(tiles) = tiles {
                let form = Form::Tiles(tiles);
                return Ok(Some(Self { size, form }));
            }
        }
        let form = Form::Units(weights.values.into_owned());
        Ok(Some(Self { size, form }))
    }

    /// The values, rounded to bf16, `[out channels, in channels, taps]`.
    pub fn values(&self) -> Vec<f32> {
        let [outs, ins, taps] = self.size;
        match &self.form {
            Form::Units(units) => {
                let count = ins.div_ceil(2) * taps;
                let mut out = vec![0.0; outs * ins * taps];
                out.par_chunks_mut(ins * taps)
                    .zip(units.par_chunks(count))
                    .for_each(|(out, units)| {
                        for (at, value) in out.iter_mut().enumerate() {
                            *value = half(units[at % count].to_bits(), at >= count);
                        }
                    });
                out
            }
            #[cfg(target_arch = "x86_64")]
            Form::Tiles(tiles) => tiles.values(self.size),
        }
    }

    /// Bytes that the values take.
    pub fn bytes(&self) -> usize {
        match &self.form {
            Form::Units(units) => size_of_val(&units[..]),
            #[cfg(target_arch = "x86_64")]
            Form::Tiles(tiles) => tiles.bytes(),
        }
    }

    /// The convolution of `x` by this weight, as [`super::conv`] gives it with [`Precision::Bf16`], to the last bit.
    ///
    /// # Errors
    /// Where `dims` are not those of this weight, or have groups.
    pub fn conv(
        &self,
        x: &[f32],
        bias: Option<&[f32]>,
        dims: &ConvDims,
    ) -> Result<Vec<f32>, ShapeError> {
        let [outs, ins, taps] = self.size;
        expect("groups", dims.groups, 1)?;
        expect("out channels", dims.out_channels, outs)?;
        expect("in channels", dims.in_channels, ins)?;
        expect("taps", dims.taps(), taps)?;
        let values: &[f32] = match &self.form {
            Form::Units(units) => units,
            #[cfg(target_arch = "x86_64")]
            Form::Tiles(_) => &[],
        };
        #[cfg(target_arch = "x86_64")]
        let ready = match &self.form {
            Form::Tiles(tiles) => Some(tiles),
            Form::Units(_) => None,
        };
        let weights = Weights {
            values: Cow::Borrowed(values),
            pairs: true,
            #[cfg(target_arch = "x86_64")]
            tiles: ready.is_some(),
            #[cfg(not(target_arch = "x86_64"))]
            tiles: false,
            #[cfg(target_arch = "x86_64")]
            ready,
            channels: ins.div_ceil(2),
        };
        forward(Level::best(), weights, x, bias, dims, None)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use half::bf16;

    use super::*;
    use crate::conv::{ConvAxis, conv};

    fn drawn(count: usize) -> Vec<f32> {
        let value = |i: usize| ((i * 37 % 101) as f32 - 50.0) * 0.013;
        (0..count).map(value).collect()
    }

    #[test]
    fn a_packed_weight_gives_the_same_bits() {
        for ([outs, ins, side], [height, width], stride) in [
            ([1, 2, 1], [1, 1], 1),
            ([17, 33, 3], [9, 7], 1),
            ([40, 32, 3], [20, 40], 2),
            ([64, 64, 1], [8, 8], 1),
            ([4, 5, 3], [2, 50], 1),
        ] {
            let weight = drawn(outs * ins * side * side);
            let size = [outs, ins, side * side];
            let Some(packed) = PackedConvWeight::rounded(&weight, size).unwrap() else {
                continue;
            };
            let rounded: Vec<f32> = weight
                .iter()
                .map(|value| bf16::from_f32(*value).to_f32())
                .collect();
            assert_eq!(packed.values(), rounded, "{size:?}");
            let axis = |input| ConvAxis {
                input,
                kernel: side,
                stride,
                padding: [side / 2; 2],
                dilation: 1,
            };
            let dims = ConvDims::new(2, ins, outs, 1, &[axis(height), axis(width)]).unwrap();
            let (x, bias) = (drawn(dims.input_len()), drawn(outs));
            let (level, by) = (Level::best(), Precision::Bf16);
            let plain = conv(level, by, &x, &weight, Some(&bias), &dims).unwrap();
            assert_eq!(packed.conv(&x, Some(&bias), &dims).unwrap(), plain);
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn weights_for_tiles_can_be_read_again() {
        if !crate::bf16::available() {
            return;
        }
        for [outs, ins, taps] in [[16, 32, 9], [33, 70, 1], [17, 31, 4], [5, 3, 2]] {
            let weight = drawn(outs * ins * taps);
            let weights = Weights {
                values: Cow::Borrowed(&weight[..]),
                pairs: true,
                tiles: true,
                ready: None,
                channels: ins.div_ceil(2),
            };
            let (rows, steps) = ([1, outs, ins], [ins * taps, taps]);
            let all = (0..taps).collect();
            let tiles =
                super::super::tiles::TileWeights::new(&weights, rows, steps, weight.len(), all);
            let rounded: Vec<f32> = weight
                .iter()
                .map(|value| bf16::from_f32(*value).to_f32())
                .collect();
            assert_eq!(tiles.unwrap().values([outs, ins, taps]), rounded);
        }
    }

    #[test]
    fn a_packed_weight_refuses_other_sizes() {
        if let Some(packed) = PackedConvWeight::rounded(&drawn(8 * 4), [8, 4, 1]).unwrap() {
            let axis = ConvAxis {
                input: 3,
                kernel: 1,
                stride: 1,
                padding: [0; 2],
                dilation: 1,
            };
            for (ins, outs, groups) in [(8, 8, 2), (4, 4, 1), (8, 8, 1)] {
                let dims = ConvDims::new(1, ins, outs, groups, &[axis]).unwrap();
                let x = drawn(dims.input_len());
                assert!(packed.conv(&x, None, &dims).is_err());
            }
        }
    }
}
