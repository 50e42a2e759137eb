//! The loop itself.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::Instant;

use burn::module::Module;
use serde_json::{Map, Value, json};

use super::checkpoint::{self, CHECKPOINT, TrainState};
use super::group::{Group, Means};
use super::log::{Log, Window};
use super::optim::{Optimizer, OptimizerConfig, apply, gather};
use super::{Ema, Progress, Run, Task, TaskError, TrainConfig, TrainError};
use crate::weights::{KeyMap, Precision, TensorFile, collect};
use base::rng::Rng;

/// Steps without a finite gradient, one after another, after which a run gives up.
const PATIENCE: u64 = 100;

/// A batch on its way from the thread that makes it.
pub(super) type Prepared<B> = Result<B, TaskError>;

/// Makes the batches of all steps in order until nobody takes them any more.
pub(super) fn prepare<T: Task>(
    task: &T,
    from: u64,
    config: &TrainConfig,
    sender: &SyncSender<Prepared<T::Batch>>,
) {
    let draws = Rng::new(config.seed).child("step");
    for step in from..config.steps {
        let batch = task.batch(step, &mut draws.item(step));
        let failed = batch.is_err();
        if sender.send(batch).is_err() || failed {
            return;
        }
    }
}

/// A run in progress.
pub(super) struct Trainer<M> {
    pub model: M,
    pub ema: Option<Ema>,
    pub optimizer: Box<dyn Optimizer>,
    pub state: TrainState,
    /// The other workers, where there are any.
    group: Option<Group>,
    /// Whether the run shall end after this step.
    stopping: bool,
}

impl<M: Module> Trainer<M> {
    /// A new run, or the one in the folder; `handed` is set where worker 0's checkpoint just came into it.
    pub fn open(
        model: M,
        config: &TrainConfig,
        run: &Run,
        (mut group, handed): (Option<Group>, bool),
    ) -> Result<Self, TrainError> {
        std::fs::create_dir_all(run.folder).map_err(|source| TrainError::Folder {
            path: run.folder.to_owned(),
            source,
        })?;
        let path = run.folder.join(CHECKPOINT);
        let mut ema = config.ema.map(|decay| Ema::new(&model, decay));
        let mut optimizer = config.optimizer.init();
        let name = match config.optimizer {
            OptimizerConfig::AdamW(_) => "adamw",
            OptimizerConfig::Adafactor(_) => "adafactor",
            OptimizerConfig::Muon(_) => "muon",
        };
        let fresh = TrainState {
            optimizer: name.to_owned(),
            ..TrainState::default()
        };
        let (model, state) = match (path.exists(), run.resume || handed) {
            (true, false) => return Err(TrainError::Occupied { path }),
            (true, true) => {
                checkpoint::read(run.folder, model, ema.as_mut(), optimizer.as_mut(), name)?
            }
            (false, _) => (model, fresh),
        };
        if let Some(group) = &mut group {
            let mut weights = TensorFile::new();
            collect(&model, &KeyMap::new(), Precision::F32, &mut weights)?;
            group.agree(&weights.to_bytes())?;
        }
        Ok(Self {
            model,
            ema,
            optimizer,
            state,
            group,
            stopping: false,
        })
    }

    /// Steps until the end or until `stop`; gives back itself, whether it was stopped, and the last mean loss.
    pub fn follow<T: Task<Model = M>>(
        mut self,
        task: &T,
        config: &TrainConfig,
        batches: &Receiver<Prepared<T::Batch>>,
        folder: &Path,
        stop: &AtomicBool,
        progress: &mut Progress,
    ) -> Result<(Self, bool, f64), TrainError> {
        let mut log = Log::open(folder, self.state.step)?;
        let mut in_a_row = 0;
        // Steps of this process since the last line: what an earlier one summed took other time.
        let mut timed = 0;
        let (before, begun) = (self.state.elapsed, Instant::now());
        let mut lined = Instant::now();
        let mut saved = None;
        while self.state.step < config.steps && !self.stopping {
            // Workers stop together: they tell each other with their gradients.
            let asked = stop.load(Ordering::Relaxed);
            if asked && self.group.is_none() {
                break;
            }
            let at = self.state.step;
            let batch = match next(batches, at) {
                Ok(batch) => batch,
                Err(error) => {
                    self.save(folder)?;
                    return Err(error);
                }
            };
            let (trainer, done) = self.step(task, config, (batch, asked))?;
            self = trainer;
            match done {
                Some(done) => {
                    let window = &mut self.state.window;
                    window.add(done.loss, done.grad_norm, &done.metrics);
                    timed += 1;
                    progress.advance(at + 1, done.loss);
                    in_a_row = 0;
                }
                None => {
                    in_a_row += 1;
                    self.state.skipped += 1;
                    if in_a_row >= PATIENCE {
                        return Err(TrainError::Diverged {
                            step: at,
                            skipped: in_a_row,
                        });
                    }
                }
            }
            self.state.step = at + 1;
            self.state.elapsed = before + begun.elapsed().as_secs_f64();
            let done = self.state.step;
            if done.is_multiple_of(config.log_every.max(1)) || done == config.steps {
                let window = std::mem::take(&mut self.state.window);
                self.state.loss = Some(window.loss());
                let samples = f64::from(timed) * task.samples() as f64;
                let rate = samples / lined.elapsed().as_secs_f64();
                log.line(self.line(&window, config.rate(at), rate))?;
                (timed, lined) = (0, Instant::now());
            }
            if config.checkpoint_every > 0 && done.is_multiple_of(config.checkpoint_every) {
                self.save(folder)?;
                saved = Some(done);
            }
        }
        if saved != Some(self.state.step) {
            self.save(folder)?;
        }
        let interrupted = self.state.step < config.steps;
        let loss = self.state.loss.unwrap_or(f64::NAN);
        Ok((self, interrupted, loss))
    }

    /// One step on one batch; `None` when its gradients were not finite.
    fn step<T: Task<Model = M>>(
        mut self,
        task: &T,
        config: &TrainConfig,
        (batch, stop): (T::Batch, bool),
    ) -> Result<(Self, Option<Done>), TrainError> {
        let at = self.state.step;
        let (loss, metrics) = task.loss(&self.model, batch);
        if !loss.is_tracked() {
            return Err(TrainError::Untracked);
        }
        let mut gradients = gather(&self.model, loss.backward());
        let mut loss = f64::from(loss.into_scalar::<f32>());
        if let Some(group) = &mut self.group {
            let means = group.means(gradients, loss, stop)?;
            self.stopping = means.stop;
            Means {
                gradients,
                loss,
                ..
            } = means;
        }
        let rate = config.rate(at);
        let optimizer = self.optimizer.as_mut();
        let (model, stepped) = apply(self.model, gradients, optimizer, rate, config.clip);
        self.model = model;
        if stepped.skipped {
            return Ok((self, None));
        }
        if let Some(ema) = &mut self.ema {
            ema.update(&self.model, at);
        }
        let done = Done {
            loss,
            grad_norm: stepped.grad_norm,
            metrics,
        };
        Ok((self, Some(done)))
    }

    /// A log line for where the run stands.
    fn line(&self, window: &Window, learning_rate: f64, rate: f64) -> Map<String, Value> {
        let mut fields = window.fields();
        fields.extend([
            ("step".to_owned(), json!(self.state.step)),
            ("lr".to_owned(), json!(learning_rate)),
            ("samples_per_s".to_owned(), json!(rounded(rate))),
            ("elapsed".to_owned(), json!(rounded(self.state.elapsed))),
            ("skipped".to_owned(), json!(self.state.skipped)),
        ]);
        fields
    }

    fn save(&self, folder: &Path) -> Result<(), TrainError> {
        let ema = self.ema.as_ref();
        let optimizer = self.optimizer.as_ref();
        checkpoint::write(folder, &self.model, ema, optimizer, &self.state)
    }
}

/// What one finished step tells the log.
struct Done {
    loss: f64,
    grad_norm: f64,
    metrics: Vec<(&'static str, f32)>,
}

fn next<B>(batches: &Receiver<Prepared<B>>, step: u64) -> Result<B, TrainError> {
    let failed = |source| TrainError::Batch { step, source };
    match batches.recv() {
        Ok(batch) => batch.map_err(failed),
        // The thread ended early, which only a panic in `Task::batch` does.
        Err(gone) => Err(failed(gone.into())),
    }
}

/// To a thousandth: enough for a log.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
