//! Pages of a cache of keys and values.

use crate::error::{ShapeError, expect};
use crate::math::LANES;

/// Positions of a page.
pub const PAGE: usize = 64;

/// Sizes of the keys and values of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheDims {
    /// Heads of keys and values.
    pub heads: usize,
    /// Heads of queries that share a head of keys.
    pub group: usize,
    /// Values of a head.
    pub head: usize,
}

impl CacheDims {
    /// Values of a head of a page: keys `[head, PAGE]`, then values `[PAGE, padded head]`.
    pub(super) fn head_len(&self) -> usize {
        PAGE * (self.head + self.padded())
    }

    pub(super) fn padded(&self) -> usize {
        self.head.next_multiple_of(LANES)
    }

    /// Values of a page.
    pub fn page_len(&self) -> usize {
        self.heads * self.head_len()
    }

    /// Writes key and value `[heads, head]` of a token into slot `slot` of a page.
    pub fn store(
        &self,
        page: &mut [f32],
        slot: usize,
        key: &[f32],
        value: &[f32],
    ) -> Result<(), ShapeError> {
        expect("page", page.len(), self.page_len())?;
        expect("key", key.len(), self.heads * self.head)?;
        expect("value", value.len(), self.heads * self.head)?;
        expect("slot", slot.min(PAGE - 1), slot)?;
        let heads = page.chunks_exact_mut(self.head_len().max(1));
        let sources = key
            .chunks_exact(self.head)
            .zip(value.chunks_exact(self.head));
        for (page, (key, value)) in heads.zip(sources) {
            let (keys, values) = page.split_at_mut(PAGE * self.head);
            for (column, key) in keys.chunks_exact_mut(PAGE).zip(key) {
                column[slot] = *key;
            }
            values[slot * self.padded()..][..self.head].copy_from_slice(value);
        }
        Ok(())
    }
}
