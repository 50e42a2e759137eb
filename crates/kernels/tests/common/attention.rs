//! Attention by its definition, in f64.

use std::num::NonZeroUsize;

use kernels::{Attention, AttentionDims, Blocks, Heads, Mask, Pairs, Precision, Window};

use crate::common::{dot, noise, wide};

/// Inputs of an attention and the gradient of its result, all dense.
#[derive(Clone, Default)]
pub struct Case {
    /// batch, queries, keys, heads, group, head.
    pub size: [usize; 6],
    pub q: Vec<f32>,
    pub k: Vec<f32>,
    pub v: Vec<f32>,
    pub grad: Vec<f32>,
    pub keys: Option<Vec<u8>>,
    pub window: Window,
    /// Values, and distances between sequences and heads.
    pub pairs: Option<(Vec<u8>, [usize; 2])>,
    pub blocks: Option<([usize; 2], Vec<u8>, [usize; 2])>,
    pub bias: Option<(Vec<f32>, [usize; 2])>,
}

impl Case {
    pub fn new(size: [usize; 6]) -> Self {
        let [batch, queries, keys, heads, group, head] = size;
        let rows = batch * queries * heads * group * head;
        let columns = batch * keys * heads * head;
        Self {
            size,
            q: noise(rows, 1).iter().map(|x| x * 3.0).collect(),
            k: noise(columns, 2),
            v: noise(columns, 3),
            grad: noise(rows, 4),
            ..Self::default()
        }
    }

    /// Each kind of mask and bias, with a name.
    pub fn masked(&self) -> Vec<(&'static str, Self)> {
        let [batch, queries, keys, heads, group, _] = self.size;
        let (heads, pairs) = (heads * group, queries * keys);
        let some = |len, salt| {
            let seen = noise(len, salt);
            seen.iter().map(|x| u8::from(*x > -0.4)).collect::<Vec<_>>()
        };
        let window = |before, after| Window { before, after };
        let strides = [heads * pairs, pairs];
        let kind = |change: &dyn Fn(&mut Self)| {
            let mut case = self.clone();
            change(&mut case);
            case
        };
        let blocks = |rows: usize, columns: usize| {
            let size = queries.div_ceil(rows) * keys.div_ceil(columns);
            ([rows, columns], some(size * heads, 8), [0, size])
        };
        vec![
            ("all", self.clone()),
            (
                "keys",
                kind(&|case| case.keys = Some(some(batch * keys, 5))),
            ),
            ("causal", kind(&|case| case.window = Window::CAUSAL)),
            (
                "last keys",
                kind(&|case| case.window = window(Some(3), Some(0))),
            ),
            (
                "around",
                kind(&|case| case.window = window(Some(20), Some(5))),
            ),
            ("from", kind(&|case| case.window = window(Some(0), None))),
            (
                "shared pairs",
                kind(&|case| case.pairs = Some((some(pairs, 6), [0, 0]))),
            ),
            (
                "pairs",
                kind(&|case| case.pairs = Some((some(batch * heads * pairs, 7), strides))),
            ),
            (
                "small blocks",
                kind(&|case| case.blocks = Some(blocks(5, 7))),
            ),
            ("blocks", kind(&|case| case.blocks = Some(blocks(32, 128)))),
            (
                "shared bias",
                kind(&|case| case.bias = Some((noise(pairs, 9), [0, 0]))),
            ),
            (
                "bias of each head, and all masks",
                kind(&|case| {
                    case.bias = Some((noise(heads * pairs, 9), [0, pairs]));
                    case.keys = Some(some(batch * keys, 5));
                    case.window = window(Some(50), Some(9));
                    case.pairs = Some((some(pairs, 6), [0, 0]));
                    case.blocks = Some(blocks(3, 40));
                }),
            ),
        ]
    }

    pub fn input(&self, precision: Precision) -> Attention<'_> {
        let [batch, queries, keys, heads, group, head] = self.size;
        let blocks = self.blocks.as_ref();
        // Tests of wrong shapes take any size.
        let query_heads = heads.saturating_mul(group);
        Attention {
            dims: AttentionDims {
                batch,
                queries,
                keys,
                heads,
                group,
                head,
                values: head,
            },
            q: Heads::dense(&self.q, queries, query_heads, head),
            k: Heads::dense(&self.k, keys, heads, head),
            v: Heads::dense(&self.v, keys, heads, head),
            mask: Mask {
                keys: self.keys.as_deref(),
                window: self.window,
                pairs: self.pairs.as_ref().map(|(values, strides)| Pairs {
                    values,
                    strides: *strides,
                }),
                blocks: blocks.map(|(size, values, strides)| Blocks {
                    size: size.map(|size| NonZeroUsize::new(size).unwrap()),
                    seen: Pairs {
                        values,
                        strides: *strides,
                    },
                }),
            },
            windows: None,
            bias: self.bias.as_ref().map(|(values, strides)| Pairs {
                values,
                strides: *strides,
            }),
            precision,
        }
    }

    /// A dense `[batch, queries, query heads, head]`.
    pub fn rows<'a>(&self, values: &'a [f32]) -> Heads<'a> {
        let [_, queries, _, heads, group, head] = self.size;
        Heads::dense(values, queries, heads * group, head)
    }

    fn sees(&self, b: usize, h: usize, i: usize, j: usize) -> bool {
        let [_, queries, keys, ..] = self.size;
        let away = (j + queries) as i64 - (i + keys) as i64;
        let Window { before, after } = self.window;
        let window = before.is_none_or(|before| -away <= before as i64)
            && after.is_none_or(|after| away <= after as i64);
        let keyed = self
            .keys
            .as_ref()
            .is_none_or(|seen| seen[b * keys + j] != 0);
        let paired = self
            .pairs
            .as_ref()
            .is_none_or(|(seen, [sb, sh])| seen[b * sb + h * sh + i * keys + j] != 0);
        let blocked = self.blocks.as_ref().is_none_or(|(size, seen, [sb, sh])| {
            let width = keys.div_ceil(size[1]);
            seen[b * sb + h * sh + i / size[0] * width + j / size[1]] != 0
        });
        window && keyed && paired && blocked
    }

    fn probabilities(&self, q: &[f64], k: &[f64], b: usize, h: usize, i: usize) -> Vec<f64> {
        let [_, queries, keys, heads, group, head] = self.size;
        let q = &q[((b * queries + i) * heads * group + h) * head..][..head];
        let scores = (0..keys).map(|j| {
            let k = &k[((b * keys + j) * heads + h / group) * head..][..head];
            let bias = self.bias.as_ref().map_or(0.0, |(bias, [sb, sh])| {
                f64::from(bias[b * sb + h * sh + i * keys + j])
            });
            dot(q, k) / (head as f64).sqrt() + bias
        });
        let scores: Vec<f64> = scores.collect();
        let seen = (0..keys).filter(|j| self.sees(b, h, i, *j));
        let top = seen.map(|j| scores[j]).fold(f64::NEG_INFINITY, f64::max);
        let e = |j: usize| {
            if self.sees(b, h, i, j) {
                (scores[j] - top).exp()
            } else {
                0.0
            }
        };
        let total: f64 = (0..keys).map(e).sum();
        (0..keys).map(|j| e(j) / total).collect()
    }

    /// `[batch, queries, query heads, head]`.
    pub fn forward(&self, q: &[f64], k: &[f64], v: &[f64]) -> Vec<f64> {
        let [batch, queries, keys, heads, group, head] = self.size;
        let mut out = vec![0.0; q.len()];
        for b in 0..batch {
            for h in 0..heads * group {
                for i in 0..queries {
                    let p = self.probabilities(q, k, b, h, i);
                    let out = &mut out[((b * queries + i) * heads * group + h) * head..][..head];
                    if p.iter().all(|p| p.is_nan()) {
                        out.fill(f64::NAN);
                    }
                    for (j, p) in p.iter().enumerate() {
                        let v = &v[((b * keys + j) * heads + h / group) * head..][..head];
                        for (out, v) in out.iter_mut().zip(v) {
                            *out += p * v;
                        }
                    }
                }
            }
        }
        out
    }

    /// Gradients of queries, keys and values, by the chain rule; a query that sees nothing adds nothing.
    pub fn backward(&self) -> [Vec<f64>; 3] {
        let [batch, queries, keys, heads, group, head] = self.size;
        let (q, k, v, grad) = (
            wide(&self.q),
            wide(&self.k),
            wide(&self.v),
            wide(&self.grad),
        );
        let [mut dq, mut dk, mut dv] = [&q, &k, &v].map(|x| vec![0.0; x.len()]);
        for b in 0..batch {
            for h in 0..heads * group {
                for i in 0..queries {
                    let row = ((b * queries + i) * heads * group + h) * head;
                    let grad = &grad[row..row + head];
                    let p = self.probabilities(&q, &k, b, h, i);
                    if p.iter().all(|p| p.is_nan()) {
                        dq[row..row + head].fill(f64::NAN);
                        continue;
                    }
                    let at = |j: usize| ((b * keys + j) * heads + h / group) * head;
                    let dp = |j: usize| dot(grad, &v[at(j)..at(j) + head]);
                    let inner: f64 = (0..keys).map(|j| p[j] * dp(j)).sum();
                    for (j, p) in p.iter().enumerate() {
                        let ds = p * (dp(j) - inner) / (head as f64).sqrt();
                        for c in 0..head {
                            dq[row + c] += ds * k[at(j) + c];
                            dk[at(j) + c] += ds * q[row + c];
                            dv[at(j) + c] += p * grad[c];
                        }
                    }
                }
            }
        }
        [dq, dk, dv]
    }
}
