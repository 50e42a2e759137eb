use std::fmt::{Debug, Formatter};

use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use burn_flex::FlexTensor;
use kernels::Precision;

use super::custom_op::{give, joined, tracked};
use super::linear::{precision, set_precision};

/// `forward(module, x)`, of which only `x` is kept: the backward pass computes the rest again (activation checkpointing, Chen et
/// al., arXiv 1604.06174). Values and gradients are those of the plain call, to the last bit.
///
/// Where `x` has no gradient, or sits on another device than the CPU, it is the plain call. In one loss, the parameters of
/// `module` may be used by this operation only, as often as needed; `forward` must give the same each time.
pub fn recompute<M, F>(module: &M, x: Tensor<3>, forward: F) -> Tensor<3>
where
    M: Module + 'static,
    F: Fn(&M, Tensor<3>) -> Tensor<3> + Send + 'static,
{
    let dispatch = x.clone().into_dispatch();
    let context = dispatch.autodiff;
    let Some(input) = tracked(dispatch.kind).filter(|_| x.is_tracked()) else {
        return forward(module, x);
    };
    let y = forward(&module.clone().no_grad(), x.clone().detach());
    let Some(output) = tracked(y.into_dispatch().kind) else {
        return forward(module, x);
    };
    let again = Again {
        module: module.clone(),
        forward,
        precision: precision(),
    };
    let prepared = again.prepare::<NoCheckpointing>([input.node()]);
    let (input, output) = (input.into_primitive(), output.into_primitive());
    let output = match prepared.compute_bound().stateful() {
        OpsKind::Tracked(prep) => prep.finish(input, output),
        OpsKind::UnTracked(prep) => prep.finish(output),
    };
    joined(output, context)
}

struct Again<M, F> {
    module: M,
    forward: F,
    precision: Precision,
}

impl<M, F> Debug for Again<M, F> {
    fn fmt(&self, out: &mut Formatter<'_>) -> std::fmt::Result {
        out.write_str("Again")
    }
}

impl<M, F> Backward<Flex, 1> for Again<M, F>
where
    M: Module + 'static,
    F: Fn(&M, Tensor<3>) -> Tensor<3> + Send + 'static,
{
    /// The input.
    type State = FlexTensor;

    /// A graph of its own for this part: its loss is `Σ y · grad`.
    fn backward(self, ops: Ops<FlexTensor, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = give::<3>(grads.consume::<Flex>(&ops.node));
        let x = give::<3>(ops.state).autodiff().require_grad();
        let before = set_precision(self.precision);
        let y = (self.forward)(&self.module, x.clone());
        let mut found = (y * grad.autodiff()).sum().backward();
        set_precision(before);
        let [parent] = ops.parents;
        if let (Some(parent), Some(grad)) = (parent, primitive(x.grad_remove(&mut found))) {
            grads.register::<Flex>(parent.id, grad);
        }
        self.module.visit(&mut Hand { found, grads });
    }
}

fn primitive<const D: usize>(tensor: Option<Tensor<D>>) -> Option<FlexTensor> {
    tensor?.try_into_primitive::<Flex>().ok()
}

/// Hands the gradients of parameters over to the graph around.
struct Hand<'a> {
    found: burn::tensor::Gradients,
    grads: &'a mut Gradients,
}

impl ModuleVisitor for Hand<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val();
        let grad = primitive(value.grad_remove(&mut self.found));
        if let (Some(grad), Some(node)) = (grad, tracked(value.into_dispatch().kind)) {
            self.grads.register::<Flex>(node.id(), grad);
        }
    }
}
