"""Makes tests/fixtures/found: what the references make of raw boxes, mask logits, run lengths, polygons and detections.

    pip install -r tools/requirements.txt pycocotools==2.0.11 lvis==0.5.3
    python tools/make_found_fixtures.py      # from the root of the repository; CPU, seconds

found.json      transformers' post-processing and torchvision's NMS of random boxes; torch's interpolate; pycocotools' masks
precision.json  AP by pycocotools and lvis over random detections
overlap.json    IoU and AP of masks over thresholds as CLIPSeg's evaluation defines them, by numpy and scipy

No score lies within 1e-4 of a threshold and no IoU within 1e-4 of NMS's, so that rounding decides nothing.
"""

import contextlib
import io
import json
import sys
import types
from pathlib import Path

import numpy as np
import torch
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from scipy.integrate import simpson
from torch.nn.functional import interpolate
from torchvision.ops import batched_nms, box_iou, nms
from transformers import Owlv2ImageProcessor, OwlViTImageProcessor
from transformers.image_transforms import center_to_corners_format

OUT = Path(__file__).resolve().parent.parent / "tests" / "fixtures" / "found"


def write(name, value):
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / name).write_text(json.dumps(value, separators=(",", ":"), ensure_ascii=False) + "\n")


# Detections


def detections(seed, size, tokens=60, labels=4):
    rng = np.random.default_rng(seed)
    width, height = size
    while True:
        logits = torch.tensor(rng.normal(-2, 2.5, (tokens, labels)), dtype=torch.float32)
        # Clusters, so that boxes overlap; some reach beyond the picture.
        centres = rng.normal(0, 1.5, (8, 4)) + [0, 0, -1, -1]
        raw = torch.tensor(centres[rng.integers(0, 8, tokens)] + rng.normal(0, 0.25, (tokens, 4)), dtype=torch.float32)
        boxes = center_to_corners_format(raw.double().sigmoid())
        iou = box_iou(boxes, boxes)
        near = [(logits.sigmoid() - t).abs().min() < 1e-4 for t in (0.1, 0.3, 0.6)] + [(iou - 0.5).abs().min() < 1e-4]
        if not any(near):
            break
    outputs = types.SimpleNamespace(logits=logits[None], pred_boxes=raw.sigmoid()[None])
    case = {"size": [width, height], "logits": logits.tolist(), "boxes": raw.tolist()}
    for name, processor in [("owlvit", OwlViTImageProcessor()), ("owlv2", Owlv2ImageProcessor())]:
        found = processor.post_process_object_detection(outputs, threshold=0.1, target_sizes=[(height, width)])[0]
        case[name] = [[int(label), float(score), *box.double().tolist()]
                      for label, score, box in zip(found["labels"], found["scores"], found["boxes"])]
    best = logits.max(-1)
    case["nms"] = nms(boxes, best.values.double(), 0.5).tolist()
    # Every token as every label, in the order of logits.
    flat = logits.double().flatten()
    owners = torch.arange(labels).repeat(tokens)
    kept = batched_nms(boxes.repeat_interleave(labels, 0), flat, owners, 0.5)
    case["nms_by_label"] = [[int(at) // labels, int(at) % labels] for at in kept]
    return case


# Masks


def rle(bits):
    found = coco_mask.encode(np.asfortranarray(bits.astype(np.uint8)))
    return found["counts"].decode()


def enlarged(seed, side, size, threshold):
    rng = np.random.default_rng(seed)
    width, height = size
    while True:
        logits = torch.tensor(rng.normal(0, 2, (side, side)), dtype=torch.float32)
        large = interpolate(logits.double()[None, None], (height, width), mode="bilinear", align_corners=False)[0, 0]
        if (large.sigmoid() - threshold).abs().min() > 1e-6:
            break
    return {"side": side, "size": [width, height], "threshold": threshold, "logits": logits.flatten().tolist(),
            "large": large.flatten().tolist(), "rle": rle((large.sigmoid() > threshold).numpy())}


def blobs(rng, height, width):
    """Random ellipses, some with holes."""
    y, x = np.mgrid[:height, :width]
    bits = np.zeros((height, width), bool)
    for turn in range(rng.integers(1, 6)):
        cy, cx, ry, rx = rng.uniform([0, 0, 1, 1], [height, width, height / 2 + 1, width / 2 + 1])
        inside = ((y - cy) / ry) ** 2 + ((x - cx) / rx) ** 2 < 1
        bits = bits & ~inside if turn % 3 == 2 else bits | inside
    return bits


def masks():
    rng = np.random.default_rng(5)
    pictures = [np.zeros((4, 3), bool), np.ones((3, 5), bool), np.ones((1, 1), bool), np.eye(6, 7, dtype=bool),
                np.arange(35).reshape(7, 5) % 2 == 0, rng.random((9, 11)) < 0.5, blobs(rng, 40, 61), blobs(rng, 97, 23),
                blobs(rng, 64, 64)]
    large = np.zeros((300, 400), bool)
    large[17:290, 31:399] = True
    large[100:103, 50:390] = False
    cases = []
    for bits in [*pictures, large]:
        found = coco_mask.encode(np.asfortranarray(bits.astype(np.uint8)))
        change = np.flatnonzero(np.diff(np.concatenate([[False], bits.flatten("F"), [not bits[-1, -1]]])))
        cases.append({"size": list(bits.shape), "counts": np.diff(np.concatenate([[0], change])).tolist(),
                      "compressed": found["counts"].decode(), "area": int(coco_mask.area(found)),
                      "box": coco_mask.toBbox(found).tolist()})
    return cases


def polygons():
    rng = np.random.default_rng(6)
    cases = []
    for width, height, count in [(61, 37, 1), (23, 97, 3), (7, 5, 2), (50, 50, 2)]:
        shapes = [(rng.normal(0.5, 0.45, (rng.integers(3, 9), 2)) * [width, height]).round(2) for _ in range(count)]
        # A repeated point, and one edge along the border.
        shapes.append(np.array([[1, 1], [1, 1], [width, 1], [width, height / 2], [3.4, height / 2]]))
        flat = [shape.flatten().tolist() for shape in shapes]
        merged = coco_mask.merge(coco_mask.frPyObjects(flat, height, width))
        cases.append({"size": [width, height], "polygons": [shape.tolist() for shape in shapes],
                      "rle": merged["counts"].decode()})
    return cases


def nearest():
    rng = np.random.default_rng(7)
    cases = []
    for (width, height), (to_width, to_height) in [((61, 37), (32, 32)), ((23, 97), (48, 48)), ((7, 5), (24, 24)), ((211, 140), (96, 96))]:
        bits = rng.random((height, width)) < 0.5
        small = interpolate(torch.tensor(bits[None, None].astype(np.float32)), (to_height, to_width), mode="nearest")
        cases.append({"size": [width, height], "rle": rle(bits), "to": [to_width, to_height], "found": rle(small[0, 0].numpy() > 0.5)})
    return cases


# Precision


def annotations(seed, pictures, categories, lvis):
    rng = np.random.default_rng(seed)
    truths, found = [], []
    for picture in range(pictures):
        for category in range(categories):
            # The last category is nowhere.
            for _ in range(rng.integers(0, 4) if category < categories - 1 and rng.random() < 0.6 else 0):
                box = np.concatenate([rng.uniform(0, 60, 2), rng.uniform(5, 40, 2)]).round(1)
                crowd = int(not lvis and rng.random() < 0.15)
                truths.append([picture, category, crowd, *box.tolist()])
                for _ in range(rng.integers(0, 4)):
                    moved = np.abs(box + rng.normal(0, box[2:].mean() * rng.choice([0.02, 0.08, 0.3]), 4)).round(1)
                    # Few scores, so that there are ties.
                    found.append([picture, category, float(rng.integers(1, 12)) / 12, *moved.tolist()])
            for _ in range(rng.integers(0, 3)):
                box = np.concatenate([rng.uniform(0, 60, 2), rng.uniform(5, 40, 2)]).round(1)
                found.append([picture, category, float(rng.integers(1, 12)) / 12, *box.tolist()])
    return truths, found


def dataset(truths, pictures, categories):
    return {
        "images": [{"id": at + 1, "width": 100, "height": 100} for at in range(pictures)],
        "categories": [{"id": at + 1, "name": str(at)} for at in range(categories)],
        "annotations": [{"id": at + 1, "image_id": p + 1, "category_id": c + 1, "iscrowd": crowd, "bbox": box, "area": box[2] * box[3]}
                        for at, (p, c, crowd, *box) in enumerate(truths)],
    }


def results(found):
    return [{"image_id": p + 1, "category_id": c + 1, "score": score, "bbox": box} for p, c, score, *box in found]


def each(precision):
    """[IoU, recall, category] to a mean a category; None where there is nothing to find."""
    means = precision.mean((0, 1))
    return [None if mean < 0 else float(mean) for mean in means]


def case(name, truths, found, pictures, categories):
    return {"name": name, "pictures": pictures, "categories": categories, "truths": truths, "found": found, "lvis": None}


def coco(seed, name="coco", pictures=6, categories=5, more=()):
    truths, found = annotations(seed, pictures, categories, lvis=False)
    found += [[picture, picture % categories, 0.95, 100.0, 20.0, 0.0, 30.0] for picture in range(0, pictures, 2)]
    found += more
    data = COCO()
    data.dataset = dataset(truths, pictures, categories)
    data.createIndex()
    evaluation = COCOeval(data, data.loadRes(results(found)), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    ap, ap50, ap75 = map(float, evaluation.stats[:3])
    return {**case(name, truths, found, pictures, categories), "ap": ap, "ap50": ap50, "ap75": ap75,
            "each": each(evaluation.eval["precision"][:, :, :, 0, 2])}


def lvis(seed, pictures=8, categories=7):
    # What draws needs more packages, and the package is older than NumPy 2.
    sys.modules.setdefault("lvis.vis", types.SimpleNamespace(LVISVis=None))
    vars(np).setdefault("float", float)
    from lvis import LVIS, LVISEval, LVISResults

    truths, found = annotations(seed, pictures, categories, lvis=True)
    # Boxes at the picture's edge: lvis passes over what has no area, pycocotools does not.
    found += [[picture, picture % categories, 0.95, 100.0, 20.0, 0.0, 30.0] for picture in range(pictures)]
    rng = np.random.default_rng(seed + 1)
    absent, not_exhaustive = [], []
    data = dataset(truths, pictures, categories)
    frequency = [["r", "c", "f"][at % 3] for at in range(categories)]
    for picture, image in enumerate(data["images"]):
        there = {c for p, c, *_ in truths if p == picture}
        absent.append(sorted(int(c) for c in range(categories) if c not in there and rng.random() < 0.4))
        not_exhaustive.append(sorted(int(c) for c in there if rng.random() < 0.4))
        image["neg_category_ids"] = [c + 1 for c in absent[-1]]
        image["not_exhaustive_category_ids"] = [c + 1 for c in not_exhaustive[-1]]
    for category, letter in zip(data["categories"], frequency):
        category["frequency"] = letter
    path = OUT / "lvis.json"
    path.write_text(json.dumps(data))
    truth = LVIS(str(path))
    path.unlink()
    evaluation = LVISEval(truth, LVISResults(truth, results(found)), "bbox")
    evaluation.run()
    scores = evaluation.get_results()
    more = {"absent": absent, "not_exhaustive": not_exhaustive, "frequency": frequency, "ap_rare": float(scores["APr"]),
            "ap_common": float(scores["APc"]), "ap_frequent": float(scores["APf"])}
    return {**case("lvis", truths, found, pictures, categories), "lvis": more, "ap": float(scores["AP"]), "ap50": float(scores["AP50"]),
            "ap75": float(scores["AP75"]), "each": each(evaluation.eval["precision"][:, :, :, 0])}


# Overlap


def overlap(seed, prompts=5, side=12, threshold=0.3):
    rng = np.random.default_rng(seed)
    steps = np.linspace(0, 1, 51)[1:-1]
    rows = []
    for at in range(prompts):
        truth = blobs(rng, side, side) if at else np.zeros((side, side), bool)
        logits = (rng.normal(0, 1.5, (side, side)) + np.where(truth, 1.5, -1.5)).astype(np.float32)
        rows.append((logits.flatten(), truth.flatten()))

    def counts(at):
        all = []
        for logits, truth in rows:
            found = (torch.tensor(logits).sigmoid() > at).numpy()
            all.append([(found & truth).sum(), (found & ~truth).sum(), (~found & truth).sum()])
        return np.array(all, float)

    def iou(c):
        return c[..., 0] / (1 + c.sum(-1))

    sums = np.array([counts(at).sum(0) for at in steps])
    sums = sums[sums[:, 0] + sums[:, 1] > 0]
    points = sorted(set(zip(sums[:, 0] / (1 + sums[:, 0] + sums[:, 2]), sums[:, 0] / (1 + sums[:, 0] + sums[:, 1]))))
    recalls, precisions = zip(*points)
    chosen = counts(threshold)
    return {"threshold": threshold, "prompts": [{"logits": logits.tolist(), "truth": truth.astype(int).tolist()} for logits, truth in rows],
            "ap": float(simpson(precisions, x=recalls)), "fg_iou": float(iou(chosen.sum(0))), "miou": float(iou(chosen).mean()),
            "mious": [float(iou(counts(at)).mean()) for at in steps]}


def main():
    write("found.json", {
        "detections": [detections(1, (64, 48)), detections(2, (37, 101)), detections(3, (50, 50))],
        "enlarged": [enlarged(1, 6, (61, 37), 0.4), enlarged(2, 7, (5, 23), 0.5), enlarged(3, 4, (4, 4), 0.3), enlarged(4, 9, (3, 2), 0.7)],
        "masks": masks(), "polygons": polygons(), "nearest": nearest(),
    })
    with contextlib.redirect_stdout(io.StringIO()):
        # More of one category in a picture than COCO counts, before some that are right.
        many = [[0, 0, 0.6 + 0.001 * at, 1.0 + at % 7, 2.0, 9.0, 9.0] for at in range(1, 130)]
        cases = [coco(11), coco(12, "many", pictures=3, categories=3, more=many), lvis(13), lvis(14)]
    write("precision.json", cases)
    write("overlap.json", overlap(21))


if __name__ == "__main__":
    main()
