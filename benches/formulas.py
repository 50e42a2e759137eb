#!/usr/bin/env python3
"""The built-in renderer of formulas beside XeLaTeX, which the official CDM draws with.

    apt-get install texlive-xetex texlive-lang-chinese texlive-latex-extra texlive-science fonts-noto-cjk ghostscript
    git clone https://github.com/KaTeX/KaTeX /tmp/katex; git clone https://github.com/mathjax/MathJax-src /tmp/mathjax
    python3 benches/formulas.py --katex /tmp/katex --mathjax /tmp/mathjax --out /tmp/formulas.jsonl [--orrery target/release/orrery]

Formulas are those of KaTeX's and MathJax's own tests and a list below; the prediction is the formula with one token left out.
Each pair is scored twice by `orrery omnidocbench cdm`, with either renderer. --out is added to: a run that was stopped goes on.
Prints how many of the pairs that XeLaTeX scores are scored, the mean difference, and each pair that is better by more than 0.1.
"""

import argparse
import json
import random
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

OWN = r"""3×4|½ x|a → b|x — y|x^{2}_{i}+\hookrightarrow y|\overline{AB}|\overline{}|x \tag{1}|\sqrt[3]{x+1}|\int_0^\infty e^{-x^2} dx
\frac{\partial f}{\partial x}|\left( \frac{a}{b} \right)|\begin{pmatrix} a & b \\ c & d \end{pmatrix}|\varlimsup_{n} a_n
\sum_{i=1}^n i^2 = \frac{n(n+1)(2n+1)}{6}|\lim_{x \to 0} \frac{\sin x}{x} = 1|a \equiv b \bmod n|a \equiv b \pmod{n}
A \longmapsto B|\overrightarrow{AB}|\vec{a} \cdot \vec{b}|E = mc^2|\mathbb{R}^n \to \mathbb{R}|\mathcal{L}(\theta)|\binom{n}{k}
f'(x) = 2x|\hat{y} = \bar{x}|\mathrm{d}x|\text{if } x > 0|x_1, x_2, \ldots, x_n|a \iff b|p \implies q|\oint_C F|\iint_D f
\nabla \times B|\alpha \beta \gamma|\Omega \Delta|中文 x|\underbrace{a+b}_{c}|\overbrace{a+b}^{c}|\boxed{x=1}|\dot{x} \ddot{y}
\mathbf{A}\mathbf{x}=\mathbf{b}|\begin{aligned} a &= b \\ c &= d \end{aligned}|\begin{cases} 1 & x>0 \\ 0 & x \le 0 \end{cases}
\left\lfloor x \right\rfloor|\Big( x \Big)|90^\circ|\triangle ABC \cong \triangle DEF|\angle A \perp B|a \parallel b|\hdots
\cdots|\vdots|10 \%|\#1|\operatorname{Re} z|\arg\max_x f(x)|\stackrel{a}{=}|\overset{a}{b}|\xrightarrow{f}|x \not= y"""
# They define, read or run: not formulas that a page shows.
REFUSED = re.compile(r"def\b|newcommand|include|input|\\let|\\require|\\loop|\\write|\$|catcode|\\read")


def formulas(katex, mathjax):
    found = [f for line in OWN.splitlines() for f in line.split("|") if f]
    if katex:
        data = (katex / "test/screenshotter/ss_data.yaml").read_text()
        for text in re.findall(r"^(?:\w+|\s+tex): (\S.*)$", data, re.M):
            if text[0] == text[-1] == "'":
                text = text[1:-1].replace("''", "'")
            if not text.startswith(("|", "{", "&", ">")):
                found.append(text)
        spec = (katex / "test/katex-spec.ts").read_text()
        found += re.findall(r"`([^`\n$]{4,160})`", spec)
    if mathjax:
        for path in sorted((mathjax / "testsuite/tests/input/tex").glob("*.test.ts")):
            tests = path.read_text()
            for text in re.findall(r"tex2mml\(\s*'((?:[^'\\]|\\.)*)'", tests):
                found.append(text.replace("\\\\", "\\").replace("\\'", "'"))
    found = [text.strip() for text in found]
    return list(dict.fromkeys(f for f in found if 0 < len(f) <= 180 and not REFUSED.search(f)))


def without_one_token(formula, draw):
    tokens = re.findall(r"\\[A-Za-z]+|\\.|\S", formula)
    kept = {"\\begin", "\\end", "\\left", "\\right", "\\frac", "\\sqrt", "\\text", "\\mathrm"}
    may_go = [i for i, t in enumerate(tokens) if (len(t) > 2 and t not in kept) or (len(t) == 1 and t.isalnum())]
    if not may_go:
        return formula
    gone = draw.choice(may_go)
    return " ".join(tokens[:gone] + tokens[gone + 1:])


def score(orrery, pair, renderer):
    call = [orrery, "omnidocbench", "cdm", "--json", "--renderer", renderer, f"--gt={pair[0]}", f"--pred={pair[1]}"]
    done = subprocess.run(call, capture_output=True, text=True)
    if done.returncode == 0:
        return {"f1": json.loads(done.stdout)["F1_score"]}
    return {"f1": None, "why": done.stderr.strip().splitlines()[-1][:300] if done.stderr else "no word"}


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--katex", type=Path)
    options.add_argument("--mathjax", type=Path)
    options.add_argument("--pairs", type=Path, help="pairs to score in place of those, one JSON array a line")
    options.add_argument("--count", type=int, default=600)
    options.add_argument("--out", type=Path, required=True)
    options.add_argument("--orrery", default="target/release/orrery")
    options.add_argument("--workers", type=int, default=2)
    options.add_argument("--built-in-again", action="store_true", help="score with the built-in renderer anew")
    args = options.parse_args()
    if args.pairs:
        pairs = [tuple(json.loads(line)) for line in args.pairs.read_text().splitlines()]
    else:
        draw = random.Random(5)
        every = formulas(args.katex, args.mathjax)
        draw.shuffle(every)
        pairs = [(formula, without_one_token(formula, draw)) for formula in every[:args.count]]
    lines = args.out.read_text().splitlines() if args.out.exists() else []
    rows = {(r["gt"], r["pred"]): r for r in map(json.loads, lines)}
    # XeLaTeX had no time on a busy machine: that says nothing of the formula.
    rows = {pair: r for pair, r in rows.items() if "was not done after" not in r["official"].get("why", "")}
    todo = [pair for pair in dict.fromkeys(pairs) if pair not in rows]

    def both(pair):
        ours, official = score(args.orrery, pair, "built-in"), score(args.orrery, pair, "xelatex")
        return {"gt": pair[0], "pred": pair[1], "ours": ours, "official": official}

    with ThreadPoolExecutor(args.workers) as pool, args.out.open("a") as out:
        for row in pool.map(both, todo):
            rows[row["gt"], row["pred"]] = row
            out.write(json.dumps(row, ensure_ascii=False) + "\n")
            out.flush()
    rows = [rows[pair] for pair in dict.fromkeys(pairs)]
    if args.built_in_again:
        with ThreadPoolExecutor(args.workers) as pool:
            again = list(pool.map(lambda r: score(args.orrery, (r["gt"], r["pred"]), "built-in"), rows))
        rows = [{**row, "ours": ours} for row, ours in zip(rows, again)]

    official = [r for r in rows if r["official"]["f1"] is not None]
    scored = [r for r in official if r["ours"]["f1"] is not None]
    gaps = [r["ours"]["f1"] - r["official"]["f1"] for r in scored]
    only_ours = [r for r in rows if r["official"]["f1"] is None and (r["ours"]["f1"] or 0) > 0.1]
    better = [r for r, gap in zip(scored, gaps) if gap > 0.1]
    print(f"{len(rows)} pairs, {len(official)} scored with XeLaTeX, {len(scored)} of these with ours: "
          f"{len(scored) / max(1, len(official)):.1%}")
    print(f"mean absolute difference {sum(map(abs, gaps)) / max(1, len(gaps)):.4f}, "
          f"equal {sum(abs(g) < 5e-4 for g in gaps)}, better by more than 0.1 {len(better)} "
          f"({len(better) / max(1, len(scored)):.1%}), scored by ours alone {len(only_ours)}")
    for name, some in [("better", better), ("ours alone", only_ours)]:
        for r in some:
            print(f"{name}: {r['official']['f1']} {r['ours']['f1']} {r['gt']!r} {r['pred']!r} {r['official'].get('why', '')}")
    for r in official:
        if r["ours"]["f1"] is None:
            print(f"not scored: {r['official']['f1']} {r['gt']!r} {r['pred']!r} {r['ours']['why']}")
    for gap, r in sorted(zip(gaps, scored), key=lambda p: -abs(p[0]))[:20]:
        if abs(gap) > 0.01:
            print(f"apart by {gap:+.3f}: {r['gt']!r} {r['pred']!r}")


if __name__ == "__main__":
    main()
