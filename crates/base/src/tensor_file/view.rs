//! The tensors of files under other names, in parts, and several files as one. No value is touched.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::file::{Entry, Place};
use super::{Weights, WeightsError, blocks};

/// A tensor under another name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// What it is called from now on.
    pub name: String,
    /// What the file calls it.
    pub of: String,
    /// `[k, n]`: the `k`-th of `n` equal parts along the first axis; `[0, 1]` is the whole.
    pub part: [usize; 2],
}

impl View {
    /// The whole of `of` as `name`.
    pub fn whole(name: impl Into<String>, of: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            of: of.into(),
            part: [0, 1],
        }
    }
}

impl Weights {
    /// These views and nothing else. A view of a tensor that is not there, or that cannot be cut so, is left out: whoever
    /// loads it says what is missing.
    pub fn viewed(&self, views: impl IntoIterator<Item = View>) -> Self {
        let entries = views.into_iter().filter_map(|view| {
            let entry = self.entries.get(&view.of)?;
            Some((view.name, part_of(entry, view.part)?))
        });
        self.with(self.origin().to_owned(), entries.collect())
    }

    /// The tensors of all `files` as those of one, which is called `origin` in messages.
    ///
    /// # Errors
    /// [`WeightsError::Unfit`] when two files hold the same name; [`WeightsError::Corrupt`] when there is no file.
    pub fn joined(origin: &str, files: Vec<Weights>) -> Result<Self, WeightsError> {
        let Some(first) = files.first().cloned() else {
            return Self::from_bytes(Cow::Borrowed(&[][..]));
        };
        let mut entries = BTreeMap::new();
        for file in files {
            for (name, entry) in file.entries.iter() {
                let entry = Entry {
                    place: Place::Elsewhere(file.clone(), name.clone()),
                    ..entry.clone()
                };
                if entries.insert(name.clone(), entry).is_some() {
                    return Err(file.unfit(format!("another part holds `{name}` too")));
                }
            }
        }
        Ok(first.with(origin.to_owned(), entries))
    }
}

/// Part `k` of `n` along the first axis.
fn part_of(entry: &Entry, [k, n]: [usize; 2]) -> Option<Entry> {
    if n == 1 {
        return Some(entry.clone());
    }
    let rows = entry.shape.first()?.checked_div(n)?;
    if k >= n || rows * n != entry.shape[0] {
        return None;
    }
    let shape = [&[rows], &entry.shape[1..]].concat();
    if let Place::Blocks(kind, range) = &entry.place {
        let columns = shape[1..].iter().product();
        return Some(Entry {
            dtype: entry.dtype,
            place: blocks::rows(*kind, range, columns, k * rows, rows),
            shape,
        });
    }
    let bits = shape.iter().product::<usize>() * entry.dtype.bitsize();
    let bytes = bits / 8;
    Some(Entry {
        dtype: entry.dtype,
        shape,
        place: Place::Part(Box::new(entry.place.clone()), k * bytes..(k + 1) * bytes),
    })
}
