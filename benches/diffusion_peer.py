"""diffusers' side of `orrery bench --suite diffusion`; `peer_loop.py`, which is put behind it, times the benchmarks.

    peers/bin/pip install torch diffusers transformers cryptography
    orrery bench --suite diffusion --peer peers/bin/python
"""

import sys

import diffusers
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

BF16 = torch.bfloat16
torch.set_num_threads(int(sys.argv[1]))
torch.manual_seed(0)
VERSION = f"diffusers {diffusers.__version__}, PyTorch {torch.__version__}, bf16"

SD15 = dict(sample_size=64, cross_attention_dim=768, attention_head_dim=8)
SDXL = dict(
    sample_size=128,
    down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    block_out_channels=(320, 640, 1280),
    cross_attention_dim=2048,
    attention_head_dim=(5, 10, 20),
    transformer_layers_per_block=(1, 2, 10),
    use_linear_projection=True,
    addition_embed_type="text_time",
    addition_time_embed_dim=256,
    projection_class_embeddings_input_dim=2816,
)
VAE = dict(
    down_block_types=("DownEncoderBlock2D",) * 4,
    up_block_types=("UpDecoderBlock2D",) * 4,
    block_out_channels=(128, 256, 512, 512),
    layers_per_block=2,
    latent_channels=4,
    sample_size=512,
)


def built(make):
    """A network in bf16, never as large as in f32."""
    torch.set_default_dtype(BF16)
    try:
        return make().to(BF16).eval()
    finally:
        torch.set_default_dtype(torch.float32)


def unet(config):
    model = built(lambda: UNet2DConditionModel(**config))
    x = torch.randn(1, 4, 64, 64, dtype=BF16)
    context = torch.randn(1, 77, config["cross_attention_dim"], dtype=BF16)
    added = None
    if "addition_embed_type" in config:
        added = {"text_embeds": torch.randn(1, 1280, dtype=BF16), "time_ids": torch.randn(1, 6, dtype=BF16)}
    return lambda: model(x, 500, context, added_cond_kwargs=added).sample


def clip():
    config = CLIPTextConfig(
        vocab_size=49408, hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12
    )
    model = built(lambda: CLIPTextModel(config))
    ids = torch.arange(1, 77 * 500, 500)[None]
    return lambda: model(ids).last_hidden_state


def decode():
    model = built(lambda: AutoencoderKL(**VAE))
    latents = torch.randn(1, 4, 64, 64, dtype=BF16)
    return lambda: model.decode(latents).sample


BENCHMARKS = {
    "clip-l": clip,
    "sd15-unet": lambda: unet(SD15),
    "vae-decode": decode,
    "sdxl-unet": lambda: unet(SDXL),
    # In `wind_peer.py` and `lora_rar_peer.py`, which stand before this.
    "wind-exhaustive": lambda: retrieval(),
    "lora-rar-dense": lambda: merging("dense"),
    "lora-rar-factors": lambda: merging("factors"),
}
