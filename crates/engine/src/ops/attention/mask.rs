//! Which keys a query may see, as tensors.

use std::num::NonZeroUsize;

use burn::backend::TensorMetadata;
use burn::tensor::{Bool, Device, Int, Tensor};
use burn_flex::FlexTensor;
use kernels::{Blocks, Mask, Pairs, ShapeError, Window};

use super::super::custom_op;

/// A distance that no key is away, as every back-end can hold it.
const FAR: usize = i32::MAX as usize;

/// Which keys a query may see: those that every part lets through. The default lets all through and adds nothing.
///
/// Where an axis of batches or heads is spoken of, it may also have size 1: all share what is there then.
#[derive(Clone, Debug, Default)]
pub struct AttentionMask {
    /// `[batch, keys]`, true where a key may be seen.
    pub keys: Option<Tensor<2, Bool>>,
    /// Keys by their distance from the query; the last query stands at the last key.
    pub window: Window,
    /// `[batch, heads, queries, keys]`, true where a key may be seen.
    pub pairs: Option<Tensor<4, Bool>>,
    /// Blocks of keys for each block of queries; tiles that are hidden whole are not computed.
    pub blocks: Option<BlockMask>,
    /// `[batch, heads, queries, keys]`, added to the scaled scores; it gets no gradient.
    pub bias: Option<Tensor<4>>,
}

/// The block mask of an [`AttentionMask`].
#[derive(Clone, Debug)]
pub struct BlockMask {
    /// Queries and keys of a block; the last ones may be cut short.
    pub size: [NonZeroUsize; 2],
    /// `[batch, heads, ⌈queries / size⌉, ⌈keys / size⌉]`, true where a block of keys may be seen.
    pub seen: Tensor<4, Bool>,
}

impl AttentionMask {
    /// A query sees the keys up to its own place.
    pub fn causal() -> Self {
        Self {
            window: Window::CAUSAL,
            ..Self::default()
        }
    }

    /// All queries see the keys where `keys`, `[batch, keys]`, is true; all keys where there is none.
    pub fn of_keys(keys: Option<Tensor<2, Bool>>) -> Self {
        Self {
            keys,
            ..Self::default()
        }
    }

    /// The same, dense, where all of it sits on the CPU.
    pub(super) fn dense(&self) -> Option<Dense> {
        Some(Dense {
            keys: all_or_none(&self.keys, bools)?,
            window: self.window,
            pairs: all_or_none(&self.pairs, bools)?,
            blocks: all_or_none(&self.blocks, |blocks| {
                Some((blocks.size, bools(&blocks.seen)?))
            })?,
            bias: all_or_none(&self.bias, |bias| {
                custom_op::constant(bias.clone().into_dispatch())
            })?,
        })
    }

    /// True where a key is hidden, broadcastable to `[batch, heads, queries, keys]`; none where all are seen.
    pub(super) fn hidden(
        &self,
        [queries, keys]: [usize; 2],
        device: &Device,
    ) -> Option<Tensor<4, Bool>> {
        let by_key = self
            .keys
            .clone()
            .map(|seen| seen.bool_not().unsqueeze_dims::<4>(&[1, 2]));
        let far = (self.window != Window::default())
            .then(|| outside(self.window, [queries, keys], device).unsqueeze::<4>());
        let pairs = self.pairs.clone().map(Tensor::bool_not);
        let blocks = self
            .blocks
            .clone()
            .map(|blocks| spread(blocks, [queries, keys], device));
        [by_key, far, pairs, blocks]
            .into_iter()
            .flatten()
            .reduce(|a, b| {
                let [a_shape, b_shape]: [[usize; 4]; 2] = [a.dims(), b.dims()];
                let both = std::array::from_fn::<_, 4, _>(|axis| a_shape[axis].max(b_shape[axis]));
                a.expand(both).bool_or(b.expand(both))
            })
    }
}

/// `Some(None)` where there is nothing, `None` where what is there cannot be had.
fn all_or_none<T, U>(part: &Option<T>, read: impl FnOnce(&T) -> Option<U>) -> Option<Option<U>> {
    match part {
        None => Some(None),
        Some(part) => read(part).map(Some),
    }
}

fn bools<const D: usize>(mask: &Tensor<D, Bool>) -> Option<FlexTensor> {
    custom_op::bools(mask.clone().into_dispatch())
}

/// True where a key lies outside of the window, `[queries, keys]`.
fn outside(window: Window, [queries, keys]: [usize; 2], device: &Device) -> Tensor<2, Bool> {
    let range = |end: usize| Tensor::<1, Int>::arange(0..end as i64, device);
    let place = range(queries).add_scalar(keys as i64 - queries as i64);
    let distance = range(keys).unsqueeze::<2>() - place.unsqueeze_dim(1);
    let limit = |keys: usize| keys.min(FAR) as i64;
    let sides = [
        window
            .before
            .map(|keys| distance.clone().lower_scalar(-limit(keys))),
        window
            .after
            .map(|keys| distance.clone().greater_scalar(limit(keys))),
    ];
    sides
        .into_iter()
        .flatten()
        .reduce(Tensor::bool_or)
        .unwrap_or_else(|| distance.greater_scalar(FAR as i64))
}

/// True where a block is hidden, for each of its queries and keys.
fn spread(blocks: BlockMask, [queries, keys]: [usize; 2], device: &Device) -> Tensor<4, Bool> {
    let of = |count: usize, size: NonZeroUsize| {
        let size = size.get().min(FAR) as i64;
        Tensor::<1, Int>::arange(0..count as i64, device).div_scalar(size)
    };
    let [rows, columns] = blocks.size;
    let seen = blocks.seen.int();
    let seen = seen
        .select(2, of(queries, rows))
        .select(3, of(keys, columns));
    seen.equal_scalar(0)
}

/// An [`AttentionMask`] in plain memory.
#[derive(Clone, Debug)]
pub(super) struct Dense {
    keys: Option<FlexTensor>,
    window: Window,
    pairs: Option<FlexTensor>,
    blocks: Option<([NonZeroUsize; 2], FlexTensor)>,
    bias: Option<FlexTensor>,
}

impl Dense {
    /// As the kernel reads it, for `[batch, heads, queries, keys]`.
    pub(super) fn mask(&self, shape: [usize; 4]) -> Result<Mask<'_>, ShapeError> {
        let [_, _, queries, keys] = shape;
        let pairs = self.pairs.as_ref();
        let blocks = self.blocks.as_ref().map(|(size, seen)| {
            let [q, k] = size.map(NonZeroUsize::get);
            let tiles = [queries.div_ceil(q), keys.div_ceil(k)];
            Ok::<_, ShapeError>(Blocks {
                size: *size,
                seen: matrices("mask.blocks", seen, seen.bytes(), shape, tiles)?,
            })
        });
        Ok(Mask {
            keys: self.keys.as_ref().map(FlexTensor::bytes),
            window: self.window,
            pairs: pairs
                .map(|pairs| matrices("mask.pairs", pairs, pairs.bytes(), shape, [queries, keys]))
                .transpose()?,
            blocks: blocks.transpose()?,
        })
    }

    /// What is added to the scores.
    pub(super) fn bias(&self, shape: [usize; 4]) -> Result<Option<Pairs<'_, f32>>, ShapeError> {
        let [_, _, queries, keys] = shape;
        let read = |bias| {
            matrices(
                "bias",
                bias,
                custom_op::values(bias),
                shape,
                [queries, keys],
            )
        };
        self.bias.as_ref().map(read).transpose()
    }
}

/// The `values` of a dense `[batch or 1, heads or 1, size..]`.
fn matrices<'a, T>(
    name: &'static str,
    tensor: &FlexTensor,
    values: &'a [T],
    [batch, heads, ..]: [usize; 4],
    [rows, columns]: [usize; 2],
) -> Result<Pairs<'a, T>, ShapeError> {
    let shape: [usize; 4] = tensor.shape().dims();
    let [b, h, ..] = shape;
    let fits = |found, all| found == 1 || found == all;
    if !fits(b, batch) || !fits(h, heads) || shape[2..] != [rows, columns] {
        return Err(ShapeError {
            name,
            expected: batch * heads * rows * columns,
            found: values.len(),
        });
    }
    let size = rows * columns;
    Ok(Pairs {
        values,
        strides: [
            if b == 1 { 0 } else { h * size },
            if h == 1 { 0 } else { size },
        ],
    })
}
