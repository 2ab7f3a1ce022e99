"""Makes the fixtures of decoders, tests/fixtures/decoders: of text alone (llama, qwen2, qwen3, gemma, gemma2, gemma3), and with pictures
(smolvlm, paligemma, llava-onevision, llava-onevision-shrunk, llava).

    pip install -r tools/requirements.txt
    python tools/make_decoder_fixtures.py [NAME…]  # from the root of the repository, after make_find_fixtures.py, whose pictures it uses
    python tools/make_decoder_fixtures.py --wrong  # writes nothing: how far each usual mistake moves the logits
    python tools/make_decoder_fixtures.py --search # writes nothing but in a temporary folder: the first seed of each that serves

The reference is transformers in float32 with the image processors' "pil" backend. tests/fixtures/README.md names what is written.
"""

import argparse
import os
import tempfile
from pathlib import Path

os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_VERBOSITY="error", TQDM_DISABLE="1")

import torch
from safetensors.torch import save_file

from decoder_models import MODELS, PICTURE, make_checkpoint
from decoder_prompts import make_prompts
from decoder_reference import STEPS, DecoderReference, distance, write_processor
from decoder_wrong import report, table
from fixture_tokenizers import write_json
from make_fixtures import OUT

DECODERS = OUT / "decoders"
MARGIN, DISTINCT, EXACT = 0.02, 11, 1e-5


def margin(steps):
    """How far the best token is from the second, at the step where that is least; in standard deviations of the logits."""
    best = steps.topk(2).values
    return ((best[:, 0] - best[:, 1]) / steps.std(-1)).min().item()


def serves(reference, tokens, steps):
    """No token is near the next best, they are not all the same, and none ends the answer or stands for a picture."""
    never = set(reference.stop if isinstance(reference.stop, list) else [reference.stop])
    if reference.sees:
        never.add(reference.processor.image_token_id)
    return (len(tokens) == STEPS and margin(steps) > MARGIN and len(set(tokens)) >= DISTINCT and not never & set(tokens)
            and steps.argmax(-1).tolist() == tokens)


def make(folder, spec, seed):
    make_checkpoint(folder, spec, seed)
    if "vision" in spec and not spec.get("old"):
        write_processor(folder, spec)
    return DecoderReference(folder, spec)


def search(spec):
    for seed in range(1, 400):
        with tempfile.TemporaryDirectory() as temporary:
            reference = make(Path(temporary) / "model", spec, seed)
            tokens, steps = reference.generate(reference.inputs())
        if serves(reference, tokens, steps):
            return f"seed {seed}: margin {margin(steps):.3f} σ, {len(set(tokens))} distinct"


def make_golden(folder, reference):
    spec, inputs = reference.spec, reference.inputs()
    tokens, steps = reference.generate(inputs)
    assert serves(reference, tokens, steps), "take another seed: see --search"
    taps = reference.taps(inputs) | dict(steps=steps)
    ids = inputs["input_ids"][0].tolist()
    assert len(ids) >= 40 and taps["embed"].shape[0] == len(ids)
    # Without a cache, all at once, the same: and as in float64.
    whole = reference.model(**reference.longer(inputs, tokens[:-1])).logits[0, -STEPS:]
    cache, exact = distance(whole, steps), distance(taps["logits"].double(), reference.exact(inputs))
    assert max(cache, exact, distance(taps["logits"], steps[0]), distance(reference.next(inputs, tokens[0]), steps[1])) < EXACT
    golden = dict(seed=spec["seed"], raw=reference.raw, ids=ids, tokens=tokens, text=reference.tokenizer.decode(tokens),
                  finish="length", stop=reference.stop, margin=round(margin(steps), 4), distinct=len(set(tokens)))
    if reference.sees:
        (folder / "pixels").mkdir()
        golden |= dict(messages=spec.get("messages"), images=[PICTURE], others=[])
        lows = [([PICTURE], True)] if spec.get("low") else []
        for pictures, low in [([PICTURE], False), *((pictures, False) for pictures in spec["others"]), *lows]:
            stem = "+".join(Path(name).stem for name in pictures) + (".low" if low else "")
            reference.tiles(pictures, low).save(folder / "pixels" / f"{stem}.png", optimize=True)
            other = reference.inputs(pictures, low=low)
            rows = reference.features(other)
            count = int((other["input_ids"] == reference.processor.image_token_id).sum())
            assert count == len(rows)
            if pictures == [PICTURE] and not low:
                golden["image_tokens"] = count
            else:
                logits = reference.logits(other)
                more = (dict(low=True) if low else {}) | (dict(next=logits.argmax().item()) if margin(logits[None]) > MARGIN else {})
                golden["others"].append(dict(images=pictures, ids=other["input_ids"][0].tolist(), image_tokens=count) | more)
                taps |= {f"picture.{stem}": rows, f"logits.{stem}": logits}
    golden["wrong"] = report(reference, inputs, tokens, steps)
    assert all(x.isfinite().all() for x in taps.values())
    write_json(folder / "golden.json", golden)
    save_file({name: x.contiguous() for name, x in sorted(taps.items())}, folder / "golden.safetensors")
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(f"{folder.name}: {size:,} bytes, seed {spec['seed']}, {len(ids)} ids of {steps.shape[1]}, margin {margin(steps):.3f} σ, "
          f"{golden['distinct']} distinct, cache {cache:.1e}, float64 {exact:.1e}")
    print("  " + ", ".join(f"{name} {list(x.shape)}" for name, x in sorted(taps.items())))
    assert size < 900_000
    return golden["wrong"]


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--wrong", action="store_true")
    parser.add_argument("--search", action="store_true")
    parser.add_argument("models", nargs="*", default=list(MODELS))
    options = parser.parse_args()
    torch.set_num_threads(1)
    found = {}
    for name in options.models:
        folder, spec = DECODERS / name, MODELS[name]
        if options.search:
            print(name, search(spec), flush=True)
            continue
        if not options.wrong:
            found[name] = make_golden(folder, make(folder, spec, spec["seed"]))
            continue
        reference = DecoderReference(folder, spec)
        found[name] = report(reference, reference.inputs(), *reference.generate(reference.inputs()))
    table(found, whole=set(options.models) == set(MODELS))
    if not options.wrong and not options.search:
        make_prompts(DECODERS)


if __name__ == "__main__":
    main()
