//! Where kernels meet Burn: an operation with its gradient by hand, on f32 tensors of the CPU back-end.

use std::cell::Cell;
use std::fmt::Debug;
use std::sync::Arc;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::{BalancedCheckpointing, NoCheckpointing};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{
    Autodiff, BackendTensor, DispatchAutodiffContext, DispatchTensor, DispatchTensorKind, Flex,
    TensorMetadata,
};
use burn::tensor::{DType, GradientCheckpointingStrategy, Tensor, TensorData};
use burn_flex::FlexTensor;
use kernels::{InputError, Level, ShapeError};

pub(super) type Tracked = FloatTensor<Autodiff<Flex>>;

/// An operation on `N` f32 tensors of the CPU back-end, with its gradient.
pub(super) trait Kernel<const N: usize>: Clone + Debug + Send + 'static {
    /// What the backward pass needs; tensors share their memory with those of the graph.
    type Saved: Clone + Debug + Send + 'static;

    /// The result, and what the backward pass needs. An error means that the shapes do not fit.
    fn forward(&self, inputs: &[FlexTensor; N]) -> Result<(FlexTensor, Self::Saved), ShapeError>;

    /// From the gradient of the result, that of each input; only those `wanted` need to be there.
    fn backward(
        &self,
        saved: Self::Saved,
        grad: FlexTensor,
        wanted: [bool; N],
    ) -> Result<[Option<FlexTensor>; N], ShapeError>;
}

/// An operation on `[x, weight]` or `[x, weight, bias]`; the gradients need `x` and `weight`.
pub(super) trait WithBias: Clone + Debug + Send + 'static {
    /// As [`Kernel::forward`].
    fn apply(
        &self,
        x: &FlexTensor,
        weight: &FlexTensor,
        bias: Option<&FlexTensor>,
    ) -> Result<(FlexTensor, [FlexTensor; 2]), ShapeError>;

    /// As [`Kernel::backward`].
    fn grads(
        &self,
        saved: [FlexTensor; 2],
        grad: &FlexTensor,
        wanted: [bool; 3],
    ) -> Result<[Option<FlexTensor>; 3], ShapeError>;
}

impl<K: WithBias> Kernel<2> for K {
    type Saved = [FlexTensor; 2];

    fn forward(
        &self,
        [x, weight]: &[FlexTensor; 2],
    ) -> Result<(FlexTensor, Self::Saved), ShapeError> {
        self.apply(x, weight, None)
    }

    fn backward(
        &self,
        saved: Self::Saved,
        grad: FlexTensor,
        [x, weight]: [bool; 2],
    ) -> Result<[Option<FlexTensor>; 2], ShapeError> {
        let [dx, dw, _] = self.grads(saved, &grad, [x, weight, false])?;
        Ok([dx, dw])
    }
}

impl<K: WithBias> Kernel<3> for K {
    type Saved = [FlexTensor; 2];

    fn forward(
        &self,
        [x, weight, bias]: &[FlexTensor; 3],
    ) -> Result<(FlexTensor, [FlexTensor; 2]), ShapeError> {
        self.apply(x, weight, Some(bias))
    }

    fn backward(
        &self,
        saved: [FlexTensor; 2],
        grad: FlexTensor,
        wanted: [bool; 3],
    ) -> Result<[Option<FlexTensor>; 3], ShapeError> {
        self.grads(saved, &grad, wanted)
    }
}

/// [`run`] with a bias or without.
pub(super) fn run_with_bias<const D: usize, const E: usize>(
    kernel: impl WithBias,
    x: &Tensor<D>,
    weight: &Tensor<E>,
    bias: &Option<Tensor<1>>,
) -> Option<Tensor<D>> {
    let (x, weight) = (x.clone().into_dispatch(), weight.clone().into_dispatch());
    match bias {
        Some(bias) => run(kernel, [x, weight, bias.clone().into_dispatch()]),
        None => run(kernel, [x, weight]),
    }
}

thread_local! {
    static FALLBACK: Cell<bool> = const { Cell::new(false) };
}

/// Makes every operation called by this thread run as Burn's own operations: for tests and benchmarks.
#[doc(hidden)]
pub fn set_fallback(on: bool) {
    FALLBACK.set(on);
}

/// Runs `kernel`, or gives `None` where it does not apply: other devices, other dtypes, shapes that do not fit.
pub(super) fn run<const N: usize, const D: usize>(
    kernel: impl Kernel<N>,
    inputs: [DispatchTensor; N],
) -> Option<Tensor<D>> {
    if FALLBACK.get() || inputs.iter().any(|input| input.dtype() != DType::F32) {
        return None;
    }
    let context = inputs
        .iter()
        .try_fold(DispatchAutodiffContext::Disabled, |context, input| {
            match (context, input.autodiff) {
                // Burn's own operations refuse this mixture with a message.
                (DispatchAutodiffContext::Enabled(a), DispatchAutodiffContext::Enabled(b))
                    if a != b =>
                {
                    None
                }
                (context, other) => Some(context.merge(other)),
            }
        })?;
    let kind = match context {
        DispatchAutodiffContext::Disabled => {
            let inputs = all(inputs.map(|input| untracked(input.kind)))?;
            let (output, _) = kernel.forward(&inputs).ok()?;
            DispatchTensorKind::Flex(BackendTensor::Float(output))
        }
        DispatchAutodiffContext::Enabled(strategy) => {
            let inputs = all(inputs.map(|input| tracked(input.kind)))?;
            let output = record(kernel, inputs, strategy).ok()?;
            return Some(joined(output, context));
        }
    };
    Some(Tensor::from_dispatch(DispatchTensor {
        kind,
        autodiff: context,
    }))
}

/// A tensor of the CPU back-end's graph as Burn's own.
pub(super) fn joined<const D: usize>(
    output: Tracked,
    autodiff: DispatchAutodiffContext,
) -> Tensor<D> {
    let output = DispatchTensorKind::Flex(BackendTensor::Autodiff(output));
    Tensor::from_dispatch(DispatchTensor {
        kind: DispatchTensorKind::Autodiff(Box::new(output)),
        autodiff,
    })
}

/// The values of an integer tensor, or `None` where kernels do not apply: on other devices.
pub(super) fn integers(tensor: DispatchTensor) -> Option<Arc<[i64]>> {
    let kind = match tensor.kind {
        DispatchTensorKind::Autodiff(inner) => *inner,
        kind => kind,
    };
    match kind {
        DispatchTensorKind::Flex(BackendTensor::Int(tensor)) => {
            Some(tensor.into_data().iter::<i64>().collect())
        }
        _ => None,
    }
}

/// A tensor of booleans, dense, or `None` on other devices.
pub(super) fn bools(tensor: DispatchTensor) -> Option<FlexTensor> {
    let kind = match tensor.kind {
        DispatchTensorKind::Autodiff(inner) => *inner,
        kind => kind,
    };
    match kind {
        DispatchTensorKind::Flex(BackendTensor::Bool(tensor)) => Some(tensor.to_contiguous()),
        _ => None,
    }
}

/// Whether operations on a tensor are recorded.
pub(super) fn is_recorded<const D: usize>(tensor: &Tensor<D>) -> bool {
    tensor.clone().into_dispatch().autodiff != DispatchAutodiffContext::Disabled
}

/// The values of an f32 tensor that gets no gradient, dense, or `None` on other devices.
pub(super) fn constant(tensor: DispatchTensor) -> Option<FlexTensor> {
    let tensor = match tensor.autodiff {
        DispatchAutodiffContext::Disabled => untracked(tensor.kind)?,
        DispatchAutodiffContext::Enabled(_) => tracked(tensor.kind)?.into_primitive(),
    };
    (tensor.dtype() == DType::F32).then(|| dense(&tensor))
}

/// An error as a [`Kernel`] gives it. Only that there is one counts: Burn's own operations then say what is wrong.
pub(super) fn unfit(error: InputError) -> ShapeError {
    match error {
        InputError::Shape(error) => error,
        InputError::Index { name, .. } | InputError::Setting { name, .. } => ShapeError {
            name,
            expected: 0,
            found: 0,
        },
    }
}

fn untracked(kind: DispatchTensorKind) -> Option<FlexTensor> {
    match kind {
        DispatchTensorKind::Flex(BackendTensor::Float(tensor)) => Some(tensor),
        _ => None,
    }
}

/// An f32 tensor of the CPU back-end as part of a graph, or `None` on other devices.
pub(super) fn tracked(kind: DispatchTensorKind) -> Option<Tracked> {
    match kind {
        DispatchTensorKind::Flex(BackendTensor::Float(tensor)) => Some(Tracked::new(tensor)),
        DispatchTensorKind::Autodiff(inner) => match *inner {
            DispatchTensorKind::Flex(BackendTensor::Autodiff(tensor)) => Some(tensor),
            _ => None,
        },
        _ => None,
    }
}

fn all<T, const N: usize>(items: [Option<T>; N]) -> Option<[T; N]> {
    let items: Option<Vec<T>> = items.into_iter().collect();
    items?.try_into().ok()
}

/// Runs the forward pass and puts the operation into the graph.
fn record<const N: usize, K: Kernel<N>>(
    kernel: K,
    inputs: [Tracked; N],
    strategy: GradientCheckpointingStrategy,
) -> Result<Tracked, ShapeError> {
    let nodes = inputs.each_ref().map(Tracked::node);
    let inputs = inputs.map(Tracked::into_primitive);
    let (output, saved) = kernel.forward(&inputs)?;
    let step = Step(kernel);
    // The strategy decides about operations that can be computed again; this one keeps its state either way.
    Ok(match strategy {
        GradientCheckpointingStrategy::Disabled => {
            match step
                .prepare::<NoCheckpointing>(nodes)
                .compute_bound()
                .stateful()
            {
                OpsKind::Tracked(prep) => prep.finish(saved, output),
                OpsKind::UnTracked(prep) => prep.finish(output),
            }
        }
        GradientCheckpointingStrategy::Balanced => {
            match step
                .prepare::<BalancedCheckpointing>(nodes)
                .compute_bound()
                .stateful()
            {
                OpsKind::Tracked(prep) => prep.finish(saved, output),
                OpsKind::UnTracked(prep) => prep.finish(output),
            }
        }
    })
}

#[derive(Debug)]
struct Step<K>(K);

impl<const N: usize, K: Kernel<N>> Backward<Flex, N> for Step<K> {
    type State = K::Saved;

    fn backward(self, ops: Ops<K::Saved, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<Flex>(&ops.node);
        let wanted = ops.parents.each_ref().map(Option::is_some);
        let results = self
            .0
            .backward(ops.state, grad, wanted)
            .expect("a gradient has the shape of its value");
        for (parent, result) in ops.parents.into_iter().zip(results) {
            if let (Some(parent), Some(result)) = (parent, result) {
                grads.register::<Flex>(parent.id, result);
            }
        }
    }
}

/// The CPU back-end's tensor inside of an f32 tensor without autodiff, or the tensor itself where it is another.
pub(super) fn take<const D: usize>(tensor: Tensor<D>) -> Result<FlexTensor, Box<Tensor<D>>> {
    let DispatchTensor { kind, autodiff } = tensor.into_dispatch();
    let plain = !FALLBACK.get() && autodiff == DispatchAutodiffContext::Disabled;
    match kind {
        DispatchTensorKind::Flex(BackendTensor::Float(tensor))
            if plain && tensor.dtype() == DType::F32 =>
        {
            Ok(tensor)
        }
        kind => Err(Box::new(Tensor::from_dispatch(DispatchTensor {
            kind,
            autodiff,
        }))),
    }
}

/// The inverse of [`take`].
pub(super) fn give<const D: usize>(tensor: FlexTensor) -> Tensor<D> {
    Tensor::from_dispatch(DispatchTensor {
        kind: DispatchTensorKind::Flex(BackendTensor::Float(tensor)),
        autodiff: DispatchAutodiffContext::Disabled,
    })
}

/// The tensor itself where its values lie one after the other, a copy where they do not.
pub(super) fn dense(tensor: &FlexTensor) -> FlexTensor {
    if tensor.as_slice::<f32>().is_some() {
        return tensor.clone();
    }
    turned(tensor).unwrap_or_else(|| tensor.to_contiguous())
}

/// A dense copy where a tensor is a batch of matrices whose rows and columns were changed; axes that lie together count as one.
fn turned(of: &FlexTensor) -> Option<FlexTensor> {
    let layout = of.layout();
    let (shape, strides) = (of.shape(), layout.strides());
    let mut axes: Vec<[usize; 2]> = Vec::new();
    for (&size, &stride) in shape.iter().zip(strides) {
        let stride = usize::try_from(stride).ok()?;
        match axes.last_mut() {
            _ if size == 1 => {}
            Some([before, step]) if *step == size.checked_mul(stride)? => {
                (*before, *step) = (*before * size, stride)
            }
            _ => axes.push([size, stride]),
        }
    }
    let (batch, [columns, 1], [rows, apart]) = (match axes[..] {
        [a, b] => (1, a, b),
        [[batch, step], a, b] if step == a[0].checked_mul(b[0])? => (batch, a, b),
        _ => return None,
    }) else {
        return None;
    };
    if apart != columns {
        return None;
    }
    let all: &[f32] = of.storage();
    let values = all
        .get(layout.start_offset()..)?
        .get(..batch * rows * columns)?;
    let copy = kernels::transpose(Level::best(), values, [batch, rows, columns]).ok()?;
    Some(tensor(copy, shape))
}

/// The values of a dense f32 tensor.
pub(super) fn values(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice().unwrap_or_default()
}

/// The values of an f32 tensor, to be changed: copied first where they are shared or not dense.
pub(super) fn values_mut(of: &mut FlexTensor) -> &mut [f32] {
    let len = of.shape().num_elements();
    if of
        .as_slice::<f32>()
        .is_none_or(|values| values.len() != of.storage::<f32>().len())
    {
        *of = tensor(values(&dense(of)).to_vec(), of.shape());
    }
    &mut of.storage_mut()[..len]
}

/// A tensor of the given dimensions around `values`.
pub(super) fn tensor(values: Vec<f32>, shape: impl Into<burn::tensor::Shape>) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape))
}
