"""PyTorch's side of `orrery bench --suite training`: a Llama of 30 million parameters written plainly; `peer_loop.py`, which is
put behind it, times the benchmarks.

    peers/bin/pip install torch
    orrery bench --suite training --peer peers/bin/python
"""

import sys

import torch
import torch.nn.functional as F
from torch import nn

BF16 = torch.bfloat16
torch.set_num_threads(int(sys.argv[1]))
torch.manual_seed(0)

VOCABULARY, WIDTH, WIDE, BLOCKS, HEADS, KEY_HEADS, HEAD = 8192, 512, 1280, 8, 8, 4, 64
CONTEXT, BATCH = 512, 4


def linear(before, after):
    return nn.Linear(before, after, bias=False)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.before_attention, self.before_mlp = nn.RMSNorm(WIDTH, eps=1e-5), nn.RMSNorm(WIDTH, eps=1e-5)
        self.q, self.o = linear(WIDTH, HEADS * HEAD), linear(HEADS * HEAD, WIDTH)
        self.k, self.v = linear(WIDTH, KEY_HEADS * HEAD), linear(WIDTH, KEY_HEADS * HEAD)
        self.gate, self.up, self.down = linear(WIDTH, WIDE), linear(WIDTH, WIDE), linear(WIDE, WIDTH)

    def forward(self, x, rope):
        y = self.before_attention(x)
        q, k, v = (part(y).unflatten(-1, (-1, HEAD)).transpose(1, 2) for part in (self.q, self.k, self.v))
        turn = lambda t: t * rope[0] + torch.cat((-t[..., HEAD // 2 :], t[..., : HEAD // 2]), -1) * rope[1]
        q, k = turn(q).to(v.dtype), turn(k).to(v.dtype)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        x = x + self.o(y.transpose(1, 2).flatten(2))
        y = self.before_mlp(x)
        return x + self.down(F.silu(self.gate(y)) * self.up(y))


class Llama(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.head = nn.Embedding(VOCABULARY, WIDTH), linear(WIDTH, VOCABULARY)
        self.blocks, self.norm = nn.ModuleList(Block() for _ in range(BLOCKS)), nn.RMSNorm(WIDTH, eps=1e-5)
        angles = torch.arange(CONTEXT)[:, None] * 10000.0 ** (-torch.arange(0, HEAD, 2) / HEAD)
        angles = torch.cat((angles, angles), -1)
        self.register_buffer("rope", torch.stack((angles.cos(), angles.sin())))

    def forward(self, ids):
        x = self.embed(ids)
        for block in self.blocks:
            x = block(x, self.rope)
        return self.head(self.norm(x))


def training(dtype):
    model = Llama().train()
    assert sum(p.numel() for p in model.parameters()) == 30_417_408
    ids = torch.randint(VOCABULARY, (BATCH, CONTEXT))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)

    def step():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=BF16, enabled=dtype == BF16):
            logits = model(ids)
        F.cross_entropy(logits[:, :-1].flatten(0, 1).float(), ids[:, 1:].flatten()).backward()
        optimizer.step()

    return step


BENCHMARKS = {
    "llama-30m-step-f32": lambda: training(torch.float32),
    "llama-30m-step-bf16": lambda: training(BF16),
}
