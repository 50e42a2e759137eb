//! Prefixes that were computed before.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::cache::Cache;
use super::lora::Adapters;
use super::lora::Lora;

/// Caches of sequences that were computed, found again by their first tokens; the ones not used for longest go when
/// they take more memory than allowed.
pub struct PrefixCache {
    /// Bytes that the pages may take.
    limit: usize,
    /// The most recently used last.
    entries: Vec<Entry>,
}

struct Entry {
    tokens: Vec<u32>,
    adapters: Vec<(Arc<Lora>, f32)>,
    cache: Cache,
}

impl PrefixCache {
    /// An empty one, which keeps at most `limit` bytes of pages.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            entries: Vec::new(),
        }
    }

    /// A cache of as many of the first tokens as were computed with the same adapters, but the last one at most: so
    /// that its logits can be computed. How many it holds is its length.
    pub fn find(&mut self, tokens: &[u32], adapters: Adapters<'_>) -> Option<Cache> {
        let usable = tokens.len().saturating_sub(1);
        let matching = |entry: &Entry| {
            let same = entry.tokens.iter().zip(&tokens[..usable]);
            let mut len = same.take_while(|(a, b)| a == b).count();
            if !equal(&entry.adapters, adapters) || !entry.cache.can_truncate(len) {
                len = 0;
            }
            len
        };
        let lengths = self.entries.iter().map(matching).enumerate();
        let (index, len) = lengths.max_by_key(|(_, len)| *len)?;
        if len == 0 {
            return None;
        }
        let entry = self.entries.remove(index);
        let mut cache = entry.cache.fork();
        self.entries.push(entry);
        cache.truncate(len).ok()?;
        Some(cache)
    }

    /// Keeps the cache of these tokens, in place of caches of their prefixes. `cache` must hold exactly them; else
    /// nothing is kept.
    pub fn insert(&mut self, tokens: &[u32], adapters: Adapters<'_>, cache: &Cache) {
        if cache.len() != tokens.len() || tokens.is_empty() {
            return;
        }
        self.entries.retain(|entry| {
            !(tokens.starts_with(&entry.tokens) && equal(&entry.adapters, adapters))
        });
        self.entries.push(Entry {
            tokens: tokens.to_vec(),
            adapters: adapters.to_vec(),
            cache: cache.fork(),
        });
        while self.bytes() > self.limit && !self.entries.is_empty() {
            self.entries.remove(0);
        }
    }

    /// Bytes of all pages; what sequences share counts once.
    pub fn bytes(&self) -> usize {
        let pages = self.entries.iter().flat_map(|entry| entry.cache.pages());
        pages.collect::<BTreeMap<usize, usize>>().values().sum()
    }

    /// Sequences that are kept.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

fn equal(a: &[(Arc<Lora>, f32)], b: Adapters<'_>) -> bool {
    a.len() == b.len()
        && a.iter()
            .zip(b)
            .all(|((a, x), (b, y))| Arc::ptr_eq(a, b) && x == y)
}
