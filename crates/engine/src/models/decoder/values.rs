//! A decoder's weights by name.

use super::Decoder;
use super::layers::{FeedForward, Layer};
use super::names::{Names, NormSlot, Slot};
use super::weight::{Table, Weight};

impl Decoder {
    /// The weight that hubs call `name`, such as `model.layers.0.self_attn.q_proj.weight`, widened to f32, row by row; none
    /// where the model has no such weight, or only as a part of a fused one.
    pub fn values(&self, name: &str) -> Option<Vec<f32>> {
        let names = Names::new(&self.config, false);
        if name == names.embedding() {
            return Some(all(&self.embedding));
        }
        if name == names.norm() {
            return Some(self.norm.clone());
        }
        if name == names.head() {
            return self.head.as_ref().map(all);
        }
        let at: usize = name.split('.').nth(2)?.parse().ok()?;
        let layer = self.layers.get(at)?;
        if name == names.norm_of(at, NormSlot::Attention) {
            return Some(layer.norm.clone());
        }
        if name == names.norm_of(at, NormSlot::Ffn) {
            return layer.ffn_norm.clone();
        }
        let module = name.strip_suffix(".weight")?;
        let slot = Slot::ALL.into_iter().find(|&slot| {
            let place = names.place(at, slot);
            place.order.is_none() && place.module == module
        })?;
        weight(layer, slot).map(all)
    }
}

fn weight(layer: &Layer, slot: Slot) -> Option<&Weight> {
    let [q, k, v] = &layer.qkv;
    let linear = match (slot, &layer.ffn) {
        (Slot::Q, _) => q,
        (Slot::K, _) => k,
        (Slot::V, _) => v,
        (Slot::O, _) => &layer.output,
        (_, FeedForward::Experts(_)) => return None,
        (Slot::Gate, FeedForward::Dense(all)) => &all[0],
        (Slot::Up, FeedForward::Dense(all)) => &all[1],
        (Slot::Down, FeedForward::Dense(all)) => &all[2],
    };
    Some(&linear.weight)
}

fn all(weight: &Weight) -> Vec<f32> {
    let [rows, width] = weight.shape();
    let mut values = vec![0.0; rows * width];
    Table(weight).read(0, &mut values);
    values
}
