"""Makes tests/fixtures/decoders/paligemma-written: a PaliGemma that writes one answer, boxes and a mask, whatever it is asked and shown.

    pip install -r tools/requirements.txt
    python tools/make_written_fixture.py           # from the root of the repository, after make_find_fixtures.py; CPU, seconds

Each token of the answer has a direction of its own, attention adds nothing, and the MLP adds the next token's direction to a token's own.
transformers in float32 confirms what it writes.
"""


import torch
from safetensors.torch import load_file, save_file

import decoder_reference
from decoder_models import MODELS, PICTURE, make_checkpoint
from decoder_reference import DecoderReference
from fixture_tokenizers import write_json
from make_fixtures import OUT

SPEC = MODELS["paligemma"]
SPEC = SPEC | dict(seed=1, text=SPEC["text"] | dict(num_hidden_layers=1))
CODES = "".join(f"<seg{8 * at:03}>" for at in range(16))
ANSWER = f"<loc0100><loc0200><loc0900><loc0700>{CODES} cat ;<loc0000><loc0512><loc0301><loc1023> dog"


def script(folder, chain):
    """Weights by which each token of the chain is followed by the next."""
    file = folder / "model.safetensors"
    tensors = load_file(file)
    name = lambda end: next(name for name in tensors if name.endswith(end))
    hidden = tensors[name("embed_tokens.weight")].shape[1]
    assert len(chain) <= hidden and len(set(chain)) == len(chain), chain
    for end in ("embed_tokens.weight", "o_proj.weight", "gate_proj.weight", "up_proj.weight", "down_proj.weight", "input_layernorm.weight",
                "post_attention_layernorm.weight", "language_model.model.norm.weight"):
        tensors[name(end)].zero_()
    for at, token in enumerate(chain):
        tensors[name("embed_tokens.weight")][token, at] = 1
    for at in range(len(chain) - 1):
        tensors[name("gate_proj.weight")][at, at] = 1
        tensors[name("up_proj.weight")][at, at] = 1
        tensors[name("down_proj.weight")][at + 1, at] = 1
    save_file(tensors, file, metadata=dict(format="pt"))


@torch.no_grad()
def main():
    decoder_reference.STEPS = 64
    folder = OUT / "decoders" / "paligemma-written"
    make_checkpoint(folder, SPEC, SPEC["seed"])
    reference = DecoderReference(folder, SPEC)
    tokenizer = reference.tokenizer
    answer = tokenizer.encode(ANSWER, add_special_tokens=False)
    # It begins behind the end of the prompt.
    script(folder, [reference.inputs()["input_ids"][0, -1].item(), *answer, reference.stop])
    reference = DecoderReference(folder, SPEC)
    for raw in ("<image>detect cat ; dog", "<image>segment cat"):
        inputs = reference.inputs(raw=raw)
        tokens, steps = reference.generate(inputs)
        assert tokens == [*answer, reference.stop], tokenizer.decode(tokens)
        best = steps.topk(2).values
        print(f"{raw}: {len(tokens)} tokens, margin {((best[:, 0] - best[:, 1]) / steps.std(-1)).min():.1f} σ")
    write_json(folder / "golden.json", dict(answer=ANSWER, tokens=answer, images=[PICTURE]))
    print(f"{sum(path.stat().st_size for path in folder.iterdir()):,} bytes")


if __name__ == "__main__":
    main()
