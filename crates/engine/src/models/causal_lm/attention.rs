use burn::module::Module;
use burn::tensor::Tensor;

use super::lora::Projection;
use super::model::{Dropout, Pass};
use crate::ops;

/// Rotary attention with grouped heads.
#[derive(Module, Debug)]
pub struct Attention {
    /// `[heads · head, width]`.
    pub q_proj: Projection,
    /// `[key heads · head, width]`.
    pub k_proj: Projection,
    /// `[key heads · head, width]`.
    pub v_proj: Projection,
    /// `[width, heads · head]`.
    pub o_proj: Projection,
}

impl Attention {
    /// `[batch, tokens, width]` to the same.
    pub(super) fn forward(
        &self,
        x: Tensor<3>,
        pass: &Pass,
        mut dropout: Option<&mut Dropout>,
    ) -> Tensor<3> {
        let ([batch, tokens, _], head) = (x.dims(), pass.head);
        let [q, k, v] = [&self.q_proj, &self.k_proj, &self.v_proj].map(|projection| {
            let x = projection.forward(x.clone(), dropout.as_deref_mut());
            let heads = x.dims()[2] / head;
            x.reshape([batch, tokens, heads, head])
        });
        let inner = q.dims()[2] * head;
        let (q, k) = (ops::rotate(q, &pass.rope), ops::rotate(k, &pass.rope));
        let seen = ops::attention(q, k, v, &pass.mask);
        self.o_proj
            .forward(seen.reshape([batch, tokens, inner]), dropout)
    }
}
