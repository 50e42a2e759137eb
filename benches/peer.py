"""PyTorch's side of `orrery bench`; `peer_loop.py`, which is put behind it, times the benchmarks.

    python3 -m venv peers && peers/bin/pip install torch numpy
    orrery bench --peer peers/bin/python
"""

import sys

import torch
import torch.nn.functional as F
from torch import nn

BF16 = torch.bfloat16
torch.set_num_threads(int(sys.argv[1]))
torch.manual_seed(0)


def product(rows, inner, columns, dtype):
    x, w = torch.randn(rows, inner, dtype=dtype), torch.randn(columns, inner, dtype=dtype)
    return lambda: F.linear(x, w)


def attention(dtype, backward=False):
    q, k, v = (torch.randn(1, 8, 1024, 64, dtype=dtype, requires_grad=backward) for _ in range(3))
    if not backward:
        return lambda: F.scaled_dot_product_attention(q, k, v)
    out = F.scaled_dot_product_attention(q, k, v)
    grad = torch.randn_like(out)
    return lambda: torch.autograd.grad(out, (q, k, v), grad, retain_graph=True)


def pointwise(function, *shape, dtype=torch.float32):
    x = torch.randn(*shape, dtype=dtype)
    return lambda: function(x)


def conv(dtype, channels, groups, size, kernel):
    function = {2: F.conv2d, 3: F.conv3d}[len(size)]
    x = torch.randn(1, channels, *size, dtype=dtype)
    weight = torch.randn(channels, channels // groups, *[kernel] * len(size), dtype=dtype)
    return lambda: function(x, weight, padding=kernel // 2, groups=groups)


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v, self.o = (nn.Linear(width, width) for _ in range(4))
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.modulation = nn.Linear(width, 6 * width)

    def forward(self, x, c):
        batch, tokens, width = x.shape
        shift1, scale1, gate1, shift2, scale2, gate2 = self.modulation(F.silu(c))[:, None].chunk(6, -1)
        y = F.layer_norm(x, (width,), eps=1e-6) * (1 + scale1) + shift1
        q, k, v = (w(y).view(batch, tokens, self.heads, -1).transpose(1, 2) for w in (self.q, self.k, self.v))
        y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, tokens, width)
        x = x + gate1 * self.o(y)
        y = F.layer_norm(x, (width,), eps=1e-6) * (1 + scale2) + shift2
        return x + gate2 * self.fc2(F.gelu(self.fc1(y), approximate="tanh"))


class Dit(nn.Module):
    def __init__(self, width=384, heads=6, blocks=6):
        super().__init__()
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(blocks))
        self.head = nn.Linear(width, 48)

    def forward(self, x, c):
        for block in self.blocks:
            x = block(x, c)
        return self.head(F.layer_norm(x, x.shape[-1:], eps=1e-6))


def dit(dtype, training):
    x, c = torch.randn(8, 256, 384), torch.randn(8, 384)
    if not training:
        model, x, c = Dit().to(dtype).eval(), x.to(dtype), c.to(dtype)
        return lambda: model(x, c)
    model = Dit()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)

    def step():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=BF16, enabled=dtype == BF16):
            loss = model(x, c).float().square().mean()
        loss.backward()
        optimizer.step()

    return step


BENCHMARKS = {
    "gemm-f32": lambda: product(1024, 1024, 1024, torch.float32),
    "gemm-bf16": lambda: product(1024, 1024, 1024, BF16),
    "packed-bf16": lambda: product(64, 768, 3072, BF16),
    "matvec-bf16": lambda: product(1, 2048, 2048, BF16),
    "attention-f32": lambda: attention(torch.float32),
    "attention-backward-f32": lambda: attention(torch.float32, backward=True),
    "attention-bf16": lambda: attention(BF16),
    "attention-backward-bf16": lambda: attention(BF16, backward=True),
    "gelu": lambda: pointwise(lambda x: F.gelu(x, approximate="tanh"), 4096, 768),
    "silu": lambda: pointwise(F.silu, 4096, 768),
    "softmax": lambda: pointwise(lambda x: F.softmax(x, -1), 8, 1024, 1024),
    "layer-norm": lambda: pointwise(lambda x: F.layer_norm(x, (768,), eps=1e-6), 4096, 768),
    "conv2d-64-bf16": lambda: conv(BF16, 64, 1, (64, 64), 3),
    "conv2d-320-bf16": lambda: conv(BF16, 320, 1, (32, 32), 3),
    "conv3d-bf16": lambda: conv(BF16, 32, 1, (16, 32, 32), 3),
    "depthwise-f32": lambda: conv(torch.float32, 256, 256, (64, 64), 5),
    "dit-forward-f32": lambda: dit(torch.float32, False),
    "dit-forward-bf16": lambda: dit(BF16, False),
    "dit-step-f32": lambda: dit(torch.float32, True),
    "dit-step-bf16": lambda: dit(BF16, True),
}
