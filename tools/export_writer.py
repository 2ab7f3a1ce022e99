#!/usr/bin/env python3
"""Exports a folder of SmolVLM for those who are beside Ocelli in `./build.sh bench-web --write`.

    python tools/export_writer.py FOLDER

Writes what transformers.js loads, FOLDER/onnx/{vision_encoder,embed_tokens,decoder_model_merged}.onnx: in f32; `_quantized`, by
onnxruntime's dynamic int8, transformers.js's default on WASM; `_int8`, matrices in 8 bits with a scale for 32 weights (MatMulNBits), which
WebGPU has a kernel for; and `_q4`, the same in 4 bits. The decoder is built of the operators that published exports have
(GroupQueryAttention with its rotation, SkipSimplifiedLayerNormalization). And FOLDER/decoder-{f32,q8,q4}.gguf, the decoder alone for
llama.cpp: F32, Q8_0 and Q4_0.

What onnxruntime computes from the f32 files must be what PyTorch computes from the checkpoint, in a prompt and in steps after it; else it
fails. FOLDER/written.json has the prompts, and the tokens that PyTorch writes after them; FOLDER/picture.png is the picture.
"""

import argparse
import json
import logging
import shutil
import warnings
from pathlib import Path

import gguf
import numpy as np
import onnx
import onnxruntime
import torch
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
from PIL import Image, ImageDraw
from safetensors.torch import load_file
from transformers import AutoConfig, AutoImageProcessor, PreTrainedTokenizerFast, SmolVLMForConditionalGeneration
from transformers.models.smolvlm import processing_smolvlm
from transformers.models.smolvlm.processing_smolvlm import SmolVLMProcessor
from transformers.models.smolvlm.video_processing_smolvlm import SmolVLMVideoProcessor

from export_onnx import MOST_ERROR, OPSET, quantize, strip

STEPS = 32
# Texts of so many tokens; each begins otherwise, so that nobody can go on from the one before.
PROMPT = 256
PROMPTS = 24
WORDS = "a picture of the sea and a small red boat near an old stone bridge where two dogs and one child wait for rain".split()
QUESTION = "<|im_start|>User:<image>Describe this picture.<end_of_utterance>\nAssistant:"
processing_smolvlm.num2words = str  # the processor asks for num2words, which it needs for videos only


def load(folder):
    """The model. What `ocelli synthesize` writes has the names without what transformers puts before them."""
    config = AutoConfig.from_pretrained(folder)
    config._attn_implementation = "eager"
    model = SmolVLMForConditionalGeneration(config).eval()
    prefixes = [("vision_model.", "model.vision_model."), ("connector.", "model.connector."), ("model.", "model.text_model.")]
    known = set(model.state_dict())

    def name_of(name):
        renamed = (to + name.removeprefix(of) for of, to in prefixes if name.startswith(of))
        return name if name in known else next(renamed, name)

    weights = {}
    for file in sorted(folder.glob("*.safetensors")):
        weights |= {name_of(name): tensor.float() for name, tensor in load_file(file).items()}
    model.load_state_dict(weights, strict=True)
    return model


def complete(folder, model):
    """Says in words what `ocelli synthesize` leaves to defaults that others do not have; `<image>` gets the id that its tokenizer has. A
    picture of one tile is seen as it is, because transformers.js resizes by other rules."""
    side = model.config.vision_config.image_size
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    tokens = (side // model.config.vision_config.patch_size // model.config.scale_factor) ** 2
    changes = {
        "config.json": {"image_token_id": tokenizer.convert_tokens_to_ids("<image>")},
        "preprocessor_config.json": {"image_processor_type": "SmolVLMImageProcessor", "processor_class": "SmolVLMProcessor",
                                     "do_pad": True, "do_convert_rgb": True, "size": {"longest_edge": side}},
        "processor_config.json": {"image_seq_len": tokens, "processor_class": "SmolVLMProcessor"},
    }
    fill_in(folder, changes)


def fill_in(folder, changes):
    """Sets fields of JSON files by the files' names."""
    for name, fields in changes.items():
        file = folder / name
        given = json.loads(file.read_text()) if file.exists() else {}
        file.write_text(json.dumps({**given, **fields}, indent=1) + "\n")


class VisionEncoder(torch.nn.Module):
    """Whole tiles to tokens of the decoder."""

    def __init__(self, model):
        super().__init__()
        self.tower, self.connector = model.model.vision_model, model.model.connector

    def forward(self, pixel_values):
        x = self.tower.embeddings.patch_embedding(pixel_values[0]).flatten(2).transpose(1, 2)
        # Of a whole tile the places are those of the table, in order.
        x = x + self.tower.embeddings.position_embedding.weight
        x = self.tower.encoder(inputs_embeds=x).last_hidden_state
        return self.connector(self.tower.post_layernorm(x))


def export_vision(model, to):
    side = model.config.vision_config.image_size
    pixels = torch.randn((1, 2, 3, side, side), generator=torch.Generator().manual_seed(1))
    torch.onnx.export(
        VisionEncoder(model),
        kwargs={"pixel_values": pixels},
        f=str(to),
        input_names=["pixel_values"],
        output_names=["image_features"],
        dynamic_shapes={"pixel_values": {1: torch.export.Dim("num_images")}},
        opset_version=OPSET,
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    strip(to)


class Graph:
    """Nodes and weights of an ONNX graph, in the order in which they are added."""

    def __init__(self):
        self.nodes, self.weights, self.names = [], [], set()

    def weight(self, name, values):
        if name not in self.names:
            values = values.detach().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)
            self.weights.append(onnx.numpy_helper.from_array(np.ascontiguousarray(values), name))
            self.names.add(name)
        return name

    def node(self, kind, inputs, outputs, domain="", **attributes):
        """The first output."""
        outputs = [outputs] if isinstance(outputs, str) else outputs
        self.nodes.append(onnx.helper.make_node(kind, inputs, outputs, name=outputs[0], domain=domain, **attributes))
        return outputs[0]

    def product(self, x, linear, y):
        # As the operator has it: [inputs, outputs].
        return self.node("MatMul", [x, self.weight(f"{y}.weight", linear.weight.T)], y)

    def save(self, inputs, outputs, to):
        opsets = [onnx.helper.make_opsetid("", OPSET), onnx.helper.make_opsetid("com.microsoft", 1)]
        graph = onnx.helper.make_graph(self.nodes, "graph", inputs, outputs, self.weights)
        onnx.save(onnx.helper.make_model(graph, opset_imports=opsets, ir_version=10), str(to))


def value(name, shape, kind=onnx.TensorProto.FLOAT):
    return onnx.helper.make_tensor_value_info(name, kind, shape)


def export_table(weight, to):
    graph = Graph()
    table = graph.weight("embed_tokens.weight", weight)
    graph.node("Gather", [table, "input_ids"], "inputs_embeds", axis=0)
    shape = ["batch_size", "sequence_length"]
    graph.save([value("input_ids", shape, onnx.TensorProto.INT64)], [value("inputs_embeds", [*shape, weight.shape[1]])], to)


def export_decoder(model, to):
    text, config = model.model.text_model, model.config.text_config
    heads, kv_heads, size = config.num_attention_heads, config.num_key_value_heads, config.head_dim
    ms, eps = "com.microsoft", config.rms_norm_eps
    graph = Graph()
    int64, int32 = onnx.TensorProto.INT64, onnx.TensorProto.INT32
    inputs = [value("inputs_embeds", ["batch_size", "sequence_length", config.hidden_size]),
              value("attention_mask", ["batch_size", "total_sequence_length"], int64), value("num_logits_to_keep", [], int64)]
    outputs = [value("logits", ["batch_size", "num_logits_to_keep", config.vocab_size])]

    # How many tokens each text has, less one; and all of them.
    count = graph.node("ReduceSum", ["attention_mask", graph.weight("one", np.array([1]))], "mask.count", keepdims=0)
    less = graph.node("Sub", [count, graph.weight("one.scalar", np.array(1))], "mask.last")
    lengths = graph.node("Cast", [less], "seqlens_k", to=int32)
    shape = graph.node("Shape", ["attention_mask"], "mask.shape")
    total = graph.node("Gather", [shape, "one.scalar"], "mask.total", axis=0)
    total = graph.node("Cast", [total], "total_sequence_length", to=int32)
    places = torch.arange(config.max_position_embeddings)
    turns = text.rotary_emb(torch.zeros(1), places[None])
    cos, sin = (graph.weight(f"{name}_cache", turn[0, :, : size // 2]) for name, turn in zip(["cos", "sin"], turns))

    x, branch = "inputs_embeds", None
    for number, layer in enumerate(text.layers):
        name = lambda part: f"layers.{number}.{part}"
        x, normed = norm(graph, x, branch, layer.input_layernorm, name("norm1"), eps)
        attention = layer.self_attn
        qkv = [graph.product(normed, getattr(attention, f"{part}_proj"), name(part)) for part in "qkv"]
        kv = [f"{number}.{part}" for part in ("key", "value")]
        shape = ["batch_size", kv_heads, "{}_sequence_length", size]
        inputs += [value(f"past_key_values.{part}", [axis.format("past") if isinstance(axis, str) else axis for axis in shape]) for part in kv]
        outputs += [value(f"present.{part}", [axis.format("total") if isinstance(axis, str) else axis for axis in shape]) for part in kv]
        past, present = [f"past_key_values.{part}" for part in kv], [f"present.{part}" for part in kv]
        mixed = graph.node("GroupQueryAttention", [*qkv, *past, lengths, total, cos, sin], [name("attention"), *present], ms,
                           num_heads=heads, kv_num_heads=kv_heads, do_rotary=1, rotary_interleaved=0, scale=size**-0.5)
        branch = graph.product(mixed, attention.o_proj, name("out"))
        x, normed = norm(graph, x, branch, layer.post_attention_layernorm, name("norm2"), eps)
        gate, up = (graph.product(normed, getattr(layer.mlp, f"{part}_proj"), name(part)) for part in ("gate", "up"))
        silu = graph.node("Mul", [gate, graph.node("Sigmoid", [gate], name("sigmoid"))], name("silu"))
        branch = graph.product(graph.node("Mul", [silu, up], name("gated")), layer.mlp.down_proj, name("down"))
    _, normed = norm(graph, x, branch, text.norm, "norm", eps)
    # All of them where the number is 0.
    first = graph.node("Neg", ["num_logits_to_keep"], "kept.negative")
    first = graph.node("Reshape", [first, "one"], "kept.first")
    last = graph.weight("end", np.array([np.iinfo(np.int64).max]))
    kept = graph.node("Slice", [normed, first, last, "one"], "kept")
    graph.product(kept, model.lm_head, "logits")
    graph.save(inputs, outputs, to)


def norm(graph, x, branch, weight, name, eps):
    """The residual stream with a branch added, and its norm."""
    gamma = graph.weight(f"{name}.weight", weight.weight)
    if branch is None:
        return x, graph.node("SimplifiedLayerNormalization", [x, gamma], name, axis=-1, epsilon=eps, stash_type=1)
    summed = f"{name}.sum"
    graph.node("SkipSimplifiedLayerNormalization", [x, branch, gamma], [name, "", "", summed], "com.microsoft", epsilon=eps)
    return summed, name


def quantize_matrices(file, bits, suffix):
    """Matrices in so few bits with a scale for 32 weights. A file without any is copied, as transformers.js's own conversion has it."""
    to = file.with_name(f"{file.stem}_{suffix}.onnx")
    model = onnx.load(str(file))
    if not any(node.op_type == "MatMul" for node in model.graph.node):
        shutil.copyfile(file, to)
        return to
    quantizer = MatMulNBitsQuantizer(model, bits=bits, block_size=32, is_symmetric=True)
    quantizer.process()
    onnx.save(quantizer.model.model, str(to))
    return to


def write_all(to, exports):
    """Writes each part in every precision."""
    to.mkdir(exist_ok=True)
    for part, export in exports.items():
        file = to / f"{part}.onnx"
        export(file)
        quantize(file)
        quantize_matrices(file, 8, "int8")
        quantize_matrices(file, 4, "q4")


class Exported:
    """The files as transformers.js runs them, in Python."""

    def __init__(self, folder, suffix=""):
        open_ = lambda name: onnxruntime.InferenceSession(str(folder / f"{name}{suffix}.onnx"), providers=["CPUExecutionProvider"])
        self.vision, self.table, self.decoder = map(open_, ("vision_encoder", "embed_tokens", "decoder_model_merged"))
        self.past = None

    def features(self, pixels):
        return self.vision.run(None, {"pixel_values": pixels.numpy()})[0]

    def logits(self, ids, features=None, image=None, keep=1):
        """After more tokens: of the last `keep` of them."""
        x = self.table.run(None, {"input_ids": np.array([ids])})[0]
        if features is not None:
            x[0, np.array(ids) == image] = features.reshape(-1, x.shape[-1])
        if self.past is None:
            given = [one for one in self.decoder.get_inputs() if one.name.startswith("past")]
            self.past = {one.name: np.zeros((1, one.shape[1], 0, one.shape[3]), np.float32) for one in given}
        seen = next(iter(self.past.values())).shape[2]
        feed = {"inputs_embeds": x, "attention_mask": np.ones((1, seen + len(ids)), np.int64), "num_logits_to_keep": np.array(keep)}
        logits, *present = self.decoder.run(None, feed | self.past)
        self.past = dict(zip(self.past, present))
        return logits[0]

    def write(self, ids, features=None, image=None, steps=STEPS):
        """Greedy tokens, and the logits from which each was taken."""
        self.past, tokens, all_logits = None, [], []
        for step in range(steps):
            logits = self.logits(ids if step == 0 else tokens[-1:], *([features, image] if step == 0 else []))[-1]
            tokens.append(int(logits.argmax()))
            all_logits.append(logits)
        return tokens, np.array(all_logits)


def distance(found, right):
    return float(np.abs(found - right).max() / np.abs(right).max())


def written_by(model, inputs, steps):
    out = model.generate(**inputs, do_sample=False, max_new_tokens=steps, output_logits=True, return_dict_in_generate=True,
                         eos_token_id=None, pad_token_id=0)
    return out.sequences[0, inputs["input_ids"].shape[1]:].tolist(), torch.cat(out.logits).numpy()


def check(folder, model, asked, text):
    """That the f32 files are the model. Returns how far each of the others is from it, by its logits after the picture."""
    image = model.config.image_token_id
    tokens, logits = written_by(model, asked, STEPS)
    ids = asked["input_ids"][0].tolist()
    exported = Exported(folder)
    features = exported.features(asked["pixel_values"])
    found, found_logits = exported.write(ids, features, image)
    error = distance(found_logits, logits)
    if not error <= MOST_ERROR or found != tokens:
        raise SystemExit(f"the f32 files: off from PyTorch by {error:.1e}, expected at most {MOST_ERROR:.0e} and the same {STEPS} tokens")
    # The comparison sees what is wrong: a rotation that is one place off, and a picture that was not looked at.
    exported.past = {name: past[:, :, 1:] for name, past in exported.past.items()}
    skewed = distance(exported.logits(tokens[-1:])[-1], model(input_ids=torch.tensor([ids + tokens]), pixel_values=asked["pixel_values"]).logits[0, -1].numpy())
    blind = distance(exported.write(ids, steps=1)[1], logits[:1])
    if min(skewed, blind) < 100 * MOST_ERROR:
        raise SystemExit(f"the comparison: expected wrong answers to be far off, found {skewed:.1e} and {blind:.1e}")
    found, found_logits = exported.write(text["ids"])
    text["tokens"], right = written_by(model, {"input_ids": torch.tensor([text["ids"]])}, STEPS)
    if found != text["tokens"]:
        raise SystemExit("the f32 files: expected PyTorch's tokens after a prompt of words, found others")
    print(f"f32: off from PyTorch by {max(error, distance(found_logits, right)):.1e}; wrong ones by {skewed:.1e} and {blind:.1e}; {STEPS} tokens equal, {len(set(tokens))} of them different")
    for suffix in ("_quantized", "_int8", "_q4"):
        other = Exported(folder, suffix)
        first = other.logits(ids, other.features(asked["pixel_values"]), image)[-1]
        print(f"{suffix}: off by {distance(first, logits[0]):.1e} after the picture")
    return tokens


def draw(side, to):
    picture = Image.new("RGB", (side, side), "#8a9a80")
    pen = ImageDraw.Draw(picture)
    for i in range(40):
        x, y, radius = i * 97 % side, i * 61 % side, 12 + i * 17 % 50
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), f"hsl({i * 67 % 360}, 70%, {30 + i * 13 % 50}%)")
    picture.save(to)
    return picture


def prompts_of(tokenizer):
    """Texts of about the same number of tokens, cut to the same."""
    found = []
    for number in range(PROMPTS):
        # The number stands first, in letters: no two texts begin alike.
        text = f"{chr(65 + number)} " + " ".join(WORDS[(i * (number + 3)) % len(WORDS)] for i in range(PROMPT))
        ids = tokenizer(text, add_special_tokens=False)["input_ids"][:PROMPT]
        text = tokenizer.decode(ids)
        if tokenizer(text, add_special_tokens=False)["input_ids"] != ids:
            raise SystemExit(f"prompt {number}: expected a text whose tokens are those it was cut to, found others")
        found.append(dict(text=text, ids=ids))
    return found


def permute(weight, heads):
    """Rows of queries or keys as llama.cpp rotates them: in pairs, where transformers has halves."""
    return weight.reshape(heads, 2, weight.shape[0] // heads // 2, weight.shape[1]).swapaxes(1, 2).reshape(weight.shape)


def export_gguf(model, tokenizer, to, kind):
    config, text = model.config.text_config, model.model.text_model
    out = gguf.GGUFWriter(str(to), "llama")
    out.add_context_length(config.max_position_embeddings)
    out.add_embedding_length(config.hidden_size)
    out.add_block_count(config.num_hidden_layers)
    out.add_feed_forward_length(config.intermediate_size)
    out.add_head_count(config.num_attention_heads)
    out.add_head_count_kv(config.num_key_value_heads)
    out.add_key_length(config.head_dim)
    out.add_value_length(config.head_dim)
    out.add_rope_dimension_count(config.head_dim)
    out.add_rope_freq_base(rope_theta(config))
    out.add_layer_norm_rms_eps(config.rms_norm_eps)
    out.add_vocab_size(config.vocab_size)
    out.add_file_type({"F32": 0, "Q8_0": 7, "Q4_0": 2}[kind.name])
    add_vocabulary(out, tokenizer, config.vocab_size)

    def add(name, tensor, heads=None, whole=False):
        values = tensor.detach().numpy()
        values = permute(values, heads) if heads else values
        stored = gguf.GGMLQuantizationType.F32 if whole else kind
        out.add_tensor(name, np.ascontiguousarray(gguf.quants.quantize(values, stored)), raw_dtype=stored)

    add("token_embd.weight", text.embed_tokens.weight)
    add("output_norm.weight", text.norm.weight, whole=True)
    add("output.weight", model.lm_head.weight)
    for number, layer in enumerate(text.layers):
        name, attention = f"blk.{number}", layer.self_attn
        add(f"{name}.attn_norm.weight", layer.input_layernorm.weight, whole=True)
        add(f"{name}.attn_q.weight", attention.q_proj.weight, config.num_attention_heads)
        add(f"{name}.attn_k.weight", attention.k_proj.weight, config.num_key_value_heads)
        add(f"{name}.attn_v.weight", attention.v_proj.weight)
        add(f"{name}.attn_output.weight", attention.o_proj.weight)
        add(f"{name}.ffn_norm.weight", layer.post_attention_layernorm.weight, whole=True)
        for part in ("gate", "up", "down"):
            add(f"{name}.ffn_{part}.weight", getattr(layer.mlp, f"{part}_proj").weight)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


def rope_theta(config):
    return config.rope_parameters["rope_theta"]


def add_vocabulary(out, tokenizer, count):
    """The tokenizer's own pieces, then names for the ids that it lacks, all of which a model of random weights may write."""
    known = {id: piece for piece, id in tokenizer.get_vocab().items()}
    out.add_tokenizer_model("gpt2")
    out.add_tokenizer_pre("smollm")
    out.add_token_list([known.get(id, f"<unused{id}>") for id in range(count)])
    special = set(tokenizer.all_special_ids)
    kinds = gguf.TokenType
    out.add_token_types([kinds.CONTROL if id in special else kinds.NORMAL for id in range(count)])
    merges = json.loads(tokenizer.backend_tokenizer.to_str())["model"]["merges"]
    out.add_token_merges([" ".join(pair) if isinstance(pair, list) else pair for pair in merges])
    out.add_bos_token_id(tokenizer.bos_token_id)
    out.add_eos_token_id(tokenizer.eos_token_id)
    out.add_add_bos_token(False)


@torch.no_grad()
def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("folder", type=Path)
    folder = arguments.parse_args().folder
    logging.disable(logging.WARNING)  # the exporter and the quantiser tell of every step
    warnings.filterwarnings("ignore")

    model = load(folder)
    complete(folder, model)
    model.config.image_token_id = json.loads((folder / "config.json").read_text())["image_token_id"]
    model.model.config.image_token_id = model.config.image_token_id
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    for name, kind in [("f32", "F32"), ("q8", "Q8_0"), ("q4", "Q4_0")]:
        export_gguf(model, tokenizer, folder / f"decoder-{name}.gguf", gguf.GGMLQuantizationType[kind])
    to = folder / "onnx"
    write_all(to, {
        "vision_encoder": lambda file: export_vision(model, file),
        "embed_tokens": lambda file: export_table(model.model.text_model.embed_tokens.weight, file),
        "decoder_model_merged": lambda file: export_decoder(model, file),
    })

    picture = draw(model.config.vision_config.image_size, folder / "picture.png")
    images = AutoImageProcessor.from_pretrained(folder, backend="pil")
    options = json.loads((folder / "processor_config.json").read_text())
    processor = SmolVLMProcessor(images, tokenizer, SmolVLMVideoProcessor(), image_seq_len=options["image_seq_len"])
    asked = processor(images=[[picture]], text=[QUESTION], return_tensors="pt", do_image_splitting=False)
    asked = {name: asked[name] for name in ("input_ids", "attention_mask", "pixel_values")}
    prompts = prompts_of(tokenizer)
    tokens = check(to, model, asked, prompts[0])
    written = dict(question=QUESTION, tokens=tokens, prompts=prompts)
    (folder / "written.json").write_text(json.dumps(written) + "\n")
    for file in sorted([*to.glob("*.onnx"), *folder.glob("*.gguf")]):
        print(f"{file.name}: {file.stat().st_size / 1e6:.1f} MB", flush=True)


if __name__ == "__main__":
    main()
