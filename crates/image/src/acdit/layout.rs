//! Latents ↔ blocks of tokens, and where each token stands.

use burn::tensor::Tensor;

use super::config::AcditConfig;

/// Coordinates of the first `tokens` tokens in block order, axis by axis: (time,) row, column.
pub fn positions(config: &AcditConfig, tokens: usize) -> Vec<Vec<usize>> {
    let order = order(config, tokens);
    let (side, frame) = (config.side(), config.spatial_len);
    let axis = |of: &dyn Fn(usize) -> usize| order.iter().map(|&token| of(token)).collect();
    let row = axis(&|token| token % frame / side);
    let column = axis(&|token| token % side);
    match config.temporal_len {
        1 => vec![row, column],
        _ => vec![axis(&|token| token / frame), row, column],
    }
}

/// Raster index (frame, row, column) of every token in block order.
pub(super) fn order(config: &AcditConfig, tokens: usize) -> Vec<usize> {
    let side = config.side();
    if !config.square_block {
        return (0..tokens).collect();
    }
    let tile = config.block_size.isqrt();
    let tiles = side / tile;
    let mut order = Vec::with_capacity(config.tokens());
    for block in 0..tiles * tiles {
        let (top, left) = (block / tiles * tile, block % tiles * tile);
        for place in 0..tile * tile {
            order.push((top + place / tile) * side + left + place % tile);
        }
    }
    order.truncate(tokens);
    order
}

/// Patches of an image as square tiles: `[batch, channels, height, width]` → `[batch, blocks, tokens of a block, patch² ·
/// channels]`. Tiles, and patches within a tile, go row by row; values of a patch are (row, column, channel).
pub fn image_to_blocks(latents: Tensor<4>, patch: usize, block: usize) -> Tensor<4> {
    let [batch, channels, height, width] = latents.dims();
    let tile = block.isqrt();
    let [down, across] = [height, width].map(|side| side / (tile * patch));
    latents
        .reshape([batch, channels, down, tile, patch, across, tile, patch])
        .permute([0, 2, 5, 3, 6, 4, 7, 1])
        .reshape([batch, down * across, block, patch * patch * channels])
}

/// The inverse of [`image_to_blocks`]; images are square.
pub fn blocks_to_image(blocks: Tensor<4>, patch: usize) -> Tensor<4> {
    let [batch, count, block, values] = blocks.dims();
    let (tile, tiles) = (block.isqrt(), count.isqrt());
    let channels = values / (patch * patch);
    let side = tiles * tile * patch;
    blocks
        .reshape([batch, tiles, tiles, tile, tile, patch, patch, channels])
        .permute([0, 7, 1, 3, 5, 2, 4, 6])
        .reshape([batch, channels, side, side])
}

/// Patches of a clip, frame by frame: `[batch, frames, channels, height, width]` → `[batch, blocks, block, patch² ·
/// channels]`.
pub fn video_to_blocks(latents: Tensor<5>, patch: usize, block: usize) -> Tensor<4> {
    let [batch, frames, channels, height, width] = latents.dims();
    let [down, across] = [height, width].map(|side| side / patch);
    let count = frames * down * across / block;
    latents
        .reshape([batch, frames, channels, down, patch, across, patch])
        .permute([0, 1, 3, 5, 4, 6, 2])
        .reshape([batch, count, block, patch * patch * channels])
}

/// The inverse of [`video_to_blocks`] for square frames of `spatial` tokens.
pub fn blocks_to_video(blocks: Tensor<4>, patch: usize, spatial: usize) -> Tensor<5> {
    let [batch, count, block, values] = blocks.dims();
    let (side, frames) = (spatial.isqrt(), count * block / spatial);
    let channels = values / (patch * patch);
    blocks
        .reshape([batch, frames, side, side, patch, patch, channels])
        .permute([0, 1, 6, 2, 4, 3, 5])
        .reshape([batch, frames, channels, side * patch, side * patch])
}
