//! One block of a Llama-type language model that decodes one token: width 2048, 32 query and 8 key heads of 64,
//! feed-forward width 5632, 512 tokens in the cache, bf16 weights.

use std::hint::black_box;

use kernels::{
    Attention, AttentionDims, Heads, Level, Mask, PackedWeight, Precision, RmsNorm, ShapeError,
    attention, rms_norm, silu,
};

use super::Work;
use base::rng::Rng;

const WIDTH: usize = 2048;
const HEAD: usize = 64;
const KEY_HEADS: usize = 8;
/// Query heads that share a key head.
const GROUP: usize = 4;
const HIDDEN: usize = 5632;
const CONTEXT: usize = 512;
const EPS: f32 = 1e-5;

pub(super) fn works() -> Vec<Work> {
    vec![Work::with_peer(
        "llama-decode-bf16",
        "one token through a Llama block, width 2048, bf16 weights",
        || match Block::new() {
            Ok(block) => Box::new(move || drop(black_box(block.decode()))),
            Err(_) => Box::new(|| ()),
        },
    )]
}

struct Block {
    /// Queries, keys and values in one product.
    qkv: PackedWeight,
    out: PackedWeight,
    /// Gate and up in one product.
    gate_up: PackedWeight,
    down: PackedWeight,
    norm: Vec<f32>,
    /// `[context, key heads, head]`.
    keys: Vec<f32>,
    values: Vec<f32>,
    token: Vec<f32>,
}

impl Block {
    fn new() -> Result<Self, ShapeError> {
        let mut rng = Rng::new(0);
        let mut weight = |output: usize, input: usize| {
            let values: Vec<f32> = rng
                .normals(output * input)
                .iter()
                .map(|v| v * 0.02)
                .collect();
            PackedWeight::new(Precision::Bf16, &values, output, input)
        };
        let cache = CONTEXT * KEY_HEADS * HEAD;
        Ok(Self {
            qkv: weight(WIDTH + 2 * KEY_HEADS * HEAD, WIDTH)?,
            out: weight(WIDTH, WIDTH)?,
            gate_up: weight(2 * HIDDEN, WIDTH)?,
            down: weight(WIDTH, HIDDEN)?,
            norm: vec![1.0; WIDTH],
            keys: Rng::new(1).normals(cache),
            values: Rng::new(2).normals(cache),
            token: Rng::new(3).normals(WIDTH),
        })
    }

    fn normed(&self, x: &[f32]) -> Result<Vec<f32>, ShapeError> {
        let norm = RmsNorm {
            dims: [1, 1, 1, WIDTH],
            weight: Some(&self.norm),
            eps: EPS,
            rotation: None,
        };
        rms_norm(Level::best(), x, &norm)
    }

    fn decode(&self) -> Result<Vec<f32>, ShapeError> {
        let qkv = self.qkv.linear(&self.normed(&self.token)?, None, 1)?;
        // The heads that share keys are the queries of one sequence.
        let cached = |values| Heads {
            values,
            strides: [HEAD, KEY_HEADS * HEAD, HEAD],
        };
        let input = Attention {
            dims: AttentionDims {
                batch: KEY_HEADS,
                queries: GROUP,
                keys: CONTEXT,
                heads: 1,
                group: 1,
                head: HEAD,
            },
            q: Heads::dense(&qkv[..WIDTH], GROUP, 1, HEAD),
            k: cached(&self.keys),
            v: cached(&self.values),
            mask: Mask::default(),
            bias: None,
            precision: Precision::F32,
        };
        let (seen, _) = attention(Level::best(), &input)?;
        let x = sum(&self.token, &self.out.linear(&seen, None, 1)?);
        let both = self.gate_up.linear(&self.normed(&x)?, None, 1)?;
        let (gate, up) = both.split_at(HIDDEN);
        let mut hidden = silu(Level::best(), gate);
        hidden.iter_mut().zip(up).for_each(|(a, b)| *a *= b);
        Ok(sum(&x, &self.down.linear(&hidden, None, 1)?))
    }
}

fn sum(a: &[f32], b: &[f32]) -> Vec<f32> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}
