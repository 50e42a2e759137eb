"""Writes a GGUF file of Mistral 7B's shape with random Q4_K blocks, to time a model of that size without its weights.

    peers/bin/pip install gguf numpy
    peers/bin/python benches/random_gguf.py 7b.gguf
    orrery bench decode prefill-128 --suite language --model 7b.gguf --peer peers/bin/python --rounds 2

`--kv-heads 32 --inner 11008` is Llama 2 7B. What such a model says has no meaning.
"""

import argparse

import gguf
import numpy as np

options = argparse.ArgumentParser()
options.add_argument("out")
options.add_argument("--layers", type=int, default=32)
options.add_argument("--kv-heads", type=int, default=8)
options.add_argument("--inner", type=int, default=14336)
options = options.parse_args()

WIDTH, HEADS, VOCAB = 4096, 32, 32000
INNER, KEYS = options.inner, WIDTH // HEADS * options.kv_heads
rng = np.random.default_rng(0)
out = gguf.GGUFWriter(options.out, "llama")
out.add_context_length(4096)
out.add_embedding_length(WIDTH)
out.add_block_count(options.layers)
out.add_feed_forward_length(INNER)
out.add_head_count(HEADS)
out.add_head_count_kv(options.kv_heads)
out.add_rope_dimension_count(WIDTH // HEADS)
out.add_layer_norm_rms_eps(1e-5)
out.add_vocab_size(VOCAB)
out.add_tokenizer_model("llama")
tokens = ["<unk>", "<s>", "</s>"] + [f"<0x{i:02X}>" for i in range(256)]
kinds = [2, 3, 3] + [6] * 256
tokens += [f"\u2581w{i}" for i in range(VOCAB - len(tokens))]
kinds += [1] * (VOCAB - len(kinds))
out.add_token_list(tokens)
out.add_token_scores([float(-i) for i in range(VOCAB)])
out.add_token_types(kinds)
out.add_bos_token_id(1)
out.add_eos_token_id(2)


def quantised(name, rows, columns):
    """Blocks of 256 values: scale and offset as f16, 12 bytes of small scales, 128 bytes of nibbles."""
    blocks = rng.integers(0, 256, (rows, columns // 256, 144), dtype=np.uint8)
    blocks[..., :4] = np.array([1e-4, 8e-4], np.float16).view(np.uint8)
    kind = gguf.GGMLQuantizationType.Q4_K
    out.add_tensor(name, blocks.reshape(rows, -1), raw_dtype=kind)


def ones(name):
    out.add_tensor(name, np.ones(WIDTH, np.float32))


quantised("token_embd.weight", VOCAB, WIDTH)
for layer in range(options.layers):
    ones(f"blk.{layer}.attn_norm.weight")
    ones(f"blk.{layer}.ffn_norm.weight")
    for name, rows in (("attn_q", WIDTH), ("attn_k", KEYS), ("attn_v", KEYS), ("attn_output", WIDTH)):
        quantised(f"blk.{layer}.{name}.weight", rows, WIDTH)
    quantised(f"blk.{layer}.ffn_gate.weight", INNER, WIDTH)
    quantised(f"blk.{layer}.ffn_up.weight", INNER, WIDTH)
    quantised(f"blk.{layer}.ffn_down.weight", WIDTH, INNER)
ones("output_norm.weight")
quantised("output.weight", VOCAB, WIDTH)
out.write_header_to_file()
out.write_kv_data_to_file()
out.write_tensors_to_file()
out.close()
