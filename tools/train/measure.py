"""Measures a model on evaluate.py's pictures, through Ocelli in every format and through transformers, and prints the tables.

    measure.py MODEL FOLDER OCELLI

MODEL is a folder in f32, FOLDER has `evaluation/`, OCELLI is the program (target/release/ocelli). Every answer is kept in
FOLDER/results/.
"""

import json
import subprocess
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from transformers import AutoModel, AutoProcessor

from evaluate import TRAINED

FORMATS = {"f32": "none", "f16": "f16", "q8": "q8", "q4": "q4"}
NAMED = ["openmoji", *TRAINED, "colours", "sides", "counts"]


class Transformers:
    def __init__(self, folder):
        self.model, self.processor = AutoModel.from_pretrained(folder).eval(), AutoProcessor.from_pretrained(folder)

    @torch.no_grad()
    def texts(self, texts):
        length = self.model.config.text_config.max_position_embeddings
        ids = self.processor(text=texts, padding="max_length", max_length=length, truncation=True, return_tensors="pt").input_ids
        return F.normalize(self.model.text_model(input_ids=ids).pooler_output, dim=-1)

    @torch.no_grad()
    def pictures(self, files):
        found = []
        for start in range(0, len(files), 64):
            images = [Image.open(f).convert("RGB") for f in files[start : start + 64]]
            pixels = self.processor(images=images, return_tensors="pt").pixel_values
            found.append(F.normalize(self.model.vision_model(pixel_values=pixels).pooler_output, dim=-1))
        return torch.cat(found)

    def eval(self, path):
        """The answer and the rank of the right class for each picture."""
        manifest = json.loads(path.read_text())
        labels = [c["name"] for c in manifest["classes"]]
        classes = F.normalize(sum(self.texts([t.format(label) for label in labels]) for t in manifest["templates"]), dim=-1)
        cosines = self.pictures([path.parent / p["file"] for p in manifest["pictures"]]) @ classes.T
        right = torch.tensor([labels.index(p["class"]) for p in manifest["pictures"]])
        ranks = 1 + (cosines > cosines.gather(1, right[:, None])).sum(1)
        return [labels[k] for k in cosines.argmax(1)], ranks.tolist()

    def recall(self, path):
        """Ranks of pictures for each caption, and of captions for each picture. Every caption belongs to one picture."""
        pictures = json.loads(path.read_text())["pictures"]
        cosines = self.texts([p["captions"][0] for p in pictures]) @ self.pictures([path.parent / p["file"] for p in pictures]).T
        own = cosines.diag()
        return (cosines >= own[:, None]).sum(1).tolist(), (cosines >= own[None]).sum(0).tolist()


def ocelli(program, verb, model, path, format):
    out = path.parent.parent / "results" / f"{path.stem}-{format}.json"
    out.parent.mkdir(exist_ok=True)
    subprocess.run([program, verb, "--model", model, "--manifest", path, "--format", FORMATS[format], "--json", out], check=True, stdout=subprocess.DEVNULL)
    return json.loads(out.read_text())["results"]


def share(hits):
    return f"{100 * sum(hits) / len(hits):.1f} %"


def top(ranks):
    return f"{share([r <= 1 for r in ranks])} / {share([r <= 5 for r in ranks])}"


def main():
    model, folder, program = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    reference = Transformers(model)
    same = {format: [] for format in ("transformers", *FORMATS)}
    print("Top-1 / top-5:\n\n| pictures | transformers |", " | ".join(FORMATS), "|\n|---|---|" + "---|" * len(FORMATS))
    for name in NAMED:
        path = folder / "evaluation" / f"{name}.json"
        theirs, ranks = reference.eval(path)
        cells, answers = [top(ranks)], {}
        for format in FORMATS:
            results = ocelli(program, "eval", model, path, format)
            cells.append(top([r["rank"] for r in results]))
            answers[format] = [r["top"][0]["class"] for r in results]
        answers["transformers"] = theirs
        for format, given in answers.items():
            same[format] += [a == b for a, b in zip(given, answers["f32"], strict=True)]
        print(f"| {name}, {len(ranks)} of {len(json.loads(path.read_text())['classes'])} |", " | ".join(cells), "|", flush=True)
    print(f"\nThe same first answer as f32, of {len(same['f32'])} pictures:", ", ".join(f"{f} {share(s)}" for f, s in same.items() if f != "f32"))

    print("\nRecall at 1 / at 10:\n\n| | transformers |", " | ".join(FORMATS), "|\n|---|---|" + "---|" * len(FORMATS))
    path = folder / "evaluation" / "captions.json"
    of_captions, of_pictures = ([r] for r in reference.recall(path))
    for format in FORMATS:
        results = ocelli(program, "recall", model, path, format)
        of_captions.append([c["rank"] for r in results for c in r["captions"]])
        of_pictures.append([r["rank"] for r in results])
    for what, ways in (("a caption's picture", of_captions), ("a picture's caption", of_pictures)):
        print(f"| {what} of {len(ways[0])} |", " | ".join(f"{share([r <= 1 for r in w])} / {share([r <= 10 for r in w])}" for w in ways), "|")


if __name__ == "__main__":
    main()
