"""The tokenizer of ocelli-tiny-ask, in the form of Gemma's: pieces of words in small letters, bytes for what they lack, and PaliGemma's
tokens of places and masks.

    words.py FOLDER [--anew]

Writes FOLDER/words.json, a tokenizer.json: that of the model in the repository, or, with --anew, one whose pieces are learned from the
questions and answers of 6,000 pictures. Two runs learn different ones, as the library takes equally frequent pairs in any order.
"""

import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

SPECIAL = ["<pad>", "<eos>", "<bos>", "<unk>"]
PAD, EOS, BOS = 0, 1, 2
LOCATIONS = [f"<loc{i:04}>" for i in range(1024)]
CODES = [f"<seg{i:03}>" for i in range(128)]
PLAIN = dict(single_word=False, lstrip=False, rstrip=False, normalized=False, special=True)


def corpus(world):
    """What is said of pictures without looking at them, and every name both at the start of an answer and within."""
    from names import plural
    from questions import Asker, an

    asker, r = Asker(world), np.random.default_rng(0)
    for seed in range(6000 // world.size):
        for picture in world.batch(seed)[2]:
            for q in asker.questions(r, picture, 8):
                yield from (q.prompt, q.answer)
    for concept in (*world.things, *world.scenes):
        label = world.names.labels[concept]
        yield from 4 * [label, f"the {label}", f"the {label}?", f"many {plural(label)}", f"{an(label)}"]


def train(texts, path):
    """Byte-pair pieces that begin with a space (▁) or a text; words of the questions are one piece each."""
    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Metaspace(prepend_scheme="never"),
                                                     pre_tokenizers.Split("?", "isolated"), pre_tokenizers.Split(",", "isolated")])
    cleaned = (re.sub(r"<loc\d+>", "", text).lower().strip() for text in texts)
    learner.train_from_iterator(cleaned, trainers.BpeTrainer(vocab_size=2400, min_frequency=2, show_progress=False))
    model = json.loads(learner.to_str())["model"]
    known = sorted(set(model["vocab"]) | set("abcdefghijklmnopqrstuvwxyz0123456789.,:;!?()'-▁"), key=lambda t: model["vocab"].get(t, 0))
    tokens = [*SPECIAL, *(f"<0x{b:02X}>" for b in range(256)), "\n", *known, *LOCATIONS, *CODES, "<image>"]
    ids = {t: i for i, t in enumerate(tokens)}
    spell = [dict(type="Replace", pattern={"String": "▁"}, content=" "), dict(type="ByteFallback"), dict(type="Fuse")]
    begin, (a, b) = {"SpecialToken": {"id": "<bos>", "type_id": 0}}, ({"Sequence": {"id": letter, "type_id": 0}} for letter in "AB")
    whole = dict(
        version="1.0", truncation=None, padding=None,
        added_tokens=[dict(id=ids[t], content=t, **PLAIN) for t in [*SPECIAL, *LOCATIONS, *CODES, "<image>"]],
        normalizer=dict(type="Sequence", normalizers=[dict(type="Lowercase"), dict(type="Replace", pattern={"String": " "}, content="▁")]),
        pre_tokenizer=dict(type="Split", pattern={"String": " "}, behavior="MergedWithPrevious", invert=False),
        post_processor=dict(type="TemplateProcessing", single=[begin, a], pair=[begin, a, b],
                            special_tokens={"<bos>": dict(id="<bos>", ids=[BOS], tokens=["<bos>"])}),
        decoder=dict(type="Sequence", decoders=spell),
        model=dict(type="BPE", dropout=None, unk_token="<unk>", continuing_subword_prefix=None, end_of_word_suffix=None, fuse_unk=True,
                   byte_fallback=True, ignore_merges=False, vocab={t: ids[t] for t in tokens if t not in (*LOCATIONS, *CODES, "<image>")},
                   merges=model["merges"]))
    path.write_text(json.dumps(whole, ensure_ascii=False))


if __name__ == "__main__":
    from names import Names
    from shipped import ASK
    from truth import World

    folder = Path(sys.argv[1])
    if "--anew" in sys.argv[2:]:
        train(corpus(World(folder, Names(folder), 32, 100)), folder / "words.json")
    else:
        shutil.copyfile(ASK / "tokenizer.json", folder / "words.json")
    print(Tokenizer.from_file(str(folder / "words.json")).get_vocab_size(), "tokens")
