#!/usr/bin/env python3
"""The diffusion transformer of the foundation's table: Orrery's `ops` beside PyTorch, interleaved.

    python3 -m venv /tmp/peers && /tmp/peers/bin/pip install torch numpy
    cargo build --release --workspace --example dit_bench
    /tmp/peers/bin/python benches/dit.py [--pairs 3] [--threads 2] [--bf16]

Each pair runs Orrery's example, then PyTorch in f32, and with --bf16 both with bf16 products (PyTorch: tensors in bf16 forward, autocast in training; minutes on CPUs without
such products), in processes of their own with the same number of threads and the same allocator settings. Prints medians over the pairs and the ratios ours / PyTorch (below 1 is faster).
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WIDTH, HEADS, BLOCKS, TOKENS, BATCH = 384, 6, 6, 256, 8


def torch_worker(dtype_name, rounds, threads):
    import time

    import torch
    import torch.nn.functional as F
    from torch import nn

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    dtype = {"f32": torch.float32, "bf16": torch.bfloat16}[dtype_name]

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.q, self.k, self.v, self.o = (nn.Linear(WIDTH, WIDTH) for _ in range(4))
            self.fc1, self.fc2 = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)
            self.modulation = nn.Linear(WIDTH, 6 * WIDTH)
            nn.init.zeros_(self.modulation.weight)

        def forward(self, x, c):
            s1, b1, g1, s2, b2, g2 = self.modulation(F.silu(c))[:, None].chunk(6, -1)
            norm = lambda x: F.layer_norm(x, (WIDTH,), eps=1e-6)
            heads = lambda x: x.view(BATCH, TOKENS, HEADS, -1).transpose(1, 2)
            y = norm(x) * (1 + s1) + b1
            y = F.scaled_dot_product_attention(heads(self.q(y)), heads(self.k(y)), heads(self.v(y)))
            x = x + g1 * self.o(y.transpose(1, 2).reshape(BATCH, TOKENS, WIDTH))
            y = norm(x) * (1 + s2) + b2
            return x + g2 * self.fc2(F.gelu(self.fc1(y), approximate="tanh"))

    class Dit(nn.Module):
        def __init__(self):
            super().__init__()
            self.blocks = nn.ModuleList(Block() for _ in range(BLOCKS))
            self.head = nn.Linear(WIDTH, 48)

        def forward(self, x, c):
            for block in self.blocks:
                x = block(x, c)
            return self.head(F.layer_norm(x, (WIDTH,), eps=1e-6))

    x, c = torch.randn(BATCH, TOKENS, WIDTH), torch.randn(BATCH, WIDTH)

    def timed(run):
        times = []
        for i in range(rounds + 2):
            start = time.perf_counter()
            run()
            if i >= 2:
                times.append((time.perf_counter() - start) * 1e3)
        return statistics.median(times)

    plain = Dit().to(dtype).eval()
    with torch.no_grad():
        forward = timed(lambda: plain(x.to(dtype), c.to(dtype)))
    model = Dit()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)

    def step():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype_name == "bf16"):
            loss = model(x, c).float().square().mean()
        loss.backward()
        optimizer.step()

    print(json.dumps({"forward_ms": forward, "training_ms": timed(step)}))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--bf16", action="store_true", help="also PyTorch in bf16")
    parser.add_argument("--worker", choices=["f32", "bf16"], help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        return torch_worker(args.worker, args.rounds, args.threads)

    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    ours = [str(target / "release/examples/dit_bench"), str(args.rounds)]
    theirs = [sys.executable, __file__, "--rounds", str(args.rounds), "--threads", str(args.threads), "--worker"]
    env = os.environ | {
        "RAYON_NUM_THREADS": str(args.threads),
        "OMP_NUM_THREADS": str(args.threads),
        # As `engine::memory` sets them: large buffers stay with the allocator, for both sides.
        "MALLOC_MMAP_THRESHOLD_": "33554432",
        "MALLOC_TRIM_THRESHOLD_": "2147483647",
        "MALLOC_TOP_PAD_": "67108864",
    }
    peers = ["torch f32"] + (["torch bf16"] if args.bf16 else [])
    arms = {"orrery f32": ours} | {peer: theirs + [peer.split()[1]] for peer in peers}
    if args.bf16:
        arms["orrery bf16"] = ours + ["bf16"]
    seen = {name: [] for name in arms}
    for _ in range(args.pairs):
        for name, command in arms.items():
            out = subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout
            seen[name].append(json.loads(out.splitlines()[-1]))
    middle = {
        name: {key: statistics.median(run[key] for run in runs) for key in ("forward_ms", "training_ms")}
        for name, runs in seen.items()
    }
    print(f"| {args.threads} threads, medians of {args.pairs} | forward (ms) | training step (ms) |")
    print("| --- | --- | --- |")
    for name, figures in middle.items():
        print(f"| {name} | {figures['forward_ms']:.0f} | {figures['training_ms']:.0f} |")
    for name in peers:
        mine = name.replace("torch", "orrery")
        ratio = [middle[mine][key] / middle[name][key] for key in ("forward_ms", "training_ms")]
        print(f"| {mine} ÷ {name} | {ratio[0]:.2f} | {ratio[1]:.2f} |")


if __name__ == "__main__":
    main()
