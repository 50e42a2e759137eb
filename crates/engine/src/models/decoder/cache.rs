//! Keys and values of a sequence, in pages that forks share.

use std::sync::Arc;

use kernels::{CacheDims, PAGE, ShapeError, Team};

use super::config::DecoderConfig;
use super::error::DecoderError;

/// Keys and values of the tokens that a sequence has been through.
///
/// A fork shares the pages of its origin; what either appends afterwards is its own, so that `k` branches of a prompt
/// cost the tokens of the branches. Layers with a sliding window keep the pages within the window only.
#[derive(Clone, Debug)]
pub struct Cache {
    dims: CacheDims,
    layers: Vec<LayerPages>,
    len: usize,
    limit: usize,
}

#[derive(Clone, Debug)]
pub(super) struct LayerPages {
    window: Option<usize>,
    /// From number `skipped` on.
    pub(super) pages: Vec<Page>,
    pub(super) skipped: usize,
}

/// Keys and values of [`PAGE`] positions in a layer, which forks may share.
#[derive(Clone, Debug)]
pub(super) struct Page(Arc<Vec<f32>>);

impl AsRef<[f32]> for Page {
    fn as_ref(&self) -> &[f32] {
        &self.0
    }
}

impl Cache {
    /// An empty cache for as many positions as the model was made for; where a model changes its rotary factors for
    /// long contexts, for as many as the short ones allow.
    pub fn new(config: &DecoderConfig) -> Self {
        let limit = config.rope.original().unwrap_or(config.max_positions);
        Self::with_limit(config, limit)
    }

    /// An empty cache for `limit` positions at most.
    pub fn with_limit(config: &DecoderConfig, limit: usize) -> Self {
        Self {
            dims: config.cache_dims(),
            layers: config
                .windows
                .iter()
                .map(|window| LayerPages {
                    window: *window,
                    pages: Vec::new(),
                    skipped: 0,
                })
                .collect(),
            len: 0,
            limit: limit.min(config.max_positions),
        }
    }

    /// Tokens in the cache.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Positions it may hold.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// A cache of the same tokens that goes on by itself.
    pub fn fork(&self) -> Self {
        self.clone()
    }

    /// Bytes of the pages, shared ones included.
    pub fn bytes(&self) -> usize {
        self.pages().map(|(_, bytes)| bytes).sum()
    }

    /// Where each page lies and its bytes: shared ones have the same place.
    pub(super) fn pages(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        let layers = self.layers.iter().flat_map(|layer| &layer.pages);
        layers.map(|page| (Arc::as_ptr(&page.0) as usize, size_of_val(&page.0[..])))
    }

    /// Whether the first `len` tokens can still be gone on from: windows may have dropped pages before them.
    pub fn can_truncate(&self, len: usize) -> bool {
        len <= self.len
            && self
                .layers
                .iter()
                .all(|layer| layer.skipped <= layer.oldest(len))
    }

    /// Forgets all but the first `len` tokens.
    ///
    /// # Errors
    /// [`DecoderError::Foreign`] when there are fewer, or when a sliding window has dropped what they need.
    pub fn truncate(&mut self, len: usize) -> Result<(), DecoderError> {
        if !self.can_truncate(len) {
            return Err(DecoderError::Foreign(format!(
                "a cache of {} tokens cannot go back to {len}: there are fewer, or they left the sliding window; start again from the tokens",
                self.len
            )));
        }
        for layer in &mut self.layers {
            let pages = len.div_ceil(PAGE).saturating_sub(layer.skipped);
            layer.pages.truncate(pages);
        }
        self.len = len;
        Ok(())
    }

    /// Whether it was made for a model of these sizes.
    pub(super) fn fits(&self, config: &DecoderConfig) -> bool {
        let windows = self.layers.iter().map(|layer| layer.window);
        self.dims == config.cache_dims() && windows.eq(config.windows.iter().copied())
    }

    pub(super) fn layer(&self, layer: usize) -> &LayerPages {
        &self.layers[layer]
    }

    /// Writes keys and values `[tokens, heads · head]` of the positions from the length on. The length stays.
    pub(super) fn store(
        &mut self,
        team: &Team<'_>,
        layer: usize,
        keys: &[f32],
        values: &[f32],
    ) -> Result<(), ShapeError> {
        let (dims, first) = (self.dims, self.len);
        let width = dims.heads * dims.head;
        let end = first + keys.len() / width;
        let LayerPages { pages, skipped, .. } = &mut self.layers[layer];
        while (pages.len() + *skipped) * PAGE < end {
            pages.push(Page(Arc::new(vec![0.0; dims.page_len()])));
        }
        let from = first / PAGE;
        team.rows(&mut pages[from - *skipped..], 1, |i, page| {
            for Page(page) in page {
                let page = Arc::make_mut(page);
                let start = (from + i) * PAGE;
                for position in start.max(first)..end.min(start + PAGE) {
                    let row = (position - first) * width..(position - first + 1) * width;
                    // All lengths were made to fit above.
                    let stored =
                        dims.store(page, position - start, &keys[row.clone()], &values[row]);
                    debug_assert!(stored.is_ok());
                }
            }
        });
        Ok(())
    }

    /// Counts stored tokens in, and drops pages that no later token sees.
    pub(super) fn advance(&mut self, tokens: usize) {
        self.len += tokens;
        for layer in &mut self.layers {
            let gone = layer.oldest(self.len).saturating_sub(layer.skipped);
            layer.pages.drain(..gone.min(layer.pages.len()));
            layer.skipped += gone;
        }
    }
}

impl LayerPages {
    /// The first page that a token at position `len` sees.
    fn oldest(&self, len: usize) -> usize {
        self.window
            .map_or(0, |window| (len + 1).saturating_sub(window) / PAGE)
    }
}
