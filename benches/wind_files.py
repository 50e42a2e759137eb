"""Changes pictures with other programs, for `orrery prove wind`: Pillow and ImageMagick.

    pip install pillow
    ORRERY_PEER_PYTHON=.venv/bin/python orrery prove wind

Arguments: what is done, a seed, a folder. `N.png` becomes `N-changed.jpg`, `.webp` or `.png`.
"""

import pathlib
import random
import shutil
import subprocess
import sys

from PIL import Image

what, seed, folder = sys.argv[1], int(sys.argv[2]), pathlib.Path(sys.argv[3])
draw = random.Random(seed)
magick = shutil.which("magick") or shutil.which("convert")


def imagemagick(source, quality, target):
    if magick is None:
        sys.exit("ImageMagick is not installed")
    subprocess.run([magick, source, "-quality", str(quality), target], check=True)


for source in sorted(folder.glob("*.png"), key=lambda path: int(path.stem)):
    base = folder / f"{source.stem}-changed"
    picture = Image.open(source).convert("RGB")
    if what.startswith("pillow-jpeg"):
        picture.save(f"{base}.jpg", quality=int(what[11:]))
    elif what.startswith("pillow-webp"):
        picture.save(f"{base}.webp", quality=int(what[11:]))
    elif what.startswith("magick-jpeg"):
        imagemagick(source, what[11:], f"{base}.jpg")
    elif what.startswith("magick-webp"):
        imagemagick(source, what[11:], f"{base}.webp")
    elif what == "scaled":
        size = [round(1.5 * side) for side in picture.size]
        picture.resize(size, Image.Resampling.BICUBIC).save(f"{base}.png")
    elif what == "turned":
        picture.rotate(draw.randint(1, 359)).save(f"{base}.png")
    else:
        sys.exit(f"unknown change: {what}")
