"""LoRA.rar's hypernetwork in PyTorch, beside `orrery lora-rar merge`, on SDXL's 560 layers at rank 64.

    python benches/lora_rar_peer.py --orrery target/release/orrery [--threads 2] [--rank 64] [--folder /tmp/x]

Makes two random adapters and a random hypernetwork of the published shapes, then in one run:
  orrery        `orrery lora-rar merge`: files in, file out, hashes included
  torch dense   the same work as the official code does it: updates multiplied out, columns through the network,
                dense merged updates kept in memory; nothing is written
  torch factors the network on the factors, merged factors, written as one file
and compares the coefficients' products. Peak memory is that of each process.
"""
import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time

BLOCKS = [(640, f"down_blocks.1.attentions.{a}.transformer_blocks.{b}") for a in range(2) for b in range(2)]
BLOCKS += [(1280, f"down_blocks.2.attentions.{a}.transformer_blocks.{b}") for a in range(2) for b in range(10)]
BLOCKS += [(1280, f"mid_block.attentions.0.transformer_blocks.{b}") for b in range(10)]
BLOCKS += [(1280, f"up_blocks.0.attentions.{a}.transformer_blocks.{b}") for a in range(3) for b in range(10)]
BLOCKS += [(640, f"up_blocks.1.attentions.{a}.transformer_blocks.{b}") for a in range(3) for b in range(2)]
TEXT = 2048


def layers():
    for width, block in BLOCKS:
        for attention in ("attn1", "attn2"):
            for part in ("to_q", "to_k", "to_v", "to_out.0"):
                reads = TEXT if attention == "attn2" and part in ("to_k", "to_v") else width
                yield f"unet.{block}.{attention}.{part}", width, reads, part in ("to_q", "to_out.0")


def random(rank):
    """Two adapters and a hypernetwork of the published shapes."""
    import torch

    torch.manual_seed(0)
    sides = []
    for _ in range(2):
        tensors = {}
        for name, out, reads, _ in layers():
            tensors[f"{name}.lora_A.weight"] = torch.randn(rank, reads) * 0.02
            tensors[f"{name}.lora_B.weight"] = torch.randn(out, rank) * 0.02
        sides.append(tensors)
    shapes = {"input_1": (128, 1280), "input_2": (128, 2560), "output.1": (2, 128)}
    net = {}
    for name, (rows, columns) in shapes.items():
        bound = columns ** -0.5
        net[f"{name}.weight"] = torch.empty(rows, columns).uniform_(-bound, bound)
        net[f"{name}.bias"] = torch.empty(rows).uniform_(-bound, bound)
    return *sides, net


def make(folder, rank):
    import torch
    from safetensors.torch import save_file

    content, style, net = random(rank)
    save_file(content, f"{folder}/content.safetensors")
    save_file(style, f"{folder}/style.safetensors")
    torch.save(net, f"{folder}/hypernet.pth")


def merged(kind, content, style, net):
    """All layers, merged on dense updates or on factors, and the seconds in the network."""
    import torch

    by_width = {net[f"input_{k}.weight"].shape[1] // 2: (net[f"input_{k}.weight"], net[f"input_{k}.bias"]) for k in (1, 2)}
    v, c = net["output.1.weight"], net["output.1.bias"]
    merged, network = {}, 0.0
    with torch.inference_mode():
        for name, width, _, asked in layers():
            (ac, bc), (as_, bs) = (
                (side[f"{name}.lora_A.weight"], side[f"{name}.lora_B.weight"]) for side in (content, style)
            )
            start = time.perf_counter()
            if kind == "dense":
                dc, ds = bc @ ac, bs @ as_
                if asked:
                    w, b = by_width[width]
                    m = torch.relu(torch.cat([dc.T, ds.T], 1) @ w.T + b) @ v.T + c
                    network += time.perf_counter() - start
                    merged[name] = dc * m[:, 0] + ds * m[:, 1]
                else:
                    merged[name] = dc + ds
            else:
                mc = ms = 1.0
                if asked:
                    w, b = by_width[width]
                    pre = ac.T @ (bc.T @ w[:, :width].T) + as_.T @ (bs.T @ w[:, width:].T) + b
                    m = torch.relu(pre) @ v.T + c
                    mc, ms = m[:, 0], m[:, 1]
                    network += time.perf_counter() - start
                merged[f"{name}.lora_A.weight"] = torch.cat([ac * mc, as_ * ms])
                merged[f"{name}.lora_B.weight"] = torch.cat([bc, bs], 1)
    return merged, network


def peer(folder, kind, threads):
    import torch
    from safetensors.torch import load_file, save_file

    torch.set_num_threads(threads)
    begun = time.perf_counter()
    content, style = (load_file(f"{folder}/{side}.safetensors") for side in ("content", "style"))
    net = torch.load(f"{folder}/hypernet.pth", weights_only=True)
    found, network = merged(kind, content, style, net)
    if kind == "factors":
        save_file(found, f"{folder}/torch.safetensors")
    seconds = time.perf_counter() - begun
    some = {}
    for name in [name for name, *_ in layers()][:: 70]:
        dense = found[name] if kind == "dense" else found[f"{name}.lora_B.weight"] @ found[f"{name}.lora_A.weight"]
        some[name] = float(dense.double().pow(2).sum())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(json.dumps({"seconds": seconds, "network": network, "GB": peak, "some": some}))


def merging(kind, rank=64):
    """A benchmark of `orrery bench --suite diffusion`: tensors in memory, nothing is written."""
    content, style, net = random(rank)
    return lambda: merged(kind, content, style, net)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orrery", default="target/release/orrery")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rank", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder")
    parser.add_argument("--peer", choices=["dense", "factors"], help=argparse.SUPPRESS)
    parser.add_argument("--make", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.make:
        return make(args.folder, args.rank)
    if args.peer:
        return peer(args.folder, args.peer, args.threads)
    with tempfile.TemporaryDirectory() as made:
        folder = args.folder or made
        again = [sys.executable, __file__, "--folder", folder, "--threads", str(args.threads), "--rank", str(args.rank)]
        subprocess.run([*again, "--make"], check=True)
        out = f"{folder}/merged.safetensors"
        command = [args.orrery, "lora-rar", "merge", "--content", f"{folder}/content.safetensors", "--style",
                   f"{folder}/style.safetensors", "--hypernet", f"{folder}/hypernet.pth", "--out", out, "--json"]
        best = {}
        for _ in range(args.rounds):
            begun = time.perf_counter()
            child = subprocess.Popen(command, stdout=subprocess.DEVNULL,
                                     env={**os.environ, "RAYON_NUM_THREADS": str(args.threads)})
            _, status, usage = os.wait4(child.pid, 0)
            assert status == 0, status
            rows = {"orrery": {"seconds": time.perf_counter() - begun, "GB": usage.ru_maxrss / 2**20}}
            for kind in ("dense", "factors"):
                rows[f"torch {kind}"] = json.loads(subprocess.run([*again, "--peer", kind], check=True, capture_output=True).stdout)
            for name, row in rows.items():
                if name not in best or row["seconds"] < best[name]["seconds"]:
                    best[name] = row
        from safetensors import safe_open

        furthest = 0.0
        with safe_open(out, "pt") as file:
            for name, square in best["torch dense"]["some"].items():
                found = file.get_tensor(f"{name}.lora_B.weight") @ file.get_tensor(f"{name}.lora_A.weight")
                furthest = max(furthest, abs(float(found.double().pow(2).sum()) / square - 1.0))
        for name, row in best.items():
            network = f", of which the network {row['network']:.2f} s" if "network" in row else ""
            print(f"{name:14} {row['seconds']:6.2f} s{network}, {row['GB']:.2f} GB")
        ratio = best["orrery"]["seconds"] / best["torch dense"]["seconds"]
        print(f"orrery / torch dense: {ratio:.2f}; squared norms of merged updates agree within {furthest:.1e}")


# `orrery bench` gives this text to Python with others.
if sys.argv[0] != "-c":
    main()
