//! A client's whole model: hypernetwork, embedding, network.

use std::ops::Range;

use base::rng::Rng;

use super::hypernetwork::{Hypernetwork, Init};
use super::layout::Layout;
use super::loss::Targets;
use super::network::{Gradient, Model, Network, Second};
use crate::error::Result;

/// Hypernetwork and the network whose feature extractor it generates. Parameters lie as φ, embedding, classifier head.
#[derive(Clone, Debug)]
pub struct HyperModel {
    /// From the embedding to the extractor.
    pub hyper: Hypernetwork,
    /// The network.
    pub net: Network,
}

impl HyperModel {
    /// The model for `net` with embeddings of `embed` values and a trunk of `hidden`.
    pub fn new(net: Network, embed: usize, hidden: usize) -> Self {
        let hyper = Hypernetwork::for_network(&net, net.extractor(), embed, &[hidden]);
        Self { hyper, net }
    }

    /// Place of φ, which is shared.
    pub fn shared(&self) -> Range<usize> {
        0..self.hyper.layout.len()
    }

    /// Place of the embedding, which is private.
    pub fn embedding(&self) -> Range<usize> {
        let from = self.hyper.layout.len();
        from..from + self.hyper.embed
    }

    /// Place of the classifier head, which is private.
    pub fn head(&self) -> Range<usize> {
        let from = self.embedding().end;
        from..from + self.net.head().len()
    }

    /// Names of the private parameters, embedding and head.
    pub fn private_layout(&self) -> Layout {
        let mut layout = Layout::default();
        layout.push("client_embedding.weight", &[1, self.hyper.embed]);
        for slot in self.net.layout.part(self.net.head()).slots() {
            layout.push(format!("target_model.{}", slot.name), &slot.shape);
        }
        layout
    }

    /// Draws φ, an embedding from N(0, 1) and a head.
    pub fn init(&self, init: Init, rng: &Rng) -> Vec<f32> {
        let mut params = self.hyper.init(init, &mut rng.child("hypernetwork"));
        params.extend(rng.child("embedding").normals(self.hyper.embed));
        let network = self.net.init(&mut rng.child("network"));
        params.extend(&network[self.net.head()]);
        params
    }

    /// The generated extractor with the head behind it: parameters of the plain network.
    pub fn network_params(&self, params: &[f32]) -> Vec<f32> {
        let phi = &params[self.shared()];
        let mut theta = self.hyper.generate(phi, &params[self.embedding()]).theta;
        theta.extend(&params[self.head()]);
        theta
    }
}

impl Model for HyperModel {
    fn len(&self) -> usize {
        self.head().end
    }

    fn gradient(&self, params: &[f32], x: &[f32], targets: &Targets) -> Result<Gradient> {
        let phi = &params[self.shared()];
        let made = self.hyper.generate(phi, &params[self.embedding()]);
        let mut network = made.theta.clone();
        network.extend(&params[self.head()]);
        let mut gradient = self.net.gradient(&network, x, targets)?;
        let head = gradient.params.split_off(self.net.head().start);
        let of = self.hyper.backward(phi, &made, gradient.params);
        gradient.params = self.hyper.dense(&of);
        gradient.params.extend(&of.embedding);
        gradient.params.extend(head);
        Ok(gradient)
    }

    fn second(
        &self,
        params: &[f32],
        direction: &[f32],
        x: &[f32],
        targets: &Targets,
    ) -> Result<Second> {
        let both = [params, direction];
        let phi = both.map(|values| &values[self.shared()]);
        let embedding = both.map(|values| &values[self.embedding()]);
        let made = self.hyper.generate_dual(phi, embedding);
        let [network, network_moved] = [0, 1].map(|at| {
            let mut theta = made[at].theta.clone();
            theta.extend(&both[at][self.head()]);
            theta
        });
        let mut second = self.net.second(&network, &network_moved, x, targets)?;
        let from = self.net.head().start;
        let head = second.first.params.split_off(from);
        let head_moved = second.params.split_off(from);
        let thetas = [&second.first.params[..], &second.params[..]];
        let (moved, embedding_moved) = self.hyper.backward_dual(phi, [&made[0], &made[1]], thetas);
        let of = self
            .hyper
            .backward(phi[0], &made[0], std::mem::take(&mut second.first.params));
        second.first.params = self.hyper.dense(&of);
        second.first.params.extend(&of.embedding);
        second.first.params.extend(head);
        second.params = moved;
        second.params.extend(embedding_moved);
        second.params.extend(head_moved);
        Ok(second)
    }
}
