#!/usr/bin/env python3
"""Makes fonts.bin: metrics and ink of the fonts that a 12 pt LaTeX document sets maths in, at 200 dpi.

usage: make_fonts.py TEXMF_DIST LM_OTF_FOLDER fonts.bin      (needs fonttools and numpy)

TEXMF_DIST is TeX Live's texmf-dist (Debian: texlive-base), LM_OTF_FOLDER the OpenType files of Latin Modern
(Debian: fonts-lmodern). Written, little-endian: a count of fonts; for each a name (length byte, text), its parameters
(count byte, i16 in 1/512 pt; the slant is left out), a count (u16) of glyphs; for each glyph its code (u16), width, height,
depth, italic correction, skew (i16 in 1/512 pt), the next larger one (u8, 0 for none), four pieces of an extensible one
(u8, 0 for none: top, middle, bottom, repeated), and for 4 x 4 quarter-pixel positions of the origin, x within y, the left,
top, right and bottom pixel (i8) among those wholly inked, relative to the origin's pixel; 127, 127, -127, -127 for none.
"""
import os, struct, sys
import numpy as np
from fontTools.ttLib import TTFont
from fontTools.t1Lib import T1Font
from fontTools.pens.recordingPen import DecomposingRecordingPen

DIST, LM, OUT = sys.argv[1:4]
PX = 200 / 72.27
ASCII = [c for c in range(33, 127)]
SIZES = {12: "", 8: "s", 6: "t"}
FONTS = [("cmr", {12: "cmr12", 8: "cmr8", 6: "cmr6"}), ("cmmi", {12: "cmmi12", 8: "cmmi8", 6: "cmmi6"}),
         ("cmsy", {12: "cmsy10", 8: "cmsy8", 6: "cmsy6"}), ("cmex", {12: "cmex10", 8: "cmex8", 6: "cmex7"}),
         ("msam", {12: "msam10", 8: "msam10", 6: "msam7"}), ("msbm", {12: "msbm10", 8: "msbm10", 6: "msbm7"}),
         ("eufm", {12: "eufm10", 8: "eufm10", 6: "eufm7"}), ("cmmib", {12: "cmmib10", 8: "cmmib10", 6: "cmmib10"}),
         ("lmr", {12: "lmroman12-regular", 8: "lmroman8-regular", 6: "lmroman6-regular"}),
         ("lmb", {12: "lmromandemi10-regular", 8: "lmromandemi10-regular", 6: "lmromandemi10-regular"}),
         ("lmi", {12: "lmroman12-italic", 8: "lmroman8-italic", 6: "lmroman7-italic"}),
         ("lms", {12: "lmsans12-regular", 8: "lmsans8-regular", 6: "lmsans8-regular"}),
         ("lmt", {12: "lmmono12-regular", 8: "lmmono8-regular", 6: "lmmono8-regular"})]


def find(name):
    for folder, _, files in os.walk(DIST + "/fonts"):
        if name in files:
            return os.path.join(folder, name)
    raise SystemExit(f"{name} is not under {DIST}")


def polygons(commands):
    """Closed polygons with curves cut into 8 pieces."""
    out, here = [], []
    for name, points in commands:
        if name == "moveTo":
            here = [points[0]]
        elif name == "lineTo":
            here.append(points[0])
        elif name == "curveTo":
            a = np.array(here[-1], float)
            b, c, d = (np.array(p, float) for p in points)
            for t in np.arange(1, 9) / 8:
                here.append(tuple((1 - t) ** 3 * a + 3 * t * (1 - t) ** 2 * b + 3 * t * t * (1 - t) * c + t ** 3 * d))
        elif name in ("closePath", "endPath") and len(here) > 2:
            out.append(np.array(here, float))
            here = []
    return out


def ink(polys, scale):
    """The 16 boxes of wholly inked pixels, for a glyph in font units and a scale to pixels."""
    none = [127, 127, -127, -127] * 16
    if not polys:
        return none
    edges = np.concatenate([np.stack([p, np.roll(p, -1, 0)], 1) for p in polys]) * (scale * 4)
    edges[..., 1] *= -1
    x0, y0 = np.floor(edges.min((0, 1))).astype(int) - 8
    x1, y1 = np.ceil(edges.max((0, 1))).astype(int) + 8
    x0, y0 = x0 - x0 % 4, y0 - y0 % 4
    bits = np.zeros((y1 - y0, x1 - x0), bool)
    xs = np.arange(x0, x1) + 0.5
    for row in range(y0, y1):
        y = row + 0.5
        a, b = edges[:, 0], edges[:, 1]
        up, down = (a[:, 1] <= y) & (b[:, 1] > y), (a[:, 1] > y) & (b[:, 1] <= y)
        hit = up | down
        if hit.any():
            cross = a[hit, 0] + (y - a[hit, 1]) / (b[hit, 1] - a[hit, 1]) * (b[hit, 0] - a[hit, 0])
            wind = np.where(up[hit], 1, -1)
            bits[row - y0] = ((xs[:, None] > cross[None]) * wind).sum(1) != 0
    out = []
    for py in range(4):
        for px in range(4):
            grid = np.pad(bits, ((py, 8 - py), (px, 8 - px)))
            grid = grid[: grid.shape[0] // 4 * 4, : grid.shape[1] // 4 * 4]
            full = grid.reshape(grid.shape[0] // 4, 4, -1, 4).all((1, 3))
            ys, xs_ = np.nonzero(full)
            if len(ys):
                out += [int(v) for v in (xs_.min() + x0 // 4, ys.min() + y0 // 4, xs_.max() + x0 // 4, ys.max() + y0 // 4)]
            else:
                out += none[:4]
    return [max(-127, min(127, v)) for v in out]


class Tfm:
    def __init__(self, path):
        b = open(path, "rb").read()
        lf, lh, bc, ec, nw, nh, nd, ni, nl, nk, ne, np_ = struct.unpack(">12H", b[:24])
        at = 24
        fix = lambda n, a: [v / 2 ** 20 for v in struct.unpack(f">{n}i", b[a:a + 4 * n])]
        at += 4 * lh
        info = [b[at + 4 * i: at + 4 * i + 4] for i in range(ec - bc + 1)]
        at += 4 * len(info)
        width, at = fix(nw, at), at + 4 * nw
        height, at = fix(nh, at), at + 4 * nh
        depth, at = fix(nd, at), at + 4 * nd
        italic, at = fix(ni, at), at + 4 * ni
        lig = [b[at + 4 * i: at + 4 * i + 4] for i in range(nl)]
        at += 4 * nl
        kern, at = fix(nk, at), at + 4 * nk
        exten = [b[at + 4 * i: at + 4 * i + 4] for i in range(ne)]
        at += 4 * ne
        self.params = fix(np_, at)[1:]
        self.chars = {}
        for i, (w, hd, it, r) in enumerate(info):
            if not w:
                continue
            kerns, nxt, pieces = {}, 0, (0, 0, 0, 0)
            tag = it & 3
            if tag == 1:
                k = r
                if lig[k][0] > 128:
                    k = lig[k][2] * 256 + lig[k][3]
                while True:
                    s, n, op, rem = lig[k]
                    if op >= 128:
                        kerns.setdefault(n, kern[256 * (op - 128) + rem])
                    if s >= 128:
                        break
                    k += s + 1
            elif tag == 2:
                nxt = r
            elif tag == 3:
                pieces = tuple(exten[r])
            self.chars[bc + i] = (width[w], height[hd >> 4], depth[hd & 15], italic[it >> 2], kerns, nxt, pieces)


def units(value, size):
    return max(-32767, min(32767, round(value * size * 512)))


def main():
    fonts = []
    for family, files in FONTS:
        for size, name in files.items():
            glyphs, params = [], []
            if name.startswith("lm"):
                font = TTFont(f"{LM}/{name}.otf")
                cmap, shapes, em = font.getBestCmap(), font.getGlyphSet(), font["head"].unitsPerEm
                for code in ASCII:
                    pen = DecomposingRecordingPen(shapes)
                    shapes[cmap[code]].draw(pen)
                    polys = polygons(pen.value)
                    ys = np.concatenate(polys)[:, 1] if polys else np.zeros(1)
                    metrics = (shapes[cmap[code]].width / em, max(0, ys.max()) / em, max(0, -ys.min()) / em, 0, 0)
                    glyphs.append((code, metrics, 0, (0, 0, 0, 0), ink(polys, size * PX / em)))
            else:
                tfm, font = Tfm(find(name + ".tfm")), T1Font(find(name + ".pfb"))
                params = tfm.params
                shapes, encoding = font.getGlyphSet(), font["Encoding"]
                skewchar = {"cmmi": 127, "cmmib": 127, "cmsy": 48}.get(family)
                for code, (w, h, d, i, kerns, nxt, pieces) in tfm.chars.items():
                    glyph = encoding[code] if code < len(encoding) else ".notdef"
                    polys = []
                    if glyph in shapes.keys() and glyph != ".notdef":
                        pen = DecomposingRecordingPen(shapes)
                        shapes[glyph].draw(pen)
                        polys = polygons(pen.value)
                    glyphs.append((code, (w, h, d, i, kerns.get(skewchar, 0)), nxt, pieces, ink(polys, size * PX / 1000)))
            fonts.append((family + str(size), size, params, glyphs))
            print(family, size, name, len(glyphs), flush=True)
    with open(OUT, "wb") as f:
        f.write(struct.pack("<B", len(fonts)))
        for name, size, params, glyphs in fonts:
            f.write(struct.pack("<B", len(name)) + name.encode())
            f.write(struct.pack(f"<B{len(params)}h", len(params), *[units(v, size) for v in params]))
            f.write(struct.pack("<H", len(glyphs)))
            for code, metrics, nxt, pieces, boxes in glyphs:
                f.write(struct.pack("<H5h5B64b", code, *[units(v, size) for v in metrics], nxt, *pieces, *boxes))


main()
