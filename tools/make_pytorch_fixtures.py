"""Makes tests/fixtures/pytorch: the weights of other fixtures as torch itself writes them.

    pip install -r tools/requirements.txt
    python tools/make_pytorch_fixtures.py    # from the root of the repository, after the other make_*_fixtures.py

NAME.bin          torch.save of a state_dict, in the zip format of torch 1.6 and later
NAME-legacy.bin   the same in the format of older versions
NAME-training.bin a checkpoint of training: the state_dict beside other things, names with the prefix of parallel training,
                  tensors that share a storage, matrices that lie there by columns, parameters; pickle protocol 4
NAME-5.bin        pickle protocol 5
openai.pt         a tiny CLIP as OpenAI published its models: a program of TorchScript, with three numbers among the tensors
openai.json       its embeddings by open_clip, which builds the model from the file alone
tokenizer.json    its tokenizer

In the names of storages torch writes addresses of memory (legacy), and it draws an id for each file: a second run writes other bytes.
"""

import json
import os
import shutil
from collections import OrderedDict

os.environ.update(HF_HUB_OFFLINE="1")

import open_clip
import torch
from open_clip.model import CLIP, convert_weights_to_fp16
from PIL import Image
from safetensors.torch import load_file

from make_fixtures import OUT, TAP_IMAGE, fill, unit
from make_open_clip_fixtures import simple_tokenizer

FOLDER = OUT / "pytorch"
TEXTS = ["a photo of a cat", "TWO DOGS IN THE SNOW"]


def state_dict(weights):
    """As a module's: an OrderedDict that knows versions of its parts."""
    state = OrderedDict(sorted(weights.items()))
    state._metadata = OrderedDict({"": {"version": 1}})
    return state


def training(weights):
    """One storage for everything; every other matrix by columns."""
    sizes = [tensor.numel() for tensor in weights.values()]
    whole, state, at = torch.empty(sum(sizes), dtype=torch.float16), OrderedDict(), 0
    for number, (name, tensor) in enumerate(sorted(weights.items())):
        view = whole[at:at + tensor.numel()]
        at += tensor.numel()
        view = view.view(tensor.shape[::-1]).T if tensor.dim() == 2 and number % 2 else view.view(tensor.shape)
        view.copy_(tensor)
        state[f"module.{name}"] = torch.nn.Parameter(view)
    optimizer = {"state": {0: {"step": torch.tensor(3.0), "exp_avg": torch.ones(2, 3)}},
                 "param_groups": [{"lr": 5e-4, "betas": (0.9, 0.98), "amsgrad": False, "params": [0, 1]}]}
    return {"epoch": 3, "name": "run", "big": 1 << 100, "state_dict": state, "optimizer": optimizer}


class Tree(torch.nn.Module):
    """Modules in one another, by the names of a state_dict."""

    def __init__(self, weights):
        super().__init__()
        parts = {}
        for name, tensor in weights.items():
            head, _, rest = name.partition(".")
            if rest:
                parts.setdefault(head, {})[rest] = tensor
            elif tensor.is_floating_point():
                self.register_parameter(head, torch.nn.Parameter(tensor))
            else:
                self.register_buffer(head, tensor)
        for name, inner in parts.items():
            self.add_module(name, Tree(inner))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


@torch.no_grad()
def make_openai():
    shutil.copy(OUT / "open-clip" / "tokenizer.json", FOLDER)
    vocabulary = len(json.loads((FOLDER / "tokenizer.json").read_text())["model"]["vocab"])
    sizes = dict(input_resolution=24, context_length=16, vocab_size=vocabulary)
    model = CLIP(embed_dim=20, quick_gelu=True, vision_cfg=dict(image_size=24, layers=2, width=64, head_width=64, patch_size=8),
                 text_cfg=dict(context_length=16, vocab_size=vocabulary, width=64, heads=1, layers=1))
    fill(model, dict(seed=4, logit_scale=20.0))
    convert_weights_to_fp16(model)
    weights = model.state_dict() | {name: torch.tensor(size) for name, size in sizes.items()}
    path = FOLDER / "openai.pt"
    torch.jit.save(torch.jit.script(Tree(weights)), path)

    model = open_clip.openai.load_openai_model(str(path), precision="fp32", device="cpu").eval()
    preprocess = open_clip.image_transform(24, is_train=False)
    picture = preprocess(Image.open(OUT / "images" / TAP_IMAGE))[None]
    ids = simple_tokenizer(16)(TEXTS)
    golden = dict(image=TAP_IMAGE, image_embedding=unit(model.encode_image(picture))[0].tolist(), texts=TEXTS,
                  ids=ids.tolist(), text_embeddings=unit(model.encode_text(ids)).tolist(),
                  logit_scale=model.logit_scale.exp().item())
    (FOLDER / "openai.json").write_text(json.dumps(golden, indent=1) + "\n")


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    weights = lambda model, file="model.safetensors": load_file(OUT / model / file)
    clip = weights("clip-eos")
    torch.save(state_dict(clip), FOLDER / "clip-eos.bin")
    torch.save(state_dict(clip), FOLDER / "clip-eos-legacy.bin", _use_new_zipfile_serialization=False)
    torch.save(training(clip), FOLDER / "clip-eos-training.bin", pickle_protocol=4)
    torch.save(weights("siglip-bf16"), FOLDER / "siglip-bf16-5.bin", pickle_protocol=5)
    torch.save(state_dict(weights("open-clip", "open_clip_model.safetensors")), FOLDER / "open-clip.bin")
    make_openai()


if __name__ == "__main__":
    main()
