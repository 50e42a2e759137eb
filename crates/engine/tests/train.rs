//! Facts about training runs.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use base::rng::Rng;
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use engine::burn;
use engine::train::optim::{AdafactorConfig, AdamWConfig, MuonConfig, OptimizerConfig};
use engine::train::{
    CHECKPOINT, Ema, LOG, Progress, Run, Schedule, Task, TaskError, TrainConfig, TrainError,
    Trained, load_trained, train,
};
use engine::weights::{KeyMap, Precision, Weights, load, save};

#[derive(Module, Debug)]
struct Net {
    first: Param<Tensor<2>>,
    bias: Option<Param<Tensor<1>>>,
    second: Vec<Param<Tensor<2>>>,
    frozen: Param<Tensor<1>>,
}

impl Net {
    fn new(device: &Device) -> Self {
        let mut rng = Rng::new(11);
        let mut matrix = |rows: usize, columns: usize| {
            let values = rng.normals(rows * columns);
            Param::from_tensor(Tensor::from_data(
                TensorData::new(values, [rows, columns]),
                device,
            ))
        };
        Self {
            first: matrix(4, 16),
            second: vec![matrix(16, 16), matrix(16, 1)],
            bias: Some(Param::from_tensor(Tensor::zeros([16], device))),
            frozen: Param::from_tensor(Tensor::ones([1], device)).set_require_grad(false),
        }
    }

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let bias = self.bias.as_ref().unwrap().val().unsqueeze();
        let mut x = (x.matmul(self.first.val()) + bias).tanh();
        for layer in &self.second {
            x = x.matmul(layer.val());
        }
        x * self.frozen.val().unsqueeze()
    }
}

/// Learns the sum of four numbers; can raise the stop flag, or poison one batch.
#[derive(Default)]
struct Sum {
    stop: AtomicBool,
    stop_at: Option<u64>,
    poison: Option<u64>,
    fail_at: Option<u64>,
    steps: AtomicU64,
}

impl Task for Sum {
    type Model = Net;
    type Batch = (Vec<f32>, u64);

    fn batch(&self, step: u64, rng: &mut Rng) -> Result<Self::Batch, TaskError> {
        if self.fail_at == Some(step) {
            return Err("the disk is gone".into());
        }
        let mut values = rng.normals(32);
        if self.poison.is_some_and(|from| step >= from) {
            values[3] = f32::NAN;
        }
        Ok((values, step))
    }

    fn loss(
        &self,
        net: &Net,
        (values, step): Self::Batch,
    ) -> (Tensor<1>, Vec<(&'static str, f32)>) {
        self.steps.fetch_add(1, Ordering::Relaxed);
        if self.stop_at == Some(step) {
            self.stop.store(true, Ordering::Relaxed);
        }
        let device = net.devices()[0].clone();
        let x = Tensor::<2>::from_data(TensorData::new(values, [8, 4]), &device);
        let y = x.clone().sum_dim(1);
        (
            (net.forward(x) - y).powi_scalar(2).mean(),
            vec![("twice", 2.0)],
        )
    }

    fn samples(&self) -> usize {
        8
    }
}

fn config(optimizer: OptimizerConfig) -> TrainConfig {
    TrainConfig {
        steps: 10,
        learning_rate: 1e-2,
        warmup: 3,
        schedule: Schedule::Cosine { floor: 0.1 },
        optimizer,
        log_every: 2,
        seed: 4,
        ..TrainConfig::default()
    }
}

fn go(
    task: &Sum,
    config: &TrainConfig,
    folder: &Path,
    resume: bool,
) -> Result<Trained<Net>, TrainError> {
    task.stop.store(false, Ordering::Relaxed);
    let run = Run {
        folder,
        resume,
        stop: &task.stop,
        progress: &mut Progress::silent(),
    };
    train(task, Net::new(&Device::default().autodiff()), config, run)
}

fn bytes(net: &Net) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    save(net, &KeyMap::new(), &[], Precision::F32, &path).unwrap();
    std::fs::read(path).unwrap()
}

fn steps_logged(folder: &Path) -> Vec<u64> {
    std::fs::read_to_string(folder.join(LOG))
        .unwrap()
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["step"]
                .as_u64()
                .unwrap()
        })
        .collect()
}

#[test]
fn a_resumed_run_is_the_run_that_was_not_interrupted() {
    for optimizer in [
        OptimizerConfig::AdamW(AdamWConfig::default()),
        OptimizerConfig::Adafactor(AdafactorConfig {
            beta1: Some(0.9),
            ..AdafactorConfig::default()
        }),
        OptimizerConfig::Muon(MuonConfig::default()),
    ] {
        let config = config(optimizer);
        let whole = tempfile::tempdir().unwrap();
        let straight = go(&Sum::default(), &config, whole.path(), false).unwrap();
        assert!(!straight.interrupted && straight.step == 10);

        let parts = tempfile::tempdir().unwrap();
        let task = Sum {
            stop_at: Some(4),
            ..Sum::default()
        };
        let half = go(&task, &config, parts.path(), false).unwrap();
        assert!(half.interrupted);
        assert_eq!((half.step, task.steps.load(Ordering::Relaxed)), (5, 5));
        let rest = go(&Sum::default(), &config, parts.path(), true).unwrap();

        assert_eq!(bytes(&rest.model), bytes(&straight.model));
        assert_eq!(bytes(&rest.ema), bytes(&straight.ema));
        assert_ne!(bytes(&rest.ema), bytes(&rest.model.valid()));
        let optimizer_state = |folder: &Path| {
            let weights = Weights::open(folder.join(CHECKPOINT)).unwrap();
            weights
                .names()
                .filter(|name| !name.ends_with("/steps"))
                .map(|name| (name.to_owned(), weights.values(name).unwrap()))
                .collect::<Vec<_>>()
        };
        assert_eq!(optimizer_state(parts.path()), optimizer_state(whole.path()));
        assert_eq!(steps_logged(whole.path()), [2, 4, 6, 8, 10]);
        assert_eq!(steps_logged(parts.path()), [2, 4, 6, 8, 10]);
        // Line by line the same, but for the times; a run that was stopped between two lines told its sums to the next.
        let untimed = |folder: &Path| -> Vec<serde_json::Value> {
            let text = std::fs::read_to_string(folder.join(LOG)).unwrap();
            let line = |line: &str| {
                let mut line: serde_json::Value = serde_json::from_str(line).unwrap();
                for time in ["elapsed", "samples_per_s"] {
                    line.as_object_mut().unwrap().remove(time).unwrap();
                }
                line
            };
            text.lines().map(line).collect()
        };
        assert_eq!(untimed(parts.path()), untimed(whole.path()));
        // A run that is over tells the loss it ended with.
        let over = go(&Sum::default(), &config, parts.path(), true).unwrap();
        assert_eq!((over.step, over.loss), (10, straight.loss));
    }
}

#[test]
fn the_log_forgets_steps_that_are_done_again() {
    let folder = tempfile::tempdir().unwrap();
    let config = TrainConfig {
        checkpoint_every: 4,
        ..config(OptimizerConfig::default())
    };
    let failing = Sum {
        poison: Some(4),
        ..Sum::default()
    };
    let short = TrainConfig {
        steps: 4,
        ..config.clone()
    };
    go(&failing, &short, folder.path(), false).unwrap();
    let log = folder.path().join(LOG);
    let mut text = std::fs::read_to_string(&log).unwrap();
    text.push_str("{\"step\":6,\"loss\":987654}\n{\"step\":8,\"lo");
    std::fs::write(&log, text).unwrap();
    go(&Sum::default(), &config, folder.path(), true).unwrap();
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(!text.contains("987654"), "{text}");
    assert_eq!(steps_logged(folder.path()), [2, 4, 6, 8, 10]);
    let last: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(last["twice"], 2.0);
    for field in ["loss", "grad_norm", "lr", "samples_per_s", "elapsed"] {
        assert!(last[field].as_f64().unwrap() > 0.0, "{last}");
    }
}

#[test]
fn the_checkpoint_holds_the_averaged_model_that_was_returned() {
    let folder = tempfile::tempdir().unwrap();
    let trained = go(
        &Sum::default(),
        &config(OptimizerConfig::default()),
        folder.path(),
        false,
    )
    .unwrap();
    let device = Device::default();
    let averaged = load_trained(Net::new(&device), folder.path()).unwrap();
    assert_eq!(bytes(&averaged), bytes(&trained.ema));
    assert!(!trained.ema.first.val().is_autodiff());
    let weights = Weights::open(folder.path().join(CHECKPOINT)).unwrap();
    let last = load(Net::new(&device), &weights, &KeyMap::new().within("model")).unwrap();
    assert_eq!(bytes(&last), bytes(&trained.model));
    assert_eq!(trained.model.frozen.val().into_scalar::<f32>(), 1.0);
}

#[test]
fn the_average_follows_its_formula() {
    let device = Device::default().autodiff();
    let mut net = Net::new(&device);
    let mut ema = Ema::new(&net, 0.5);
    assert_eq!(ema.decay_at(0), 0.1);
    assert_eq!(ema.decay_at(1), 2.0 / 11.0);
    assert_eq!(ema.decay_at(100), 0.5);
    let before = net.first.val().inner();
    net.first = net
        .first
        .map(|t| t.inner().add_scalar(1.0).autodiff().require_grad());
    ema.update(&net, 0);
    let expected = before.clone().mul_scalar(0.1) + (before + 1.0).mul_scalar(0.9);
    let off = (ema.model(&net).first.val() - expected)
        .abs()
        .max()
        .into_scalar::<f32>();
    assert!(off < 1e-6, "{off}");
    assert!(!ema.averages().contains_key("frozen"));
}

#[test]
fn a_new_run_does_not_overwrite_an_old_one_nor_resume_another_optimiser() {
    let folder = tempfile::tempdir().unwrap();
    let adamw = config(OptimizerConfig::default());
    go(&Sum::default(), &adamw, folder.path(), false).unwrap();
    let text = go(&Sum::default(), &adamw, folder.path(), false)
        .unwrap_err()
        .to_string();
    assert!(text.contains("already holds a run; resume it"), "{text}");
    let other = config(OptimizerConfig::Adafactor(AdafactorConfig::default()));
    let text = go(&Sum::default(), &other, folder.path(), true)
        .unwrap_err()
        .to_string();
    assert!(
        text.contains("trained with adamw, the configuration says adafactor"),
        "{text}"
    );
    let path = folder.path().join(CHECKPOINT);
    let whole = std::fs::read(&path).unwrap();
    // The optimiser's state of another parameter, in a header that stays as long.
    let name = b"\"optimizer.bias/mean\"";
    let at = whole
        .windows(name.len())
        .position(|bytes| bytes == name)
        .unwrap();
    let mut bent = whole.clone();
    bent[at + 11..at + 15].copy_from_slice(b"bios");
    std::fs::write(&path, bent).unwrap();
    let text = go(&Sum::default(), &adamw, folder.path(), true)
        .unwrap_err()
        .to_string();
    assert!(text.contains("its optimiser knows `bios`"), "{text}");
    std::fs::write(&path, b"rubbish").unwrap();
    let text = go(&Sum::default(), &adamw, folder.path(), true)
        .unwrap_err()
        .to_string();
    assert!(text.contains("not a safetensors file"), "{text}");
}

#[test]
fn bad_batches_are_skipped_counted_and_in_the_end_refused() {
    let folder = tempfile::tempdir().unwrap();
    let poisoned = Sum {
        poison: Some(6),
        ..Sum::default()
    };
    let config = config(OptimizerConfig::default());
    let trained = go(&poisoned, &config, folder.path(), false).unwrap();
    assert_eq!((trained.step, trained.skipped), (10, 4));
    assert!(
        trained
            .model
            .first
            .val()
            .sum()
            .into_scalar::<f32>()
            .is_finite()
    );
    let long = TrainConfig {
        steps: 1000,
        ..config.clone()
    };
    let text = go(&poisoned, &long, folder.path(), true)
        .unwrap_err()
        .to_string();
    assert!(text.contains("100 steps in a row"), "{text}");

    let failing = Sum {
        fail_at: Some(7),
        ..Sum::default()
    };
    let third = tempfile::tempdir().unwrap();
    let text = go(&failing, &config, third.path(), false)
        .unwrap_err()
        .to_string();
    assert_eq!(text, "cannot make the batch of step 7: the disk is gone");
    assert_eq!(
        go(&Sum::default(), &config, third.path(), true)
            .unwrap()
            .step,
        10
    );
}

#[test]
fn a_model_without_autodiff_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let stop = AtomicBool::new(false);
    let run = Run {
        folder: folder.path(),
        resume: false,
        stop: &stop,
        progress: &mut Progress::silent(),
    };
    let net = Net::new(&Device::default());
    let error = train(
        &Sum::default(),
        net,
        &config(OptimizerConfig::default()),
        run,
    )
    .unwrap_err();
    assert!(matches!(error, TrainError::Untracked), "{error}");
}

#[test]
fn configurations_read_back_from_json_with_defaults() {
    let read: TrainConfig = serde_json::from_str(
        r#"{"steps": 5, "schedule": {"name": "cosine"}, "optimizer": {"name": "adafactor", "beta1": 0.9, "eps_square": 0.5}}"#,
    )
    .unwrap();
    assert_eq!(read.learning_rate, 2e-4);
    assert_eq!(read.schedule, Schedule::Cosine { floor: 0.0 });
    let again: TrainConfig = serde_json::from_str(&serde_json::to_string(&read).unwrap()).unwrap();
    assert_eq!(again, read);
    assert!(serde_json::from_str::<TrainConfig>(r#"{"stepz": 5}"#).is_err());
}
