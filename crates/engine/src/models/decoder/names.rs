//! Names of tensors, on hubs and in GGUF files.

use super::config::{DecoderConfig, Family};

/// A product of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    Q,
    K,
    V,
    O,
    Gate,
    Up,
    Down,
}

impl Slot {
    pub(super) const ALL: [Self; 7] = [
        Self::Q,
        Self::K,
        Self::V,
        Self::O,
        Self::Gate,
        Self::Up,
        Self::Down,
    ];
}

/// A norm of a layer.
#[derive(Clone, Copy)]
pub(super) enum NormSlot {
    Attention,
    AfterAttention,
    Ffn,
    AfterFfn,
    Q,
    K,
}

/// Where a product's weight lies: the module's name without `.weight`, its rows in all, and which of them.
pub(super) struct Place {
    pub(super) module: String,
    pub(super) rows: usize,
    /// None: all of them, in order.
    pub(super) order: Option<Vec<usize>>,
}

/// The names of a family.
pub(super) struct Names<'a> {
    config: &'a DecoderConfig,
    gguf: bool,
}

impl<'a> Names<'a> {
    pub(super) fn new(config: &'a DecoderConfig, gguf: bool) -> Self {
        Self { config, gguf }
    }

    pub(super) fn embedding(&self) -> String {
        match (self.gguf, self.config.family) {
            (true, _) => "token_embd.weight",
            (false, Family::InternLm2) => "model.tok_embeddings.weight",
            _ => "model.embed_tokens.weight",
        }
        .into()
    }

    pub(super) fn norm(&self) -> String {
        if self.gguf {
            "output_norm.weight"
        } else {
            "model.norm.weight"
        }
        .into()
    }

    pub(super) fn head(&self) -> String {
        match (self.gguf, self.config.family) {
            (true, _) | (false, Family::InternLm2) => "output.weight",
            _ => "lm_head.weight",
        }
        .into()
    }

    fn layer(&self, layer: usize, name: &str) -> String {
        match self.gguf {
            true => format!("blk.{layer}.{name}"),
            false => format!("model.layers.{layer}.{name}"),
        }
    }

    /// Tensors that a file may hold besides the weights.
    pub(super) fn needless(&self, name: &str) -> bool {
        name.ends_with("rotary_emb.inv_freq")
            || name.starts_with("rope_f")
            || self.config.tied && name == self.head()
    }

    pub(super) fn norm_of(&self, layer: usize, slot: NormSlot) -> String {
        let name = match (self.gguf, slot) {
            (true, NormSlot::Attention) => "attn_norm",
            (true, NormSlot::AfterAttention) => "post_attention_norm",
            (true, NormSlot::Ffn) => "ffn_norm",
            (true, NormSlot::AfterFfn) => "post_ffw_norm",
            (true, NormSlot::Q) => "attn_q_norm",
            (true, NormSlot::K) => "attn_k_norm",
            (false, NormSlot::Q) => "self_attn.q_norm",
            (false, NormSlot::K) => "self_attn.k_norm",
            (false, slot) => match (self.config.family, slot) {
                (Family::InternLm2, NormSlot::Attention) => "attention_norm",
                (Family::InternLm2, _) => "ffn_norm",
                (_, NormSlot::Attention) => "input_layernorm",
                (_, NormSlot::AfterFfn) => "post_feedforward_layernorm",
                (_, NormSlot::Ffn) if self.config.post_norms => "pre_feedforward_layernorm",
                _ => "post_attention_layernorm",
            },
        };
        self.layer(layer, &format!("{name}.weight"))
    }

    /// The router of experts, and their gate-and-up and down weights: one name for each, or two where gate and up are
    /// apart.
    pub(super) fn experts(&self, layer: usize) -> [String; 4] {
        let names = match self.gguf {
            true => [
                "ffn_gate_inp.weight",
                "ffn_gate_exps.weight",
                "ffn_up_exps.weight",
                "ffn_down_exps.weight",
            ],
            false => [
                "block_sparse_moe.router.layer.weight",
                "block_sparse_moe.input_linear.weight",
                "block_sparse_moe.input_linear.weight",
                "block_sparse_moe.output_linear.weight",
            ],
        };
        names.map(|name| self.layer(layer, name))
    }

    pub(super) fn place(&self, layer: usize, slot: Slot) -> Place {
        let config = self.config;
        let [queries, keys] = config.projections();
        let rows = match slot {
            Slot::Q => queries,
            Slot::K | Slot::V => keys,
            Slot::O | Slot::Down => config.width,
            Slot::Gate | Slot::Up => config.ffn,
        };
        let apart = |name: &str| Place {
            module: self.layer(layer, name),
            rows,
            order: None,
        };
        let fused = |name: &str, all: usize, from: usize| Place {
            module: self.layer(layer, name),
            rows: all,
            order: Some((from..from + rows).collect()),
        };
        let (qkv, gate_up) = (queries + 2 * keys, 2 * config.ffn);
        let start = match slot {
            Slot::K => queries,
            Slot::V => queries + keys,
            Slot::Up => config.ffn,
            _ => 0,
        };
        match (self.gguf, config.family, slot) {
            (true, Family::Phi3, Slot::Q | Slot::K | Slot::V) => fused("attn_qkv", qkv, start),
            (true, Family::Phi3, Slot::Gate | Slot::Up) => fused("ffn_up", gate_up, start),
            (true, _, slot) => {
                let mut place = apart(match slot {
                    Slot::Q => "attn_q",
                    Slot::K => "attn_k",
                    Slot::V => "attn_v",
                    Slot::O => "attn_output",
                    Slot::Gate => "ffn_gate",
                    Slot::Up => "ffn_up",
                    Slot::Down => "ffn_down",
                });
                if self.permuted() && matches!(slot, Slot::Q | Slot::K) {
                    place.order = Some(self.halves(rows));
                }
                place
            }
            (false, Family::Phi3, Slot::Q | Slot::K | Slot::V) => {
                fused("self_attn.qkv_proj", qkv, start)
            }
            (false, Family::Phi3, Slot::Gate | Slot::Up) => {
                fused("mlp.gate_up_proj", gate_up, start)
            }
            (false, Family::InternLm2, slot) => match slot {
                Slot::O => apart("attention.wo"),
                Slot::Gate => apart("feed_forward.w1"),
                Slot::Up => apart("feed_forward.w3"),
                Slot::Down => apart("feed_forward.w2"),
                _ => Place {
                    order: Some(self.grouped(slot)),
                    ..fused("attention.wqkv", qkv, 0)
                },
            },
            (false, _, slot) => apart(match slot {
                Slot::Q => "self_attn.q_proj",
                Slot::K => "self_attn.k_proj",
                Slot::V => "self_attn.v_proj",
                Slot::O => "self_attn.o_proj",
                Slot::Gate => "mlp.gate_proj",
                Slot::Up => "mlp.up_proj",
                Slot::Down => "mlp.down_proj",
            }),
        }
    }

    /// Whether the file has rows of queries and keys in the order for neighbours that turn together.
    fn permuted(&self) -> bool {
        use Family::{Granite, GraniteMoe, InternLm2, Llama, Mistral};
        matches!(
            self.config.family,
            Llama | Mistral | Granite | GraniteMoe | InternLm2
        )
    }

    /// Rows in the order for halves that turn together.
    fn halves(&self, rows: usize) -> Vec<usize> {
        let head = self.config.head_dim;
        let half = (head / 2).max(1);
        (0..rows)
            .map(|row| {
                let i = row % head;
                row - i + 2 * (i % half) + i / half
            })
            .collect()
    }

    /// Rows of InternLM2's fused weight: for each key head, its queries, the keys, the values.
    fn grouped(&self, slot: Slot) -> Vec<usize> {
        let (head, heads) = (self.config.head_dim, self.config.kv_heads);
        let group = self.config.heads / heads;
        let (from, count) = match slot {
            Slot::Q => (0, group),
            Slot::K => (group, 1),
            _ => (group + 1, 1),
        };
        (0..heads)
            .flat_map(|h| {
                let start = (h * (group + 2) + from) * head;
                start..start + count * head
            })
            .collect()
    }
}
