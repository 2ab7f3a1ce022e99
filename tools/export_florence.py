#!/usr/bin/env python3
"""Exports a folder of Florence-2 for transformers.js, which is beside Ocelli in `./build.sh bench-web --florence`.

    python tools/export_florence.py FOLDER

Writes FOLDER/onnx/{vision_encoder,embed_tokens,encoder_model,decoder_model_merged}.onnx, of the operators and with the names that published
exports have: in f32; `_quantized`, by onnxruntime's dynamic int8, transformers.js's default on WASM; and `_int8` and `_q4`, matrices in 8 and
4 bits with a scale for 32 weights (MatMulNBits), which WebGPU has a kernel for. The encoder takes a text without padding, and the decoder a
token at a time, from the first one on: that is how transformers.js calls them.

What onnxruntime computes from the f32 files must be what PyTorch computes from the checkpoint; else it fails. FOLDER/written.json has the
question, and the tokens that PyTorch writes after it; FOLDER/picture.png is the picture.
"""

import argparse
import json
import logging
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from safetensors.torch import load_file
from transformers import AutoConfig, AutoImageProcessor, Florence2ForConditionalGeneration, PreTrainedTokenizerFast

from export_onnx import MOST_ERROR, OPSET, strip
from export_writer import STEPS, Graph, distance, draw, export_table, fill_in, value, write_all

QUESTION = "What does the image describe?"
GREEDY = {"bos_token_id": 0, "decoder_start_token_id": 2, "eos_token_id": 2, "pad_token_id": 1, "num_beams": 1}
OFFSET = 2  # of BART's places
PARTS = ("key", "value")
CACHED = "use_cache_branch"
SUFFIXES = ("", "_quantized", "_int8", "_q4")


def load(folder):
    """The model. What `ocelli synthesize` writes has the names without what transformers puts before them."""
    config = AutoConfig.from_pretrained(folder)
    config._attn_implementation = "eager"
    model = Florence2ForConditionalGeneration(config).eval()
    known = set(model.state_dict())
    weights = {}
    for file in sorted(folder.glob("*.safetensors")):
        weights |= {name if name in known else f"model.{name}": tensor.float() for name, tensor in load_file(file).items()}
    missing, unknown = model.load_state_dict(weights, strict=False)
    # What is tied to the table, and what is computed.
    others = {name for name in known if name.endswith(("embed_tokens.weight", "lm_head.weight"))} | {name for name, _ in model.named_buffers()}
    lacks = sorted(set(missing) - others)
    if unknown or lacks:
        raise SystemExit(f"{folder}: expected the tensors of Florence-2, found others: missing {lacks}, unknown {sorted(unknown)}")
    model.tie_weights()
    return model


def complete(folder, side):
    """Says in words what `ocelli synthesize` leaves to defaults that others do not have. Texts are written token by token, since
    transformers.js has no search."""
    file = folder / "config.json"
    config = json.loads(file.read_text())
    for name in ("num_beams", "no_repeat_ngram_size", "forced_bos_token_id", "forced_eos_token_id"):
        config["text_config"].pop(name, None)
    file.write_text(json.dumps(config, indent=1) + "\n")
    images = {"image_processor_type": "CLIPImageProcessor", "processor_class": "Florence2Processor", "do_resize": True, "do_center_crop": False,
              "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True, "do_convert_rgb": True, "resample": 3,
              "size": {"height": side, "width": side}, "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
    fill_in(folder, {"preprocessor_config.json": images, "generation_config.json": GREEDY})


class VisionEncoder(torch.nn.Module):
    """Pictures to tokens of the encoder."""

    def __init__(self, model):
        super().__init__()
        self.tower, self.projector = model.model.vision_tower, model.model.multi_modal_projector

    def forward(self, pixel_values):
        return self.projector(self.tower(pixel_values).last_hidden_state)


def export_vision(model, side, to):
    pixels = torch.randn((1, 3, side, side), generator=torch.Generator().manual_seed(1))
    torch.onnx.export(VisionEncoder(model), kwargs={"pixel_values": pixels}, f=str(to), input_names=["pixel_values"], output_names=["image_features"],
                      opset_version=OPSET, dynamo=True, external_data=False, verbose=False)
    strip(to)


class Bart:
    """Writes BART's layers into a graph; the names of values begin with `prefix`."""

    def __init__(self, graph, config, prefix=""):
        self.graph, self.prefix = graph, prefix
        self.heads, self.size = config.decoder_attention_heads, config.d_model // config.decoder_attention_heads

    def node(self, kind, inputs, name, domain="", **attributes):
        return self.graph.node(kind, inputs, self.prefix + name, domain, **attributes)

    def linear(self, x, module, name):
        product = self.node("MatMul", [x, self.graph.weight(f"{name}.weight", module.weight.T)], f"{name}.product")
        return self.node("Add", [product, self.graph.weight(f"{name}.bias", module.bias)], name)

    def norm(self, x, module, name):
        gamma, beta = (self.graph.weight(f"{name}.{part}", getattr(module, part)) for part in ("weight", "bias"))
        return self.node("LayerNormalization", [x, gamma, beta], name, axis=-1, epsilon=module.eps)

    def apart(self, x, name):
        """[batch, tokens, width] as [batch, heads, tokens, size]."""
        shape = self.graph.weight("heads.apart", np.array([0, -1, self.heads, self.size]))
        return self.node("Transpose", [self.node("Reshape", [x, shape], f"{name}.apart")], f"{name}.heads", perm=[0, 2, 1, 3])

    def key_and_value(self, x, module, name):
        return [self.apart(self.linear(x, getattr(module, f"{part}_proj"), f"{name}.{part}"), f"{name}.{part}") for part in "kv"]

    def attention(self, x, key, value, module, name):
        query = self.apart(self.linear(x, module.q_proj, f"{name}.q"), f"{name}.q")
        query = self.node("Mul", [query, self.graph.weight("scale", np.array(self.size**-0.5, np.float32))], f"{name}.scaled")
        scores = self.node("MatMul", [query, self.node("Transpose", [key], f"{name}.turned", perm=[0, 1, 3, 2])], f"{name}.scores")
        mixed = self.node("MatMul", [self.node("Softmax", [scores], f"{name}.shares", axis=-1), value], f"{name}.mixed")
        mixed = self.node("Transpose", [mixed], f"{name}.back", perm=[0, 2, 1, 3])
        mixed = self.node("Reshape", [mixed, self.graph.weight("heads.joined", np.array([0, 0, self.heads * self.size]))], f"{name}.joined")
        return self.linear(mixed, module.out_proj, f"{name}.out")

    def after(self, x, branch, module, name):
        return self.norm(self.node("Add", [x, branch], f"{name}.sum"), module, name)

    def mlp(self, x, layer, name):
        wide = self.node("Gelu", [self.linear(x, layer.fc1, f"{name}.fc1")], f"{name}.gelu", "com.microsoft")
        return self.after(x, self.linear(wide, layer.fc2, f"{name}.fc2"), layer.final_layer_norm, f"{name}.norm3")

    def placed(self, x, places, stack, name):
        """Tokens with their places [tokens, width]."""
        return self.norm(self.node("Add", [x, places], f"{name}.placed"), stack.layernorm_embedding, f"{name}.norm")


def export_encoder(model, to):
    graph, encoder = Graph(), model.model.language_model.encoder
    bart = Bart(graph, model.config.text_config)
    shape = graph.node("Shape", ["inputs_embeds"], "shape")
    count = graph.node("Gather", [shape, graph.weight("one", np.array([1]))], "count", axis=0)
    first = graph.weight("offset", np.array([OFFSET]))
    table = graph.weight("encoder.places", encoder.embed_positions.weight)
    places = graph.node("Slice", [table, first, graph.node("Add", [count, first], "end"), graph.weight("zero", np.array([0]))], "places")
    x = bart.placed("inputs_embeds", places, encoder, "encoder")
    for number, layer in enumerate(encoder.layers):
        name = f"encoder.{number}"
        key, value_ = bart.key_and_value(x, layer.self_attn, name)
        x = bart.after(x, bart.attention(x, key, value_, layer.self_attn, name), layer.self_attn_layer_norm, f"{name}.norm1")
        x = bart.mlp(x, layer, name)
    graph.node("Identity", [x], "last_hidden_state")
    shape = ["batch_size", "encoder_sequence_length", model.config.text_config.d_model]
    graph.save([value("inputs_embeds", shape)], [value("last_hidden_state", shape)], to)


def export_step(model, cached, to):
    """A step of the decoder with what is cached, or the first one."""
    graph, config, decoder = Graph(), model.config.text_config, model.model.language_model.decoder
    bart = Bart(graph, config, "cached." if cached else "first.")
    past = lambda number, of, part: f"past_key_values.{number}.{of}.{part}"
    place = graph.weight("offset", np.array([OFFSET]))
    if cached:
        shape = bart.node("Shape", [past(0, "decoder", "key")], "past.shape")
        count = bart.node("Gather", [shape, graph.weight("two", np.array([2]))], "past", axis=0)
        place = bart.node("Add", [count, place], "place")
    places = bart.node("Gather", [graph.weight("decoder.places", decoder.embed_positions.weight), place], "places", axis=0)
    x, presents = bart.placed("inputs_embeds", places, decoder, "decoder"), []
    for number, layer in enumerate(decoder.layers):
        name = f"decoder.{number}"
        own = bart.key_and_value(x, layer.self_attn, name)
        if cached:
            own = [bart.node("Concat", [past(number, "decoder", part), new], f"{name}.{part}", axis=2) for part, new in zip(PARTS, own)]
            across = [past(number, "encoder", part) for part in PARTS]
            # Nobody reads them again: transformers.js goes on with those of the first step.
            nothing = onnx.numpy_helper.from_array(np.zeros((0, bart.heads, 1, bart.size), np.float32))
            kept = [bart.node("Constant", [], f"{name}.no.{part}", value=nothing) for part in PARTS]
        else:
            across = kept = bart.key_and_value("encoder_hidden_states", layer.encoder_attn, f"{name}.across")
        x = bart.after(x, bart.attention(x, *own, layer.self_attn, name), layer.self_attn_layer_norm, f"{name}.norm1")
        x = bart.after(x, bart.attention(x, *across, layer.encoder_attn, f"{name}.across"), layer.encoder_attn_layer_norm, f"{name}.norm2")
        x = bart.mlp(x, layer, name)
        presents += [*own, *kept]
    logits = bart.node("MatMul", [x, graph.weight("lm_head.weight", model.lm_head.weight.T)], "logits")
    cache = lambda name: value(name, ["batch_size", bart.heads, f"{name}.length", bart.size])
    inputs = [value("inputs_embeds", ["batch_size", 1, config.d_model])]
    if cached:
        inputs += [cache(past(number, of, part)) for number in range(config.decoder_layers) for of in ("decoder", "encoder") for part in PARTS]
    else:
        inputs += [value("encoder_hidden_states", ["batch_size", "encoder_sequence_length", config.d_model])]
    graph.save(inputs, [value(logits, ["batch_size", 1, config.vocab_size]), *map(cache, presents)], to)


def merge(folder, suffix):
    """Both steps as one file, which has their weights once."""
    files = [folder / f"{step}{suffix}.onnx" for step in ("cached", "first")]
    cached, first = models = [onnx.load(str(file)) for file in files]
    weights = {one.name: one for model in models for one in model.graph.initializer}
    for model in models:
        assert all(weights[one.name] == one for one in model.graph.initializer), "the same weights have the same names"
        del model.graph.initializer[:]
    inputs = {one.name: one for model in models for one in model.graph.input} | {CACHED: value(CACHED, [1], onnx.TensorProto.BOOL)}
    outputs = [onnx.ValueInfoProto.FromString(one.SerializeToString()) for one in first.graph.output]
    for place, one in enumerate(outputs):
        number, name = divmod(place - 1, 4)
        one.name = f"present.{number}.{('decoder', 'encoder')[name // 2]}.{PARTS[name % 2]}" if place else "logits"
    for model in models:
        del model.graph.input[:]
    branches = {"then_branch": cached.graph, "else_branch": first.graph}
    node = onnx.helper.make_node("If", [CACHED], [one.name for one in outputs], **branches)
    graph = onnx.helper.make_graph([node], "graph", list(inputs.values()), outputs, list(weights.values()))
    whole = onnx.helper.make_model(graph, opset_imports=first.opset_import, ir_version=first.ir_version)
    onnx.save(whole, str(folder / f"decoder_model_merged{suffix}.onnx"))
    for file in files:
        file.unlink()


class Exported:
    """The files as transformers.js runs them, in Python."""

    def __init__(self, folder, suffix=""):
        open_ = lambda name: onnxruntime.InferenceSession(str(folder / f"{name}{suffix}.onnx"), providers=["CPUExecutionProvider"])
        self.vision, self.table, self.encoder, self.decoder = map(open_, ("vision_encoder", "embed_tokens", "encoder_model", "decoder_model_merged"))

    def embed(self, ids):
        return self.table.run(None, {"input_ids": np.array([ids])})[0]

    def write(self, ids, pixels, steps=STEPS, spoil=lambda past: past):
        """Greedy tokens, and the logits from which each was taken. `spoil` may change what is cached."""
        features = self.vision.run(None, {"pixel_values": pixels.numpy()})[0]
        seen = self.encoder.run(None, {"inputs_embeds": np.concatenate([features, self.embed(ids)], 1)})[0]
        names = [one.name for one in self.decoder.get_inputs() if one.name.startswith("past")]
        past = {one.name: np.zeros((1, one.shape[1], 0, one.shape[3]), np.float32) for one in self.decoder.get_inputs() if one.name in names}
        token, tokens, all_logits = GREEDY["decoder_start_token_id"], [], []
        for step in range(steps):
            feed = {"inputs_embeds": self.embed([token]), "encoder_hidden_states": seen, CACHED: np.array([step > 0])}
            logits, *present = self.decoder.run(None, feed | past)
            past = {name: past[name] if step and "encoder" in name else new for name, new in zip(past, present)}
            past = spoil(past)
            token = int(logits[0, -1].argmax())
            tokens.append(token)
            all_logits.append(logits[0, -1])
        return tokens, np.array(all_logits)


def check(folder, model, ids, pixels):
    """That the f32 files are the model. Returns what PyTorch writes."""
    picture = [model.config.image_token_id] * model.model.get_image_features(pixels).pooler_output.shape[1]
    out = model.generate(input_ids=torch.tensor([picture + ids]), pixel_values=pixels, do_sample=False, max_new_tokens=STEPS, output_logits=True,
                         return_dict_in_generate=True, num_beams=1, no_repeat_ngram_size=0, forced_bos_token_id=None, forced_eos_token_id=None,
                         eos_token_id=None, **{name: GREEDY[name] for name in ("decoder_start_token_id", "pad_token_id")})
    tokens, logits = out.sequences[0, 1:].tolist(), torch.cat(out.logits).numpy()
    exported = Exported(folder)
    found, found_logits = exported.write(ids, pixels)
    error = distance(found_logits, logits)
    if not error <= MOST_ERROR or found != tokens:
        raise SystemExit(f"the f32 files: off from PyTorch by {error:.1e}, expected at most {MOST_ERROR:.0e} and the same {STEPS} tokens")
    # The comparison sees what is wrong: a picture in grey, and a cache of one token alone.
    blind = distance(exported.write(ids, torch.zeros_like(pixels), 1)[1], logits[:1])
    forget = lambda past: {name: one[:, :, -1:] if "decoder" in name else one for name, one in past.items()}
    forgetful = distance(exported.write(ids, pixels, 4, forget)[1], logits[:4])
    if min(blind, forgetful) < 2 * MOST_ERROR:
        raise SystemExit(f"the comparison: expected wrong answers to be far off, found {blind:.1e} and {forgetful:.1e}")
    print(f"f32: off from PyTorch by {error:.1e}; wrong ones by {blind:.1e} and {forgetful:.1e}; {STEPS} tokens equal, {len(set(tokens))} of them different")
    for suffix in SUFFIXES[1:]:
        print(f"{suffix}: off by {distance(Exported(folder, suffix).write(ids, pixels, 1)[1], logits[:1]):.1e} at the first token")
    return tokens


@torch.no_grad()
def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--side", type=int, default=768, help="of the pictures, in pixels")
    options = arguments.parse_args()
    folder, side = options.folder, options.side
    logging.disable(logging.WARNING)  # the exporter and the quantiser tell of every step
    warnings.filterwarnings("ignore")

    complete(folder, side)
    model = load(folder)
    to = folder / "onnx"
    write_all(to, {
        "vision_encoder": lambda file: export_vision(model, side, file),
        "embed_tokens": lambda file: export_table(model.model.language_model.shared.weight, file),
        "encoder_model": lambda file: export_encoder(model, file),
        "first": lambda file: export_step(model, False, file),
        "cached": lambda file: export_step(model, True, file),
    })
    for suffix in SUFFIXES:
        merge(to, suffix)

    picture = draw(side, folder / "picture.png")
    pixels = AutoImageProcessor.from_pretrained(folder, backend="pil")(picture, return_tensors="pt").pixel_values
    ids = PreTrainedTokenizerFast.from_pretrained(folder)(QUESTION)["input_ids"]
    tokens = check(to, model, ids, pixels)
    (folder / "written.json").write_text(json.dumps(dict(question=QUESTION, tokens=tokens, prompts=[])) + "\n")
    for file in sorted(to.glob("*.onnx")):
        print(f"{file.name}: {file.stat().st_size / 1e6:.1f} MB", flush=True)


if __name__ == "__main__":
    main()
