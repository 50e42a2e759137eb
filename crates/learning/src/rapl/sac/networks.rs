//! The networks under the names of XIRL's checkpoints: `actor.trunk.{0,2,4}`, `critic.critic{1,2}.model.{0,2,4}`.

use base::rng::Rng;
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData, activation};
use engine::nn::{Init, Linear, LinearConfig};
use engine::weights::KeyMap;

/// Linear layers with ReLU between them.
#[derive(Module, Debug)]
pub struct Mlp {
    layers: Vec<Linear>,
}

impl Mlp {
    /// `depth` hidden layers of `hidden` units; orthogonal weights, zero biases.
    pub fn new(
        input: usize,
        hidden: usize,
        output: usize,
        depth: usize,
        rng: &mut Rng,
        device: &Device,
    ) -> Self {
        let layers = (0..=depth)
            .map(|at| {
                let from = if at == 0 { input } else { hidden };
                let to = if at == depth { output } else { hidden };
                let mut layer = LinearConfig::new(from, to).with_init(Init::Zeros);
                layer.bias = true;
                let mut layer = layer.init(rng, device);
                let data = TensorData::new(orthogonal(to, from, rng), [to, from]);
                layer.weight = Param::from_data(data, device);
                layer
            })
            .collect();
        Self { layers }
    }

    /// `[batch, input]` → `[batch, output]`.
    pub fn forward(&self, mut x: Tensor<2>) -> Tensor<2> {
        for (at, layer) in self.layers.iter().enumerate() {
            x = layer.forward(x);
            if at + 1 < self.layers.len() {
                x = activation::relu(x);
            }
        }
        x
    }
}

/// A matrix `[rows, columns]` whose rows, or columns where there are fewer, are orthonormal: Gram–Schmidt on normal draws.
fn orthogonal(rows: usize, columns: usize, rng: &mut Rng) -> Vec<f32> {
    let (count, length) = (rows.min(columns), rows.max(columns));
    let mut basis: Vec<Vec<f64>> = Vec::with_capacity(count);
    while basis.len() < count {
        let mut new: Vec<f64> = rng.normals(length).into_iter().map(f64::from).collect();
        // Twice, so that rounding leaves nothing.
        for _ in 0..2 {
            for old in &basis {
                let along: f64 = new.iter().zip(old).map(|(a, b)| a * b).sum();
                new.iter_mut().zip(old).for_each(|(a, b)| *a -= along * b);
            }
        }
        let size = new.iter().map(|a| a * a).sum::<f64>().sqrt();
        if size > 1e-6 {
            new.iter_mut().for_each(|a| *a /= size);
            basis.push(new);
        }
    }
    let entry = |row: usize, column: usize| match rows <= columns {
        true => basis[row][column],
        false => basis[column][row],
    };
    (0..rows * columns)
        .map(|at| entry(at / columns, at % columns) as f32)
        .collect()
}

/// The policy: a Gaussian squashed by tanh.
#[derive(Module, Debug)]
pub struct Actor {
    trunk: Mlp,
    low: f64,
    high: f64,
}

/// What the actor says of a batch, each `[batch, actions]`, the log-probability `[batch, 1]`.
#[derive(Clone, Debug)]
pub struct Draw {
    /// Mean before squashing.
    pub mean: Tensor<2>,
    /// Standard deviation before squashing.
    pub deviation: Tensor<2>,
    /// In −1..1.
    pub action: Tensor<2>,
    /// Summed over the actions.
    pub log_probability: Tensor<2>,
}

impl Actor {
    /// For observations and actions of these lengths; `bounds` of the log standard deviation.
    pub fn new(
        [observation, action]: [usize; 2],
        [hidden, depth]: [usize; 2],
        bounds: [f64; 2],
        rng: &mut Rng,
        device: &Device,
    ) -> Self {
        Self {
            trunk: Mlp::new(observation, hidden, 2 * action, depth, rng, device),
            low: bounds[0],
            high: bounds[1],
        }
    }

    /// The distribution at `observation` `[batch, observation]`, and the action that `noise` `[batch, actions]` draws from it.
    pub fn draw(&self, observation: Tensor<2>, noise: Tensor<2>) -> Draw {
        let parts = self.trunk.forward(observation).chunk(2, 1);
        let [mean, raw] = [&parts[0], &parts[1]].map(Clone::clone);
        let log_deviation = (raw.tanh() + 1.0) * (0.5 * (self.high - self.low)) + self.low;
        let deviation = log_deviation.clone().exp();
        let unsquashed = mean.clone() + deviation.clone() * noise.clone();
        let action = unsquashed.clone().tanh();
        // Gaussian density, then that of the squashing: 2 (log 2 − u − softplus(−2 u)).
        let gaussian =
            noise.powi_scalar(2) * -0.5 - log_deviation - 0.5 * std::f64::consts::TAU.ln();
        let soft = activation::softplus(unsquashed.clone() * -2.0, 1.0);
        let squashing = (unsquashed + soft) * -2.0 + 2.0 * std::f64::consts::LN_2;
        let log_probability = (gaussian - squashing).sum_dim(1);
        Draw {
            mean,
            deviation,
            action,
            log_probability,
        }
    }

    /// The most probable action, `[batch, actions]`, in −1..1.
    pub fn mean_action(&self, observation: Tensor<2>) -> Tensor<2> {
        self.trunk.forward(observation).chunk(2, 1)[0]
            .clone()
            .tanh()
    }
}

/// One value network.
#[derive(Module, Debug)]
struct Value {
    model: Mlp,
}

/// The two value networks.
#[derive(Module, Debug)]
pub struct Critic {
    critic1: Value,
    critic2: Value,
}

impl Critic {
    /// For observations and actions of these lengths.
    pub fn new(
        [observation, action]: [usize; 2],
        [hidden, depth]: [usize; 2],
        rng: &mut Rng,
        device: &Device,
    ) -> Self {
        let mut value = || Value {
            model: Mlp::new(observation + action, hidden, 1, depth, rng, device),
        };
        Self {
            critic1: value(),
            critic2: value(),
        }
    }

    /// Both values of `action` at `observation`, each `[batch, 1]`.
    pub fn forward(&self, observation: Tensor<2>, action: Tensor<2>) -> [Tensor<2>; 2] {
        let both = Tensor::cat(vec![observation, action], 1);
        [
            self.critic1.model.forward(both.clone()),
            self.critic2.model.forward(both),
        ]
    }
}

/// The names of a file with one of the two networks: `actor` or `critic` with `depth` hidden layers.
pub fn sac_keys(network: &str, depth: usize) -> KeyMap {
    let parts: &[&str] = match network {
        "actor" => &["trunk"],
        _ => &["critic1.model", "critic2.model"],
    };
    let mut keys = KeyMap::new().within(network);
    for part in parts {
        for at in 0..=depth {
            keys = keys.rename(
                &format!("{part}.{}", 2 * at),
                &format!("{part}.layers.{at}"),
            );
        }
    }
    keys
}
