//! Whole modules: filled from a checkpoint by their field paths, and written to one.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, Parameter};
use burn::tensor::{Bool, Gradients, Int, IntDType, Tensor, TensorData};

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
    let plan = Plan::new(&module, weights, keys);
    if !plan.mismatch.is_empty() {
        return Err(WeightsError::Mismatch(Box::new(plan.mismatch)));
    }
    plan.carry_out(module, weights)
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
    Ok((plan.carry_out(module, weights)?, report))
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
pub fn gradient<M: Module>(
    module: &M,
    path: &str,
    gradients: &mut Gradients,
) -> Option<Vec<f32>> {
    let mut finder = Finder {
        path: Vec::new(),
        wanted: path,
        gradients,
        found: None,
    };
    module.visit(&mut finder);
    finder.found
}

/// Which file tensor goes to which parameter, and what does not fit.
struct Plan {
    /// Path here → name in the file.
    names: BTreeMap<String, String>,
    kept: Vec<String>,
    unused: Vec<String>,
    mismatch: Mismatch,
}

impl Plan {
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

    fn carry_out<M: Module>(self, module: M, weights: &Weights) -> Result<M, WeightsError> {
        let mut filler = Filler {
            path: Vec::new(),
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

/// Keeps `path` in step with the traversal.
macro_rules! follow_path {
    () => {
        fn enter_module(&mut self, name: &str, _container: &str) {
            self.path.push(name.to_owned());
        }

        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.pop();
        }
    };
}

#[derive(Default)]
struct Survey {
    path: Vec<String>,
    found: Vec<ParamInfo>,
}

impl Survey {
    fn note<T: Parameter>(&mut self, param: &Param<T>) {
        self.found.push(ParamInfo {
            path: self.path.join("."),
            shape: param.lazy_shape().to_vec(),
        });
    }
}

impl ModuleVisitor for Survey {
    follow_path!();

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.note(param);
    }

    fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<D, Int>>) {
        self.note(param);
    }

    fn visit_bool<const D: usize>(&mut self, param: &Param<Tensor<D, Bool>>) {
        self.note(param);
    }
}

struct Finder<'a> {
    path: Vec<String>,
    wanted: &'a str,
    gradients: &'a mut Gradients,
    found: Option<Vec<f32>>,
}

impl ModuleVisitor for Finder<'_> {
    follow_path!();

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if self.path.join(".") == self.wanted {
            let gradient = param.val().grad_remove(self.gradients);
            self.found = gradient.map(|gradient| gradient.into_data().iter::<f32>().collect());
        }
    }
}

struct Filler<'a> {
    path: Vec<String>,
    names: &'a BTreeMap<String, String>,
    weights: &'a Weights,
    error: Option<WeightsError>,
}

impl Filler<'_> {
    /// `param` with the tensor that `make` builds from its name in the file, or as it was.
    fn fill<T: Parameter>(
        &mut self,
        param: Param<T>,
        make: impl FnOnce(&Param<T>, &str) -> Result<T, WeightsError>,
    ) -> Param<T> {
        let Some(name) = self.names.get(&self.path.join(".")) else {
            return param;
        };
        match make(&param, name) {
            Ok(tensor) => {
                let id = param.id;
                param.transform_for_load(tensor, id)
            }
            Err(error) => {
                self.error.get_or_insert(error);
                param
            }
        }
    }
}

impl ModuleMapper for Filler<'_> {
    follow_path!();

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let weights = self.weights;
        self.fill(param, |param, name| {
            let data = TensorData::new(weights.values(name)?, param.lazy_shape());
            Ok(Tensor::from_data(data, &param.lazy_device()))
        })
    }

    fn map_int<const D: usize>(&mut self, param: Param<Tensor<D, Int>>) -> Param<Tensor<D, Int>> {
        let weights = self.weights;
        self.fill(param, |param, name| {
            let device = param.lazy_device();
            let values = weights.ints(name)?;
            // Burn panics on a cast that does not fit.
            let wide = device.settings().int_dtype == IntDType::I64;
            if let Some(value) = values
                .iter()
                .find(|&&value| !wide && i32::try_from(value).is_err())
            {
                return Err(WeightsError::Content {
                    name: name.to_owned(),
                    reason: format!("{value} does not fit the device's 32-bit integers"),
                });
            }
            let data = TensorData::new(values, param.lazy_shape());
            Ok(Tensor::from_data(data, &device))
        })
    }

    fn map_bool<const D: usize>(
        &mut self,
        param: Param<Tensor<D, Bool>>,
    ) -> Param<Tensor<D, Bool>> {
        let weights = self.weights;
        self.fill(param, |param, name| {
            let values: Vec<bool> = weights.ints(name)?.into_iter().map(|v| v != 0).collect();
            let data = TensorData::new(values, param.lazy_shape());
            Ok(Tensor::from_data(data, &param.lazy_device()))
        })
    }
}

struct Writer<'a> {
    path: Vec<String>,
    keys: &'a KeyMap,
    precision: Precision,
    file: &'a mut TensorFile,
    error: Option<WeightsError>,
}

impl Writer<'_> {
    fn add<T: Parameter>(
        &mut self,
        param: &Param<T>,
        write: impl FnOnce(&mut Self, &str, T) -> Result<(), WeightsError>,
    ) {
        let path = self.path.join(".");
        if self.error.is_none() && self.keys.selects(&path) {
            let name = self.keys.to_file(&path);
            self.error = write(self, &name, param.val()).err();
        }
    }
}

impl ModuleVisitor for Writer<'_> {
    follow_path!();

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.add(param, |writer, name, tensor: Tensor<D>| {
            let data = host(name, tensor.try_into_data())?;
            let values = host(name, data.try_into_vec_as::<f32>())?;
            let shape = param.lazy_shape().to_vec();
            let precision = writer.precision;
            writer.file.floats(name, &shape, &values, precision)
        });
    }

    fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<D, Int>>) {
        self.add(param, |writer, name, tensor: Tensor<D, Int>| {
            let data = host(name, tensor.try_into_data())?;
            let values = host(name, data.try_into_vec_as::<i64>())?;
            writer
                .file
                .ints(name, &param.lazy_shape().to_vec(), &values)
        });
    }

    fn visit_bool<const D: usize>(&mut self, param: &Param<Tensor<D, Bool>>) {
        self.add(param, |writer, name, tensor: Tensor<D, Bool>| {
            let data = host(name, tensor.try_into_data())?;
            let values: Vec<bool> = data.iter::<bool>().collect();
            writer
                .file
                .bools(name, &param.lazy_shape().to_vec(), &values)
        });
    }
}

fn host<T, E: std::fmt::Debug>(name: &str, result: Result<T, E>) -> Result<T, WeightsError> {
    result.map_err(|error| WeightsError::Device {
        name: name.to_owned(),
        reason: format!("{error:?}"),
    })
}
