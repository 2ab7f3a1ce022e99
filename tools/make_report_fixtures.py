"""Makes tests/fixtures/reports.json: what transformers answers in the cases of tests/find/reports.rs.

    pip install -r tools/requirements.txt
    python tools/make_report_fixtures.py  # from the root of the repository, after make_find_fixtures.py, whose models it asks

boxes   owlv2 and owlvit, of each token its best label, score and box [left, top, right, bottom] in pixels, not clipped
ids     token ids with the tokenizer_config.json of published OWLv2 folders
spot    clipseg-refined at 352 pixels: every 37th row and column of the logits, every 53rd of those as large as the picture
means   clipseg-refined with ImageNet's mean and deviation: logits of rgb-61x37.png as in the model's golden.json
"""

import json
import shutil
import tempfile
from pathlib import Path

from make_find_fixtures import MODELS, FindReference
from make_fixtures import OUT, TAP_IMAGE, numbers, open_image

import numpy as np
import torch
from PIL import Image
from transformers import AutoImageProcessor, CLIPTokenizer
from transformers.image_utils import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD

from find_golden import MARGIN, rows, sample
from find_steps import upsampled
from fixture_tokenizers import write_json

# Report, model, and size of the picture. The second report's picture is one of tests/fixtures/images.
BOXES = [(1, "owlv2", 1920, 1080), (3, "owlv2", 640, 480), (4, "owlvit", 600, 200)]
LABELS = ["a photo of a cat", "two dogs in the snow", "the red bicycle"]
TEXTS = ["wow!", "!", "", "a cat!", " ".join(["a cat"] * 20)]
SPOT = "the black spot"


def painted(width, height):
    """Tiles, each of its own colour, with a grain. reports.rs paints the same."""
    y, x = np.mgrid[:height, :width]
    i, j, grain = x * 6 // width, y * 5 // height, (x * 7 ^ y * 13) & 31
    channels = [(i * (83 + 40 * c) + j * (47 + 22 * c) + 29 * i * j) & 255 ^ grain for c in range(3)]
    return Image.fromarray(np.stack(channels, -1).astype(np.uint8))


def spotted():
    """The picture of transformers#34415."""
    pixels = np.full((512, 512, 3), 128, np.uint8)
    pixels[240:272, 240:272] = 0
    return Image.fromarray(pixels)


def reference(name):
    return FindReference(OUT / name, MODELS[name])


def boxes(report, name, width, height):
    asked = reference(name)
    out = asked.model(input_ids=asked.ids(LABELS), pixel_values=asked.pixels([painted(width, height)]))
    [kept] = asked.processor.post_process_object_detection(out, threshold=0.0, target_sizes=[(height, width)])
    best, second = out.logits[0].topk(2).values.unbind(-1)
    assert len(kept["boxes"]) == len(best) and (best - second).min() > MARGIN, "two labels at once"
    assert len(kept["labels"].unique()) > 1, "one label alone"
    left, top, right, bottom = kept["boxes"].unbind(-1)
    print(f"{report}: {name}, {width} × {height}: x {left.min():.2f} to {right.max():.2f}, y {top.min():.2f} to {bottom.max():.2f}")
    assert right.max() > width and bottom.max() > height, "no box that leaves the picture"
    found = [[label, score, box] for label, score, box in
             zip(kept["labels"].tolist(), numbers(kept["scores"]), rows(kept["boxes"]))]
    return dict(report=report, model=name, size=[width, height], labels=LABELS, found=found)


def ids():
    """As google/owlv2-base-patch16-ensemble has its tokenizer_config.json, and as old folders of OWL-ViT have theirs: the same ids."""
    folder, found = OUT / "owlv2", []
    own = json.loads((folder / "tokenizer_config.json").read_text())
    token = lambda content: dict(content=content, lstrip=False, normalized=False, rstrip=False, single_word=False, special=True)
    vocabulary = CLIPTokenizer.from_pretrained(folder).get_vocab()
    names = ["!", own["bos_token"], own["eos_token"]]
    published = dict(own, added_tokens_decoder={str(vocabulary[name]): token(name) for name in names}, additional_special_tokens=[],
                     clean_up_tokenization_spaces=True, processor_class="Owlv2Processor")
    old = dict(own, pad_token=dict(token("!"), __type="AddedToken"))
    for config in (own, published, old):
        with tempfile.TemporaryDirectory() as temporary:
            shutil.copy(folder / "tokenizer.json", temporary)
            write_json(Path(temporary) / "tokenizer_config.json", config)
            tokenizer = CLIPTokenizer.from_pretrained(temporary)
            found.append(tokenizer(TEXTS, padding="max_length", truncation=True, max_length=16)["input_ids"])
    assert found[0] == found[1] == found[2], found
    return dict(configs=[own, published, old], texts=[dict(text=text, ids=row) for text, row in zip(TEXTS, found[0])])


def spot():
    asked, side = reference("clipseg-refined"), 352
    pixels = asked.pixels([spotted(), painted(512, 512)], size=dict(height=side, width=side))
    logits = asked.model(input_ids=asked.ids([SPOT] * 2), pixel_values=pixels).logits
    found, other = (torch.tensor(sample(one)) for one in logits[:, None])
    large = torch.tensor(sample(upsampled(logits[:1], 512, 512))[0])
    low, high = large.sort().values[[49, 50]].tolist()
    threshold = round(torch.tensor((low + high) / 2).sigmoid().item(), 4)
    near = (large.sigmoid() - threshold).abs().min()
    print(f"spot: {large.min():.2f} to {large.max():.2f}; {threshold} is {near:.1e} away")
    assert near > MARGIN
    return dict(side=side, text=SPOT, logits=numbers(found[0]), upsampled=numbers(large), threshold=threshold,
                unrelated_distance=(found - other).norm().item())


def means():
    asked = reference("clipseg-refined")
    image, texts = open_image(OUT / "images" / TAP_IMAGE), asked.texts[:3]
    half = asked.pixels([image])
    with tempfile.TemporaryDirectory() as temporary:
        settings = dict(MODELS["clipseg-refined"]["preprocessor"])
        del settings["image_mean"], settings["image_std"]
        write_json(Path(temporary) / "preprocessor_config.json", settings)
        usual = AutoImageProcessor.from_pretrained(temporary, backend="pil")
        assert np.array_equal(usual([image])["pixel_values"][0], half[0].numpy()), "where the file says nothing: 0.5"
    mean, std = IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
    pixels = asked.pixels([image], image_mean=mean, image_std=std)
    logits = asked.model(input_ids=asked.ids(texts), pixel_values=pixels.expand(3, -1, -1, -1)).logits
    return dict(mean=mean, std=std, logits=sample(logits))


@torch.no_grad()
def main():
    torch.set_num_threads(1)
    to = OUT / "reports.json"
    write_json(to, dict(boxes=[boxes(*case) for case in BOXES], ids=ids(), spot=spot(), means=means()))
    print(to, to.stat().st_size)


if __name__ == "__main__":
    main()
