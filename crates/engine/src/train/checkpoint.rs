//! A run's checkpoint: one safetensors file with the model, the average, the optimiser and the step.
//!
//! Tensors are called `model.PATH`, `ema.PATH` and `optimizer.PATH/SLOT`, so the model of a checkpoint also
//! loads as any other weights do, with `KeyMap::new().within("model")`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};

use super::TrainError;
use super::ema::Ema;
use super::log::Window;
use super::optim::{Optimizer, OptimizerState};
use crate::weights::{
    KeyMap, ParamInfo, Precision, TensorFile, Weights, WeightsError, collect, load, load_partial,
    params,
};

/// The file's name in a run folder.
pub const CHECKPOINT: &str = "checkpoint.safetensors";
const FORMAT: &str = "orrery-train-1";

/// How far a run has come, besides its tensors.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct TrainState {
    /// Steps done.
    pub step: u64,
    /// Steps left out for want of a finite gradient.
    pub skipped: u64,
    /// Seconds of training so far.
    pub elapsed: f64,
    /// Which optimiser.
    pub optimizer: String,
    /// What was summed since the last line of the log.
    pub window: Window,
    /// Mean loss in the last line of the log; none before the first.
    pub loss: Option<f64>,
}

/// The weights of `model` as they stand in the checkpoint of the run in `folder`: the averaged ones where the
/// run kept an average, else the last ones.
///
/// # Errors
/// [`WeightsError`] when there is no checkpoint or it is not one of this model.
pub fn load_trained<M: Module>(model: M, folder: &Path) -> Result<M, WeightsError> {
    let weights = Weights::open(folder.join(CHECKPOINT))?;
    let model = load(model, &weights, &KeyMap::new().within("model"))?;
    let (model, _) = load_partial(model, &weights, &KeyMap::new().within("ema"))?;
    Ok(model)
}

/// Writes the checkpoint; the previous one stands until the new one is whole.
pub(super) fn write<M: Module>(
    folder: &Path,
    model: &M,
    ema: Option<&Ema>,
    optimizer: &dyn Optimizer,
    state: &TrainState,
) -> Result<(), TrainError> {
    let mut file = TensorFile::new();
    file.note("format", FORMAT);
    file.note("step", state.step.to_string());
    file.note("skipped", state.skipped.to_string());
    file.note("elapsed", state.elapsed.to_string());
    file.note("optimizer", &state.optimizer);
    file.note(
        "window",
        serde_json::to_string(&state.window).unwrap_or_default(),
    );
    if let Some(loss) = state.loss {
        file.note("loss", loss.to_string());
    }
    let keys = KeyMap::new().within("model");
    collect(model, &keys, Precision::F32, &mut file)?;
    if let Some(ema) = ema {
        for param in params(model) {
            if let Some(average) = ema.averages().get(&param.path) {
                let name = format!("ema.{}", param.path);
                add(&mut file, &name, &param.shape, average)?;
            }
        }
    }
    for (path, part) in optimizer.state() {
        let name = format!("optimizer.{path}/steps");
        file.ints(&name, &[1], &[part.steps as i64])?;
        for (slot, tensor) in part.tensors {
            let name = format!("optimizer.{path}/{slot}");
            add(&mut file, &name, &tensor.dims(), &tensor)?;
        }
    }
    Ok(file.write(folder.join(CHECKPOINT))?)
}

/// Whether there is a checkpoint in `folder`, whole or not: a run that goes on reads it, and says what is wrong with it.
pub fn is_begun(folder: &Path) -> bool {
    folder.join(CHECKPOINT).exists()
}

/// Steps that the run in `folder` has done; none where it has no whole checkpoint.
pub fn steps_done(folder: &Path) -> Option<u64> {
    let weights = Weights::open(folder.join(CHECKPOINT)).ok()?;
    weights.metadata().get("step")?.parse().ok()
}

/// Reads the checkpoint into `model`, `ema` and `optimizer`.
pub(super) fn read<M: Module>(
    folder: &Path,
    model: M,
    ema: Option<&mut Ema>,
    optimizer: &mut dyn Optimizer,
    name: &str,
) -> Result<(M, TrainState), TrainError> {
    let path = folder.join(CHECKPOINT);
    let weights = Weights::open(&path).map_err(|error| {
        refuse(
            &path,
            format!("{error}; start a new run in another folder, or remove this file"),
        )
    })?;
    let state = train_state(&weights, &path)?;
    if state.optimizer != name {
        return Err(refuse(
            &path,
            format!(
                "it was trained with {}, the configuration says {name}; set the optimiser back or start a new run",
                state.optimizer
            ),
        ));
    }
    let model = load(model, &weights, &KeyMap::new().within("model"))?;
    let device = match model.devices().first() {
        Some(device) => device.clone().without_autodiff(),
        None => Device::default(),
    };
    if let Some(ema) = ema {
        let averages = averages(&weights, ema, &device)?;
        ema.restore(averages);
    }
    let moments = optimizer_state(&weights, &device)?;
    check(&params(&model), &moments).map_err(|reason| refuse(&path, reason))?;
    optimizer.restore(moments);
    Ok((model, state))
}

fn train_state(weights: &Weights, path: &Path) -> Result<TrainState, TrainError> {
    let note = |key: &str| weights.metadata().get(key).map(String::as_str);
    if note("format") != Some(FORMAT) {
        let reason = format!("it is not a checkpoint of format {FORMAT}; start a new run");
        return Err(refuse(path, reason));
    }
    let parsed = || {
        Some(TrainState {
            step: note("step")?.parse().ok()?,
            skipped: note("skipped")?.parse().ok()?,
            elapsed: note("elapsed")?.parse().ok()?,
            optimizer: note("optimizer")?.to_owned(),
            // Absent from older checkpoints.
            window: note("window")
                .and_then(|text| serde_json::from_str(text).ok())
                .unwrap_or_default(),
            loss: note("loss").and_then(|text| text.parse().ok()),
        })
    };
    parsed().ok_or_else(|| refuse(path, "its metadata is damaged; start a new run".into()))
}

fn averages(
    weights: &Weights,
    ema: &Ema,
    device: &Device,
) -> Result<BTreeMap<String, Tensor<1>>, TrainError> {
    let mut averages = BTreeMap::new();
    for (path, now) in ema.averages() {
        let name = format!("ema.{path}");
        // A run that kept no average before starts one from its weights.
        let source = if weights.contains(&name) {
            name
        } else {
            format!("model.{path}")
        };
        let average: Tensor<1> = flat(weights, &source, device)?;
        if average.dims() != now.dims() {
            return Err(WeightsError::Content {
                name: source,
                reason: "its size is not that of the model's parameter".into(),
            }
            .into());
        }
        averages.insert(path.clone(), average);
    }
    Ok(averages)
}

fn optimizer_state(weights: &Weights, device: &Device) -> Result<OptimizerState, TrainError> {
    let mut state = OptimizerState::new();
    for name in weights.names() {
        let Some((path, slot)) = name
            .strip_prefix("optimizer.")
            .and_then(|rest| rest.rsplit_once('/'))
        else {
            continue;
        };
        let part = state.entry(path.to_owned()).or_default();
        if slot == "steps" {
            let steps = weights.ints(name)?;
            part.steps = steps.first().map_or(0, |&steps| steps.max(0) as u64);
        } else {
            let tensor = flat(weights, name, device)?;
            part.tensors.insert(slot.to_owned(), tensor);
        }
    }
    Ok(state)
}

/// Whether every tensor of `state` has the size that its parameter asks for; if not, what is wrong.
fn check(params: &[ParamInfo], state: &OptimizerState) -> Result<(), String> {
    let shapes: BTreeMap<&str, &[usize]> = params
        .iter()
        .map(|param| (param.path.as_str(), param.shape.as_slice()))
        .collect();
    for (path, part) in state {
        let shape = shapes
            .get(path.as_str())
            .ok_or_else(|| format!("its optimiser knows `{path}`, this model does not"))?;
        let count: usize = shape.iter().product();
        for (slot, tensor) in &part.tensors {
            let expected = match (slot.as_str(), *shape) {
                ("row", [.., columns]) => count / (*columns).max(1),
                ("column", [.., rows, _]) => count / (*rows).max(1),
                _ => count,
            };
            if tensor.dims() != [expected] {
                return Err(format!(
                    "the optimiser's `{slot}` of `{path}` has {} values instead of {expected}; start a new run",
                    tensor.dims()[0]
                ));
            }
        }
    }
    Ok(())
}

fn flat(weights: &Weights, name: &str, device: &Device) -> Result<Tensor<1>, WeightsError> {
    let values = weights.values(name)?;
    let count = values.len();
    Ok(Tensor::from_data(TensorData::new(values, [count]), device))
}

fn add(
    file: &mut TensorFile,
    name: &str,
    shape: &[usize],
    tensor: &Tensor<1>,
) -> Result<(), WeightsError> {
    let device = |reason: String| WeightsError::Device {
        name: name.to_owned(),
        reason,
    };
    let data = tensor
        .clone()
        .try_into_data()
        .map_err(|error| device(format!("{error:?}")))?;
    let values = data
        .try_into_vec_as::<f32>()
        .map_err(|error| device(format!("{error:?}")))?;
    file.floats(name, shape, &values, Precision::F32)
}

fn refuse(path: &Path, reason: String) -> TrainError {
    TrainError::Resume {
        path: PathBuf::from(path),
        reason,
    }
}
