//! Writes small GGUF files.

use engine::models::decoder::DecoderConfig;

/// A value of the metadata.
pub enum Meta {
    U32(u32),
    F32(f32),
    Text(&'static str),
}

/// A tensor: name, type, shape (slowest axis first), bytes.
pub type Tensor = (String, u32, Vec<usize>, Vec<u8>);

/// The name in a GGUF file of a Llama's tensor.
pub fn name(hub: &str) -> String {
    let pairs = [
        ("model.layers.", "blk."),
        ("model.embed_tokens", "token_embd"),
        ("model.norm", "output_norm"),
        ("lm_head", "output"),
        ("post_attention_layernorm", "ffn_norm"),
        ("input_layernorm", "attn_norm"),
        ("self_attn.o_proj", "attn_output"),
        ("self_attn.q_proj", "attn_q"),
        ("self_attn.k_proj", "attn_k"),
        ("self_attn.v_proj", "attn_v"),
        ("mlp.gate_proj", "ffn_gate"),
        ("mlp.up_proj", "ffn_up"),
        ("mlp.down_proj", "ffn_down"),
    ];
    pairs.iter().fold(hub.to_owned(), |name, (hub, gguf)| name.replace(hub, gguf))
}

/// The metadata of a Llama.
pub fn llama(config: &DecoderConfig) -> Vec<(String, Meta)> {
    let size = |name: &str, size: usize| (format!("llama.{name}"), Meta::U32(size as u32));
    vec![
        ("general.architecture".into(), Meta::Text("llama")),
        size("context_length", config.max_positions),
        size("embedding_length", config.width),
        size("block_count", config.layers),
        size("feed_forward_length", config.ffn),
        size("attention.head_count", config.heads),
        size("attention.head_count_kv", config.kv_heads),
        size("rope.dimension_count", config.head_dim),
        ("llama.attention.layer_norm_rms_epsilon".into(), Meta::F32(config.eps)),
        ("llama.rope.freq_base".into(), Meta::F32(config.rope.theta as f32)),
    ]
}

/// The bytes of a file.
pub fn file(metadata: &[(String, Meta)], tensors: &[Tensor]) -> Vec<u8> {
    let mut out = b"GGUF".to_vec();
    let text = |out: &mut Vec<u8>, text: &str| {
        out.extend((text.len() as u64).to_le_bytes());
        out.extend(text.as_bytes());
    };
    out.extend(3_u32.to_le_bytes());
    out.extend((tensors.len() as u64).to_le_bytes());
    out.extend((metadata.len() as u64).to_le_bytes());
    for (key, value) in metadata {
        text(&mut out, key);
        match value {
            Meta::U32(value) => {
                out.extend(4_u32.to_le_bytes());
                out.extend(value.to_le_bytes());
            }
            Meta::F32(value) => {
                out.extend(6_u32.to_le_bytes());
                out.extend(value.to_le_bytes());
            }
            Meta::Text(value) => {
                out.extend(8_u32.to_le_bytes());
                text(&mut out, value);
            }
        }
    }
    let mut offset = 0_u64;
    for (name, kind, shape, bytes) in tensors {
        text(&mut out, name);
        out.extend((shape.len() as u32).to_le_bytes());
        for axis in shape.iter().rev() {
            out.extend((*axis as u64).to_le_bytes());
        }
        out.extend(kind.to_le_bytes());
        out.extend(offset.to_le_bytes());
        offset += (bytes.len() as u64).next_multiple_of(32);
    }
    for (_, _, _, bytes) in tensors {
        out.resize(out.len().next_multiple_of(32), 0);
        out.extend(bytes);
    }
    out
}
