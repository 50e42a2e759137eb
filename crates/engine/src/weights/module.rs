//! Whole modules: filled from a checkpoint by their field paths, and written to one.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use burn::module::Module;
use burn::tensor::Gradients;

use super::storage::Loading;
use super::traverse::{Filler, GradientFinder, Survey, Writer};
use super::{KeyMap, Mismatch, Precision, TensorFile, Weights, WeightsError};

/// One parameter of a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParamInfo {
    /// Dotted field path, such as `blocks.0.attn.q.weight`.
    pub path: String,
    /// Its shape.
    pub shape: Vec<usize>,
}

/// What [`load_partial`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Paths of parameters that were filled.
    pub loaded: Vec<String>,
    /// Paths of parameters that kept their values.
    pub kept: Vec<String>,
    /// Names in the file that no parameter took.
    pub unused: Vec<String>,
}

/// All tensor parameters of `module` in field order, without initialising lazy ones.
pub fn params<M: Module>(module: &M) -> Vec<ParamInfo> {
    let mut survey = Survey::default();
    module.visit(&mut survey);
    survey.found
}

/// Fills every parameter of `module` that `keys` selects from `weights`. Devices and gradient requirements stay as they are,
/// on a plain device as on an autodiff one.
///
/// # Errors
/// [`WeightsError::Mismatch`] listing every missing, extra and wrong-shaped key; [`WeightsError::Type`]
/// when a tensor holds the wrong kind of elements.
pub fn load<M: Module>(module: M, weights: &Weights, keys: &KeyMap) -> Result<M, WeightsError> {
    Plan::whole(&module, weights, keys)?.carry_out(module, weights, None)
}

/// Whether [`load`] would find all that it needs, by names and shapes; nothing is read.
///
/// # Errors
/// [`WeightsError::Mismatch`] as of [`load`].
pub fn fits<M: Module>(module: &M, weights: &Weights, keys: &KeyMap) -> Result<(), WeightsError> {
    let mismatch = Plan::new(module, weights, keys).mismatch;
    match mismatch.is_empty() {
        true => Ok(()),
        false => Err(WeightsError::Mismatch(Box::new(mismatch))),
    }
}

/// Fills the parameters that `keys` selects and `weights` has; the others keep their values.
///
/// # Errors
/// [`WeightsError::Mismatch`] listing wrong-shaped keys, [`WeightsError::Type`] as for [`load`].
pub fn load_partial<M: Module>(
    module: M,
    weights: &Weights,
    keys: &KeyMap,
) -> Result<(M, LoadReport), WeightsError> {
    let mut plan = Plan::new(&module, weights, keys);
    plan.mismatch.missing.clear();
    plan.mismatch.extra.clear();
    if !plan.mismatch.is_empty() {
        return Err(WeightsError::Mismatch(Box::new(plan.mismatch)));
    }
    let report = LoadReport {
        loaded: plan.names.keys().cloned().collect(),
        kept: plan.kept.clone(),
        unused: plan.unused.clone(),
    };
    Ok((plan.carry_out(module, weights, None)?, report))
}

/// Writes the parameters of `module` that `keys` selects to `path`, atomically and in a deterministic byte order. Integers
/// are written as I64, floats in `precision`.
///
/// # Errors
/// [`WeightsError::Write`], or [`WeightsError::Overflow`] when a value does not fit `precision`.
pub fn save<M: Module>(
    module: &M,
    keys: &KeyMap,
    metadata: &[(&str, &str)],
    precision: Precision,
    path: impl AsRef<Path>,
) -> Result<(), WeightsError> {
    let mut file = TensorFile::new();
    for (key, value) in metadata {
        file.note(*key, *value);
    }
    collect(module, keys, precision, &mut file)?;
    file.write(path)
}

/// Adds the parameters of `module` that `keys` selects to `file`.
///
/// # Errors
/// As [`save`], but for writing.
pub fn collect<M: Module>(
    module: &M,
    keys: &KeyMap,
    precision: Precision,
    file: &mut TensorFile,
) -> Result<(), WeightsError> {
    let mut writer = Writer {
        path: Vec::new(),
        keys,
        precision,
        file,
        error: None,
    };
    module.visit(&mut writer);
    writer.error.map_or(Ok(()), Err)
}

/// The gradient of the float parameter at `path`, taken out of `gradients`; `None` where there is none.
pub fn gradient<M: Module>(module: &M, path: &str, gradients: &mut Gradients) -> Option<Vec<f32>> {
    let mut finder = GradientFinder {
        path: Vec::new(),
        wanted: path,
        gradients,
        found: None,
    };
    module.visit(&mut finder);
    finder.found
}

/// Which file tensor goes to which parameter, and what does not fit.
pub(super) struct Plan {
    /// Path here → name in the file.
    names: BTreeMap<String, String>,
    kept: Vec<String>,
    unused: Vec<String>,
    mismatch: Mismatch,
}

impl Plan {
    /// For modules and files that must agree on everything.
    pub(super) fn whole<M: Module>(
        module: &M,
        weights: &Weights,
        keys: &KeyMap,
    ) -> Result<Self, WeightsError> {
        let mut plan = Self::new(module, weights, keys);
        match plan.mismatch.is_empty() {
            true => Ok(plan),
            false => {
                let mismatch = std::mem::take(&mut plan.mismatch);
                Err(WeightsError::Mismatch(Box::new(mismatch)))
            }
        }
    }

    fn new<M: Module>(module: &M, weights: &Weights, keys: &KeyMap) -> Self {
        let mut plan = Self {
            names: BTreeMap::new(),
            kept: Vec::new(),
            unused: Vec::new(),
            mismatch: Mismatch {
                origin: weights.origin().to_owned(),
                ..Mismatch::default()
            },
        };
        let mut taken = HashSet::new();
        for ParamInfo { path, shape } in params(module) {
            let name = keys.to_file(&path);
            match weights.shape(&name) {
                _ if !keys.selects(&path) => plan.kept.push(path),
                Some(found) if same(found, &shape) => {
                    taken.insert(name.clone());
                    plan.names.insert(path, name);
                }
                Some(found) => {
                    let found = found.to_vec();
                    taken.insert(name.clone());
                    plan.mismatch.misshapen.push((name, found, shape));
                }
                None => {
                    plan.mismatch.missing.push((name, shape));
                    plan.kept.push(path);
                }
            }
        }
        for name in weights.names().filter(|name| !taken.contains(*name)) {
            plan.unused.push(name.to_owned());
            if keys.counts_as_extra(name) {
                let shape = weights.shape(name).unwrap_or_default().to_vec();
                plan.mismatch.extra.push((name.to_owned(), shape));
            }
        }
        plan
    }

    pub(super) fn carry_out<M: Module>(
        self,
        module: M,
        weights: &Weights,
        loading: Option<Loading<'_>>,
    ) -> Result<M, WeightsError> {
        let mut filler = Filler {
            path: Vec::new(),
            layer: None,
            loading,
            names: &self.names,
            weights,
            error: None,
        };
        let module = module.map(&mut filler);
        filler.error.map_or(Ok(module), Err)
    }
}

/// A scalar in a file counts as shape `[1]`, and a convolution whose patches do not overlap
/// (`[out, in, height, width]`) as the linear map `[out, in · height · width]` that it is.
fn same(found: &[usize], expected: &[usize]) -> bool {
    let flattened =
        |found: &[usize]| found.len() > 2 && expected == [found[0], found[1..].iter().product()];
    found == expected || (found.is_empty() && expected == [1]) || flattened(found)
}
