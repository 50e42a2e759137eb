//! Products with weights in the block formats of GGUF files.
//!
//! A weight is repacked once, when it is read: sixteen rows that follow one another make a *panel*, whose quantised
//! values lie in the order in which the instructions want them, with the same number of bits as in the file. Products
//! are made with AVX-512 VNNI, AVX2 (with F16C) or portable code.

mod bit_planes;
mod exact;
mod formats;
mod gguf;
mod input;
mod packed;
mod panels;
mod round;
mod tile;
mod vectors;
#[cfg(target_arch = "x86_64")]
mod x86;

use std::borrow::Cow;

use crate::error::{ShapeError, expect};
use crate::input_error::InputError;
use crate::level::Level;
use crate::parallel::collect;
pub use input::{InputBits, QuantRows};
use packed::{Packed, each_format};
use tile::Machine;

/// Values of a row that have one scale.
const BLOCK: usize = 32;

/// A block format of GGUF files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuantKind {
    /// 8 bits: `d·q`, q from −128 to 127, for 32 values.
    Q8_0,
    /// 4 bits: `d·(q − 8)`, q from 0 to 15, for 32 values.
    Q4_0,
    /// 4 bits: `d·q + m`, for 32 values.
    Q4_1,
    /// 4 bits: `d·s·q − e·m`, with s and m of 6 bits for 32 values, d and e for 256.
    Q4K,
    /// 6 bits: `d·s·(q − 32)`, with s of 8 bits for 16 values, d for 256.
    Q6K,
    /// 5 bits: `d·(q − 16)`, q from 0 to 31, for 32 values.
    Q5_0,
    /// 5 bits: `d·q + m`, for 32 values.
    Q5_1,
    /// 2 bits: `d·s·q − e·m`, with s and m of 4 bits for 16 values, d and e for 256.
    Q2K,
    /// 3 bits: `d·s·(q − 4)`, with s of 6 bits (from −32 on) for 16 values, d for 256.
    Q3K,
    /// 5 bits: as [`QuantKind::Q4K`].
    Q5K,
}

impl QuantKind {
    /// Every kind.
    pub const ALL: [Self; 10] = [
        Self::Q8_0,
        Self::Q4_0,
        Self::Q4_1,
        Self::Q4K,
        Self::Q6K,
        Self::Q5_0,
        Self::Q5_1,
        Self::Q2K,
        Self::Q3K,
        Self::Q5K,
    ];

    /// The kind of a tensor type's number in a GGUF file (2, 3, 6 to 8 or 10 to 14).
    pub fn from_gguf_type(number: u32) -> Option<Self> {
        match number {
            2 => Some(Self::Q4_0),
            3 => Some(Self::Q4_1),
            6 => Some(Self::Q5_0),
            7 => Some(Self::Q5_1),
            8 => Some(Self::Q8_0),
            10 => Some(Self::Q2K),
            11 => Some(Self::Q3K),
            13 => Some(Self::Q5K),
            12 => Some(Self::Q4K),
            14 => Some(Self::Q6K),
            _ => None,
        }
    }

    /// Values of a block of the file.
    pub fn block(self) -> usize {
        match self {
            Self::Q8_0 | Self::Q4_0 | Self::Q4_1 | Self::Q5_0 | Self::Q5_1 => BLOCK,
            Self::Q2K | Self::Q3K | Self::Q4K | Self::Q5K | Self::Q6K => 8 * BLOCK,
        }
    }

    /// Bytes of a block of the file.
    pub fn block_bytes(self) -> usize {
        match self {
            Self::Q8_0 => 34,
            Self::Q4_0 => 18,
            Self::Q4_1 => 20,
            Self::Q4K => 144,
            Self::Q6K => 210,
            Self::Q5_0 => 22,
            Self::Q5_1 => 24,
            Self::Q2K => 84,
            Self::Q3K => 110,
            Self::Q5K => 176,
        }
    }
}

/// Why bytes are not a quantised matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantError {
    /// Rows do not divide into blocks.
    #[error("{kind:?} has blocks of {} values, which do not divide a row of {columns}", kind.block())]
    Columns {
        /// The format.
        kind: QuantKind,
        /// Values of a row.
        columns: usize,
    },
    /// There are too few or too many bytes.
    #[error("a {kind:?} matrix of {rows}×{columns} takes {expected} bytes, {found} are there")]
    Bytes {
        /// The format.
        kind: QuantKind,
        /// Rows of the matrix.
        rows: usize,
        /// Values of a row.
        columns: usize,
        /// Bytes that the shape asks for.
        expected: usize,
        /// Bytes that are there.
        found: usize,
    },
    /// The shape asks for more bytes than can be counted.
    #[error("a matrix of {rows}×{columns} is too large")]
    TooLarge {
        /// Rows of the matrix.
        rows: usize,
        /// Values of a row.
        columns: usize,
    },
}

/// A weight matrix `[rows, columns]` (outputs, inputs) in quantised blocks.
///
/// It takes as many bytes in memory as in the file (148 for 144 with [`QuantKind::Q4K`]), as if the number of rows
/// were a multiple of 16.
#[derive(Clone)]
pub struct QuantMatrix {
    packed: Packed,
    rows: usize,
    columns: usize,
}

impl std::fmt::Debug for QuantMatrix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { rows, columns, .. } = self;
        write!(f, "QuantMatrix({:?}, {rows}×{columns})", self.kind())
    }
}

impl QuantMatrix {
    /// Reads the blocks of a GGUF tensor, row by row, and repacks them.
    ///
    /// `columns` must be a multiple of [`QuantKind::block`] and `bytes` as long as the shape asks for. Scales may be
    /// any f16: what is computed with NaN or infinite ones follows IEEE 754.
    pub fn from_gguf(
        kind: QuantKind,
        bytes: &[u8],
        [rows, columns]: [usize; 2],
    ) -> Result<Self, QuantError> {
        if !columns.is_multiple_of(kind.block()) {
            return Err(QuantError::Columns { kind, columns });
        }
        let expected = (columns / kind.block())
            .checked_mul(kind.block_bytes())
            .and_then(|row| row.checked_mul(rows))
            .ok_or(QuantError::TooLarge { rows, columns })?;
        if bytes.len() != expected {
            return Err(QuantError::Bytes {
                kind,
                rows,
                columns,
                expected,
                found: bytes.len(),
            });
        }
        Ok(Self {
            packed: Packed::new(kind, bytes, rows, columns),
            rows,
            columns,
        })
    }

    /// The format.
    pub fn kind(&self) -> QuantKind {
        self.packed.kind()
    }

    /// Rows (outputs).
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Columns (inputs).
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Bytes that the repacked matrix takes.
    pub fn size(&self) -> usize {
        each_format!(&self.packed, panels => panels.size())
    }

    /// Writes the values of row `row` in f32 to `values`, which must have room for [`Self::columns`].
    pub fn dequantize_row(&self, row: usize, values: &mut [f32]) -> Result<(), InputError> {
        expect("values", values.len(), self.columns)?;
        let row = crate::input_error::index("row", 0, row as i64, self.rows)?;
        each_format!(&self.packed, panels => panels.row(row, values));
        Ok(())
    }

    /// The values in f32, `[rows, columns]`, by the formulas of [`QuantKind`] in the order that ggml computes them.
    pub fn dequantize(&self) -> Vec<f32> {
        each_format!(&self.packed, panels => panels.dequantize(self.rows, self.columns))
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for half::bf16 {}
}

/// A type of values that a quantised matrix multiplies: `f32` or `bf16`.
pub trait QuantInput: Copy + sealed::Sealed {
    /// The same values in f32.
    fn widened(values: &[Self]) -> Cow<'_, [f32]>;
}

impl QuantInput for f32 {
    fn widened(values: &[Self]) -> Cow<'_, [f32]> {
        Cow::Borrowed(values)
    }
}

impl QuantInput for half::bf16 {
    fn widened(values: &[Self]) -> Cow<'_, [f32]> {
        values.iter().map(|value| value.to_f32()).collect()
    }
}

/// `x · weightᵀ`, `[rows, weight.rows()]`, with products of integers; `x` is `[rows, weight.columns()]`.
///
/// Each 32 values of a row of `x` are rounded to `a/127` times an integer, where `a` is the largest magnitude among
/// them, so that each value moves by at most `a/254`. Nothing else is rounded but the sums over blocks, in f32: an
/// output lies within `Σ a/254·|w|` of the exact product with the dequantised weight, and about `columns/32·2⁻²⁴` of
/// the sum of magnitudes. Blocks with `a` below 10⁻³⁵ count as zero. A NaN or an infinity in a row of `x` makes all
/// outputs of that row NaN. The bits are the same at every level.
pub fn quant_linear<T: QuantInput>(
    level: Level,
    x: &[T],
    weight: &QuantMatrix,
    rows: usize,
) -> Result<Vec<f32>, ShapeError> {
    expect("x", x.len(), rows.saturating_mul(weight.columns))?;
    let machine = Machine::of(level);
    let (x, size) = (T::widened(x), rows * weight.rows);
    // SAFETY: `multiply` writes every value.
    let out = each_format!(&weight.packed, panels => unsafe {
        let input = QuantRows::of(level, &x, rows);
        collect(size, |out| tile::multiply(machine, &input, panels, weight.rows, out))
    });
    Ok(out)
}

/// As [`quant_linear`] with the values of `x` as they are: slower, and as near to the exact product with the
/// dequantised weight as a plain f32 product is.
///
/// The bits are the same at every level. NaN and infinities in `x` follow IEEE 754.
pub fn quant_linear_exact<T: QuantInput>(
    level: Level,
    x: &[T],
    weight: &QuantMatrix,
    rows: usize,
) -> Result<Vec<f32>, ShapeError> {
    expect("x", x.len(), rows.saturating_mul(weight.columns))?;
    let machine = Machine::of(level);
    let (x, size) = (T::widened(x), rows * weight.rows);
    // SAFETY: `multiply` writes every value.
    let out = each_format!(&weight.packed, panels => unsafe {
        collect(size, |out| exact::multiply(machine, &x, rows, panels, weight.rows, out))
    });
    Ok(out)
}

/// A product cut into tasks, for [`crate::row_products`].
pub(crate) struct QuantPlan<'a> {
    machine: Machine,
    weight: &'a QuantMatrix,
    input: &'a QuantRows,
    plan: tile::Plan,
    target: tile::Target<'a>,
}

impl<'a> QuantPlan<'a> {
    /// Bytes of weights that one task reads for a group of rows, about, for a weight of `size` bytes: threads wait for one another
    /// after every operation, so that tasks are small; those of large weights, which come from memory, are longer.
    fn task(size: usize) -> usize {
        (size / 256).clamp(32 * 1024, 256 * 1024)
    }

    /// `out` is `[rows, weight.rows()]`.
    pub(crate) fn new(
        level: Level,
        weight: &'a QuantMatrix,
        input: &'a QuantRows,
        rows: usize,
        out: &'a mut [f32],
    ) -> Result<Self, ShapeError> {
        expect("rounded", input.rows, rows * input.terms)?;
        expect("rounded", input.width * BLOCK, weight.columns)?;
        expect("out", out.len(), rows * weight.rows)?;
        let size = each_format!(&weight.packed, panels => panels.panel_size());
        let count = weight.rows.div_ceil(vectors::LANES);
        // SAFETY: only whole values are written there.
        let fresh = unsafe { &mut *(std::ptr::from_mut(out) as *mut crate::parallel::Fresh) };
        Ok(Self {
            machine: Machine::of(level),
            weight,
            input,
            plan: tile::Plan::new(input.rows, count, size, Self::task(count * size)),
            target: tile::Target::new(fresh, weight.rows),
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.plan.len()
    }

    /// Computes a task.
    ///
    /// # Safety
    /// No other thread may compute the same one.
    pub(crate) unsafe fn compute(&self, task: usize) {
        let part = self.plan.part(task);
        each_format!(&self.weight.packed, panels => {
            // SAFETY: promised; parts do not overlap.
            unsafe { tile::multiply_part(self.machine, part, self.input, panels, &self.target) }
        });
    }
}
