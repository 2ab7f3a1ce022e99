"""Writes tests/fixtures/decoders/prompts.json: what the processors make of messages and of pictures' sizes, SmolVLM's tiles, and
LLaVA-OneVision's tokens.

The pictures are black: only their sizes matter to ids and tiles.
"""

from PIL import Image
from transformers.models.smolvlm.image_processing_pil_smolvlm import SmolVLMImageProcessorPil

from decoder_models import MODELS
from decoder_reference import make_processor
from fixture_tokenizers import write_json

SIZES = [(1, 1), (2, 3), (7, 5), (61, 37), (37, 61), (64, 64), (65, 63), (96, 96), (192, 192), (193, 191), (211, 140), (23, 97), (100, 300),
         (333, 111), (640, 480), (480, 640), (1000, 10), (10, 1000), (5000, 50), (50, 5000)]
TILED = [(1, 1), (64, 64), (386, 386), (512, 512), (513, 511), (1024, 768), (1920, 1080), (500, 2000), (2048, 1025), (300, 301), (5000, 50),
         (50, 5000)]
SIDES = [1, 2, 3, 5, 7, 10, 23, 37, 50, 61, 97, 100, 333, 640, 1000, 5000]
QUESTIONS = ["What is this?", "", " two  spaces ", "Describe it.\n\nIn detail.\n", "it's 2026: 10,5 % of 300", "café 🐱 猫と犬",
             "\tTab", "I'LL SEE", "User: Assistant:", "▁<b>html</b> <loc 1>", "\n", "Ｆｕｌｌ ① e\u0301", "👩‍👩‍👧‍👦 🇨🇭", "न मस्ते\u200d?",
             "a\r\nb\u00a0c\u3000d", "𝔘𝔫𝔦 \\\"'`{{x}}", "<image >", "a" * 70]
PREFIXES = ["caption en", "detect cat ; dog", "segment cat", "ocr", "answer en how many dogs?", "<loc0000><loc1023> cat",
            "<seg000><seg127>", "", " en", "café 🐱 猫", "two\nlines", "caption en\n"]
SPECIALS = ["<image>", "<end_of_utterance>", "<fake_token_around_image>", "<|im_end|>", "</s>", "<row_1_col_1>"]


def say(*parts, role="user"):
    """A message: None is a picture."""
    return dict(role=role, content=[dict(type="image") if part is None else dict(type="text", text=part) for part in parts])


def conversations():
    """Messages, and the sizes of their pictures in order."""
    question = lambda i: QUESTIONS[i % len(QUESTIONS)]
    for i, size in enumerate(SIZES):
        yield [say(None, question(i))], [size]
    for i, size in enumerate(SIZES[2:8]):
        yield [say(question(i), None)], [size]
    for text in QUESTIONS:
        yield [say(text)], []
    yield [say(None)], [(61, 37)]
    yield [say("You are kind.", role="system"), say(None, "What?")], [(61, 37)]
    yield [say(None, "What?"), say("A dog.", role="assistant"), say("And where?")], [(96, 96)]
    yield [say("Hello"), say("Hi 🐱", role="assistant"), say(None, "What?"), say("A dog.", role="assistant"), say("Two?")], [(37, 61)]
    yield [say(None, "What?", "And why?")], [(7, 5)]
    yield [say(None, None, "Which is larger?")], [(61, 37), (1, 1)]
    yield [say(None, "or", None, "?")], [(96, 96), (23, 97)]
    yield [say(None, None, None, "")], [(7, 5), (5000, 50), (211, 140)]
    yield [say(None, "This?"), say("A dog.", role="assistant"), say("And", None, "?")], [(333, 111), (64, 64)]


def prompt(processor, messages, sizes, **options):
    """`raw` is what the chat template makes of the messages."""
    raw = processor.apply_chat_template(messages, add_generation_prompt=True)
    images = [[Image.new("RGB", size) for size in sizes]] if sizes else None
    ids = processor(images=images, text=[raw], **options)["input_ids"][0]
    return dict(messages=messages, pictures=sizes, raw=raw, ids=list(ids), **options)


def sanitized(processor, text):
    """Special tokens in a user's words stay words."""
    messages, sizes = [say(None, f"Is {text} here?")], [(61, 37)]
    ids = processor.apply_chat_template(
        messages, add_generation_prompt=True, tokenize=True, sanitize_control_tokens=True,
        processor_kwargs=dict(images=[Image.new("RGB", size) for size in sizes]))
    return dict(messages=messages, pictures=sizes, sanitized=True, ids=list(ids[0]))


def prefixed(processor, text, sizes):
    """PaliGemma has no chat template: `raw` is what its processor takes."""
    raw = "<image>" * len(sizes) + text
    images = [[Image.new("RGB", size) for size in sizes]]
    return dict(pictures=sizes, raw=raw, ids=list(processor(images=images, text=[raw])["input_ids"][0]))


def layout(size, longest, tile, rows_a_tile):
    """How SmolVLM's own settings cut a picture: the sizes after both resizes, rows and columns of tiles, 0 and 0 for none."""
    processor, sizes = SmolVLMImageProcessorPil(size=dict(longest_edge=longest), max_image_size=dict(longest_edge=tile)), []
    resize = processor.resize

    def kept(image, *arguments, **options):
        resized = resize(image, *arguments, **options)
        sizes.append(list(resized.shape[:-3:-1]))
        return resized

    processor.resize = kept
    found = processor([[Image.new("RGB", size)]], return_row_col_info=True)
    (rows,), (columns,) = found["rows"][0], found["cols"][0]
    count = len(found["pixel_values"][0])
    return dict(picture=size, longest_edge=longest, tile=tile, resized=sizes[0], canvas=sizes[1], rows=rows, columns=columns,
                pictures=count, image_tokens=count * rows_a_tile)


def packed(processor):
    """How many tokens LLaVA-OneVision's processor makes of pictures of all these widths (a row) and heights."""
    side = processor.image_processor.size["height"]
    return [[processor._get_number_of_features(height, width, side, side) for height in SIDES] for width in SIDES]


def make_prompts(folder):
    found = {}
    for name in ("smolvlm", "llava-onevision", "llava"):
        processor = make_processor(folder / name, MODELS[name])
        found[name] = [prompt(processor, *case) for case in conversations()]
        if name == "smolvlm":
            found[name] += [prompt(processor, [say(None, "What?")], [size], do_image_splitting=False) for size in SIZES[::2]]
            found[name] += [prompt(processor, [say(None, None)], [(61, 37), (5000, 50)], do_image_splitting=False)]
        if not processor.tokenizer("")["input_ids"]:  # else the reference refuses
            added = processor.tokenizer.get_added_vocab()
            found[name] += [sanitized(processor, text) for text in SPECIALS if text in added]
    processor = make_processor(folder / "paligemma", MODELS["paligemma"])
    found["paligemma"] = [prefixed(processor, PREFIXES[i % len(PREFIXES)], [size]) for i, size in enumerate(SIZES)]
    found["paligemma"] += [prefixed(processor, text, [(61, 37), (7, 5)]) for text in PREFIXES]
    found["packed"] = dict(sides=SIDES) | {name: packed(make_processor(folder / name, MODELS[name])) for name in MODELS if "onevision" in name}
    found["tiles"] = [layout(size, *settings) for settings in ((2048, 512, 64), (1536, 384, 81)) for size in TILED]
    write_json(folder / "prompts.json", found)
    print("prompts.json: " + ", ".join(f"{len(cases)} of {name}" for name, cases in found.items()))
