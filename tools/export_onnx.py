#!/usr/bin/env python3
"""Exports a folder of Hugging Face to ONNX, for `./build.sh bench-web`: CLIP or SigLIP, or a detector (OWL-ViT or OWLv2).

    python tools/export_onnx.py FOLDER [--complete]

Writes FOLDER/onnx/{model,vision_model,text_model}.onnx in f32, with the names of inputs and outputs that transformers.js
expects, and the same with `_quantized`, by onnxruntime's dynamic int8; of the whole model also `_q4`, whose matrices have 4 bits,
and `_q4f16`, whose other numbers are f16. What onnxruntime computes from each f32 file must be
what PyTorch computes from the checkpoint, at other batch sizes than those of the export; else it fails.

Of a detector there is the whole model alone; beside it FOLDER/picture.png, and FOLDER/boxes.json with the box that transformers finds
best in it for each of its labels.
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
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
from onnxruntime.transformers.float16 import convert_float_to_float16
from PIL import Image, ImageDraw
from transformers import AutoConfig, AutoImageProcessor, AutoModel, CLIPTokenizer, Owlv2ForObjectDetection, OwlViTForObjectDetection

OPSET = 18
# Of f32 sums in another order; embeddings have unit length, logits are scaled first.
MOST_ERROR = 1e-4
DETECTORS = {"owlvit": OwlViTForObjectDetection, "owlv2": Owlv2ForObjectDetection}
LABELS = ["a cat", "a dog", "two birds", "a red car", "a bicycle", "the moon", "a tree", "a cup of tea", "a chair", "a window",
          "a green ball", "the blue door", "a person", "a hat", "a pair of shoes", "a road", "a mountain", "a boat", "bread", "a lamp"]


class Whole(torch.nn.Module):
    """Both towers and the scores, as the zero-shot pipeline runs them."""

    file = "model"
    outputs = ["logits_per_image", "logits_per_text", "text_embeds", "image_embeds"]

    def __init__(self, model):
        super().__init__()
        self.model = model
        self.inputs = ["input_ids", "pixel_values"]
        if model.config.model_type == "clip":
            self.inputs.append("attention_mask")

    def forward(self, input_ids, pixel_values, attention_mask=None):
        out = self.model(input_ids=input_ids, pixel_values=pixel_values, attention_mask=attention_mask)
        return out.logits_per_image, out.logits_per_text, out.text_embeds, out.image_embeds


class Detection(torch.nn.Module):
    """Both towers and the heads, for one picture, as the zero-shot pipeline runs them."""

    file = "model"
    inputs = ["input_ids", "pixel_values", "attention_mask"]
    outputs = ["logits", "pred_boxes"]

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, pixel_values, attention_mask):
        out = self.model(input_ids=input_ids, pixel_values=pixel_values, attention_mask=attention_mask)
        return out.logits, out.pred_boxes


class Vision(torch.nn.Module):
    """The picture tower up to its embedding, before that is made unit length."""

    file = "vision_model"
    inputs = ["pixel_values"]

    def __init__(self, model):
        super().__init__()
        self.tower = model.vision_model
        self.projection = getattr(model, "visual_projection", torch.nn.Identity())
        self.outputs = ["image_embeds" if model.config.model_type == "clip" else "pooler_output"]

    def forward(self, pixel_values):
        return self.projection(self.tower(pixel_values=pixel_values).pooler_output)


class Text(torch.nn.Module):
    """The text tower up to its embedding, before that is made unit length."""

    file = "text_model"

    def __init__(self, model):
        super().__init__()
        self.tower = model.text_model
        self.projection = getattr(model, "text_projection", torch.nn.Identity())
        clip = model.config.model_type == "clip"
        self.inputs = ["input_ids", "attention_mask"] if clip else ["input_ids"]
        self.outputs = ["text_embeds" if clip else "pooler_output"]

    def forward(self, input_ids, attention_mask=None):
        return self.projection(self.tower(input_ids=input_ids, attention_mask=attention_mask).pooler_output)


def inputs_of(model, texts, images, length=None):
    """Random inputs. CLIP's texts end at different places, so that its mask matters."""
    text, vision = model.config.text_config, model.config.vision_config
    generator = torch.Generator().manual_seed(texts * 100 + images)
    length = length or text.max_position_embeddings
    ids = torch.randint(3, text.vocab_size - 2, (texts, length), generator=generator)
    mask = torch.ones_like(ids)
    if model.config.model_type != "siglip":
        end = text.eos_token_id if text.eos_token_id != 2 else text.vocab_size - 1
        for row in range(texts):
            at = length - 1 - row % (length // 2)
            ids[row, at:] = end
            mask[row, at + 1 :] = 0
    pixels = torch.randn((images, 3, vision.image_size, vision.image_size), generator=generator)
    return {"input_ids": ids, "pixel_values": pixels, "attention_mask": mask}


def export(part, model, folder):
    detects = model.config.model_type in DETECTORS
    made = inputs_of(model, texts=2, images=1 if detects else 3)
    inputs = {name: made[name] for name in part.inputs}
    pictures, words, tokens = (torch.export.Dim(name) for name in ("image_batch", "text_batch", "sequence_length"))
    # A detector is asked about one picture at a time; its texts are as long as the longest of them.
    shape_of = {"pixel_values": {} if detects else {0: pictures}}
    of_texts = {0: words, 1: tokens} if detects else {0: words}
    to = folder / f"{part.file}.onnx"
    torch.onnx.export(
        part,
        kwargs=inputs,
        f=str(to),
        input_names=list(inputs),
        output_names=part.outputs,
        dynamic_shapes={name: shape_of.get(name, of_texts) for name in inputs},
        opset_version=OPSET,
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    strip(to)
    return to


def strip(file):
    """Takes the exporter's notes (where in the Python code each node comes from) out: nobody should download them."""
    model = onnx.load(str(file))
    for node in [*model.graph.node, *model.graph.value_info]:
        del node.metadata_props[:]
        node.doc_string = ""
    for function in model.functions:
        for node in function.node:
            del node.metadata_props[:]
    onnx.save(model, str(file))


def check(part, model, file, most=MOST_ERROR):
    """The largest error over batch sizes that the export has not seen; too large, and it raises."""
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    worst = 0.0
    detects = model.config.model_type in DETECTORS
    for texts, images, length in [(1, 1, 4), (5, 1, 9)] if detects else [(1, 1, None), (5, 4, None)]:
        made = inputs_of(model, texts, images, length)
        inputs = {name: made[name] for name in part.inputs}
        expected = part(**inputs)
        expected = [expected] if isinstance(expected, torch.Tensor) else expected
        found = session.run(part.outputs, {name: value.numpy() for name, value in inputs.items()})
        for name, reference, actual in zip(part.outputs, expected, found):
            reference = reference.numpy()
            if actual.shape != reference.shape:
                raise SystemExit(f"{file.name}: {name}: expected shape {reference.shape}, found {actual.shape}")
            error = np.abs(actual - reference).max() / max(1.0, np.abs(reference).max())
            worst = max(worst, float(error))
    if not worst <= most:
        raise SystemExit(f"{file.name}: off from PyTorch by {worst:.1e}, expected at most {most:.0e}")
    return worst


def quantize(file):
    """Dynamic int8 by the rule of transformers.js's own conversion: signed weights, but unsigned where there is a convolution,
    because onnxruntime has no signed one."""
    to = file.with_name(f"{file.stem}_quantized.onnx")
    convolves = any(node.op_type == "Conv" for node in onnx.load(str(file)).graph.node)
    # Shapes cannot be inferred through operators of onnxruntime's own.
    unknown = {"DefaultTensorType": onnx.TensorProto.FLOAT}
    weights = QuantType.QUInt8 if convolves else QuantType.QInt8
    quantize_dynamic(str(file), str(to), weight_type=weights, extra_options=unknown)
    return to


def quantize_to_4_bits(file):
    """Matrices in 4 bits with a scale for 32 weights, as transformers.js's own conversion writes them; then the rest in f16."""
    quantizer = MatMulNBitsQuantizer(onnx.load(str(file)), block_size=32, is_symmetric=True)
    quantizer.process()
    small, smaller = (file.with_name(f"{file.stem}_{suffix}.onnx") for suffix in ("q4", "q4f16"))
    onnx.save(quantizer.model.model, str(small))
    onnx.save(convert_float_to_float16(quantizer.model.model, keep_io_types=True), str(smaller))
    return [small, smaller]


def complete(folder, model):
    """Says in words what `ocelli synthesize` leaves to defaults that transformers.js does not have."""
    kind = model.config.model_type
    file = folder / "preprocessor_config.json"
    given = json.loads(file.read_text())
    ours = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
    mean, std = ([0.5] * 3, [0.5] * 3) if kind == "siglip" else ours
    processor = {"clip": "CLIP", "siglip": "Siglip", "owlvit": "OwlViT", "owlv2": "Owlv2"}[kind]
    fields = {
        "image_processor_type": f"{processor}ImageProcessor",
        "do_resize": True,
        "do_rescale": True,
        "do_normalize": True,
        "image_mean": mean,
        "image_std": std,
        "rescale_factor": 1 / 255,
        "resample": 2 if kind == "owlv2" else 3,
        **({"processor_class": f"{processor}Processor"} if kind in DETECTORS else {}),
        **({"do_pad": True} if kind == "owlv2" else {}),
    }
    file.write_text(json.dumps({**fields, **given}, indent=1) + "\n")
    # Both must see texts of the same length: transformers.js pads to what the tokenizer says, Ocelli to what the model says.
    file = folder / "tokenizer_config.json"
    given = json.loads(file.read_text())
    given["model_max_length"] = model.config.text_config.max_position_embeddings
    file.write_text(json.dumps(given, indent=1) + "\n")


def write_reference(folder, model):
    """A picture wider than high, and what transformers finds in it: for each label the box with the highest score, its left, top, right
    and bottom edges in shares of the picture's width and height."""
    picture = Image.new("RGB", (640, 480), "#8a9a80")
    draw = ImageDraw.Draw(picture)
    for i in range(40):
        x, y, radius = i * 97 % 640, i * 61 % 480, 12 + i * 17 % 50
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), f"hsl({i * 67 % 360}, 70%, {30 + i * 13 % 50}%)")
    picture.save(folder / "picture.png")
    texts = CLIPTokenizer.from_pretrained(folder)(LABELS, padding="max_length", truncation=True, return_tensors="pt")
    processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
    out = model(**texts, pixel_values=processor(picture, return_tensors="pt").pixel_values)
    scores, best = out.logits[0].sigmoid().max(0)
    [kept] = processor.post_process_object_detection(out, threshold=-1, target_sizes=[picture.size[::-1]])
    boxes = kept["boxes"][best] / torch.tensor(picture.size * 2)
    found = [dict(score=score, box=box) for score, box in zip(scores.tolist(), boxes.tolist())]
    (folder / "boxes.json").write_text(json.dumps(dict(labels=LABELS, found=found)) + "\n")


@torch.no_grad()
def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--complete", action="store_true", help="fill in what transformers.js needs in the JSON files")
    given = arguments.parse_args()
    logging.disable(logging.WARNING)  # the exporter and the quantiser tell of every step
    warnings.filterwarnings("ignore")

    # Plain attention: the fused kinds become the same products in ONNX, in more nodes.
    options = dict(dtype=torch.float32, attn_implementation="eager")
    kind = AutoConfig.from_pretrained(given.folder).model_type
    if kind not in ("clip", "siglip", *DETECTORS):
        raise SystemExit(f"config.json: expected model_type clip, siglip, owlvit or owlv2, found {kind}")
    model = DETECTORS.get(kind, AutoModel).from_pretrained(given.folder, **options).eval()
    if given.complete:
        complete(given.folder, model)
    folder = given.folder / "onnx"
    folder.mkdir(exist_ok=True)
    if kind in DETECTORS:
        write_reference(given.folder, model)
    for part in [Detection(model)] if kind in DETECTORS else [Whole(model), Vision(model), Text(model)]:
        file = export(part, model, folder)
        worst = check(part, model, file)
        small = quantize(file)
        moved = check(part, model, small, most=np.inf)  # only that it runs: what int8 costs is no fault of the export
        found = [(file, worst), (small, moved)]
        if part.file == "model":
            found += [(name, check(part, model, name, most=np.inf)) for name in quantize_to_4_bits(file)]
        for name, error in found:
            print(f"{name.name}: {name.stat().st_size / 1e6:.1f} MB, off from PyTorch by at most {error:.1e}", flush=True)


if __name__ == "__main__":
    main()
