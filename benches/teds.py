#!/usr/bin/env python3
"""TEDS of large tables: Orrery beside PyPI's `apted` and `lxml`, interleaved.

    python3 -m venv /tmp/peers && /tmp/peers/bin/pip install apted lxml levenshtein
    cargo build --release --workspace --example teds_bench
    /tmp/peers/bin/python benches/teds.py [--rows 200] [--columns 20] [--pairs 3] [--limit SECONDS]

Each pair is a table and a copy of it with some cells changed, one row left out and one cell moved to other spans. Both sides
parse both tables and take both similarities, with and without contents, on one core. Prints the processor
time of each side's process for each pair (wall time says little on a busy machine), whether the scores agree to 1e-9, the
medians and how many times longer the peer took. With a limit `apted` is stopped there, and its time and the ratio are bounds.
"""

import argparse
import json
import multiprocessing
import os
import random
import resource
import statistics
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789.% "


def table(cells):
    rows = ("".join(f"<td{span}>{text}</td>" for span, text in row) for row in cells)
    return '<html><body><table border="1" >' + "".join(f"<tr>{row}</tr>" for row in rows) + "</table></body></html>"


def pair(rows, columns, share, seed):
    """A table and what a parser might have made of it; `share` of the cells differ."""
    draw = random.Random(seed)
    word = lambda: "".join(draw.choice(LETTERS) for _ in range(draw.randint(1, 14))).strip() or "x"
    truth = [[("", word()) for _ in range(columns)] for _ in range(rows)]
    found = [[(span, change(text, draw) if draw.random() < share else text) for span, text in row] for row in truth]
    if rows > 2:
        del found[draw.randrange(rows)]
        row = draw.choice(found)
        row[draw.randrange(columns)] = (' colspan="2"', word())
    return table(found), table(truth)


def change(text, draw):
    at = draw.randrange(len(text))
    return text[:at] + draw.choice(LETTERS) * draw.randint(0, 3) + text[at + 1 :]


class Node:
    def __init__(self, element, contents):
        self.tag, self.children = element.tag, []
        cell = element.tag == "td"
        self.spans = tuple(int(element.get(name, "1")) for name in ("colspan", "rowspan")) if cell else None
        self.tokens = tokens(element) if cell and contents else ""
        if not cell:
            self.children = [Node(child, contents) for child in element]


def tokens(cell):
    """A cell's characters; the tables here have no tags in cells."""
    return cell.text or ""


def peer(prediction, truth):
    from apted import APTED, Config
    from Levenshtein import distance
    from lxml import html

    class Costs(Config):
        def rename(self, a, b):
            if a.tag != b.tag or a.spans != b.spans:
                return 1.0
            if a.tokens or b.tokens:
                return distance(a.tokens, b.tokens) / max(len(a.tokens), len(b.tokens))
            return 0.0

        def children(self, node):
            return node.children

    parser = html.HTMLParser(remove_comments=True, encoding="utf-8")
    tables = [html.fromstring(text, parser=parser).xpath("body/table")[0] for text in (prediction, truth)]
    nodes = max(len(element.xpath(".//*")) for element in tables)
    scores = []
    for contents in (True, False):
        a, b = (Node(element, contents) for element in tables)
        scores.append(1.0 - APTED(a, b, Costs()).compute_edit_distance() / nodes)
    return scores


def processor():
    """Seconds of CPU time of all children that ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def timed(texts, limit):
    """The peer's scores, and its milliseconds of CPU time; no scores when the limit, of wall time, came first."""
    mine, its = multiprocessing.Pipe()
    child = multiprocessing.Process(target=lambda: its.send(peer(*texts)))
    start = processor()
    child.start()
    scores = mine.recv() if mine.poll(limit) else None
    child.kill()
    child.join()
    return scores, (processor() - start) * 1e3


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--columns", type=int, default=20)
    parser.add_argument("--share", type=float, default=0.1, help="share of cells that differ")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--limit", type=float, help="seconds after which a pair of the peer's is stopped")
    args = parser.parse_args()

    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    ours_command = [str(target / "release/examples/teds_bench")]
    ours, theirs, bound = [], [], ""
    for seed in range(args.pairs):
        texts = pair(args.rows, args.columns, args.share, seed)
        start = processor()
        out = subprocess.run(ours_command, input=json.dumps(texts) + "\n", check=True, capture_output=True, text=True).stdout
        ours.append((processor() - start) * 1e3)
        mine = json.loads(out)
        scores, took = timed(texts, args.limit)
        theirs.append(took)
        if scores is None:
            print(f"pair {seed}: {ours[-1]:.1f} ms, apted stopped after {took:.0f} ms", flush=True)
            bound = "at least "
            continue
        same = all(abs(a - b) < 1e-9 for a, b in zip(scores, (mine["teds"], mine["structure"])))
        print(f"pair {seed}: {ours[-1]:.1f} ms, apted {took:.0f} ms, TEDS {scores[0]:.4f}, {'equal' if same else 'DIFFERENT'}", flush=True)
    middle = statistics.median(ours), statistics.median(theirs)
    print(f"| {args.rows} × {args.columns}, {args.share:.0%} of cells changed, medians of {args.pairs} | ms |")
    print("| --- | --- |")
    print(f"| orrery | {middle[0]:.1f} |")
    print(f"| apted + lxml | {bound}{middle[1]:.0f} |")
    print(f"| apted ÷ orrery | {bound}{middle[1] / middle[0]:.0f} |")


if __name__ == "__main__":
    main()
