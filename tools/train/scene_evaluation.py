"""Draws what ocelli-tiny-ask, -find and -mask are measured on: FOLDER/scenes/, pictures and manifests for `ocelli eval-vqa`,
`eval-caption`, `eval-detect` and `eval-segment`.

    scene_evaluation.py FOLDER [KNOWN]

KNOWN is the number of names that the models have met (truth.py's World.know). Of each style, `openmoji` (held out) and `trained`:

    STYLE.json            questions; colours, numbers and pairs of things are those that training leaves out
    STYLE-blank.json      the same, of a white picture; STYLE-wrong.json, of another one: what is guessed without looking
    STYLE-captions.json   a caption of each picture
    STYLE-found.json      boxes and masks, as COCO has them
"""

import collections
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from evaluate import TRAINED
from names import Names
from questions import Asker
from truth import NAMED, World

SIDE, PICTURES = 240, 320
EACH = {"what": 120, "presence": 240, "count": 120, "colour": 120, "side": 120, "where": 60}
MOST = {"presence": 120, "count": 24, "where": 10}  # of one answer, 12 if nothing is said: what is most often true must not pay
ROUNDS = 12  # of pictures, until all is asked
ANSWER = "answer en "  # what `ocelli ask` puts before a question


def cut(pixels, owners, picture):
    """The picture without what fills the square, and its truth."""
    wide, high = (round(share * SIDE) for share in picture.room)
    shares = [high / SIDE, wide / SIDE] * 2
    things = [replace(t, box=tuple(min(e / s, 1.0) for e, s in zip(t.box, shares))) for t in picture.things]
    bytes_ = ((pixels[:, :high, :wide].permute(1, 2, 0).numpy() + 1) * 127.5).round().astype(np.uint8)
    return Image.fromarray(bytes_), owners[:high, :wide], replace(picture, things=things)


def runs(mask):
    """COCO's run lengths: down the columns, what is not of the mask first."""
    flat = mask.T.ravel()
    edges = np.flatnonzero(np.diff(flat)) + 1
    lengths = np.diff([0, *edges, len(flat)])
    return [int(n) for n in ([0, *lengths] if flat[0] else lengths)]


def annotations(world, shown):
    """COCO's, of all pictures."""
    label, found = world.names.labels, []
    for number, (image, owners, picture) in enumerate(shown):
        for t in picture.things:
            mask = owners == t.number
            top, left, bottom, right = (e * side for e, side in zip(t.box, (image.height, image.width) * 2))
            found.append({"id": len(found) + 1, "image_id": number, "category_id": t.concept, "iscrowd": 0, "area": int(mask.sum()),
                          "bbox": [round(v, 2) for v in (left, top, right - left, bottom - top)],
                          "segmentation": {"size": [image.height, image.width], "counts": runs(mask)}})
    images = [{"id": k, "file_name": f"{k:04}.png", "width": image.width, "height": image.height} for k, (image, _, _) in enumerate(shown)]
    return {"images": images, "annotations": found, "categories": [{"id": int(c), "name": label[c]} for c in world.things]}


def main():
    folder, known = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else NAMED
    names, out = Names(folder), folder / "scenes"
    for style, about in (("openmoji", dict(held_out=True)), ("trained", dict(sources=[*TRAINED, "drawn"]))):
        world = World(folder, names, SIDE, PICTURES, kinds=("colour", "monochrome", "scene"), held_out_content=True, padded=True, **about)
        world.know(known)
        (out / style).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (SIDE, SIDE), "white").save(out / "blank.png")
        asker, r, asked, questions, captions, shown = Asker(world), np.random.default_rng(7), collections.Counter(), [], [], []
        for round in range(ROUNDS):
            drawn = [one for one in (cut(*one) for one in zip(*world.batch(7 + round, 0.9))) if one[2].clear]
            for k, (image, _, picture) in enumerate(drawn):
                file, before = f"{style}/{round * PICTURES + k:04}.png", len(questions)
                for q in asker.questions(r, picture, 8):
                    if q.kind in EACH and asked[q.kind] < EACH[q.kind] and asked[q.kind, q.answer] < MOST.get(q.kind, 12):
                        asked[q.kind] += 1
                        asked[q.kind, q.answer] += 1
                        questions.append({"image": file, "question": q.prompt.removeprefix(ANSWER), "answers": [q.answer], "type": q.kind})
                if round == 0 and (caption := asker.caption(r, picture)):
                    captions.append({"file": file, "captions": [caption[1]]})
                if round == 0 or len(questions) > before:
                    image.save(out / file)
            shown = shown or drawn
            if all(asked[kind] == most for kind, most in EACH.items()):
                break
        files = [q["image"] for q in questions]
        half = len(files) // 2
        for name, images in (("", files), ("-blank", ["blank.png"] * len(files)), ("-wrong", files[half:] + files[:half])):
            content = {"images": ".", "questions": [q | {"image": f} for q, f in zip(questions, images)]}
            (out / f"{style}{name}.json").write_text(json.dumps(content, indent=1))
        (out / f"{style}-captions.json").write_text(json.dumps({"images": ".", "pictures": captions}, indent=1))
        (out / f"{style}-found.json").write_text(json.dumps(annotations(world, shown)))
        print(f"{style}: {len(shown)} pictures, {len(questions)} questions, {({k: asked[k] for k in EACH})}", flush=True)


if __name__ == "__main__":
    main()
