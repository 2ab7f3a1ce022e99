"""Measures ocelli-tiny-find or -mask on scene_evaluation.py's pictures, through Ocelli in every format and through transformers, and prints
the table of its card.

    found_measure.py MODEL FOLDER OCELLI

MODEL is a folder in f32, FOLDER has `scenes/`, OCELLI is the program. Results are kept in FOLDER/results/.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from transformers import AutoModelForZeroShotObjectDetection, AutoProcessor, CLIPSegForImageSegmentation

from ask_measure import FORMATS, ocelli

STYLES = {"trained": "other scenes in trained styles", "openmoji": "OpenMoji, held out"}
MOST = 300  # detections of a picture
PLAIN = "a photo of a {}"  # as `ocelli eval-detect --templates plain` asks
SURE = 0.5  # scores of pixels in a mask
DRAWS = 1000  # of the names, for intervals


def unpack(counts, height, width):
    """COCO's run lengths as a mask."""
    return np.repeat(np.arange(len(counts)) % 2, counts).reshape(width, height).T.astype(bool)


def images(annotations):
    """The folder of a style's pictures."""
    return annotations.parent / annotations.stem.removesuffix("-found")


def interval(each):
    """95 % of what the mean is over draws of the names."""
    r = np.random.default_rng(3)
    low, high = np.percentile([r.choice(each, len(each)).mean() for _ in range(DRAWS)], [2.5, 97.5])
    return f"{100 * low:.0f} to {100 * high:.0f}"


class Boxes:
    """Average precision at an IoU of a half, as COCO has it."""

    verb = "eval-detect"

    def __init__(self, folder):
        self.model = AutoModelForZeroShotObjectDetection.from_pretrained(folder).eval()
        self.processor = AutoProcessor.from_pretrained(folder)

    @torch.no_grad()
    def reference(self, coco, folder):
        """What transformers finds, in the layout of COCO's results."""
        names = [c["name"] for c in coco["categories"]]
        texts = self.processor.tokenizer([PLAIN.format(name) for name in names], padding="max_length", return_tensors="pt").input_ids
        owl = self.model.owlv2
        texts = owl.text_projection(owl.text_model(input_ids=texts).pooler_output)
        texts = texts / texts.norm(dim=-1, keepdim=True)
        for image in coco["images"]:
            pixels = self.processor(images=Image.open(folder / image["file_name"]).convert("RGB"), return_tensors="pt").pixel_values
            grid, _ = self.model.image_embedder(pixels)
            logits, _ = self.model.class_predictor(grid.flatten(1, 2), texts[None])
            x, y, w, h = (self.model.box_predictor(grid.flatten(1, 2), grid)[0] * max(image["width"], image["height"])).unbind(-1)
            left, top = ((a - b / 2).clamp(0) for a, b in ((x, w), (y, h)))
            right, bottom = ((a + b / 2).clamp(max=image[side]) for a, b, side in ((x, w, "width"), (y, h, "height")))
            scores = logits[0].double().sigmoid()
            best = scores.flatten().topk(min(MOST, scores.numel()))
            for score, place in zip(best.values.tolist(), best.indices.tolist()):
                patch, category = divmod(place, len(names))
                box = [float(v[patch]) for v in (left, top, right - left, bottom - top)]
                yield dict(image_id=image["id"], category_id=coco["categories"][category]["id"], bbox=box, score=score)

    def given(self, program, model, annotations, format):
        results = annotations.parent.parent / "results" / f"boxes-{annotations.stem}-{format}.json"
        options = ["--images", images(annotations), "--templates", "plain", "--top-k", str(MOST), "--results", results]
        said = ocelli(program, self.verb, model, annotations, format, *options)
        return json.loads(results.read_text()), said["ap50"]

    def score(self, coco, found):
        """AP50 of each category that is in some picture."""
        truths = {}
        for a in coco["annotations"]:
            truths.setdefault((a["image_id"], a["category_id"]), []).append(a["bbox"])
        rows = []
        for one in sorted(found, key=lambda one: -one["score"]):
            key = (one["image_id"], one["category_id"])
            free = truths.get(key, [])
            best = max(range(len(free)), key=lambda k: iou(one["bbox"], free[k]) if free[k] else 0, default=None)
            right = best is not None and free[best] is not None and iou(one["bbox"], free[best]) >= 0.5
            if right:
                truths[key] = [None if k == best else b for k, b in enumerate(free)]
            rows.append((*key, right))
        _, categories, right = (np.array(x) for x in zip(*rows))
        there = np.array([(a["image_id"], a["category_id"]) for a in coco["annotations"]])

        precisions = []
        for category in np.unique(there[:, 1]):
            hit = right[categories == category]
            hits = np.cumsum(hit)
            precision = np.maximum.accumulate((hits / np.arange(1, len(hits) + 1))[::-1])[::-1]
            at = np.searchsorted(hits / (there[:, 1] == category).sum(), np.linspace(0, 1, 101))
            precisions.append(np.append(precision, 0)[np.minimum(at, len(hits))].mean())
        return np.array(precisions)


def iou(a, b):
    wide, high = (min(a[k] + a[k + 2], b[k] + b[k + 2]) - max(a[k], b[k]) for k in (0, 1))
    inner = max(wide, 0) * max(high, 0)
    return inner / (a[2] * a[3] + b[2] * b[3] - inner)


class Masks:
    """The mean over names of the IoU of all their pixels, at the size of the model's masks."""

    verb = "eval-segment"

    def __init__(self, folder):
        self.model = CLIPSegForImageSegmentation.from_pretrained(folder).eval()
        self.processor = AutoProcessor.from_pretrained(folder)

    @torch.no_grad()
    def reference(self, coco, folder):
        """Of each picture and name: the pixels that are in both masks, and in one at least."""
        label = {c["id"]: c["name"] for c in coco["categories"]}
        for image in coco["images"]:
            things = [a for a in coco["annotations"] if a["image_id"] == image["id"]]
            asked = sorted({a["category_id"] for a in things})
            if not asked:
                continue
            inputs = self.processor(text=[f"a {label[c]}" for c in asked], images=[Image.open(folder / image["file_name"]).convert("RGB")] * len(asked),
                                    padding="max_length", return_tensors="pt")
            logits = self.model(**inputs).logits.reshape(len(asked), *self.model.config.vision_config.image_size * np.ones(2, int))
            for category, said in zip(asked, logits.sigmoid() > SURE):
                masks = [unpack(a["segmentation"]["counts"], image["height"], image["width"]) for a in things if a["category_id"] == category]
                truth = F.interpolate(torch.from_numpy(np.any(masks, 0))[None, None].float(), said.shape)[0, 0] > 0
                yield dict(image_id=image["id"], category_id=category, both=int((said & truth).sum()), either=int((said | truth).sum()))

    def given(self, program, model, annotations, format):
        options = ["--images", images(annotations), "--template", "a {}", "--threshold", str(SURE)]
        said = ocelli(program, self.verb, model, annotations, format, *options)
        return None, said["miou"]

    def score(self, coco, found):
        categories, both, either = (np.array([one[k] for one in found]) for k in ("category_id", "both", "either"))
        return np.array([both[mine].sum() / (either[mine].sum() + 1) for mine in (categories == c for c in np.unique(categories))])


def main():
    model, folder, program = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    kind = json.loads((model / "config.json").read_text())["model_type"]
    judge = {"owlv2": Boxes, "clipseg": Masks}[kind](model)
    print(f"| pictures | f32 | 95 % | transformers | q8 | q4 |{' wrong picture |' if kind == 'owlv2' else ''}\n|---|---|---|---|---|---|{'---|' if kind == 'owlv2' else ''}")
    for style, words in STYLES.items():
        annotations = folder / "scenes" / f"{style}-found.json"
        coco = json.loads(annotations.read_text())
        given = {f: judge.given(program, model, annotations, f) for f in FORMATS}
        found, first = given["f32"]
        reference = judge.score(coco, list(judge.reference(coco, images(annotations))))
        own = judge.score(coco, found) if found else reference
        # The program counts as this does.
        assert not found or abs(own.mean() - first) < 0.002, (own.mean(), first)
        shares = [reference.mean(), given["q8"][1], given["q4"][1]]
        if found:  # what was found in one picture, looked for in the next
            elsewhere = [one | dict(image_id=(one["image_id"] + 1) % len(coco["images"])) for one in found]
            shares.append(judge.score(coco, elsewhere).mean())
        others = " | ".join(f"{100 * share:.1f} %" for share in shares)
        print(f"| {len(coco['images'])}, {words} | {100 * first:.1f} % | {interval(own)} | {others} |", flush=True)


if __name__ == "__main__":
    main()
