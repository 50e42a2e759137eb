//! What a client does in a round, whichever the method; and what it starts from.

use base::rng::Rng;

use super::accountant::noise_multiplier;
use super::baselines::{
    centaur_update, dp_fedavg_update, fedavg_update, pfedhn_update, ppsgd_update,
};
use super::config::{Config, Method};
use super::layout::Layout;
use super::local::{Batch, Losses, Noise, SAMPLE_CLIP, Samples, evaluate, hyperfl_update};
use super::model::HyperModel;
use super::network::Network;
use crate::error::{LearningError, Result};

/// Key of a file's metadata under which [`Work::setup`] stands.
pub const SETUP: &str = "hyperfl.setup";

/// A method with its networks.
#[derive(Clone, Debug)]
pub struct Work {
    /// Settings.
    pub config: Config,
    /// Network, and for HyperFL its hypernetwork.
    pub model: HyperModel,
}

/// What came of a client's work.
#[derive(Clone, Debug)]
pub struct Done {
    /// What it uploads, in the order of [`Work::shared_layout`].
    pub update: Vec<f32>,
    /// Pictures that it trained on.
    pub samples: usize,
    /// Accuracy on its own test pictures with what it received, and after its work; NaN without test pictures.
    pub accuracy: [f64; 2],
    /// Training losses.
    pub losses: Losses,
}

impl Work {
    /// For pictures of `shape`.
    ///
    /// # Errors
    /// For settings that make no federation, and pictures that no network fits.
    pub fn new(config: Config, shape: [usize; 3], classes: usize) -> Result<Self> {
        config.check()?;
        let net = Network::for_pictures(shape, classes)?;
        let model = HyperModel::new(net, config.embed, config.hidden);
        Ok(Self { config, model })
    }

    /// Settings and networks in words, for a file's metadata.
    pub fn setup(&self) -> String {
        let net = self.net();
        serde_json::json!({"config": self.config, "picture": net.input, "classes": net.classes})
            .to_string()
    }

    /// The opposite of [`Work::setup`].
    ///
    /// # Errors
    /// For anything else.
    pub fn from_setup(text: &str) -> Result<Self> {
        #[derive(serde::Deserialize)]
        struct Setup {
            config: Config,
            picture: [usize; 3],
            classes: usize,
        }
        let setup: Setup = serde_json::from_str(text).map_err(LearningError::invalid)?;
        if !(2..=256).contains(&setup.classes) {
            return Err(LearningError::invalid(format!(
                "{} labels: 2 to 256 are possible",
                setup.classes
            )));
        }
        Self::new(setup.config, setup.picture, setup.classes)
    }

    fn net(&self) -> &Network {
        &self.model.net
    }

    /// Names of what is uploaded. Private parts are not among them.
    pub fn shared_layout(&self) -> Layout {
        let net = self.net();
        match self.config.method {
            Method::Hyperfl => {
                let mut layout = Layout::default();
                for slot in self.model.hyper.layout.slots() {
                    layout.push(format!("hypernetwork.{}", slot.name), &slot.shape);
                }
                layout
            }
            Method::Fedavg | Method::DpFedavg | Method::Pfedhn => net.layout.clone(),
            Method::Centaur | Method::Ppsgd | Method::PfedhnPc => net.layout.part(net.extractor()),
            Method::Local => Layout::default(),
        }
    }

    /// Names of what stays with a client.
    pub fn private_layout(&self) -> Layout {
        let net = self.net();
        match self.config.method {
            Method::Hyperfl => self.model.private_layout(),
            Method::Fedavg | Method::DpFedavg | Method::Pfedhn => Layout::default(),
            Method::Centaur | Method::Ppsgd | Method::PfedhnPc => net.layout.part(net.head()),
            Method::Local => net.layout.clone(),
        }
    }

    /// What all clients start from: shared and private part. All start as copies of one model, also with the same embedding.
    pub fn start(&self) -> (Vec<f32>, Vec<f32>) {
        let rng = Rng::new(self.config.seed).child("model");
        let mut all = match self.config.method {
            Method::Hyperfl => self.model.init(self.config.init, &rng),
            _ => self.net().init(&mut rng.child("network")),
        };
        let private = all.split_off(self.shared_layout().len());
        (all, private)
    }

    /// Clients of `round`, in ascending order.
    pub fn choose(&self, round: usize) -> Vec<usize> {
        let mut clients: Vec<usize> = (0..self.config.clients).collect();
        let rng = Rng::new(self.config.seed).child("clients");
        rng.item(round as u64).shuffle(&mut clients);
        clients.truncate(self.config.chosen());
        clients.sort_unstable();
        clients
    }

    /// The plain network of a client with these parts.
    pub fn network_params(&self, shared: &[f32], private: &[f32]) -> Vec<f32> {
        let all = [shared, private].concat();
        match self.config.method {
            Method::Hyperfl => self.model.network_params(&all),
            _ => all,
        }
    }

    /// Trains client `client` in `round`: `shared` was received, `private` is changed in place.
    ///
    /// # Errors
    /// Where pictures do not fit, or no noise reaches the privacy target.
    pub fn run(
        &self,
        (round, client): (usize, usize),
        shared: &[f32],
        private: &mut [f32],
        train: &Samples,
        test: &Samples,
    ) -> Result<Done> {
        let config = &self.config;
        let net = self.net();
        let rng = Rng::new(config.seed).child("work");
        let rng = rng.item(round as u64).item(client as u64);
        let batches = |phase: &str, epoch: usize| -> Vec<Batch> {
            train.batches(config.batch, &mut rng.child(phase).item(epoch as u64))
        };
        let before = self.network_params(shared, private);
        let accuracy = |params: &[f32]| -> Result<f64> { Ok(evaluate(net, params, test)?[0]) };
        let received = accuracy(&before)?;
        let noise = || -> Result<Noise> {
            let rate = (config.batch as f64 / train.len() as f64).min(1.0);
            let epochs = (config.rounds * config.epochs) as f64;
            Ok(Noise {
                clip: SAMPLE_CLIP,
                sigma: noise_multiplier(config.epsilon, config.delta, rate, epochs)?,
            })
        };
        let epochs: Vec<Vec<Batch>> = match config.method {
            Method::Pfedhn | Method::PfedhnPc => vec![batches("batches", 0)],
            _ => (0..config.epochs)
                .map(|epoch| batches("batches", epoch))
                .collect(),
        };
        let mut drawn = rng.child("noise");
        let mut params = [shared, &*private].concat();
        let local = &config.local;
        let mut stale = None;
        let losses = match config.method {
            Method::Hyperfl => {
                let head = batches("head", 0);
                let update = hyperfl_update(&self.model, &mut params, &head, &epochs, local);
                update.map(|(losses, last)| {
                    stale = config.strict_official.then_some(last);
                    losses
                })
            }
            Method::Fedavg | Method::Local => fedavg_update(net, &mut params, &epochs, local),
            Method::DpFedavg => {
                dp_fedavg_update(net, &mut params, &epochs, local, noise()?, &mut drawn)
            }
            Method::Centaur => {
                let head = batches("head", 0);
                centaur_update(
                    net,
                    &mut params,
                    &head,
                    &epochs,
                    local,
                    noise()?,
                    &mut drawn,
                )
            }
            Method::Ppsgd => ppsgd_update(net, &mut params, &epochs, local, noise()?, &mut drawn),
            Method::Pfedhn | Method::PfedhnPc => pfedhn_update(net, &mut params, &epochs[0]),
        }?;
        private.copy_from_slice(&params[shared.len()..]);
        params.truncate(shared.len());
        let after = stale.unwrap_or_else(|| self.network_params(&params, private));
        Ok(Done {
            accuracy: [received, accuracy(&after)?],
            update: params,
            samples: train.len(),
            losses,
        })
    }
}
