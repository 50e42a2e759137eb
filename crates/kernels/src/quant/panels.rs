//! A matrix repacked in panels of sixteen rows.

use rayon::prelude::*;

use super::BLOCK;
use super::formats::{Format, Scales};
use super::gguf::Stored;
use super::vectors::{LANES, Portable};

/// A matrix; rows that its last panel lacks are zero.
#[derive(Clone)]
pub(super) struct Panels<F: Format> {
    /// `[panels, blocks of 32 columns]`.
    blocks: Vec<F::Block>,
    /// `[panels, headers]`.
    headers: Vec<F::Header>,
    /// Headers of a panel.
    width: usize,
}

/// Sixteen rows of a matrix.
pub(super) struct Panel<'a, F: Format> {
    pub(super) blocks: &'a [F::Block],
    pub(super) headers: &'a [F::Header],
}

impl<F: Format> Panels<F> {
    pub(super) fn panel(&self, index: usize) -> Panel<'_, F> {
        let blocks = self.width * F::BLOCKS;
        Panel {
            blocks: &self.blocks[index * blocks..][..blocks],
            headers: &self.headers[index * self.width..][..self.width],
        }
    }

    /// Bytes in memory.
    pub(super) fn size(&self) -> usize {
        size_of_val(&self.blocks[..]) + size_of_val(&self.headers[..])
    }

    /// Bytes of a panel.
    pub(super) fn panel_size(&self) -> usize {
        self.width * (F::BLOCKS * size_of::<F::Block>() + size_of::<F::Header>())
    }

    /// Writes the values of a row.
    pub(super) fn row(&self, row: usize, values: &mut [f32]) {
        let Panel { blocks, headers } = self.panel(row / LANES);
        for (b, (block, values)) in blocks
            .iter()
            .zip(values.chunks_exact_mut(BLOCK))
            .enumerate()
        {
            let block = dequantize_block::<F>(block, &headers[b / F::BLOCKS], b % F::BLOCKS);
            for (to, column) in values.iter_mut().zip(&block) {
                *to = column[row % LANES];
            }
        }
    }

    /// The values of the first `rows` rows, `[rows, columns]`.
    pub(super) fn dequantize(&self, rows: usize, columns: usize) -> Vec<f32> {
        let mut values = vec![0.0; rows * columns];
        values
            .par_chunks_mut((LANES * columns).max(1))
            .enumerate()
            .for_each(|(i, values)| {
                let Panel { blocks, headers } = self.panel(i);
                for (b, block) in blocks.iter().enumerate() {
                    let header = &headers[b / F::BLOCKS];
                    let block = dequantize_block::<F>(block, header, b % F::BLOCKS);
                    for (lane, row) in values.chunks_exact_mut(columns).enumerate() {
                        for (to, column) in row[b * BLOCK..][..BLOCK].iter_mut().zip(&block) {
                            *to = column[lane];
                        }
                    }
                }
            });
        values
    }
}

/// The values of a block, `[columns, lanes]`.
fn dequantize_block<F: Format>(
    block: &F::Block,
    header: &F::Header,
    index: usize,
) -> [[f32; LANES]; BLOCK] {
    // SAFETY: portable code runs on every machine.
    let (bytes, Scales { factors, shift }) = unsafe {
        (
            F::unpack::<Portable>(block),
            F::scales::<Portable>(header, index),
        )
    };
    std::array::from_fn(|column| {
        let factors: [f32; LANES] = factors[column / 16];
        std::array::from_fn(|lane| {
            let q = i32::from(bytes[column / 4][4 * lane + column % 4]);
            let value = factors[lane] * (q - F::OFFSET) as f32;
            if F::SHIFTED {
                value + shift[lane]
            } else {
                value
            }
        })
    })
}

impl<F: Stored> Panels<F> {
    /// Repacks the bytes of a file, which must be those of `rows` rows of `columns` values.
    pub(super) fn new(bytes: &[u8], rows: usize, columns: usize) -> Self {
        let (panels, width) = (rows.div_ceil(LANES), columns / (BLOCK * F::BLOCKS));
        let (block, header) = F::EMPTY;
        let mut blocks = vec![block; panels * width * F::BLOCKS];
        let mut headers = vec![header; panels * width];
        if width > 0 {
            blocks
                .par_chunks_mut(width * F::BLOCKS)
                .zip(headers.par_chunks_mut(width))
                .zip(bytes.par_chunks(LANES * width * F::BYTES))
                .for_each(|((blocks, headers), bytes)| fill::<F>(bytes, blocks, headers));
        }
        Self {
            blocks,
            headers,
            width,
        }
    }
}

/// Fills a panel with its rows.
fn fill<F: Stored>(bytes: &[u8], blocks: &mut [F::Block], headers: &mut [F::Header]) {
    let mut values = [0; 8 * BLOCK];
    let values = &mut values[..F::BLOCKS * BLOCK];
    for (lane, row) in bytes.chunks_exact(headers.len() * F::BYTES).enumerate() {
        let places = headers.iter_mut().zip(blocks.chunks_exact_mut(F::BLOCKS));
        for (bytes, (header, blocks)) in row.chunks_exact(F::BYTES).zip(places) {
            F::read(bytes, lane, header, values);
            for (values, block) in values.chunks_exact(BLOCK).zip(blocks) {
                for (column, &q) in values.iter().enumerate() {
                    F::put(block, lane, column, q);
                }
            }
        }
    }
}
