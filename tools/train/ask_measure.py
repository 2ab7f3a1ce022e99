"""Measures ocelli-tiny-ask on scene_evaluation.py's pictures, through Ocelli in every format and through transformers, and prints the
tables of its card.

    ask_measure.py MODEL FOLDER OCELLI

MODEL is a folder in f32, FOLDER has `scenes/`, OCELLI is the program. Every answer is kept in FOLDER/results/.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from transformers import AutoProcessor, PaliGemmaForConditionalGeneration

from names import Names, plural
from scene_evaluation import ANSWER

FORMATS = {"f32": "none", "q8": "q8", "q4": "q4"}
STYLES = ["trained", "openmoji"]
REQUESTS = 150  # of boxes
LAST = 1023


class Transformers:
    def __init__(self, folder):
        self.model = PaliGemmaForConditionalGeneration.from_pretrained(folder).eval()
        self.processor = AutoProcessor.from_pretrained(folder)

    @torch.no_grad()
    def __call__(self, files, prompts, most=48):
        """What is written to each picture and prompt; those of one length at once."""
        tokens = self.processor.tokenizer
        lengths, answers = [len(tokens(p).input_ids) for p in prompts], [""] * len(prompts)
        for length in sorted(set(lengths)):
            mine = [k for k, n in enumerate(lengths) if n == length]
            for some in (mine[k : k + 32] for k in range(0, len(mine), 32)):
                images = [Image.open(files[k]).convert("RGB") for k in some]
                inputs = self.processor(images=images, text=[f"<image>{prompts[k]}" for k in some], return_tensors="pt")
                inputs.pop("labels", None)
                written = self.model.generate(**inputs, max_new_tokens=most, do_sample=False)[:, inputs.input_ids.shape[1] :]
                for k, row in zip(some, written.tolist()):
                    row = row[: row.index(tokens.eos_token_id)] if tokens.eos_token_id in row else row
                    answers[k] = tokens.decode(row, skip_special_tokens=False).strip()
        return answers


def ocelli(program, verb, model, path, format, *more):
    out = path.parent.parent / "results" / f"{verb}-{path.stem}-{format}.json"
    out.parent.mkdir(exist_ok=True)
    options = ["--backend", "cpu", "--model", model, "--manifest", path, "--format", FORMATS[format], "--json", out]
    subprocess.run([program, verb, *options, *more], check=True, stdout=subprocess.DEVNULL)
    return json.loads(out.read_text())


def answers(program, model, path, format):
    """Of `ocelli eval-vqa`, in the manifest's order: the program asks all questions of a picture one after the other."""
    found = {(r["image"], r["question"]): r["answer"] for r in ocelli(program, "eval-vqa", model, path, format)["results"]}
    return [found[q["image"], q["question"]] for q in json.loads(path.read_text())["questions"]]


def interval(hits):
    """A share and its 95 % interval (Wilson)."""
    n, p, z = len(hits), np.mean(hits), 1.96
    centre, half = (p + z * z / (2 * n)) / (1 + z * z / n), z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return f"{100 * p:.1f} % ({100 * max(centre - half, 0):.0f} to {100 * (centre + half):.0f})"


def plain(text):
    return " ".join(re.sub(r"[^a-z0-9 ]", " ", text.lower()).split())


def by_kind(manifest, answers):
    """Whether each question is answered exactly, by kind; and the balanced share of yes and no."""
    hits = {}
    for q, answer in zip(manifest["questions"], answers, strict=True):
        hits.setdefault(q["type"], []).append(plain(answer) == q["answers"][0])
        if q["type"] == "presence":
            hits.setdefault(q["answers"][0], []).append(plain(answer) == q["answers"][0])
    return hits


def names_of(caption, labels):
    """The things that a caption names, in singular and plural; the longest names first."""
    text, found = f" {plain(caption)} ", set()
    for word, label in labels:
        if f" {word} " in text:
            found.add(label)
            text = text.replace(f" {word} ", "  ")
    return found


def f1(pairs):
    right, said, there = (sum(x) for x in zip(*((len(a & b), len(a), len(b)) for a, b in pairs)))
    return 2 * right / max(said + there, 1)


def boxes(text, size):
    """Left, top, right and lower edge and the name of each thing, in pixels."""
    found = []
    for part in text.split(";"):
        if match := re.fullmatch(r"\s*((?:<loc\d{4}>){4})\s*(.*?)\s*", part):
            top, left, bottom, right = (int(v) / LAST for v in re.findall(r"\d{4}", match[1]))
            found.append((np.array([left, top, right, bottom]) * np.array([*size, *size]), match[2]))
    return found


def iou(a, b):
    wide, high = (min(a[k + 2], b[k + 2]) - max(a[k], b[k]) for k in (0, 1))
    inner = max(wide, 0) * max(high, 0)
    return inner / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inner)


def requests(path):
    """One name that is there for each picture, and for each fifth one that is not: file, size, name, and its boxes."""
    coco = json.loads(path.read_text())
    label, r, wanted = {c["id"]: c["name"] for c in coco["categories"]}, np.random.default_rng(5), []
    for image in coco["images"]:
        things = [a for a in coco["annotations"] if a["image_id"] == image["id"]]
        there = sorted({a["category_id"] for a in things})
        away = sorted(set(label) - set(there))
        concept = int(r.choice(away if not there or r.random() < 0.2 else there))
        own = [np.array([x, y, x + w, y + h]) for x, y, w, h in (a["bbox"] for a in things if a["category_id"] == concept)]
        if len(own) <= 4:
            wanted.append((path.parent / path.stem.removesuffix("-found") / image["file_name"], (image["width"], image["height"]), label[concept], own))
    return wanted[:REQUESTS]


def located(wanted, answers):
    """Precision, recall and F1 of boxes at an IoU of a half; how often nothing is said of what is not there; the mean IoU of pairs."""
    right = said = there = 0
    ious, silent = [], []
    for (_, size, name, own), answer in zip(wanted, answers, strict=True):
        mine, free = boxes(answer, size), list(own)
        said, there = said + len(mine), there + len(own)
        for box, label in mine:
            best = max(free, key=lambda o: iou(box, o), default=None)
            if best is not None and iou(box, best) >= 0.5 and label == name:
                right += 1
                ious.append(iou(box, best))
                free = [o for o in free if o is not best]
        if not own:
            silent.append(not mine)
    precision, recall = right / max(said, 1), right / max(there, 1)
    return (f"precision / recall / F1 at IoU 0.5 {100 * precision:.1f} % / {100 * recall:.1f} % / {2 * right / max(said + there, 1):.3f}; nothing said of "
            f"what is not there {100 * np.mean(silent):.0f} % of {len(silent)}; mean IoU of those found {np.mean(ious or [0]):.2f}")


def main():
    model, folder, program = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    scenes, reference = folder / "scenes", Transformers(sys.argv[1])
    all_names = Names(folder)
    labels = sorted({(w, l) for l in all_names.labels for w in (l, plural(l))}, key=lambda p: -len(p[0]))
    columns = ["transformers", *FORMATS]
    same = {f: [] for f in columns}
    for style in STYLES:
        path = scenes / f"{style}.json"
        manifest = json.loads(path.read_text())
        questions = manifest["questions"]
        given = {"transformers": reference([scenes / q["image"] for q in questions], [ANSWER + q["question"] for q in questions])}
        given |= {f: answers(program, model, path, f) for f in FORMATS}
        for f in columns:
            same[f] += [a == b for a, b in zip(given[f], given["f32"], strict=True)]
        hits = {f: by_kind(manifest, a) for f, a in given.items()}
        for without in ("blank", "wrong"):
            other = scenes / f"{style}-{without}.json"
            hits[without] = by_kind(manifest, answers(program, model, other, "f32"))
        heads = [*columns, "blank picture", "wrong picture"]
        print(f"\n{style}, exact answers:\n\n| questions | f32 (95 %) |", " | ".join(heads), "|\n|---|---|" + "---|" * len(heads))
        for kind in hits["f32"]:
            print(f"| {kind}, {len(hits['f32'][kind])} | {interval(hits['f32'][kind])} |", " | ".join(f"{100 * np.mean(h[kind]):.1f} %" for h in hits.values()), "|")
        print("| yes and no, balanced | |", " | ".join(f"{50 * (np.mean(h['yes']) + np.mean(h['no'])):.1f} %" for h in hits.values()), "|", flush=True)

        path = scenes / f"{style}-captions.json"
        pictures = json.loads(path.read_text())["pictures"]
        said = {"transformers": reference([scenes / p["file"] for p in pictures], ["caption en"] * len(pictures))}
        said |= {f: [r["caption"] for r in ocelli(program, "eval-caption", model, path, f)["results"]] for f in FORMATS}
        score = {f: f1([(names_of(a, labels), names_of(p["captions"][0], labels)) for a, p in zip(c, pictures, strict=True)]) for f, c in said.items()}
        print(f"\n{style}, names in {len(pictures)} captions, F1:", ", ".join(f"{f} {score[f]:.3f}" for f in columns), flush=True)

        wanted = requests(scenes / f"{style}-found.json")
        spoken = reference([w[0] for w in wanted], [f"detect {w[2]}" for w in wanted])
        print(f"{style}, {len(wanted)} requests of boxes: {located(wanted, spoken)}", flush=True)
    print("\nThe same answer as f32:", ", ".join(f"{f} {100 * np.mean(s):.1f} %" for f, s in same.items() if f != "f32"))


if __name__ == "__main__":
    main()
