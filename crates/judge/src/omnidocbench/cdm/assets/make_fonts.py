#!/usr/bin/env python3
"""Makes fonts.bin: metrics and ink of the fonts that a 12 pt LaTeX document sets maths in, at 200 dpi.

usage: make_fonts.py TEXMF_DIST LM_OTF_FOLDER fonts.bin      (needs fonttools, numpy; xelatex and gs on the path)

Every character is set by XeTeX at each of 4 x 4 quarter-pixel places and drawn by Ghostscript with the options that
ImageMagick gives it, so that the table holds what the official rendering shows.

TEXMF_DIST is TeX Live's texmf-dist (Debian: texlive-base), LM_OTF_FOLDER the OpenType files of Latin Modern
(Debian: fonts-lmodern). Written, little-endian: a count of fonts; for each a name (length byte, text), its parameters
(count byte, i16 in 1/512 pt; the slant is left out), a count (u16) of glyphs; for each glyph its code (u16), width, height,
depth, italic correction, skew (i16 in 1/512 pt), the next larger one (u8, 0 for none), four pieces of an extensible one
(u8, 0 for none: top, middle, bottom, repeated), left, top, right and bottom of its outline relative to the origin (i16 in
1/64 pixel), and for 4 x 4 quarter-pixel positions of the origin, x within y, the left,
top, right and bottom pixel (i8) among those wholly inked, relative to the origin's pixel; 127, 127, -127, -127 for none.
"""
import os, re, struct, subprocess, sys, tempfile
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


def outline(polys, scale):
    """Left, top, right and bottom in 1/64 pixel."""
    if not polys:
        return [0] * 4
    all_ = np.concatenate(polys) * scale * 64
    return [int(v) for v in (all_[:, 0].min(), -all_[:, 1].max(), all_[:, 0].max(), -all_[:, 1].min())]


CELL, SIDE, LEFT = 112, 48, 24


def sheets(glyphs, folder):
    """The 16 boxes of wholly inked pixels of every (TeX font, code, pixels of room above its origin)."""
    places = [(g, phase) for g in range(len(glyphs)) for phase in range(16)]
    names = {font: "sheet" + "".join(chr(97 + int(d)) for d in str(at)) for at, font in enumerate(dict.fromkeys(g[0] for g in glyphs))}
    tex = [r"\documentclass{article}\begin{document}\hoffset=-1in\voffset=-1in\tracinglostchars=0"]
    tex += [rf"\font\{name}={font}" for font, name in names.items()]
    side = CELL * SIDE / PX
    tex.append(rf"\pdfpagewidth={side:.4f}pt\pdfpageheight={side:.4f}pt")
    for first in range(0, len(places), SIDE * SIDE):
        tex.append(r"\shipout\vbox to 0pt{\offinterlineskip")
        for at, (g, phase) in enumerate(places[first:first + SIDE * SIDE]):
            font, code, up = glyphs[g]
            # A sixteenth beyond the quarter, clear of rounding.
            x = (at % SIDE * CELL + LEFT + phase % 4 / 4 + 1 / 16) / PX
            y = (at // SIDE * CELL + up + phase // 4 / 4 + 1 / 16) / PX
            tex.append(rf"\vbox to 0pt{{\kern{y:.4f}pt\hbox to 0pt{{\kern{x:.4f}pt\vbox to 0pt{{\vss\hbox{{\smash{{\{names[font]}\char{code}}}}}}}\hss}}\vss}}")
        tex.append(r"\vss}")
    tex.append(r"\end{document}")
    open(f"{folder}/sheet.tex", "w").write("\n".join(tex))
    subprocess.run(["xelatex", "-interaction=batchmode", "sheet.tex"], cwd=folder, stdout=subprocess.DEVNULL)
    subprocess.run(f"gs -q -dSAFER -dBATCH -dNOPAUSE -dAlignToPixels=0 -dGridFitTT=2 -sDEVICE=pgmraw -dTextAlphaBits=4 "
                   f"-dGraphicsAlphaBits=4 -r200x200 -sOutputFile=sheet%03d.pgm sheet.pdf", shell=True, cwd=folder, check=True)
    out = [[127, 127, -127, -127] * 16 for _ in glyphs]
    for first in range(0, len(places), SIDE * SIDE):
        data = open(f"{folder}/sheet{first // (SIDE * SIDE) + 1:03d}.pgm", "rb").read()
        head = re.match(rb"P5\s+(?:#.*\n)?\s*(\d+)\s+(\d+)\s+255\s", data)
        w, h = int(head[1]), int(head[2])
        page = np.frombuffer(data, np.uint8, w * h, head.end()).reshape(h, w)
        for at, (g, phase) in enumerate(places[first:first + SIDE * SIDE]):
            y, x = at // SIDE * CELL, at % SIDE * CELL
            ys, xs = np.nonzero(page[y:y + CELL, x:x + CELL] == 0)
            if len(ys):
                up = glyphs[g][2]
                out[g][4 * phase:4 * phase + 4] = [int(v) for v in (xs.min() - LEFT, ys.min() - up, xs.max() - LEFT, ys.max() - up)]
    return out


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
    fonts, drawn = [], []
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
                    glyphs.append((code, metrics, 0, (0, 0, 0, 0), outline(polys, size * PX / em)))
                    drawn.append((f'"[{name}.otf]" at {size}pt', code, 64))
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
                    glyphs.append((code, (w, h, d, i, kerns.get(skewchar, 0)), nxt, pieces, outline(polys, size * PX / 1000)))
                    drawn.append((f"{name} at {size}pt", code, 8 if family == "cmex" else 64))
            fonts.append((family + str(size), size, params, glyphs))
    with tempfile.TemporaryDirectory() as folder:
        boxes = iter(sheets(drawn, folder))
    with open(OUT, "wb") as f:
        f.write(struct.pack("<B", len(fonts)))
        for name, size, params, glyphs in fonts:
            f.write(struct.pack("<B", len(name)) + name.encode())
            f.write(struct.pack(f"<B{len(params)}h", len(params), *[units(v, size) for v in params]))
            f.write(struct.pack("<H", len(glyphs)))
            for code, metrics, nxt, pieces, bounds in glyphs:
                f.write(struct.pack("<H5h5B4h64b", code, *[units(v, size) for v in metrics], nxt, *pieces, *bounds, *next(boxes)))


main()
