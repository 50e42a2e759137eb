//! The baselines' local work: FedAvg and Local, DP-FedAvg, CENTAUR, PPSGD, and pFedHN with its hypernetwork on the server.

use base::rng::Rng;

use super::hypernetwork::{Hypernetwork, Init, Step};
use super::local::{Batch, LocalConfig, Losses, Noise, clip, private_gradient, sgd_epoch};
use super::network::Network;
use super::vector::squares;
use crate::error::Result;

/// Local and FedAvg: SGD on the whole network.
///
/// # Errors
/// Where batches do not fit the network.
pub fn fedavg_update(
    net: &Network,
    params: &mut [f32],
    epochs: &[Vec<Batch>],
    config: &LocalConfig,
) -> Result<Losses> {
    phase(
        net,
        params,
        epochs,
        0..net.layout.len(),
        config.step(config.lr, 1.0),
        None,
    )
}

/// DP-FedAvg: DP-SGD on the whole network.
///
/// # Errors
/// Where batches do not fit the network.
pub fn dp_fedavg_update(
    net: &Network,
    params: &mut [f32],
    epochs: &[Vec<Batch>],
    config: &LocalConfig,
    noise: Noise,
    rng: &mut Rng,
) -> Result<Losses> {
    let step = config.step(config.lr, 1.0);
    phase(
        net,
        params,
        epochs,
        0..net.layout.len(),
        step,
        Some((noise, rng)),
    )
}

/// CENTAUR: SGD on the head, which stays private, then DP-SGD on the extractor.
///
/// # Errors
/// Where batches do not fit the network.
pub fn centaur_update(
    net: &Network,
    params: &mut [f32],
    head: &[Batch],
    epochs: &[Vec<Batch>],
    config: &LocalConfig,
    noise: Noise,
    rng: &mut Rng,
) -> Result<Losses> {
    let step = config.step(config.head_lr, 1.0);
    let first = phase(net, params, &[head.to_vec()], net.head(), step, None)?;
    let step = config.step(config.lr, 1.0);
    let last = phase(
        net,
        params,
        epochs,
        net.extractor(),
        step,
        Some((noise, rng)),
    )?;
    Ok(Losses {
        first: first.first,
        last: last.last,
    })
}

/// PPSGD: for each batch a step on the private head, then a step of DP-SGD on the extractor, from a new forward pass.
///
/// # Errors
/// Where batches do not fit the network.
pub fn ppsgd_update(
    net: &Network,
    params: &mut [f32],
    epochs: &[Vec<Batch>],
    config: &LocalConfig,
    noise: Noise,
    rng: &mut Rng,
) -> Result<Losses> {
    let mut state = vec![0.0; params.len()];
    let mut losses = Losses::default();
    for (epoch, batches) in epochs.iter().enumerate() {
        let mut sum = 0.0;
        for batch in batches {
            let one = std::slice::from_ref(batch);
            let step = config.step(config.head_lr, 1.0);
            sum += sgd_epoch(net, (params, &mut state), one, net.head(), step, None)?;
            let (_, grads) = private_gradient(net, params, batch, net.extractor(), noise, rng)?;
            let step = config.step(config.lr, 1.0);
            for at in net.extractor() {
                step.apply(&mut params[at], &mut state[at], grads[at]);
            }
        }
        losses.last = sum / batches.len().max(1) as f32;
        if epoch == 0 {
            losses.first = losses.last;
        }
    }
    Ok(losses)
}

/// Epochs of SGD on the parameters in `wanted`, with momentum from zero.
fn phase(
    net: &Network,
    params: &mut [f32],
    epochs: &[Vec<Batch>],
    wanted: std::ops::Range<usize>,
    step: Step,
    mut noise: Option<(Noise, &mut Rng)>,
) -> Result<Losses> {
    let mut state = vec![0.0; params.len()];
    let mut losses = Losses::default();
    for (epoch, batches) in epochs.iter().enumerate() {
        let noise = noise.as_mut().map(|(noise, rng)| (*noise, &mut **rng));
        let range = wanted.clone();
        losses.last = sgd_epoch(net, (params, &mut state), batches, range, step, noise)?;
        if epoch == 0 {
            losses.first = losses.last;
        }
    }
    Ok(losses)
}

/// pFedHN's server (Shamsian et al., 2021): one hypernetwork for all clients, an embedding each.
#[derive(Clone, Debug)]
pub struct PfedHn {
    /// From an embedding to the network, or to its extractor for pFedHN-PC.
    pub hyper: Hypernetwork,
    /// φ, then the embeddings of all clients.
    pub params: Vec<f32>,
    state: Vec<f32>,
    /// Whether the classifier head stays with the client (pFedHN-PC).
    pub private_head: bool,
}

/// Widths of its trunk.
const WIDTHS: [usize; 3] = [100; 3];
/// Local steps of a client, and what it and the server step with (defaults of public re-implementations).
pub const INNER_STEPS: usize = 50;
/// Step of a client.
pub const INNER: Step = Step {
    scale: 1.0,
    lr: 5e-3,
    momentum: 0.9,
    decay: 5e-5,
};
const OUTER: Step = Step {
    scale: 1.0,
    lr: 1e-2,
    momentum: 0.9,
    decay: 1e-3,
};
const CLIP: f64 = 50.0;

impl PfedHn {
    /// A server for `clients` clients.
    pub fn new(net: &Network, clients: usize, private_head: bool, init: Init, rng: &Rng) -> Self {
        let range = match private_head {
            true => net.extractor(),
            false => 0..net.layout.len(),
        };
        let hyper = Hypernetwork::for_network(net, range, 1 + clients / 4, &WIDTHS);
        let mut params = hyper.init(init, &mut rng.child("hypernetwork"));
        params.extend(rng.child("embeddings").normals(clients * hyper.embed));
        Self {
            state: vec![0.0; params.len()],
            hyper,
            params,
            private_head,
        }
    }

    /// What client `client` starts from.
    pub fn generate(&self, client: usize) -> Vec<f32> {
        let (phi, embedding) = self.of(client);
        self.hyper.generate(phi, embedding).theta
    }

    /// One step of the server: the client came from `start` to `end`.
    pub fn step(&mut self, client: usize, start: &[f32], end: &[f32]) {
        let (phi, embedding) = self.of(client);
        let made = self.hyper.generate(phi, embedding);
        let change: Vec<f32> = start
            .iter()
            .zip(end)
            .map(|(start, end)| start - end)
            .collect();
        let grad = self.hyper.backward(phi, &made, change);
        let norm = (grad.norm().powi(2) + squares(&grad.embedding)).sqrt();
        let step = Step {
            scale: clip(norm, CLIP) as f32,
            ..OUTER
        };
        let shared = self.hyper.layout.len();
        let (phi, embeddings) = self.params.split_at_mut(shared);
        let (phi_state, states) = self.state.split_at_mut(shared);
        self.hyper.step(phi, phi_state, &grad, step);
        let from = client * self.hyper.embed;
        for (at, grad) in grad.embedding.iter().enumerate() {
            step.apply(&mut embeddings[from + at], &mut states[from + at], *grad);
        }
    }

    /// Parameters and momentum, to be kept between runs.
    pub fn kept(&self) -> [&[f32]; 2] {
        [&self.params, &self.state]
    }

    /// Takes up what [`PfedHn::kept`] gave; lists of other lengths are left aside.
    pub fn restore(&mut self, params: Vec<f32>, state: Vec<f32>) {
        if [params.len(), state.len()] == [self.params.len(); 2] {
            (self.params, self.state) = (params, state);
        }
    }

    fn of(&self, client: usize) -> (&[f32], &[f32]) {
        let (phi, embeddings) = self.params.split_at(self.hyper.layout.len());
        let embed = self.hyper.embed;
        (phi, &embeddings[client * embed..][..embed])
    }
}

/// A pFedHN client's local steps over `batches`, again and again until [`INNER_STEPS`] are done.
///
/// # Errors
/// Where batches do not fit the network.
pub fn pfedhn_update(net: &Network, params: &mut [f32], batches: &[Batch]) -> Result<Losses> {
    let mut state = vec![0.0; params.len()];
    let mut losses = Losses::default();
    for (at, batch) in batches.iter().cycle().take(INNER_STEPS).enumerate() {
        let one = std::slice::from_ref(batch);
        let all = 0..net.layout.len();
        losses.last = sgd_epoch(net, (params, &mut state), one, all, INNER, None)?;
        if at == 0 {
            losses.first = losses.last;
        }
    }
    Ok(losses)
}
