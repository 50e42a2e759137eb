//! All clients in one process, round by round.

use std::io::Write;
use std::path::Path;

use base::command::{Context, Stopped};
use base::files::{FileError, write_bytes};
use base::tensor_file::{Precision, TensorFile, Weights};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::baselines::PfedHn;
use super::config::{Config, Method};
use super::data::Dataset;
use super::local::{Mean, Samples};
use super::partition::{LabelSplit, groups};
use super::vector::squares;
use super::work::{Done, SETUP, Work};
use crate::error::{LearningError, Result};

/// How many pictures a client has, and of which labels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Split {
    /// Pictures for training.
    pub train: usize,
    /// Pictures for testing.
    pub test: usize,
    /// Percent that is spread evenly over all labels.
    pub even: usize,
}

/// A round in the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RoundLog {
    /// Its number, from 1.
    pub round: usize,
    /// Clients that took part.
    pub clients: usize,
    /// Mean accuracy on the clients' own test pictures with what they received, before they trained.
    pub before: f64,
    /// The same after they trained.
    pub after: f64,
    /// Mean training loss of the last epoch.
    pub loss: f64,
    /// L2 norm of the change of what is shared.
    pub change: f64,
    /// Wall time.
    pub seconds: f64,
}

/// A federation in one process.
#[derive(Debug)]
pub struct Simulation {
    /// Method and networks.
    pub work: Work,
    /// Numbers of the training and test pictures of each client.
    pub parts: Vec<[Vec<usize>; 2]>,
    /// What is shared, in the order of [`Work::shared_layout`].
    pub shared: Vec<f32>,
    /// What each client keeps.
    pub private: Vec<Vec<f32>>,
    /// Rounds done.
    pub log: Vec<RoundLog>,
    server: Option<PfedHn>,
}

/// Training and test pictures of each client, by the split of the paper.
///
/// # Errors
/// Where the data set is too small.
pub fn split(data: &Dataset, clients: usize, split: &Split) -> Result<Vec<[Vec<usize>; 2]>> {
    let assign = |samples: &Samples, count: usize| {
        let split = LabelSplit {
            clients,
            samples: count,
            even: split.even,
            groups: groups(data.classes),
            start: 0,
        };
        split.assign(&samples.labels, data.classes)
    };
    let train = assign(&data.train, split.train)?;
    let test = assign(&data.test, split.test)?;
    Ok(train.into_iter().zip(test).map(|(a, b)| [a, b]).collect())
}

impl Simulation {
    /// A federation before its first round.
    ///
    /// # Errors
    /// For settings that make none.
    pub fn new(config: Config, data: &Dataset, parts: Vec<[Vec<usize>; 2]>) -> Result<Self> {
        let work = Work::new(config, data.shape, data.classes)?;
        let config = &work.config;
        let (shared, private) = work.start();
        let server = matches!(config.method, Method::Pfedhn | Method::PfedhnPc).then(|| {
            let rng = base::rng::Rng::new(config.seed).child("server");
            let part = config.method == Method::PfedhnPc;
            PfedHn::new(&work.model.net, config.clients, part, config.init, &rng)
        });
        Ok(Self {
            private: vec![private; config.clients],
            parts,
            shared,
            log: Vec::new(),
            server,
            work,
        })
    }

    /// What client `client` receives.
    pub fn received(&self, client: usize) -> Vec<f32> {
        match &self.server {
            Some(server) => server.generate(client),
            None => self.shared.clone(),
        }
    }

    /// The plain network of client `client` as it stands.
    pub fn network_params(&self, client: usize) -> Vec<f32> {
        self.work
            .network_params(&self.received(client), &self.private[client])
    }

    /// One round: chosen clients train, a few at a time, and the server averages by numbers of samples.
    ///
    /// # Errors
    /// What a client says; [`LearningError::Stopped`] at Ctrl-C.
    pub fn round(&mut self, data: &Dataset, context: Context) -> Result<&RoundLog> {
        let begun = std::time::Instant::now();
        let round = self.log.len() + 1;
        let chosen = self.work.choose(round);
        let total: usize = chosen
            .iter()
            .map(|&client| self.parts[client][0].len())
            .sum();
        let mut mean = Mean::new(self.shared.len());
        let mut private = Vec::with_capacity(chosen.len());
        let (mut before, mut after, mut loss) = (0.0, 0.0, 0.0);
        let mut change = 0.0;
        // As many at a time as there are threads: memory does not grow with the clients.
        for group in chosen.chunks(rayon::current_num_threads().max(1)) {
            if context.stopped() {
                return Err(LearningError::Stopped(Stopped(
                    "stopped; the same command goes on after the last finished round",
                )));
            }
            let done: Result<Vec<(Done, Vec<f32>)>> = group
                .par_iter()
                .map(|&client| {
                    let mut own = self.private[client].clone();
                    let [train, test] = &self.parts[client];
                    let (train, test) = (data.train.pick(train), data.test.pick(test));
                    let shared = self.received(client);
                    let done = self
                        .work
                        .run((round, client), &shared, &mut own, &train, &test)?;
                    Ok((done, own))
                })
                .collect();
            for (&client, (done, own)) in group.iter().zip(done?) {
                before += done.accuracy[0];
                after += done.accuracy[1];
                loss += f64::from(done.losses.last);
                match &mut self.server {
                    Some(server) => {
                        let start = server.generate(client);
                        server.step(client, &start, &done.update);
                    }
                    None => mean.add(&done.update, done.samples as f64 / total as f64),
                }
                private.push((client, own));
            }
        }
        if self.server.is_none() {
            let next = mean.finish();
            let off: Vec<f32> = next.iter().zip(&self.shared).map(|(a, b)| a - b).collect();
            change = squares(&off).sqrt();
            if next.iter().any(|value| !value.is_finite()) {
                return Err(LearningError::failed(format!(
                    "round {round}: the average is not finite: training diverged; give a smaller `--lr`, or `--init scaled`"
                )));
            }
            self.shared = next;
        }
        for (client, own) in private {
            self.private[client] = own;
        }
        let count = chosen.len() as f64;
        self.log.push(RoundLog {
            round,
            clients: chosen.len(),
            before: before / count,
            after: after / count,
            loss: loss / count,
            change,
            seconds: begun.elapsed().as_secs_f64(),
        });
        Ok(&self.log[round - 1])
    }

    /// What a kept state must belong to: the settings and networks, and which pictures each client has.
    fn key(&self) -> [String; 2] {
        let parts = serde_json::to_string(&self.parts).unwrap_or_default();
        let digest = Sha256::digest(parts.as_bytes());
        let hex = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        [self.work.setup(), hex]
    }

    /// The slope of the change of what is shared over the rounds, both as logarithms (the paper's Fig. 4b shows the same
    /// change); `None` for less than three rounds.
    pub fn decline(&self) -> Option<f64> {
        let rows = self.log.iter().filter(|row| row.change > 0.0);
        let points: Vec<[f64; 2]> = rows
            .map(|row| [(row.round as f64).ln(), row.change.ln()])
            .collect();
        if points.len() < 3 {
            return None;
        }
        let mean = |at: usize| points.iter().map(|p| p[at]).sum::<f64>() / points.len() as f64;
        let [x, y] = [mean(0), mean(1)];
        let both: f64 = points.iter().map(|p| (p[0] - x) * (p[1] - y)).sum();
        let square: f64 = points.iter().map(|p| (p[0] - x).powi(2)).sum();
        Some(both / square)
    }

    /// Keeps shared and private parts and the log in `folder`; the private parts, of all clients, in a file that only its
    /// owner may read.
    ///
    /// # Errors
    /// Where files cannot be written.
    pub fn keep(&self, folder: &Path) -> Result<()> {
        base::files::make_folder(folder)?;
        let round = self.log.len();
        let mut file = TensorFile::new();
        let [setup, data] = self.key();
        file.note(SETUP, setup);
        file.note("hyperfl.data", data);
        file.note(
            "hyperfl.log",
            serde_json::to_string(&self.log).unwrap_or_default(),
        );
        self.work
            .shared_layout()
            .write(&mut file, "", &self.shared, Precision::F32)?;
        let mut own = TensorFile::new();
        let all = self.private.concat();
        let width = self.private.first().map_or(0, Vec::len);
        own.floats(
            "private",
            &[self.private.len(), width],
            &all,
            Precision::F32,
        )?;
        if let Some(server) = &self.server {
            let [params, state] = server.kept();
            own.floats("server.params", &[params.len()], params, Precision::F32)?;
            own.floats("server.state", &[state.len()], state, Precision::F32)?;
        }
        // Numbered, so that shared and private parts of one round belong together whenever the program stops.
        write_secret(&folder.join(format!("private-{round}.safetensors")), &own)?;
        file.write(folder.join("shared.safetensors"))?;
        if round > 0 {
            let _ = std::fs::remove_file(folder.join(format!("private-{}.safetensors", round - 1)));
        }
        let lines: Vec<String> = self
            .log
            .iter()
            .filter_map(|row| serde_json::to_string(row).ok())
            .collect();
        Ok(write_bytes(
            folder.join("log.jsonl"),
            (lines.join("\n") + "\n").as_bytes(),
        )?)
    }

    /// Goes on from what [`Simulation::keep`] kept, if anything.
    ///
    /// # Errors
    /// Where it belongs to another federation, or is broken.
    pub fn resume(&mut self, folder: &Path) -> Result<()> {
        let path = folder.join("shared.safetensors");
        if !path.exists() {
            return Ok(());
        }
        let file = Weights::open(&path)?;
        let [setup, data] = [SETUP, "hyperfl.data"].map(|key| file.metadata().get(key).cloned());
        let [_, own] = self.key();
        let noted = setup
            .as_deref()
            .and_then(|text| Work::from_setup(text).ok());
        let rounds = noted.as_ref().map(|work| work.config.rounds);
        // Rounds may be added; what a round does depends on their number only where they share a budget of noise.
        let now = self.work.config.rounds;
        let alike = noted.is_some_and(|mut work| {
            work.config.rounds = now;
            work.setup() == self.work.setup()
        });
        let method = self.work.config.method;
        if let Some(rounds) = rounds.filter(|rounds| *rounds != now)
            && alike
            && method.private()
        {
            return Err(LearningError::invalid(format!(
                "the noise of `{}` in `{}` is for {rounds} rounds: give `--rounds {rounds}`, or another `--out`",
                method.name(),
                folder.display()
            )));
        }
        if !alike || data != Some(own) {
            return Err(LearningError::invalid(format!(
                "`{}` holds a federation with other settings or data: give the same ones, or another `--out`",
                folder.display()
            )));
        }
        let log = file
            .metadata()
            .get("hyperfl.log")
            .map(String::as_str)
            .unwrap_or("[]");
        self.log = serde_json::from_str(log).map_err(|error| file.unfit(error.to_string()))?;
        self.shared = self.work.shared_layout().read(&file, "")?;
        let own = Weights::open(folder.join(format!("private-{}.safetensors", self.log.len())))?;
        let all = own.values("private")?;
        let width = self.private.first().map_or(0, Vec::len);
        if all.len() != width * self.private.len() {
            return Err(own
                .unfit("its clients are others: give another `--out`")
                .into());
        }
        if width > 0 {
            self.private = all.chunks_exact(width).map(<[f32]>::to_vec).collect();
        }
        if let Some(server) = &mut self.server {
            server.restore(own.values("server.params")?, own.values("server.state")?);
        }
        Ok(())
    }
}

/// What [`Simulation::keep`] kept: method and networks, what is shared, and what client `client` keeps.
///
/// # Errors
/// Where the folder holds no federation, or has no such client.
pub fn open_client(folder: &Path, client: usize) -> Result<(Work, Vec<f32>, Vec<f32>)> {
    let (work, shared, rounds) = open_shared(folder)?;
    let own = Weights::open(folder.join(format!("private-{rounds}.safetensors")))?;
    let clients = own
        .shape("private")
        .and_then(|shape| shape.first().copied())
        .unwrap_or(0);
    if client >= clients {
        return Err(LearningError::invalid(format!(
            "no client {client} in `{}`: it has the clients 0 to {}",
            folder.display(),
            clients.saturating_sub(1)
        )));
    }
    let width = work.private_layout().len();
    let all = own.values("private")?;
    if all.len() != clients * width {
        return Err(own
            .unfit("its clients have other parts than the settings say")
            .into());
    }
    Ok((work, shared, all[client * width..][..width].to_vec()))
}

/// As [`open_client`], without a client; the number of rounds done.
///
/// # Errors
/// Where the folder holds no federation.
pub fn open_shared(folder: &Path) -> Result<(Work, Vec<f32>, usize)> {
    let file = Weights::open(folder.join("shared.safetensors"))?;
    let setup = file.metadata().get(SETUP);
    let setup = setup.ok_or_else(|| {
        file.unfit(format!(
            "its metadata has no `{SETUP}`: give the folder of `orrery hyperfl simulate --out`"
        ))
    })?;
    let work = Work::from_setup(setup).map_err(|error| file.unfit(error.to_string()))?;
    let shared = work.shared_layout().read(&file, "")?;
    let log = file
        .metadata()
        .get("hyperfl.log")
        .map(String::as_str)
        .unwrap_or("[]");
    let log: Vec<RoundLog> =
        serde_json::from_str(log).map_err(|error| file.unfit(error.to_string()))?;
    Ok((work, shared, log.len()))
}

/// Writes a file that only its owner may read, whole or not at all.
///
/// # Errors
/// Where it cannot be written.
pub fn write_secret(path: &Path, file: &TensorFile) -> Result<()> {
    let failed = |error: std::io::Error| FileError::from_io(path, error);
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    // A temporary file belongs to its owner alone, and keeps its mode when it is renamed.
    let mut temporary =
        tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new("."))).map_err(failed)?;
    temporary.write_all(&file.to_bytes()).map_err(failed)?;
    temporary.as_file().sync_data().map_err(failed)?;
    let persisted = temporary.persist(path);
    Ok(persisted.map(drop).map_err(|error| failed(error.error))?)
}
