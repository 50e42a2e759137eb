//! Which keys a query may see.

use std::num::NonZeroUsize;
use std::ops::Range;

use super::AttentionDims;
use crate::error::{ShapeError, expect};

/// Which keys a query may see: those that every part lets through. The default lets all through.
///
/// Tiles of queries and keys that a mask hides whole are not computed. What a hidden key or value holds has no
/// effect as long as it is finite.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mask<'a> {
    /// `[batch, keys]`, zero where a key is hidden from all queries.
    pub keys: Option<&'a [u8]>,
    /// Keys by their distance from the query.
    pub window: Window,
    /// `[queries, keys]` for each sequence and head, zero where a key is hidden.
    pub pairs: Option<Pairs<'a, u8>>,
    /// Blocks of keys for each block of queries.
    pub blocks: Option<Blocks<'a>>,
}

impl Mask<'_> {
    /// A query sees the keys up to its own place.
    pub const CAUSAL: Self = Self {
        keys: None,
        window: Window::CAUSAL,
        pairs: None,
        blocks: None,
    };
}

/// How far around its own place a query sees; no limit where `None`.
///
/// The last query stands at the last key: the place of query `i` is key `i + keys − queries`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// Keys before that place.
    pub before: Option<usize>,
    /// Keys after it.
    pub after: Option<usize>,
}

impl Window {
    /// The keys up to the query's own place.
    pub const CAUSAL: Self = Self {
        before: None,
        after: Some(0),
    };

    /// The limits as distances; a missing one is out of reach.
    #[inline(always)]
    fn limits(self) -> [isize; 2] {
        let far = isize::MAX / 4;
        let limit = |keys: Option<usize>| {
            keys.and_then(|keys| isize::try_from(keys).ok())
                .map_or(far, |keys| keys.min(far))
        };
        [-limit(self.before), limit(self.after)]
    }
}

/// A matrix for each sequence and head of queries.
#[derive(Clone, Copy, Debug)]
pub struct Pairs<'a, T> {
    /// The values, each matrix dense and row-major.
    pub values: &'a [T],
    /// Distance between sequences and between heads; 0 where they share a matrix.
    pub strides: [usize; 2],
}

impl<'a, T> Pairs<'a, T> {
    /// One matrix for all sequences and heads.
    pub fn shared(values: &'a [T]) -> Self {
        let strides = [0, 0];
        Self { values, strides }
    }

    /// Checks that there is a matrix of `size` values for each sequence and head.
    pub(super) fn check(
        &self,
        name: &'static str,
        dims: AttentionDims,
        size: usize,
    ) -> Result<(), ShapeError> {
        if dims.batch == 0 || dims.query_heads() == 0 || size == 0 {
            return Ok(());
        }
        let [b, h] = self.strides;
        let last = [(dims.batch - 1, b), (dims.query_heads() - 1, h)]
            .iter()
            .fold(size, |sum, (count, step)| {
                sum.saturating_add(count.saturating_mul(*step))
            });
        expect(name, self.values.len().min(last), last)
    }

    /// Row `row` of the matrix of a sequence and a head, whose rows hold `width` values.
    #[inline(always)]
    pub(super) fn row(&self, b: usize, h: usize, row: usize, width: usize) -> &'a [T] {
        let [sb, sh] = self.strides;
        &self.values[b * sb + h * sh + row * width..][..width]
    }
}

/// A block-sparse mask: the block mask of FlexAttention, as a table.
#[derive(Clone, Copy, Debug)]
pub struct Blocks<'a> {
    /// Queries and keys of a block; the last ones may be cut short.
    pub size: [NonZeroUsize; 2],
    /// `[⌈queries / size⌉, ⌈keys / size⌉]` for each sequence and head, zero where a block of keys is hidden from a
    /// block of queries.
    pub seen: Pairs<'a, u8>,
}

/// What a tile sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum View {
    Nothing,
    Some,
    All,
}

impl View {
    /// Of rows of a mask.
    fn of<'a>(rows: impl Iterator<Item = &'a [u8]>) -> Self {
        let (mut seen, mut hidden) = (0, 0);
        for row in rows {
            let zeros = row.iter().filter(|value| **value == 0).count();
            hidden += zeros;
            seen += row.len() - zeros;
        }
        match (seen, hidden) {
            (0, _) => View::Nothing,
            (_, 0) => View::All,
            _ => View::Some,
        }
    }

    fn and(self, other: Self) -> Self {
        match (self, other) {
            (View::Nothing, _) | (_, View::Nothing) => View::Nothing,
            (View::All, View::All) => View::All,
            _ => View::Some,
        }
    }
}

/// Some queries and keys of a head; neither range is empty.
#[derive(Clone, Debug)]
pub(super) struct Tile {
    pub(super) b: usize,
    /// The head of queries.
    pub(super) h: usize,
    pub(super) queries: Range<usize>,
    pub(super) keys: Range<usize>,
}

impl Mask<'_> {
    pub(super) fn check(&self, dims: AttentionDims) -> Result<(), ShapeError> {
        let AttentionDims {
            batch,
            queries,
            keys,
            ..
        } = dims;
        if let Some(mask) = self.keys {
            expect("mask.keys", mask.len(), batch.saturating_mul(keys))?;
        }
        if let Some(pairs) = self.pairs {
            pairs.check("mask.pairs", dims, queries.saturating_mul(keys))?;
        }
        if let Some(Blocks { size, seen }) = self.blocks {
            let [q, k] = size.map(NonZeroUsize::get);
            let size = queries.div_ceil(q).saturating_mul(keys.div_ceil(k));
            seen.check("mask.blocks", dims, size)?;
        }
        Ok(())
    }

    /// What the queries of a tile see of its keys; `Some` may turn out to be nothing.
    pub(super) fn view(&self, dims: AttentionDims, tile: &Tile) -> View {
        let Tile {
            b,
            h,
            queries,
            keys,
        } = tile;
        let mut view = View::All;
        let [low, high] = self.window.limits();
        let shift = dims.keys as isize - dims.queries as isize;
        let least = keys.start as isize - (queries.end as isize - 1 + shift);
        let most = keys.end as isize - 1 - (queries.start as isize + shift);
        if most < low || least > high {
            return View::Nothing;
        }
        if least < low || most > high {
            view = View::Some;
        }
        if let Some(mask) = self.keys {
            let row = &mask[b * dims.keys..][keys.clone()];
            view = view.and(View::of(std::iter::once(row)));
        }
        if let Some(Blocks { size, seen }) = self.blocks {
            let [q, k] = size.map(NonZeroUsize::get);
            let width = dims.keys.div_ceil(k);
            let columns = keys.start / k..keys.end.div_ceil(k);
            let rows = queries.start / q..queries.end.div_ceil(q);
            let rows = rows.map(|row| &seen.row(*b, *h, row, width)[columns.clone()]);
            view = view.and(View::of(rows));
        }
        match self.pairs {
            Some(pairs) if view != View::Nothing => {
                let rows = queries.clone();
                let rows = rows.map(|row| &pairs.row(*b, *h, row, dims.keys)[keys.clone()]);
                view.and(View::of(rows))
            }
            _ => view,
        }
    }

    /// Sets the scores `[keys, width]` of a tile to −∞ where its queries see nothing.
    #[inline(always)]
    pub(super) fn hide(&self, dims: AttentionDims, tile: &Tile, width: usize, scores: &mut [f32]) {
        const HIDDEN: f32 = f32::NEG_INFINITY;
        let Tile { b, h, .. } = *tile;
        let count = tile.queries.len();
        let [low, high] = self.window.limits();
        let shift = dims.keys as isize - dims.queries as isize + tile.queries.start as isize;
        for (key, row) in tile.keys.clone().zip(scores.chunks_exact_mut(width)) {
            let row = &mut row[..count];
            if self.keys.is_some_and(|mask| mask[b * dims.keys + key] == 0) {
                row.fill(HIDDEN);
                continue;
            }
            // Query `i` of the tile is `key − shift − i` away.
            let distance = key as isize - shift;
            let first = (distance - high).clamp(0, count as isize) as usize;
            let end = (distance - low + 1).clamp(first as isize, count as isize) as usize;
            row[..first].fill(HIDDEN);
            row[end..].fill(HIDDEN);
            if let Some(Blocks { size, seen }) = self.blocks {
                let [q, k] = size.map(NonZeroUsize::get);
                let mut query = tile.queries.start;
                while query < tile.queries.end {
                    let next = ((query / q + 1) * q).min(tile.queries.end);
                    if seen.row(b, h, query / q, dims.keys.div_ceil(k))[key / k] == 0 {
                        row[query - tile.queries.start..next - tile.queries.start].fill(HIDDEN);
                    }
                    query = next;
                }
            }
        }
        if let Some(pairs) = self.pairs {
            for (i, query) in tile.queries.clone().enumerate() {
                let seen = &pairs.row(b, h, query, dims.keys)[tile.keys.clone()];
                for (seen, row) in seen.iter().zip(scores.chunks_exact_mut(width)) {
                    row[i] = if *seen == 0 { HIDDEN } else { row[i] };
                }
            }
        }
    }
}
