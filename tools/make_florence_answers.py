"""Makes tests/fixtures/florence/answers.json: texts as Florence-2 writes them, sound ones and broken ones, and what the reference makes of
each, by task; and places in pixels with the tokens that the reference has for them.

    pip install -r tools/requirements.txt
    python tools/make_florence_answers.py  # from the root of the repository, after make_florence_fixtures.py

The reference is Florence2Processor.post_process_generation of transformers, with the words that its published processor leaves out.
"""

import json
import random
from types import SimpleNamespace

import torch
from transformers.models.florence2.processing_florence2 import Florence2PostProcessor, Florence2Processor

from make_florence_fixtures import FLORENCE

# Of convert_florence2_original_pytorch_to_hf.py.
BANNED = ("it I me mine you your yours he him his she her hers they them their theirs one oneself we us our ours its myself yourself himself "
          "herself itself ourselves yourselves themselves this that these those who whom whose which what all another any anybody anyone "
          "anything each everybody everyone everything few many nobody none several some somebody someone something image images the a an "
          "lots").split() + ["each other", "one another", "the image", "a group", "other objects", "a set"]
CONFIG = {"ocr": {"pattern": None, "area_threshold": 0.0}, "phrase_grounding": {"banned_grounding_tokens": BANNED}}
CONFIG |= {name: {} for name in ("pure_text", "description_with_bboxes", "description_with_polygons", "polygons", "bboxes",
                                 "description_with_bboxes_or_polygons")}
SIZES = [(640, 480), (1000, 1000), (61, 37), (1, 3000), (333, 17)]
WORDS = ["cat", "a black dog", "it", "the image", "café au lait", "traffic light", " person ", "two\nlines", "\n lead", "x < y", "猫",
         "A1-€5", "", " ", "a group", "\tTab", "men's shoe,", "</od>", "<od>"]
COUNT = 200


def processor():
    made = SimpleNamespace(image_seq_length=1)
    one = object.__new__(Florence2Processor)
    tokenizer = SimpleNamespace(image_token="<image>", image_token_id=0, all_special_tokens=[])
    try:
        Florence2Processor.__init__(one, made, tokenizer, post_processor_config=CONFIG)
    except Exception:  # what it shares with other processors wants real parts; all that is asked here is set before
        pass
    assert isinstance(one.post_processor, Florence2PostProcessor)
    return one


def locations(rng, count):
    return "".join(f"<loc_{rng.choice([0, 999, rng.randrange(1000), rng.randrange(1000), 1000 + rng.randrange(50)])}>" for _ in range(count))


def polygon(rng):
    parts = [locations(rng, rng.choice([6, 6, 7, 4, 2, 1])) for _ in range(rng.choice([1, 1, 2]))]
    text = "<sep>".join(parts)
    return rng.choice(["<poly>{}</poly>", "{}", "<poly>{}", "{}</poly>", "<poly>{}</poly>", "{}<sep>"]).format(text)


def part(rng):
    kind = rng.choice("bbbqqpppt")
    word = rng.choice(WORDS)
    if kind == "b":
        return word + locations(rng, rng.choice([4, 4, 4, 8, 3, 5]))
    if kind == "q":
        return word + locations(rng, rng.choice([8, 8, 8, 7, 9]))
    return word + "".join(polygon(rng) for _ in range(rng.choice([1, 1, 2]))) if kind == "p" else word


def broken(rng, text):
    """A few characters lost, doubled or exchanged."""
    for _ in range(rng.choice([1, 1, 2, 5])):
        if not text:
            break
        at = rng.randrange(len(text))
        what = rng.randrange(5)
        if what == 0:
            text = text[:at] + text[at + 1:]
        elif what == 1:
            text = text[:at] + rng.choice(["<", ">", "<loc_", "<sep>", "<pad>", "\n", "</poly>", "<poly>", "<loc_>", "<loc_12"]) + text[at:]
        elif what == 2:
            text = text[:at]
        elif what == 3:
            end = rng.randrange(at, min(len(text), at + 20))
            text = text[:end] + text[at:]
        else:
            text = text[:at] + text[at:].replace(">", "", 1)
    return text


def make_texts(rng):
    for index in range(COUNT):
        text = "".join(part(rng) for _ in range(rng.choice([0, 1, 1, 2, 2, 3])))
        if index % 3 == 0:
            text = "</s><s>" + text + "</s>" + "<pad>" * rng.randrange(3)
        yield broken(rng, text) if index % 2 else text


def main():
    rng, reference = random.Random(7), processor()
    tasks = list(reference.tasks_answer_post_processing_type)
    answers = []
    for text in make_texts(rng):
        size = rng.choice(SIZES)
        results = {}
        for task in tasks:
            # One of each kind: others are parsed alike.
            kind = reference.tasks_answer_post_processing_type[task]
            if kind not in results:
                results[kind] = reference.post_process_generation(text=text, task=task, image_size=size)[task]
        answers.append(dict(text=text, size=size, results=results))
    found = {kind: sum(bool(one["results"][kind] and (isinstance(one["results"][kind], str) or any(one["results"][kind].values())))
                       for one in answers) for kind in answers[0]["results"]}
    print(len(answers), found)
    assert min(found.values()) >= 30
    places = []
    for _ in range(60):
        size = rng.choice(SIZES)
        box = [rng.uniform(-5, side * 1.01) for side in (*size, *size)] if rng.randrange(4) else [0, 0, *size]
        box = torch.tensor([box], dtype=torch.float32)
        bins = reference.post_processor.quantize(box, size)[0].tolist()
        places.append(dict(size=size, box=box[0].tolist(), bins=bins,
                           back=reference.post_processor.dequantize(torch.tensor([bins]), size)[0].tolist()))
    prompts = {task: text for task, text in {**reference.task_prompts_without_inputs, **reference.task_prompts_with_input}.items()}
    kinds = reference.tasks_answer_post_processing_type
    path = FLORENCE / "answers.json"
    lines = ",\n  ".join(json.dumps(one, ensure_ascii=False) for one in answers)
    rest = json.dumps(dict(prompts=prompts, kinds=kinds, places=places), ensure_ascii=False)
    path.write_text(f'{{"answers": [\n  {lines}\n ],\n {rest[1:]}\n', encoding="utf-8")
    json.loads(path.read_text())
    print(f"{path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
