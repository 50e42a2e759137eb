#!/usr/bin/env python3
"""Records pycocotools' average precisions on invented pictures, for the test `average_precision_is_that_of_pycocotools`.

    pip install pycocotools==2.0.11 numpy
    python benches/coco_ap.py crates/vision/tests/fixtures/emov2/coco_ap.json
    python benches/coco_ap.py --score ANNOTATIONS.json RESULTS.json [SEGM_RESULTS.json]

The second form scores what `orrery emov2 eval --out` wrote. The cases have crowds, equal scores, things of all sizes, several
categories with ids in no order, pictures with nothing on them or nothing found, and more detections than count.
"""
import contextlib
import io
import json
import sys

import numpy as np
from pycocotools import mask as masks
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval


def scored(annotations, results, kind):
    """AP, AP50, AP75, APs, APm, APl and the AP of each category in order of the file, null where there is nothing to find."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = json.loads(json.dumps(annotations))
        truth.createIndex()
        run = COCOeval(truth, truth.loadRes(json.loads(json.dumps(results))), kind)
        run.evaluate()
        run.accumulate()
        run.summarize()
    each = {}
    for at, category in enumerate(run.params.catIds):
        values = run.eval["precision"][:, :, at, 0, 2]
        values = values[values > -1]
        each[category] = float(values.mean()) if values.size else None
    stats = [None if value < 0 else float(value) for value in run.stats[:6]]
    return stats, [each[category["id"]] for category in annotations["categories"]]


def ellipse(rng, box, corners):
    """A polygon that touches the sides of a box, with a dent here and there."""
    x, y, w, h = box
    turns = np.sort(rng.uniform(0, 2 * np.pi, corners))
    reach = rng.uniform(0.85, 1.0, corners)
    points = np.stack([x + w / 2 * (1 + reach * np.cos(turns)), y + h / 2 * (1 + reach * np.sin(turns))], 1)
    return [round(float(at), 2) for at in points.ravel()]


def plain(packed):
    """The run lengths of a mask one by one, as crowds have them."""
    flat = masks.decode(packed).ravel(order="F")
    counts, value = [], 0
    while flat.size:
        change = np.flatnonzero(flat != value)
        length = int(change[0]) if change.size else flat.size
        counts.append(length)
        flat, value = flat[length:], 1 - value
    return counts


def case(seed, pictures, things, categories, spread, extra, digits):
    rng = np.random.default_rng(seed)
    ids = rng.permutation(np.arange(1, 4 * categories))[:categories].tolist()
    annotations = {"images": [], "annotations": [], "categories": [{"id": at, "name": f"kind {at}"} for at in ids]}
    results = []
    for picture in rng.permutation(pictures).tolist():
        width, height = (int(side) for side in rng.integers(120, 420, 2))
        annotations["images"].append({"id": picture, "file_name": f"{picture}.png", "width": width, "height": height})

        def box():
            w, h = np.exp(rng.uniform(np.log(10), np.log([width * 0.95, height * 0.95])))
            return [round(float(at), 2) for at in (rng.uniform(0, width - w), rng.uniform(0, height - h), w, h)]

        def found(bounds, category):
            x, y, w, h = bounds
            shifted = [x + w * rng.normal(0, spread), y + h * rng.normal(0, spread),
                       w * np.exp(rng.normal(0, spread)), h * np.exp(rng.normal(0, spread))]
            polygon = ellipse(rng, shifted, 9)
            packed = masks.merge(masks.frPyObjects([polygon], height, width))
            results.append({"image_id": picture, "category_id": category, "score": round(float(rng.uniform()), digits),
                            "bbox": [round(float(at), 2) for at in shifted],
                            "segmentation": {"size": [height, width], "counts": packed["counts"].decode()}})

        for _ in range(int(rng.integers(0, things + 1))):
            bounds, category = box(), int(rng.choice(ids[:-1] if categories > 2 else ids))
            crowd = bool(rng.uniform() < 0.15)
            polygons = [ellipse(rng, bounds, int(rng.integers(7, 12))) for _ in range(int(rng.integers(1, 3)))]
            packed = masks.merge(masks.frPyObjects(polygons, height, width))
            kind = rng.integers(0, 3)
            outline = polygons
            if crowd:
                outline = {"size": [height, width], "counts": plain(packed)}
            elif kind == 0:
                outline = {"size": [height, width], "counts": packed["counts"].decode()}
            annotations["annotations"].append({
                "id": len(annotations["annotations"]) + 1, "image_id": picture, "category_id": category, "bbox": bounds,
                "area": float(masks.area(packed)), "iscrowd": int(crowd), "segmentation": outline})
            for _ in range(int(rng.integers(0, 5 if crowd else 3))):
                found(bounds, category)
        for _ in range(int(rng.integers(0, extra + 1))):
            found(box(), int(rng.choice(ids)))
    only = lambda key: [{name: one[name] for name in ("image_id", "category_id", "score", key)} for one in results]
    boxes, each_boxes = scored(annotations, only("bbox"), "bbox")
    segm, each_segm = scored(annotations, only("segmentation"), "segm")
    return {"annotations": annotations, "results": results, "boxes": boxes, "masks": segm,
            "category_boxes": each_boxes, "category_masks": each_segm}


def outlines(count):
    """Polygons, also beyond the edges and with corners on one another, and what becomes of them."""
    rng = np.random.default_rng(7)
    made = []
    for at in range(count):
        height, width = (int(side) for side in rng.integers(1, 40, 2))
        polygons = []
        for _ in range(1 + at % 3):
            corners = rng.uniform(-8, 48, 2 * int(rng.integers(3, 9)))
            polygons.append([round(float(value), at % 3) for value in corners])
        if at % 5 == 0:
            polygons[0] += polygons[0][-2:]
        packed = masks.merge(masks.frPyObjects(polygons, height, width))
        made.append({"size": [height, width], "polygons": polygons, "packed": packed["counts"].decode(),
                     "area": int(masks.area(packed))})
    return made


if __name__ == "__main__":
    if sys.argv[1] == "--score":
        annotations, *results = [json.load(open(path)) for path in sys.argv[2:]]
        for kind, found in zip(["bbox", "segm"], results):
            print(kind, *scored(annotations, found, kind)[0])
    else:
        cases = [
            case(1, 6, 5, 3, 0.06, 3, 3),
            # Scores of one digit: most are shared by several.
            case(2, 8, 6, 2, 0.1, 4, 1),
            case(3, 12, 4, 4, 0.04, 2, 1),
            # More of a category than the hundred that count.
            case(4, 2, 5, 1, 0.03, 260, 2),
            case(5, 16, 1, 3, 0.05, 1, 2),
        ]
        with open(sys.argv[1], "w") as out:
            json.dump({"kind": "coco_ap", "cases": cases, "outlines": outlines(40)}, out, separators=(",", ":"))
            out.write("\n")
        for one in cases:
            print(len(one["annotations"]["annotations"]), "annotations,", len(one["results"]), "results:", one["boxes"], one["masks"])
