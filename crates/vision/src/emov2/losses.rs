//! Losses of the classifier (official `loss/cls_loss.py`).

use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Tensor};
use engine::ops::{self, CrossEntropyOptions};

/// Mean cross-entropy with `smoothing` of the target spread over all classes: logits `[batch, classes]`, classes `[batch]`.
pub fn label_smoothing(logits: Tensor<2>, classes: Tensor<1, Int>, smoothing: f32) -> Tensor<1> {
    let options = CrossEntropyOptions {
        smoothing,
        ..CrossEntropyOptions::default()
    };
    ops::cross_entropy(logits, classes, options)
}

/// Mean cross-entropy with a distribution as target, as Mixup and CutMix make it: both `[batch, classes]`.
pub fn soft_target(logits: Tensor<2>, target: Tensor<2>) -> Tensor<1> {
    let batch = logits.dims()[0];
    -(log_softmax(logits, 1) * target).sum() / batch as f64
}

/// Soft distillation: the Kullback-Leibler divergence from the teacher at temperature `tau`, summed over classes, times τ²,
/// divided by the batch.
pub fn distill_soft(logits: Tensor<2>, teacher: Tensor<2>, tau: f64) -> Tensor<1> {
    let batch = logits.dims()[0];
    let student = log_softmax(logits / tau, 1);
    let teacher = log_softmax(teacher.detach() / tau, 1);
    (teacher.clone().exp() * (teacher - student)).sum() * (tau * tau / batch as f64)
}

/// Hard distillation: cross-entropy with the teacher's favourite.
pub fn distill_hard(logits: Tensor<2>, teacher: Tensor<2>) -> Tensor<1> {
    let favourite: Tensor<1, Int> = teacher.detach().argmax(1).squeeze_dim(1);
    ops::cross_entropy(logits, favourite, CrossEntropyOptions::default())
}
