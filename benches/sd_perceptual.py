"""Perceptual distances (shift-tolerant LPIPS, AlexNet) of what `orrery sd eval` drew.

    python -m venv peers && peers/bin/pip install torch torchvision pillow stlpips-pytorch
    peers/bin/python benches/sd_perceptual.py DIR [--json]

DIR is the folder of `orrery sd eval`. Of trained and of held-out pairs each: the mean distance of the drawn pictures to the real
picture of their pair, the mean of the nearest of each pair's pictures, and, to read these by, the mean distance to the real picture
of another subject in the same style. Needs no network: the weights are in the package.
"""

import argparse
import json
import pathlib
import random
import statistics
import sys
import types

import numpy
import torch
from PIL import Image

# The package imports these and uses neither to measure.
for name, has in (("IPython", "embed"), ("torchsummary", "summary")):
    sys.modules.setdefault(name, types.SimpleNamespace(**{has: None}))
from stlpips_pytorch import stlpips

SIDE = 64
AT_ONCE = 64


def picture(path):
    image = Image.open(path).convert("RGB")
    if image.size != (SIDE, SIDE):
        image = image.resize((SIDE, SIDE), Image.LANCZOS)
    return torch.from_numpy(numpy.asarray(image, dtype="f4").transpose(2, 0, 1) / 127.5 - 1.0)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    measure = stlpips.LPIPS(net="alex", variant="shift_tolerant", verbose=False)
    # The last line of a run that was cut off may not be whole.
    lines = [json.loads(line) for line in (args.folder / "pictures.jsonl").open() if line.endswith("\n")]
    known = {name: picture(args.folder / name) for line in lines for name in (line["file"], line["real"])}

    def distances(pairs):
        found = []
        with torch.inference_mode():
            for at in range(0, len(pairs), AT_ONCE):
                some = [torch.stack([known[name] for name in side]) for side in zip(*pairs[at : at + AT_ONCE])]
                found += measure(*some).flatten().tolist()
        return found

    lots, rows = random.Random(0), {}
    for group in ("trained", "held-out"):
        drawn = list({line["file"]: line for line in lines if line["group"] == group}.values())
        if not drawn:
            continue
        others = []
        for line in drawn:
            same = [it["real"] for it in drawn if it["style"] == line["style"] and it["code"] != line["code"]]
            if same:
                others.append((line["file"], lots.choice(same)))
        own = distances([(line["file"], line["real"]) for line in drawn])
        nearest = {}
        for line, distance in zip(drawn, own):
            nearest[line["real"]] = min(distance, nearest.get(line["real"], distance))
        rows[group] = {
            "pictures": len(drawn),
            "mean": statistics.mean(own),
            "deviation": statistics.pstdev(own),
            "nearest": statistics.mean(nearest.values()),
            "to_others": statistics.mean(distances(others)) if others else None,
        }
    if args.json:
        return print(json.dumps(rows))
    print("            pictures     mean (deviation)  nearest of a pair  to other subjects")
    for group, row in rows.items():
        others = "-" if row["to_others"] is None else f"{row['to_others']:.4f}"
        print(f"{group:<10}{row['pictures']:>10}{row['mean']:>9.4f} ({row['deviation']:.4f}){row['nearest']:>19.4f}{others:>19}")


main()
