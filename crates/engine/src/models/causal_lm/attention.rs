use burn::module::Module;
use burn::tensor::Tensor;

use super::lora::Projection;
use super::model::Dropout;
use crate::ops::{self, AttentionMask, Rope};

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
        head: usize,
        rope: &Rope,
        mask: &AttentionMask,
        mut dropout: Option<&mut Dropout>,
    ) -> Tensor<3> {
        let [batch, tokens, _] = x.dims();
        let [q, k, v] = [&self.q_proj, &self.k_proj, &self.v_proj].map(|projection| {
            let x = projection.forward(x.clone(), dropout.as_deref_mut());
            let heads = x.dims()[2] / head;
            x.reshape([batch, tokens, heads, head])
        });
        let inner = q.dims()[2] * head;
        let (q, k) = (ops::rotate(q, rope), ops::rotate(k, rope));
        let seen = ops::attention(q, k, v, mask);
        self.o_proj
            .forward(seen.reshape([batch, tokens, inner]), dropout)
    }
}
