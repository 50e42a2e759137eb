//! The agent: how it acts and how it learns from a batch.

use std::path::Path;

use base::rng::Rng;
use base::tensor_file::{Precision, TensorFile, Weights};
use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use engine::train::optim::{AdamW, AdamWConfig, step};
use engine::weights;

use super::buffer::Batch;
use super::networks::{Actor, Critic, sac_keys};
use crate::rapl::{LearningError, Result};

/// Everything an agent depends on besides its weights.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct SacConfig {
    /// Length of an observation.
    pub observation: usize,
    /// Length of an action.
    pub action: usize,
    /// Units of a hidden layer.
    pub hidden: usize,
    /// Hidden layers.
    pub depth: usize,
    /// Bounds of the log standard deviation.
    pub log_std_bounds: [f64; 2],
    /// Discount.
    pub discount: f64,
    /// Transitions in a batch.
    pub batch: usize,
    /// Learning rate of all three.
    pub learning_rate: f64,
    /// Share of the critics that the target takes over.
    pub tau: f64,
    /// Updates between two of the target.
    pub target_every: u64,
    /// Temperature at the start.
    pub temperature: f64,
}

impl SacConfig {
    /// XIRL's sizes.
    pub fn xirl(observation: usize, action: usize) -> Self {
        Self {
            observation,
            action,
            hidden: 1024,
            depth: 2,
            log_std_bounds: [-5.0, 2.0],
            discount: 0.99,
            batch: 1024,
            learning_rate: 1e-4,
            tau: 0.005,
            target_every: 2,
            temperature: 0.1,
        }
    }

    /// Sizes for a laptop.
    pub fn small(observation: usize, action: usize) -> Self {
        Self {
            hidden: 128,
            batch: 128,
            learning_rate: 1e-3,
            ..Self::xirl(observation, action)
        }
    }
}

/// Losses of an update.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct Losses {
    /// Sum of both critics' squared errors.
    pub critic: f64,
    /// `mean(α log π − min Q)`.
    pub actor: f64,
    /// The temperature after the update.
    pub temperature: f64,
}

/// Networks with their optimisers.
#[derive(Debug)]
pub struct Agent {
    config: SacConfig,
    /// The policy.
    pub actor: Actor,
    /// The value networks.
    pub critic: Critic,
    target: Critic,
    log_temperature: f64,
    actor_optimizer: AdamW,
    critic_optimizer: AdamW,
    /// Adam's moments of the temperature.
    moments: [f64; 2],
    updates: u64,
    device: Device,
}

fn adam() -> AdamW {
    AdamW::new(AdamWConfig {
        weight_decay: 0.0,
        ..AdamWConfig::default()
    })
}

impl Agent {
    /// A new agent on `device`.
    pub fn new(config: SacConfig, rng: &mut Rng, device: &Device) -> Self {
        let device = device.clone().autodiff();
        let ends = [config.observation, config.action];
        let sizes = [config.hidden, config.depth];
        let actor = Actor::new(ends, sizes, config.log_std_bounds, rng, &device);
        let critic = Critic::new(ends, sizes, rng, &device);
        Self {
            target: critic.valid(),
            log_temperature: libm::log(config.temperature),
            actor,
            critic,
            actor_optimizer: adam(),
            critic_optimizer: adam(),
            moments: [0.0; 2],
            updates: 0,
            config,
            device,
        }
    }

    /// Its configuration.
    pub fn config(&self) -> &SacConfig {
        &self.config
    }

    /// The action at an observation, in −1..1: the most probable one, or with `rng` a draw.
    pub fn act(&self, observation: &[f32], rng: Option<&mut Rng>) -> Vec<f32> {
        let device = self.device.clone().without_autodiff();
        let data = TensorData::new(observation.to_vec(), [1, observation.len()]);
        let actor = self.actor.valid();
        let observation = Tensor::from_data(data, &device);
        let action = match rng {
            None => actor.mean_action(observation),
            Some(rng) => {
                let noise =
                    TensorData::new(rng.normals(self.config.action), [1, self.config.action]);
                actor
                    .draw(observation, Tensor::from_data(noise, &device))
                    .action
            }
        };
        action.into_data().iter::<f32>().collect()
    }

    /// One update of critics, actor, temperature and, when it is their turn, targets.
    pub fn update(&mut self, batch: &Batch, rng: &mut Rng) -> Losses {
        let count = batch.rewards.len();
        if count == 0 {
            return Losses::default();
        }
        let config = self.config.clone();
        let inner = self.device.clone().without_autodiff();
        let table = |values: &[f32], device: &Device| {
            let data = TensorData::new(values.to_vec(), [count, values.len() / count]);
            Tensor::<2>::from_data(data, device)
        };
        let mut noise = |device: &Device| table(&rng.normals(count * config.action), device);
        let temperature = libm::exp(self.log_temperature);

        let next = table(&batch.next, &inner);
        let draw = self.actor.valid().draw(next.clone(), noise(&inner));
        let [q1, q2] = self.target.forward(next, draw.action);
        let soft = q1.min_pair(q2) - draw.log_probability * temperature;
        let masks = table(&batch.masks, &inner) * config.discount;
        let wanted = Tensor::from_inner(table(&batch.rewards, &inner) + masks * soft);

        let observations = table(&batch.observations, &self.device);
        let actions = table(&batch.actions, &self.device);
        let [q1, q2] = self.critic.forward(observations.clone(), actions);
        let square = |q: Tensor<2>| (q - wanted.clone()).powi_scalar(2).mean();
        let loss = square(q1) + square(q2);
        let gradients = loss.backward();
        let critic_loss = f64::from(loss.into_scalar::<f32>());
        let rate = config.learning_rate;
        (self.critic, _) = step(
            self.critic.clone(),
            gradients,
            &mut self.critic_optimizer,
            rate,
            None,
        );

        let draw = self.actor.draw(observations.clone(), noise(&self.device));
        let log_probability = draw.log_probability.clone();
        // Only the actor is stepped; the critics' gradients are left lying.
        let [q1, q2] = self.critic.forward(observations, draw.action);
        let loss = (draw.log_probability * temperature - q1.min_pair(q2)).mean();
        let gradients = loss.backward();
        let actor_loss = f64::from(loss.into_scalar::<f32>());
        (self.actor, _) = step(
            self.actor.clone(),
            gradients,
            &mut self.actor_optimizer,
            rate,
            None,
        );
        let entropy = -f64::from(log_probability.inner().mean().into_scalar::<f32>());
        self.updates += 1;
        self.warm(temperature, entropy);
        if self.updates.is_multiple_of(config.target_every.max(1)) {
            self.target = blend(self.target.clone(), &self.critic, config.tau);
        }
        Losses {
            critic: critic_loss,
            actor: actor_loss,
            temperature: libm::exp(self.log_temperature),
        }
    }

    /// Adam on the temperature's loss `α · (entropy − target)`, the target being minus the number of actions.
    fn warm(&mut self, temperature: f64, entropy: f64) {
        let gradient = temperature * (entropy + self.config.action as f64);
        let [mean, square] = &mut self.moments;
        *mean = 0.9 * *mean + 0.1 * gradient;
        *square = 0.999 * *square + 0.001 * gradient * gradient;
        let steps = self.updates as f64;
        let unbiased = [
            *mean / (1.0 - libm::pow(0.9, steps)),
            *square / (1.0 - libm::pow(0.999, steps)),
        ];
        self.log_temperature -=
            self.config.learning_rate * unbiased[0] / (unbiased[1].sqrt() + 1e-8);
    }

    /// Writes the networks under XIRL's names.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let mut file = TensorFile::new();
        let depth = self.config.depth;
        weights::collect(
            &self.actor.valid(),
            &sac_keys("actor", depth),
            Precision::F32,
            &mut file,
        )?;
        weights::collect(
            &self.critic.valid(),
            &sac_keys("critic", depth),
            Precision::F32,
            &mut file,
        )?;
        let config = serde_json::to_string(&self.config).map_err(LearningError::failed)?;
        file.note("sac", config);
        Ok(file.write(path)?)
    }

    /// Reads what [`Agent::write`] wrote.
    ///
    /// # Errors
    /// A file that is none, or whose tensors do not fit.
    pub fn read(path: &Path, device: &Device) -> Result<Self> {
        let file = Weights::open(path)?;
        let config = file
            .metadata()
            .get("sac")
            .and_then(|text| serde_json::from_str(text).ok());
        let config: SacConfig = config.ok_or_else(|| {
            LearningError::invalid(format!(
                "`{}` holds no policy: give a file that `orrery rapl train-policy` wrote",
                path.display()
            ))
        })?;
        let largest = [
            config.observation,
            config.action,
            config.hidden,
            config.depth,
        ];
        if largest.into_iter().max() > Some(8192) || config.depth > 16 {
            return Err(LearningError::invalid(format!(
                "`{}` states sizes that no policy here has",
                path.display()
            )));
        }
        let depth = config.depth;
        let mut agent = Self::new(config, &mut Rng::new(0), device);
        let keys = |network| sac_keys(network, depth);
        agent.actor = weights::load(agent.actor, &file, &keys("actor"))?;
        agent.critic = weights::load(agent.critic, &file, &keys("critic"))?;
        agent.target = agent.critic.valid();
        Ok(agent)
    }
}

/// `target` moved a share `tau` towards `critic`.
fn blend(target: Critic, critic: &Critic, tau: f64) -> Critic {
    struct Gather(Vec<TensorData>);
    impl burn::module::ModuleVisitor for Gather {
        fn visit_float<const D: usize>(&mut self, param: &burn::module::Param<Tensor<D>>) {
            self.0.push(param.val().into_data());
        }
    }
    struct Move {
        towards: std::vec::IntoIter<TensorData>,
        tau: f64,
    }
    impl burn::module::ModuleMapper for Move {
        fn map_float<const D: usize>(
            &mut self,
            param: burn::module::Param<Tensor<D>>,
        ) -> burn::module::Param<Tensor<D>> {
            let towards = self.towards.next();
            param.map(|value| match towards {
                Some(data) => {
                    let towards = Tensor::<D>::from_data(data, &value.device());
                    value * (1.0 - self.tau) + towards * self.tau
                }
                None => value,
            })
        }
    }
    let mut gather = Gather(Vec::new());
    critic.valid().visit(&mut gather);
    target.map(&mut Move {
        towards: gather.0.into_iter(),
        tau,
    })
}
