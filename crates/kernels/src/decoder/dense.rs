//! Products with dense weights as they lie in a file.

use half::{bf16, f16};

use super::simd::Widen;
use crate::error::{ShapeError, expect};
use crate::level::{Kind, Level, PORTABLE_FMA};
use crate::math::{LANES, fold};
use crate::parallel::Places;
use crate::simd::Portable;

/// Bytes of weights that one task reads, about.
const TASK: usize = 32 * 1024;
/// Rows of the input that one task handles.
const ROWS: usize = 64;

/// How a dense weight is stored, little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DenseKind {
    /// 32-bit floats.
    F32,
    /// 16-bit IEEE floats.
    F16,
    /// The upper halves of 32-bit floats.
    Bf16,
}

impl DenseKind {
    /// Bytes of a value.
    pub fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }
}

/// A weight matrix `[rows, columns]` (outputs, inputs) in the bytes of a file, which need no alignment.
#[derive(Clone, Copy, Debug)]
pub struct DenseRows<'a> {
    kind: DenseKind,
    bytes: &'a [u8],
    rows: usize,
    columns: usize,
}

impl<'a> DenseRows<'a> {
    /// `bytes` must be as long as the shape asks for.
    pub fn new(
        kind: DenseKind,
        bytes: &'a [u8],
        [rows, columns]: [usize; 2],
    ) -> Result<Self, ShapeError> {
        let size = rows.saturating_mul(columns).saturating_mul(kind.size());
        expect("bytes", bytes.len(), size)?;
        Ok(Self {
            kind,
            bytes,
            rows,
            columns,
        })
    }

    /// `[rows, columns]`.
    pub fn shape(&self) -> [usize; 2] {
        [self.rows, self.columns]
    }

    /// Writes the values of row `row` to `values`; nothing where there is no such row or no room.
    pub fn row(&self, row: usize, values: &mut [f32]) {
        let size = self.columns * self.kind.size();
        let Some(bytes) = self.bytes.get(row * size..(row + 1) * size) else {
            return;
        };
        match self.kind {
            DenseKind::F32 => widen(bytes, values, f32::from_le_bytes),
            DenseKind::F16 => widen(bytes, values, |b| f16::from_le_bytes(b).to_f32()),
            DenseKind::Bf16 => widen(bytes, values, |b| bf16::from_le_bytes(b).to_f32()),
        }
    }
}

fn widen<const N: usize>(bytes: &[u8], values: &mut [f32], value: impl Fn([u8; N]) -> f32) {
    for (to, from) in values.iter_mut().zip(bytes.as_chunks::<N>().0) {
        *to = value(*from);
    }
}

/// A product cut into tasks.
pub(super) struct DensePlan<'a> {
    weight: DenseRows<'a>,
    x: &'a [f32],
    rows: usize,
    out: Places<'a, f32>,
    step: usize,
    tasks: usize,
}

impl<'a> DensePlan<'a> {
    /// Of `x` `[rows, columns]`; `out` is `[rows, outputs]`.
    pub(super) fn new(
        weight: DenseRows<'a>,
        x: &'a [f32],
        rows: usize,
        out: &'a mut [f32],
    ) -> Self {
        let size = weight.columns * weight.kind.size();
        let step = (TASK / size.max(1)).max(4).next_multiple_of(4);
        Self {
            weight,
            x,
            rows,
            out: Places::new(out),
            step,
            tasks: weight.rows.div_ceil(step),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.rows.div_ceil(ROWS) * self.tasks
    }

    /// Computes a task.
    ///
    /// # Safety
    /// No other thread may compute the same one.
    pub(super) unsafe fn compute(&self, level: Level, task: usize) {
        let (row, output) = (task / self.tasks * ROWS, task % self.tasks * self.step);
        let rows = [row, self.rows.min(row + ROWS)];
        let outputs = [output, self.weight.rows.min(output + self.step)];
        // SAFETY: a `Level` of a kind exists only where its features were detected (F16C with AVX2 is asked for
        // here); the rest is promised.
        unsafe {
            match level.0 {
                #[cfg(target_arch = "x86_64")]
                Kind::Avx512 => self.avx512(rows, outputs),
                #[cfg(target_arch = "x86_64")]
                Kind::Avx2 if is_x86_feature_detected!("f16c") => self.avx2(rows, outputs),
                _ => self.part::<Portable<PORTABLE_FMA>>(rows, outputs),
            }
        }
    }

    /// # Safety
    /// As for [`Self::part`].
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma")]
    unsafe fn avx512(&self, rows: [usize; 2], outputs: [usize; 2]) {
        // SAFETY: handed down.
        unsafe { self.part::<std::arch::x86_64::__m512>(rows, outputs) }
    }

    /// # Safety
    /// As for [`Self::part`].
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn avx2(&self, rows: [usize; 2], outputs: [usize; 2]) {
        // SAFETY: handed down.
        unsafe { self.part::<[std::arch::x86_64::__m256; 2]>(rows, outputs) }
    }

    /// Computes the products of some rows and outputs.
    ///
    /// # Safety
    /// The machine must have the instructions of `L`; no other thread may write these results.
    #[inline(always)]
    unsafe fn part<L: Widen>(&self, rows: [usize; 2], outputs: [usize; 2]) {
        // SAFETY: handed down.
        unsafe {
            match self.weight.kind {
                DenseKind::F32 => self.tiles::<L>(rows, outputs, |at| L::load(at.cast())),
                DenseKind::F16 => self.tiles::<L>(rows, outputs, |at| L::load_f16(at)),
                DenseKind::Bf16 => self.tiles::<L>(rows, outputs, |at| L::load_bf16(at)),
            }
        }
    }

    /// # Safety
    /// As for [`Self::part`]; `load` reads sixteen values of the weight's kind.
    #[inline(always)]
    unsafe fn tiles<L: Widen>(
        &self,
        [first, last]: [usize; 2],
        [mut output, end]: [usize; 2],
        load: impl Fn(*const u8) -> L + Copy,
    ) {
        while output < end {
            let wide = end - output >= 4 && L::WIDE;
            let mut row = first;
            while row < last {
                // SAFETY: handed down.
                unsafe {
                    row += match (last - row >= 4, wide) {
                        (true, true) => self.tile::<L, 4, 4>(row, output, load),
                        (false, true) => self.tile::<L, 1, 4>(row, output, load),
                        (true, false) => self.tile::<L, 4, 1>(row, output, load),
                        (false, false) => self.tile::<L, 1, 1>(row, output, load),
                    };
                }
            }
            output += if wide { 4 } else { 1 };
        }
    }

    /// `R` rows and `C` outputs; gives `R`. Each result is the sum of sixteen partial sums, whatever the tile.
    ///
    /// # Safety
    /// As for [`Self::tiles`].
    #[inline(always)]
    unsafe fn tile<L: Widen, const R: usize, const C: usize>(
        &self,
        row: usize,
        output: usize,
        load: impl Fn(*const u8) -> L,
    ) -> usize {
        let columns = self.weight.columns;
        let size = self.weight.kind.size();
        let x: [&[f32]; R] = std::array::from_fn(|r| &self.x[(row + r) * columns..][..columns]);
        let w: [&[u8]; C] = std::array::from_fn(|c| {
            &self.weight.bytes[(output + c) * columns * size..][..columns * size]
        });
        let whole = columns / LANES * LANES;
        // SAFETY: reads stay inside the rows; the instructions are promised.
        unsafe {
            let mut sums = [[L::zero(); C]; R];
            for at in (0..whole).step_by(LANES) {
                let w: [L; C] = std::array::from_fn(|c| load(w[c].as_ptr().add(at * size)));
                for r in 0..R {
                    let x = L::load(x[r].as_ptr().add(at));
                    for c in 0..C {
                        sums[r][c] = x.mul_add(w[c], sums[r][c]);
                    }
                }
            }
            if whole < columns {
                // The last values with zeros behind them.
                let w: [L; C] = std::array::from_fn(|c| {
                    let mut bytes = [0; 4 * LANES];
                    let rest = &w[c][whole * size..];
                    bytes[..rest.len()].copy_from_slice(rest);
                    load(bytes.as_ptr())
                });
                for r in 0..R {
                    let mut values = [0.0; LANES];
                    values[..columns - whole].copy_from_slice(&x[r][whole..]);
                    let x = L::load(values.as_ptr());
                    for c in 0..C {
                        sums[r][c] = x.mul_add(w[c], sums[r][c]);
                    }
                }
            }
            for (r, sums) in sums.into_iter().enumerate() {
                let out = self.out.slice((row + r) * self.weight.rows + output, C);
                for (out, sum) in out.iter_mut().zip(sums) {
                    let mut lanes = [0.0; LANES];
                    sum.store(lanes.as_mut_ptr());
                    *out = fold(lanes);
                }
            }
        }
        R
    }
}
