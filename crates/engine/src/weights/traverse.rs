//! Walks over a module's parameters: list them, fill them, write them.

use std::collections::BTreeMap;

use burn::module::{ModuleMapper, ModuleVisitor, Param, Parameter, Reparameterization};
use burn::tensor::{Bool, Gradients, Int, IntDType, Tensor, TensorData};

use super::storage::{Filling, Layer, Loading};
use super::{KeyMap, ParamInfo, Precision, TensorFile, Weights, WeightsError};
use crate::nn::{StoredWeight, store};

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

pub(crate) use follow_path;

/// Lists parameters.
#[derive(Default)]
pub(super) struct Survey {
    path: Vec<String>,
    pub found: Vec<ParamInfo>,
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

/// Takes the gradient of one parameter.
pub(super) struct GradientFinder<'a> {
    pub path: Vec<String>,
    pub wanted: &'a str,
    pub gradients: &'a mut Gradients,
    pub found: Option<Vec<f32>>,
}

impl ModuleVisitor for GradientFinder<'_> {
    follow_path!();

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if self.path.join(".") == self.wanted {
            let gradient = param.val().grad_remove(self.gradients);
            self.found = gradient.map(|gradient| gradient.into_data().iter::<f32>().collect());
        }
    }
}

/// Replaces the parameters whose paths `names` holds with tensors of a file.
pub(super) struct Filler<'a, 'b> {
    pub path: Vec<String>,
    /// The layer whose weight comes next, where it may be stored otherwise than in f32.
    pub layer: Option<Layer>,
    /// How such weights are stored.
    pub loading: Option<Loading<'b>>,
    pub names: &'a BTreeMap<String, String>,
    pub weights: &'a Weights,
    pub error: Option<WeightsError>,
}

impl Filler<'_, '_> {
    /// `param` with the tensor that `make` builds from its name in the file, or as it was.
    fn fill<T: Parameter>(
        &mut self,
        param: Param<T>,
        make: impl FnOnce(&Param<T>, &str) -> Result<T, WeightsError>,
    ) -> Param<T> {
        let Some(name) = self.names.get(&self.path.join(".")) else {
            return param;
        };
        let made = make(&param, name);
        self.weights.release(name);
        match made {
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

impl ModuleMapper for Filler<'_, '_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        let path = self.path.join(".");
        if name == StoredWeight::NAME && self.names.contains_key(&path) {
            // Burn puts what a parameter had before onto what it is given.
            self.error.get_or_insert(WeightsError::Content {
                name: path,
                reason: "the layer stores its weight in reduced precision and takes no other; make it anew"
                    .into(),
            });
        }
        self.path.push(name.to_owned());
        self.layer = Layer::of(name, container);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (weights, shape) = (self.weights, param.lazy_shape());
        let path = self.path.join(".");
        let (Some(loading), Some(name)) = (&mut self.loading, self.names.get(&path)) else {
            return self.fill(param, |param, name| {
                let data = TensorData::new(weights.values(name)?, shape);
                Ok(Tensor::from_data(data, &param.lazy_device()))
            });
        };
        let filling = loading.read(weights, name, (&path, self.layer), shape.as_slice());
        weights.release(name);
        match filling {
            Ok(Filling::Stored(storage)) => store(&param, storage),
            Ok(Filling::Values(values)) => self.fill(param, |param, _| {
                let data = TensorData::new(values, shape);
                Ok(Tensor::from_data(data, &param.lazy_device()))
            }),
            Err(error) => {
                self.error.get_or_insert(error);
                param
            }
        }
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

/// Adds selected parameters to a file.
pub(super) struct Writer<'a> {
    pub path: Vec<String>,
    pub keys: &'a KeyMap,
    pub precision: Precision,
    pub file: &'a mut TensorFile,
    pub error: Option<WeightsError>,
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
