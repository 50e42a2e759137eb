#!/usr/bin/env python3
"""The pack `emoji-styles-64`: the subjects of `emoji-styles-32` at 64x64 with their transparency.

usage: make.py GOOGLE TWITTER FLUENT INDEX OUT
       GOOGLE, TWITTER, FLUENT: the .tgz files of npm emoji-datasource-google 16.0.0, emoji-datasource-twitter 16.0.0 and
       @lobehub/fluent-emoji-3d 1.1.0; INDEX: ../emoji-styles-32/index.tsv; OUT: a folder

Needs Pillow and numpy. Writes noto.png, twemoji.png and fluent3d.png: RGBA, 40 cells of 64x64 a row, in the order of INDEX.
"""
import io
import sys
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

SIDE, COLUMNS = 64, 40
GOOGLE, TWITTER, FLUENT, INDEX, OUT = sys.argv[1:]


def files(package, folder, ending):
    """Name without variation selectors and leading zeros -> bytes."""
    found = {}
    with tarfile.open(package) as tar:
        for member in tar:
            name = member.name.removeprefix("package/")
            if name.startswith(folder) and name.endswith(ending):
                stem = name[len(folder):-len(ending)]
                code = "-".join(part.lstrip("0") for part in stem.split("-") if part != "fe0f")
                found.setdefault(code, tar.extractfile(member).read())
    return found


def cell(data):
    """At 64x64. Colours count as much as they cover while they are scaled; what is clear has none."""
    picture = Image.open(io.BytesIO(data)).convert("RGBA")
    if picture.size != (SIDE, SIDE):
        values = np.asarray(picture, dtype=np.float32)
        alpha = values[..., 3:]
        planes = np.concatenate([values[..., :3] * alpha / 255, alpha], axis=2)
        scaled = [Image.fromarray(planes[..., at]).resize((SIDE, SIDE), Image.LANCZOS) for at in range(4)]
        planes = np.stack([np.asarray(plane) for plane in scaled], axis=2).clip(0, 255)
        colours = planes[..., :3] * 255 / planes[..., 3:].clip(1, 255)
        values = np.concatenate([colours, planes[..., 3:]], axis=2).clip(0, 255).round().astype(np.uint8)
    else:
        values = np.array(picture)
    values[values[..., 3] == 0] = 0
    return Image.fromarray(values)


codes = [line.split("\t")[1] for line in Path(INDEX).read_text().splitlines()[1:]]
sources = {
    "noto": files(GOOGLE, "img/google/64/", ".png"),
    "twemoji": files(TWITTER, "img/twitter/64/", ".png"),
    "fluent3d": files(FLUENT, "assets/", ".webp"),
}
Path(OUT).mkdir(parents=True, exist_ok=True)
for style, found in sources.items():
    sheet = Image.new("RGBA", (COLUMNS * SIDE, -(-len(codes) // COLUMNS) * SIDE))
    for at, code in enumerate(codes):
        place = (at % COLUMNS * SIDE, at // COLUMNS * SIDE)
        sheet.paste(cell(found["-".join(part.lstrip("0") for part in code.split("-"))]), place)
    path = Path(OUT) / f"{style}.png"
    sheet.save(path, optimize=True)
    print(path, sheet.size, path.stat().st_size)
