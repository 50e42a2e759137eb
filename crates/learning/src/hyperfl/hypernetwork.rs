//! The hypernetwork: from a client's embedding to the parameters of its feature extractor.
//!
//! A trunk of linear layers with ReLU, then one linear head for every tensor that it generates. The gradient of a head's weight
//! is an outer product, which training never writes out: [`HyperGradient`] keeps its two factors.

use std::ops::Range;

use base::rng::Rng;
use rayon::prelude::*;

use super::layout::Layout;
use super::network::Network;
use super::vector::{add_scaled, dot, squares};

/// How a hypernetwork starts (specification, section 9.8).
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    clap::ValueEnum,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Init {
    /// Biases of heads as the tensor that they make would start, weights of heads × 0.02: training starts near an ordinary
    /// network
    #[default]
    Scaled,
    /// PyTorch's defaults, as in the official code: first losses in the hundreds
    Official,
}

/// What heads' weights are multiplied by for [`Init::Scaled`].
const SCALE: f32 = 0.02;

/// One head: makes the tensor `target`.
#[derive(Clone, Debug)]
struct Head {
    weight: Range<usize>,
    bias: Range<usize>,
    /// Place of what it makes.
    target: Range<usize>,
    /// Values that each result of the target's layer sums: its bias' bound is `1/√fan-in`.
    fan_in: usize,
}

/// A linear layer of the trunk, with ReLU behind.
#[derive(Clone, Debug)]
struct Trunk {
    input: usize,
    weight: Range<usize>,
    bias: Range<usize>,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Hypernetwork {
    /// Values of an embedding.
    pub embed: usize,
    /// Names and places of the parameters, without the prefix `hypernetwork.`.
    pub layout: Layout,
    trunk: Vec<Trunk>,
    heads: Vec<Head>,
}

/// A generated network, with what the backward pass needs.
#[derive(Clone, Debug)]
pub struct Generated {
    /// Embedding, then the result of each layer of the trunk.
    hidden: Vec<Vec<f32>>,
    /// The generated parameters.
    pub theta: Vec<f32>,
}

/// The gradient of a hypernetwork and of the embedding; weights of heads as an outer product.
#[derive(Clone, Debug)]
pub struct HyperGradient {
    /// Of the trunk, which lies first.
    trunk: Vec<f32>,
    /// Of the generated values: the gradient of the heads' biases, and the left factor of that of their weights.
    theta: Vec<f32>,
    /// The trunk's result: the right factor.
    hidden: Vec<f32>,
    /// Of the embedding.
    pub embedding: Vec<f32>,
}

impl Hypernetwork {
    /// A hypernetwork for tensors with names `(head's name, shape, fan-in)`, with a trunk of these widths.
    pub fn new(embed: usize, widths: &[usize], tensors: &[(String, Vec<usize>, usize)]) -> Self {
        let mut layout = Layout::default();
        let mut trunk = Vec::new();
        let mut input = embed;
        for (at, &width) in widths.iter().enumerate() {
            let name = format!("mlp.{}", 2 * at);
            trunk.push(Trunk {
                input,
                weight: layout.push(format!("{name}.weight"), &[width, input]),
                bias: layout.push(format!("{name}.bias"), &[width]),
            });
            input = width;
        }
        let mut target = 0;
        let mut heads = Vec::new();
        for (name, shape, fan_in) in tensors {
            let len = shape.iter().product::<usize>();
            heads.push(Head {
                weight: layout.push(format!("{name}.weight"), &[len, input]),
                bias: layout.push(format!("{name}.bias"), &[len]),
                target: target..target + len,
                fan_in: *fan_in,
            });
            target += len;
        }
        Self {
            embed,
            layout,
            trunk,
            heads,
        }
    }

    /// For the tensors of `network` in `range`, under the official names: `c1_weights`, `c1_bias`, …, `l1_weights`.
    pub fn for_network(
        network: &Network,
        range: Range<usize>,
        embed: usize,
        widths: &[usize],
    ) -> Self {
        let mut fan_in = 1;
        let part = network.layout.part(range);
        let tensors: Vec<_> = part
            .slots()
            .iter()
            .map(|slot| {
                if slot.shape.len() > 1 {
                    fan_in = slot.shape[1..].iter().product();
                }
                let name = slot.name.replace("conv", "c").replace("fc", "l");
                let name = name.replace(".weight", "_weights").replace('.', "_");
                (name, slot.shape.clone(), fan_in)
            })
            .collect();
        Self::new(embed, widths, &tensors)
    }

    /// Number of values that it generates.
    pub fn generates(&self) -> usize {
        self.heads.last().map_or(0, |head| head.target.end)
    }

    /// Values of the trunk's result.
    pub fn width(&self) -> usize {
        self.trunk.last().map_or(self.embed, |last| last.bias.len())
    }

    /// Draws the parameters.
    pub fn init(&self, init: Init, rng: &mut Rng) -> Vec<f32> {
        let mut phi = vec![0.0; self.layout.len()];
        let mut fill = |range: &Range<usize>, bound: f32| {
            for value in &mut phi[range.clone()] {
                *value = bound * (2.0 * rng.uniform() - 1.0);
            }
        };
        for layer in &self.trunk {
            let bound = 1.0 / (layer.input as f32).sqrt();
            fill(&layer.weight, bound);
            fill(&layer.bias, bound);
        }
        let bound = 1.0 / (self.width() as f32).sqrt();
        for head in &self.heads {
            match init {
                Init::Official => {
                    fill(&head.weight, bound);
                    fill(&head.bias, bound);
                }
                Init::Scaled => {
                    fill(&head.weight, bound * SCALE);
                    fill(&head.bias, 1.0 / (head.fan_in as f32).sqrt());
                }
            }
        }
        phi
    }

    /// θ = h(v; φ).
    pub fn generate(&self, phi: &[f32], embedding: &[f32]) -> Generated {
        let mut hidden = vec![embedding.to_vec()];
        for layer in &self.trunk {
            let x = &hidden[hidden.len() - 1];
            let out = affine(
                &phi[layer.weight.clone()],
                Some(&phi[layer.bias.clone()]),
                x,
            );
            hidden.push(out.into_iter().map(|value| value.max(0.0)).collect());
        }
        let last = &hidden[hidden.len() - 1];
        let mut theta = Vec::with_capacity(self.generates());
        for head in &self.heads {
            let bias = &phi[head.bias.clone()];
            theta.extend(affine(&phi[head.weight.clone()], Some(bias), last));
        }
        Generated { hidden, theta }
    }

    /// The vector–Jacobian product: gradients of φ and of the embedding from that of θ.
    pub fn backward(&self, phi: &[f32], at: &Generated, theta: Vec<f32>) -> HyperGradient {
        let width = self.width();
        let mut grad = vec![0.0; width];
        for head in &self.heads {
            let of = &theta[head.target.clone()];
            let part = transposed(&phi[head.weight.clone()], of, width);
            add_scaled(&mut grad, 1.0, &part);
        }
        let trunk_len = self.trunk.last().map_or(0, |last| last.bias.end);
        let mut trunk = vec![0.0; trunk_len];
        for (layer, hidden) in self.trunk.iter().zip(at.hidden.windows(2)).rev() {
            mask(&mut grad, &hidden[1]);
            trunk[layer.bias.clone()].copy_from_slice(&grad);
            outer(&mut trunk[layer.weight.clone()], &grad, &hidden[0]);
            grad = transposed(&phi[layer.weight.clone()], &grad, layer.input);
        }
        HyperGradient {
            trunk,
            theta,
            hidden: at.hidden.last().cloned().unwrap_or_default(),
            embedding: grad,
        }
    }

    /// The gradient of φ written out.
    pub fn dense(&self, grad: &HyperGradient) -> Vec<f32> {
        let mut phi = vec![0.0; self.layout.len()];
        phi[..grad.trunk.len()].copy_from_slice(&grad.trunk);
        for head in &self.heads {
            let of = &grad.theta[head.target.clone()];
            outer(&mut phi[head.weight.clone()], of, &grad.hidden);
            phi[head.bias.clone()].copy_from_slice(of);
        }
        phi
    }

    /// One step of SGD on φ: the gradient times `scale`, weight decay, momentum. The outer products are added as the weights
    /// are read, so that each is touched once.
    pub fn step(&self, phi: &mut [f32], state: &mut [f32], grad: &HyperGradient, step: Step) {
        let trunk = grad.trunk.len();
        let plain = |phi: &mut [f32], state: &mut [f32], grad: &[f32]| {
            for ((phi, state), grad) in phi.iter_mut().zip(state).zip(grad) {
                step.apply(phi, state, *grad);
            }
        };
        plain(&mut phi[..trunk], &mut state[..trunk], &grad.trunk);
        let width = grad.hidden.len();
        for head in &self.heads {
            let of = &grad.theta[head.target.clone()];
            phi[head.weight.clone()]
                .par_chunks_mut(width)
                .zip(state[head.weight.clone()].par_chunks_mut(width))
                .zip(of)
                .with_min_len(64)
                .for_each(|((phi, state), &of)| {
                    for ((phi, state), hidden) in phi.iter_mut().zip(state).zip(&grad.hidden) {
                        step.apply(phi, state, of * hidden);
                    }
                });
            plain(
                &mut phi[head.bias.clone()],
                &mut state[head.bias.clone()],
                of,
            );
        }
    }

    /// As [`Hypernetwork::generate`], moving with φ and the embedding: values and their derivatives.
    pub(super) fn generate_dual(
        &self,
        [phi, phi_moved]: [&[f32]; 2],
        [embedding, embedding_moved]: [&[f32]; 2],
    ) -> [Generated; 2] {
        let value = self.generate(phi, embedding);
        let mut moved = vec![embedding_moved.to_vec()];
        for (at, layer) in self.trunk.iter().enumerate() {
            let bias = Some(&phi_moved[layer.bias.clone()]);
            let mut out = affine(&phi_moved[layer.weight.clone()], bias, &value.hidden[at]);
            let more = affine(&phi[layer.weight.clone()], None, &moved[at]);
            add_scaled(&mut out, 1.0, &more);
            mask(&mut out, &value.hidden[at + 1]);
            moved.push(out);
        }
        let (last, last_moved) = (&value.hidden[moved.len() - 1], &moved[moved.len() - 1]);
        let mut theta = Vec::with_capacity(self.generates());
        for head in &self.heads {
            let bias = Some(&phi_moved[head.bias.clone()]);
            let mut out = affine(&phi_moved[head.weight.clone()], bias, last);
            let more = affine(&phi[head.weight.clone()], None, last_moved);
            add_scaled(&mut out, 1.0, &more);
            theta.extend(out);
        }
        let moved = Generated {
            hidden: moved,
            theta,
        };
        [value, moved]
    }

    /// As [`Hypernetwork::backward`] where all moves: derivatives of the gradients of φ, written out, and of the embedding.
    pub(super) fn backward_dual(
        &self,
        [phi, phi_moved]: [&[f32]; 2],
        [at, at_moved]: [&Generated; 2],
        [theta, theta_moved]: [&[f32]; 2],
    ) -> (Vec<f32>, Vec<f32>) {
        let width = self.width();
        let mut out = vec![0.0; phi.len()];
        let (mut grad, mut moved) = (vec![0.0; width], vec![0.0; width]);
        let (hidden, hidden_moved) = (&at.hidden, &at_moved.hidden);
        let last = hidden.len() - 1;
        for head in &self.heads {
            let [of, of_moved] = [theta, theta_moved].map(|theta| &theta[head.target.clone()]);
            let weights = head.weight.clone();
            add_scaled(
                &mut grad,
                1.0,
                &transposed(&phi[weights.clone()], of, width),
            );
            add_scaled(
                &mut moved,
                1.0,
                &transposed(&phi[weights.clone()], of_moved, width),
            );
            add_scaled(
                &mut moved,
                1.0,
                &transposed(&phi_moved[weights.clone()], of, width),
            );
            outer(&mut out[weights.clone()], of_moved, &hidden[last]);
            outer(&mut out[weights], of, &hidden_moved[last]);
            out[head.bias.clone()].copy_from_slice(of_moved);
        }
        for (i, layer) in self.trunk.iter().enumerate().rev() {
            mask(&mut grad, &hidden[i + 1]);
            mask(&mut moved, &hidden[i + 1]);
            out[layer.bias.clone()].copy_from_slice(&moved);
            let weights = layer.weight.clone();
            outer(&mut out[weights.clone()], &moved, &hidden[i]);
            outer(&mut out[weights.clone()], &grad, &hidden_moved[i]);
            moved = transposed(&phi[weights.clone()], &moved, layer.input);
            let more = transposed(&phi_moved[weights.clone()], &grad, layer.input);
            add_scaled(&mut moved, 1.0, &more);
            grad = transposed(&phi[weights], &grad, layer.input);
        }
        (out, moved)
    }

    /// What a server reads from the gradient of φ after one step: the trunk's result, the generated parameters and their
    /// gradient. The gradient of a head's bias is that of what it makes; that of its weight is its outer product with the
    /// trunk's result.
    pub fn recover(&self, phi: &[f32], grad: &[f32]) -> Recovered {
        let width = self.width();
        let (mut hidden, mut norm) = (vec![0.0f64; width], 0.0f64);
        // Rescaled by the largest value, so that squares of small gradients do not vanish.
        let heads = || self.heads.iter();
        let largest = heads()
            .flat_map(|head| &grad[head.bias.clone()])
            .fold(0.0f32, |largest, value| largest.max(value.abs()));
        let scale = if largest > 0.0 {
            1.0 / f64::from(largest)
        } else {
            0.0
        };
        for head in heads() {
            let rows = grad[head.weight.clone()].chunks_exact(width.max(1));
            for (row, bias) in rows.zip(&grad[head.bias.clone()]) {
                let bias = f64::from(*bias) * scale;
                norm += bias * bias;
                for (sum, value) in hidden.iter_mut().zip(row) {
                    *sum += bias * f64::from(*value) * scale;
                }
            }
        }
        let hidden: Vec<f32> = hidden
            .iter()
            .map(|sum| if norm > 0.0 { (sum / norm) as f32 } else { 0.0 })
            .collect();
        let mut recovered = Recovered {
            theta: Vec::with_capacity(self.generates()),
            grad: Vec::with_capacity(self.generates()),
            hidden: Vec::new(),
        };
        for head in heads() {
            let bias = Some(&phi[head.bias.clone()]);
            let theta = affine(&phi[head.weight.clone()], bias, &hidden);
            recovered.theta.extend(theta);
            recovered.grad.extend(&grad[head.bias.clone()]);
        }
        recovered.hidden = hidden;
        recovered
    }
}

/// See [`Hypernetwork::recover`].
#[derive(Clone, Debug)]
pub struct Recovered {
    /// The trunk's result.
    pub hidden: Vec<f32>,
    /// The generated parameters.
    pub theta: Vec<f32>,
    /// Their gradient.
    pub grad: Vec<f32>,
}

impl HyperGradient {
    /// L2 norm of the gradient of φ; that of an outer product is the product of the norms.
    pub fn norm(&self) -> f64 {
        let theta = squares(&self.theta);
        (squares(&self.trunk) + theta * (1.0 + squares(&self.hidden))).sqrt()
    }
}

/// Numbers of a step of SGD with momentum.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// What the gradient is multiplied by first: clipping.
    pub scale: f32,
    /// Learning rate.
    pub lr: f32,
    /// Momentum.
    pub momentum: f32,
    /// Weight decay.
    pub decay: f32,
}

impl Step {
    /// `b ← momentum · b + scale · g + decay · p`, `p ← p − lr · b`.
    #[inline(always)]
    pub fn apply(&self, param: &mut f32, state: &mut f32, grad: f32) {
        *state = self.momentum * *state + (self.scale * grad + self.decay * *param);
        *param -= self.lr * *state;
    }
}

/// `weight · x + bias`.
fn affine(weight: &[f32], bias: Option<&[f32]>, x: &[f32]) -> Vec<f32> {
    if x.is_empty() {
        return bias.map(<[f32]>::to_vec).unwrap_or_default();
    }
    let rows = weight.par_chunks(x.len()).with_min_len(256);
    rows.enumerate()
        .map(|(row, weight)| dot(weight, x) + bias.map_or(0.0, |bias| bias[row]))
        .collect()
}

/// `weightᵀ · y`, summed in blocks of rows so that its bits do not depend on the number of threads.
fn transposed(weight: &[f32], y: &[f32], width: usize) -> Vec<f32> {
    const ROWS: usize = 1024;
    let parts: Vec<Vec<f32>> = weight
        .par_chunks(ROWS * width.max(1))
        .zip(y.par_chunks(ROWS))
        .map(|(weight, y)| {
            let mut sum = vec![0.0; width];
            for (row, &y) in weight.chunks_exact(width.max(1)).zip(y) {
                add_scaled(&mut sum, y, row);
            }
            sum
        })
        .collect();
    let mut sum = vec![0.0; width];
    for part in &parts {
        add_scaled(&mut sum, 1.0, part);
    }
    sum
}

/// `out += y · xᵀ`.
fn outer(out: &mut [f32], y: &[f32], x: &[f32]) {
    for (row, &y) in out.chunks_exact_mut(x.len().max(1)).zip(y) {
        add_scaled(row, y, x);
    }
}

/// Zero where ReLU gave zero.
fn mask(grad: &mut [f32], out: &[f32]) {
    for (grad, out) in grad.iter_mut().zip(out) {
        if *out <= 0.0 {
            *grad = 0.0;
        }
    }
}
