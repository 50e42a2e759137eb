//! Parameters and multiply-adds, counted from a config alone.

use serde::Serialize;

use super::config::{BlockConfig, EmoConfig, operator};
use super::layers::NormKind;

/// Multiply-adds of one picture in the convention of the paper's tables: convolutions and linears, both products of every
/// attention branch on the padded map, 2 for each value of a batch norm and 5 for each of a layer norm, nothing else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Macs {
    /// Convolutions.
    pub conv: u64,
    /// Batch norms.
    pub bn: u64,
    /// Layer norms.
    pub ln: u64,
    /// Products of attention.
    pub attn: u64,
    /// The head.
    pub lin: u64,
}

impl Macs {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.conv + self.bn + self.ln + self.attn + self.lin
    }

    fn norm(&mut self, kind: NormKind, values: usize) {
        match kind {
            NormKind::Batch => self.bn += 2 * values as u64,
            NormKind::Layer => self.ln += 5 * values as u64,
        }
    }
}

/// Multiply-adds of a picture of `[height, width]`.
pub fn macs(config: &EmoConfig, size: [usize; 2]) -> Macs {
    let mut sum = Macs::default();
    let stem = config.stem();
    let mut size = size.map(|side| side.div_ceil(2));
    let pixels = size[0] * size[1];
    let places = (pixels * stem) as u64;
    sum.conv += places * (9 * config.dim_in + 9 + stem) as u64;
    sum.bn += 2 * 2 * places;
    for block in config.block_configs().iter().flatten() {
        size = add_block(&mut sum, block, size);
    }
    let width = config.embed_dims[3];
    if config.num_classes > 0 {
        sum.norm(NormKind::Layer, size[0] * size[1] * width);
        sum.lin += (width * config.num_classes) as u64;
    }
    sum
}

fn add_block(sum: &mut Macs, block: &BlockConfig, size: [usize; 2]) -> [usize; 2] {
    let (input, mid) = (block.dim_in, block.dim_mid());
    let pixels = size[0] * size[1];
    if block.norm_in {
        sum.norm(block.norm_layer, pixels * input);
    }
    for kind in &block.hybrid_eops {
        if *kind == operator::CONV {
            sum.conv += (pixels * input * mid) as u64;
            continue;
        }
        let side = size.map(|side| match block.window_size {
            ..=0 => side,
            window => window as usize,
        });
        let padded = size[0].next_multiple_of(side[0]) * size[1].next_multiple_of(side[1]);
        sum.conv += (padded * input * (2 * input + mid)) as u64;
        let branches = if *kind == operator::SPANNING { 2 } else { 1 };
        let tokens = side[0] * side[1];
        sum.attn += (branches * padded * tokens * (input + mid)) as u64;
    }
    let out = size
        .map(|side| (side + 2 * block.padding()).saturating_sub(block.dw_ks) / block.stride + 1);
    let pixels = out[0] * out[1];
    sum.conv += (pixels * mid * block.dw_ks * block.dw_ks) as u64;
    sum.norm(block.local_norm, pixels * mid);
    sum.conv += (pixels * mid * block.dim_out) as u64;
    out
}

/// Parameters, running statistics left out.
pub fn params(config: &EmoConfig) -> u64 {
    let stem = config.stem();
    let mut sum = stem * (9 * config.dim_in + 1 + 2) + stem * (9 + 2) + stem * stem;
    for block in config.block_configs().iter().flatten() {
        sum += block_params(block);
    }
    let width = config.embed_dims[3];
    if config.num_classes > 0 {
        sum += 2 * width + (width + 1) * config.num_classes;
    }
    sum as u64
}

/// Parameters of one block.
pub fn block_params(block: &BlockConfig) -> usize {
    let (input, mid) = (block.dim_in, block.dim_mid());
    let fan = input + usize::from(block.qkv_bias);
    let operators: usize = block
        .hybrid_eops
        .iter()
        .map(|kind| match *kind {
            operator::CONV => fan * mid,
            _ => fan * (2 * input + mid),
        })
        .sum();
    let norm = if block.norm_in { 2 * input } else { 0 };
    let local = mid * block.dw_ks * block.dw_ks + 2 * mid;
    norm + operators + local + mid * block.dim_out + block.dim_out
}
