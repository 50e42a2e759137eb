"""PyTorch's side of `orrery bench --suite vision`: EMOv2-5M and ACDiT-B written plainly; `peer_loop.py`, which is put behind it,
times the benchmarks.

    peers/bin/pip install torch torchvision onnx onnxscript onnxruntime
    orrery bench --suite vision --peer peers/bin/python
"""

import io
import sys

import torch
import torch.nn.functional as F
from torch import nn

BF16 = torch.bfloat16
THREADS = int(sys.argv[1])
torch.set_num_threads(THREADS)
torch.manual_seed(0)


class ChannelNorm(nn.LayerNorm):
    def forward(self, x):
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Spanning(nn.Module):
    """Window attention among neighbours and among distant places, with the same projections."""

    def __init__(self, width, mid, heads, window):
        super().__init__()
        self.qk, self.v = nn.Conv2d(width, 2 * width, 1), nn.Conv2d(width, mid, 1)
        self.heads, self.window = heads, window

    def split(self, x, distant):
        (b, c, h, w), s = x.shape, self.window
        if distant:
            x = x.view(b, c, s, h // s, s, w // s).permute(0, 3, 5, 2, 4, 1)
        else:
            x = x.view(b, c, h // s, s, w // s, s).permute(0, 2, 4, 3, 5, 1)
        return x.reshape(-1, s * s, self.heads, c // self.heads).transpose(1, 2)

    def join(self, x, shape, distant):
        (b, c, h, w), s = shape, self.window
        x = x.transpose(1, 2).reshape(b, h // s, w // s, s, s, c)
        order = (0, 5, 3, 1, 4, 2) if distant else (0, 5, 1, 3, 2, 4)
        return x.permute(order).reshape(shape)

    def forward(self, x):
        (b, c, h, w), s = x.shape, self.window
        x = F.pad(x, (0, -w % s, 0, -h % s))
        (q, k), v = self.qk(x).chunk(2, 1), F.gelu(self.v(x))
        out = 0
        for distant in (False, True):
            heads = F.scaled_dot_product_attention(*(self.split(y, distant) for y in (q, k, v)))
            out = out + self.join(heads, v.shape, distant)
        return out[:, :, :h, :w]


class Block(nn.Module):
    def __init__(self, dim_in, dim_out, ratio, head, stride, early, attends):
        super().__init__()
        mid = int(dim_in * ratio)
        self.norm = nn.BatchNorm2d(dim_in, eps=1e-6) if early else ChannelNorm(dim_in, eps=1e-6)
        act = nn.SiLU() if early else nn.GELU()
        self.expand = (
            Spanning(dim_in, mid, dim_in // head, 7) if attends else nn.Sequential(nn.Conv2d(dim_in, mid, 1), act)
        )
        self.local = nn.Conv2d(mid, mid, 5, stride, 2, groups=mid, bias=False)
        self.local_norm = nn.BatchNorm2d(mid, eps=1e-6)
        self.proj = nn.Conv2d(mid, dim_out, 1, bias=False)
        self.gamma = nn.Parameter(torch.ones(1, dim_out, 1, 1))
        self.residual = stride == 1

    def forward(self, x):
        h = self.expand(self.norm(x))
        local = F.silu(self.local_norm(self.local(h)))
        h = self.proj(h + local if self.residual else local) * self.gamma
        return x + h if self.residual else h


class Emo(nn.Module):
    """EMOv2-5M."""

    def __init__(self):
        super().__init__()
        depths, widths, ratios, heads = (3, 3, 9, 3), (48, 72, 160, 288), (2, 3, 4, 4), (16, 24, 32, 32)
        stem = widths[0] // 2
        layers = [
            nn.Conv2d(3, stem, 3, 2, 1), nn.BatchNorm2d(stem, eps=1e-6), nn.SiLU(),
            nn.Conv2d(stem, stem, 3, 1, 1, groups=stem, bias=False), nn.BatchNorm2d(stem, eps=1e-6), nn.SiLU(),
            nn.Conv2d(stem, stem, 1, bias=False),
        ]
        before = stem
        for stage, (depth, width, ratio, head) in enumerate(zip(depths, widths, ratios, heads)):
            early = stage < 2
            for at in range(depth):
                first = at == 0
                layers.append(
                    Block(
                        before if first else width, width, ratio * (2 if first else 1), head, 2 if first else 1, early,
                        not early and not first,
                    )
                )
            before = width
        self.layers = nn.Sequential(*layers)
        self.norm, self.head = ChannelNorm(before, eps=1e-6), nn.Linear(before, 1000)

    def forward(self, x):
        return self.head(self.norm(self.layers(x)).mean((2, 3)))


def rms(x, weight):
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6) * weight


class AcditBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.modulation = nn.Linear(width, 6 * width)
        self.norm1, self.norm2 = (nn.Parameter(torch.ones(width)) for _ in range(2))
        self.q_norm, self.k_norm = (nn.Parameter(torch.ones(width // heads)) for _ in range(2))

    def forward(self, x, c, rope, mask):
        batch, both, width = x.shape
        tokens = both // 2
        parts = self.modulation(F.silu(c)).repeat_interleave(tokens // c.shape[1], 1).chunk(6, -1)
        on = lambda y, change: torch.cat((y[:, :tokens], change(y[:, tokens:])), 1)
        y = on(rms(x, self.norm1), lambda n: n * (1 + parts[1]) + parts[0])
        q, k, v = (t.view(batch, both, self.heads, -1).transpose(1, 2) for t in self.qkv(y).chunk(3, -1))
        turn = lambda t: t * rope[0] + torch.cat((-t[..., t.shape[-1] // 2 :], t[..., : t.shape[-1] // 2]), -1) * rope[1]
        q, k = turn(rms(q, self.q_norm)), turn(rms(k, self.k_norm))
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).reshape(batch, both, width)
        x = x + on(self.proj(y), lambda n: n * parts[2])
        y = on(rms(x, self.norm2), lambda n: n * (1 + parts[4]) + parts[3])
        return x + on(self.fc2(F.gelu(self.fc1(y), approximate="tanh")), lambda n: n * parts[5])


class Acdit(nn.Module):
    """ACDiT-B: clean and noisy blocks in one pass under the skip-causal mask."""

    def __init__(self, blocks=4, block=64, width=768, depth=12, heads=12):
        super().__init__()
        self.embed = nn.Linear(4, width, bias=False)
        self.time = nn.Sequential(nn.Linear(256, width), nn.SiLU(), nn.Linear(width, width))
        self.label = nn.Embedding(1001, width)
        self.blocks = nn.ModuleList(AcditBlock(width, heads) for _ in range(depth))
        self.final, self.modulation = nn.Linear(width, 4), nn.Linear(width, 2 * width)
        self.final_norm = nn.Parameter(torch.ones(width))
        at = torch.arange(2 * blocks).repeat_interleave(block)
        q, k = at[:, None], at[None]
        clean = (k < blocks) & torch.where(q < blocks, k <= q, k < q - blocks)
        self.register_buffer("mask", clean | ((q == k) & (q >= blocks)))
        angles = torch.randn(2 * blocks * block, width // heads)
        self.register_buffer("rope", torch.stack((angles.cos(), angles.sin())))

    def forward(self, clean, noisy):
        x = self.embed(torch.cat((clean, noisy), 1))
        time = torch.randn(1, 4, 256, dtype=x.dtype)
        c = self.time(time) + self.label(torch.tensor([[7]]))
        for block in self.blocks:
            x = block(x, c, self.rope, self.mask)
        x = rms(x[:, x.shape[1] // 2 :], self.final_norm)
        shift, scale = self.modulation(F.silu(c)).repeat_interleave(x.shape[1] // 4, 1).chunk(2, -1)
        return self.final(x * (1 + scale) + shift)


def forward(model, dtype, *inputs):
    model, inputs = model.to(dtype).eval(), [x.to(dtype) for x in inputs]
    return lambda: model(*inputs)


def training(model, dtype, loss_of, *inputs):
    model = model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)

    def step():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=BF16, enabled=dtype == BF16):
            out = model(*inputs)
        loss_of(out.float()).backward()
        optimizer.step()

    return step


def emo(dtype, count):
    return forward(Emo(), dtype, torch.randn(count, 3, 224, 224))


def emo_step(dtype):
    labels = torch.arange(32) * 31
    return training(Emo(), dtype, lambda out: F.cross_entropy(out, labels), torch.randn(32, 3, 224, 224))


def acdit(dtype, training_step=False):
    clean, noisy = torch.randn(1, 256, 4), torch.randn(1, 256, 4)
    if training_step:
        return training(Acdit(), dtype, lambda out: (out - noisy).square().mean(), clean, noisy)
    return forward(Acdit(), dtype, clean, noisy)


def onnx():
    import onnxruntime
    import torchvision

    file = io.BytesIO()
    x = torch.randn(1, 3, 224, 224)
    torch.onnx.export(torchvision.models.mobilenet_v2().eval(), (x,), file, dynamo=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    session = onnxruntime.InferenceSession(file.getvalue(), options, providers=["CPUExecutionProvider"])
    name, x = session.get_inputs()[0].name, x.numpy()
    return lambda: session.run(None, {name: x})


BENCHMARKS = {
    "emov2-5m-f32-1": lambda: emo(torch.float32, 1),
    "emov2-5m-bf16-1": lambda: emo(BF16, 1),
    "emov2-5m-f32-32": lambda: emo(torch.float32, 32),
    "emov2-5m-bf16-32": lambda: emo(BF16, 32),
    "emov2-5m-step-f32": lambda: emo_step(torch.float32),
    "emov2-5m-step-bf16": lambda: emo_step(BF16),
    "emov2-5m-and-onnx": onnx,
    "acdit-130m-f32": lambda: acdit(torch.float32),
    "acdit-130m-bf16": lambda: acdit(BF16),
    "acdit-130m-step-f32": lambda: acdit(torch.float32, True),
    "acdit-130m-step-bf16": lambda: acdit(BF16, True),
}
