"""The names of things, the texts made of them, and the tokenizer.

    names.py FOLDER

Writes `tokenizer.json`: a SentencePiece-like Unigram model (lowercase, NFKC) of at most 4,096 pieces, trained on these texts.
"""

import json
import random
import re
import string
import sys
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

LENGTH = 24  # tokens of a text; SigLIP pads to it
EOS = 1
COLOURS = {"red": (220, 30, 30), "green": (30, 160, 60), "blue": (40, 80, 220), "yellow": (245, 215, 40), "orange": (245, 140, 20),
           "purple": (130, 50, 170), "pink": (250, 150, 190), "brown": (120, 75, 40), "black": (15, 15, 15),
           "white": (250, 250, 250), "gray": (128, 128, 128), "turquoise": (50, 200, 200)}
COLOUR_NAMES = list(COLOURS)
NUMBERS = {1: "one", 2: "two", 3: "three", 4: "four", 5: "five"}
TEMPLATES = ["{}", "a {}", "a picture of a {}", "a photo of a {}", "a drawing of a {}", "an icon of a {}", "a {} icon", "{} clip art",
             "this is a photo of {}", "an image of a {}", "a sticker of a {}", "an illustration of a {}", "a line drawing of a {}",
             "the {}", "a cartoon {}", "{} emoji", "a sketch of a {}", "a picture of the {}", "a clip art of a {}"]
MANY = ["{} {}", "{} {}", "a picture of {} {}", "a drawing of {} {}", "there are {} {}"]
PLAIN_GROUPS = (3, 4, 5, 6, 7)  # animals, food, places, activities, objects
EVALUATION = ["a picture of a {}", "a {} icon", "{}"]


def canonical(text):
    """SigLIP's cleaning: lower case, ASCII punctuation removed, single spaces (transformers' SiglipTokenizer.canonicalize_text)."""
    return " ".join(text.lower().translate(str.maketrans("", "", string.punctuation)).split())


def plural(noun):
    if noun.endswith(("fish", "sheep", "deer", "scissors", "glasses", "jeans", "chopsticks", "skis", "shorts", "noodles", "cheese")):
        return noun
    if re.search(r"[^aeiou]y$", noun):
        return noun[:-1] + "ies"
    if re.search(r"(s|x|z|ch|sh|ato)$", noun):
        return noun + "es"
    if noun.endswith("fe"):
        return noun[:-2] + "ves"
    return noun + "s"


class Names:
    """Concepts in the order of their numbers, with what texts may be made of each."""

    def __init__(self, folder):
        folder = Path(folder)
        emoji = json.loads((folder / "concepts.json").read_text())
        drawn = list(dict.fromkeys(s["label"] for s in json.loads((folder / "scenes.json").read_text())))
        self.labels = [canonical(e["label"]) for e in emoji]
        self.groups = [e["group"] for e in emoji]
        self.tags = [sorted({canonical(t) for t in e["tags"]} - {l, ""}) for e, l in zip(emoji, self.labels)]
        # Two emoji of one name are one concept for every question that is asked by name.
        for label in drawn:
            if label not in self.labels:
                self.labels.append(label)
                self.groups.append(-1)
                self.tags.append([])
        self.number = {}
        for i, label in enumerate(self.labels):
            self.number.setdefault(label, i)
        # One plain word: what accuracy is measured on.
        self.plain = [i for i, l in enumerate(self.labels) if self.groups[i] in PLAIN_GROUPS and " " not in l and self.number[l] == i
                      and i < len(emoji) and "-" not in emoji[i]["label"]]


def corpus(names):
    r = random.Random(0)
    for i, label in enumerate(names.labels):
        once = 6 if i in set(names.plain) else 2
        for _ in range(once):
            yield r.choice(TEMPLATES).format(label)
            yield f"a {r.choice(COLOUR_NAMES)} {label} on a {r.choice(COLOUR_NAMES)} background"
            yield f"{r.choice(list(NUMBERS.values()))} {plural(label)}"
            yield f"a {label} {r.choice(['to the left of', 'to the right of', 'above', 'below', 'and'])} a {r.choice(names.labels)}"
        yield from names.tags[i]


def train_tokenizer(names, path):
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), normalizers.NFKC()])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=4096, special_tokens=["<unk>", "</s>"], unk_token="<unk>", show_progress=False,
                                      initial_alphabet=list("abcdefghijklmnopqrstuvwxyz0123456789"))
    tokenizer.train_from_iterator(corpus(names), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", EOS)])
    tokenizer.save(str(path))


class Encoder:
    def __init__(self, path):
        self.tokenizer = Tokenizer.from_file(str(path))
        self.size = self.tokenizer.get_vocab_size()

    def __call__(self, texts):
        ids = np.full((len(texts), LENGTH), EOS, np.int64)
        for row, encoding in zip(ids, self.tokenizer.encode_batch([canonical(t) for t in texts])):
            kept = encoding.ids[:LENGTH]
            kept[-1] = EOS
            row[: len(kept)] = kept
        return torch.from_numpy(ids)


if __name__ == "__main__":
    names = Names(sys.argv[1])
    train_tokenizer(names, Path(sys.argv[1]) / "tokenizer.json")
    print(f"{len(names.labels)} names, {len(names.plain)} plain; {Encoder(Path(sys.argv[1]) / 'tokenizer.json').size} pieces")
