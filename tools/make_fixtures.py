"""Makes tests/fixtures: tiny random checkpoints, with the numbers that the reference implementation gives for them.

    pip install -r tools/requirements.txt
    python tools/make_fixtures.py            # from the root of the repository; CPU, a few seconds

The reference is Hugging Face transformers in float32 with the image processors' "pil" backend. Everything is drawn or
written here, nothing is downloaded. With the pinned versions a second run writes the same bytes; another kind of CPU
may change the last digits of the golden numbers.

images/                 lossless pictures, and one JPEG to measure how far JPEG decoders differ
MODEL/                  a Hugging Face folder (with spiece.model, so that the reference itself can open it)
MODEL/pixels/STEM.png   the 8-bit picture that the tower sees: after resize and crop, before rescale and normalise
MODEL/golden.json       token ids, unit embeddings, logits, scores, and the mean distance between unrelated inputs
MODEL/taps.safetensors  activations of TAP_IMAGE and of the first text, without the batch dimension

The shapes are awkward on purpose, and the weights are scaled so that unrelated inputs lie far apart: at the usual
initialisation even a wrong resize hardly moves an embedding. Each model's run ends by breaking the reference in the
usual ways, and prints how far the embeddings move as a fraction of the mean distance between unrelated inputs.
"""

import math
import os
import re
import shutil
from pathlib import Path

os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_VERBOSITY="error", TQDM_DISABLE="1")

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageOps
from safetensors.torch import save_file
from transformers import (AutoImageProcessor, CLIPConfig, CLIPModel, CLIPTokenizer, SiglipConfig, SiglipModel,
                          Siglip2Tokenizer, SiglipTokenizer)
from transformers.activations import ACT2FN
from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD
from transformers.models.clip import modeling_clip

from fixture_tokenizers import CORPUS, clip_tokenizer, gemma_tokenizer, siglip_tokenizer, write_json

OUT = Path(__file__).resolve().parent.parent / "tests" / "fixtures"
TAP_IMAGE = "rgb-61x37.png"

TEXTS = [
    "a photo of a cat",
    "TWO DOGS IN THE SNOW",
    "it's a red car, isn't it?! (no: 2 of 3)",
    "cafe\u0301, Ｆｕｌｌ ①",  # a decomposed accent, full-width letters and a circled digit: NFC and NFKC differ
    "🐱 猫と犬",  # in no vocabulary: bytes
    "",
    " ".join(CORPUS[::97]),  # far too long: truncation must keep the end token
    "  the   green\n\n tree\t on \u00a0 the   side  ",
]


def tower(hidden, heads, layers, mlp, act, **more):
    return dict(hidden_size=hidden, num_attention_heads=heads, num_hidden_layers=layers, intermediate_size=mlp,
                hidden_act=act, **more)


CLIP_PIXELS = dict(image_mean=OPENAI_CLIP_MEAN, image_std=OPENAI_CLIP_STD, resample=3, do_resize=True,
                   do_center_crop=True, do_normalize=True)
SIGLIP_PIXELS = dict(image_mean=[0.5] * 3, image_std=[0.5] * 3, rescale_factor=1 / 255, do_resize=True, do_rescale=True,
                     do_normalize=True, image_processor_type="SiglipImageProcessor", processor_class="SiglipProcessor")
MODELS = {
    # The ids of the special tokens are false, as in OpenAI's own configs: 2 means "pool at the highest id".
    "clip": dict(
        family="clip", seed=1, dtype=torch.float32, projection=36, logit_scale=14.0,
        vision=tower(48, 4, 3, 100, "quick_gelu", image_size=42, patch_size=14),
        text=tower(40, 5, 3, 76, "quick_gelu", max_position_embeddings=16, bos_token_id=0, eos_token_id=2,
                   pad_token_id=1),
        preprocessor=dict(CLIP_PIXELS, size={"shortest_edge": 42}, crop_size={"height": 42, "width": 42},
                          do_rescale=True, rescale_factor=1 / 255, do_convert_rgb=True,
                          image_processor_type="CLIPImageProcessor")),
    # The end token has the right id here, and it is not the highest: pooling at the highest id goes wrong. Heads of 15.
    # Sizes in the preprocessor's JSON are bare numbers and there is no rescale factor, as in OpenAI's oldest files.
    "clip-eos": dict(
        family="clip", seed=11, dtype=torch.float16, projection=26, logit_scale=25.0,
        vision=tower(30, 2, 2, 58, "gelu", image_size=36, patch_size=12),
        text=tower(28, 2, 2, 50, "gelu", max_position_embeddings=16),
        preprocessor=dict(CLIP_PIXELS, size=40, crop_size=36, feature_extractor_type="CLIPFeatureExtractor")),
    "siglip": dict(
        family="siglip", seed=11, dtype=torch.float32, logit_scale=20.0, logit_bias=-7.5,
        vision=tower(36, 3, 3, 86, "gelu_pytorch_tanh", image_size=48, patch_size=16),
        text=tower(36, 3, 2, 86, "gelu_pytorch_tanh", max_position_embeddings=12),
        preprocessor=dict(SIGLIP_PIXELS, resample=3, size={"height": 48, "width": 48})),
    "siglip-bf16": dict(
        family="siglip", seed=1, dtype=torch.bfloat16, logit_scale=12.0, logit_bias=-5.5,
        vision=tower(32, 2, 2, 54, "gelu_pytorch_tanh", image_size=40, patch_size=8),
        text=tower(32, 2, 2, 54, "gelu_pytorch_tanh", max_position_embeddings=10),
        preprocessor=dict(SIGLIP_PIXELS, resample=2, do_convert_rgb=None, size={"height": 40, "width": 40})),
    # SigLIP 2 at fixed resolution, whose config.json says "siglip" as well: only the tokenizer tells. Towers of different width.
    "siglip2": dict(
        family="siglip", seed=5, dtype=torch.float16, logit_scale=16.0, logit_bias=-6.5, tokenizer=gemma_tokenizer,
        vision=tower(40, 2, 2, 70, "gelu_pytorch_tanh", image_size=42, patch_size=14),
        text=tower(24, 2, 2, 44, "gelu_pytorch_tanh", max_position_embeddings=12, projection_size=40, pad_token_id=0),
        preprocessor=dict(SIGLIP_PIXELS, resample=2, do_convert_rgb=None, size={"height": 42, "width": 42})),
}


def paint(seed, width, height, channels=3):
    """A gradient, hard edges, one-pixel stripes and a patch of noise: every way to resize it looks different."""
    rng = np.random.default_rng(seed)
    colour = lambda: tuple(rng.integers(0, 256, channels).tolist())
    y, x = (axis[..., None] / max(width, height) for axis in np.mgrid[0:height, 0:width])
    corner, along_x, along_y = rng.uniform(0, 255, channels), *rng.uniform(-255, 255, (2, channels))
    image = Image.fromarray(np.clip(corner + along_x * x + along_y * y, 0, 255).astype(np.uint8).squeeze())
    draw = ImageDraw.Draw(image)
    for shape in (draw.ellipse, draw.rectangle, draw.ellipse):
        (left, top), (w, h) = rng.uniform(-0.1, 0.8, 2), rng.uniform(0.15, 0.6, 2)
        shape([left * width, top * height, (left + w) * width, (top + h) * height], fill=colour())
    for column in range(int(rng.uniform(0, 0.6) * width), width, 2)[: width // 6]:
        draw.line([column, height * 0.3, column, height * 0.9], fill=colour())
    pixels = np.array(image)
    patch = pixels[-max(1, height // 4):, :max(1, width // 3)]
    patch[:] = np.clip(patch + rng.integers(-60, 61, patch.shape), 0, 255)
    return Image.fromarray(pixels)


def with_alpha(image, shift):
    """Alpha from 0 to 255. The colours under alpha 0 stay, and the reference sees them."""
    ramp = np.roll(np.clip(np.linspace(-80, 335, image.width), 0, 255).astype(np.uint8), shift)
    image.putalpha(Image.fromarray(np.tile(ramp, (image.height, 1))))
    return image


def oriented(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif.tobytes()


def make_images(folder):
    # Some sides equal a model's input size on purpose: one pass of the resize, or both, must then be skipped.
    png, webp = dict(optimize=True), dict(lossless=True, exact=True, quality=100, method=6)
    pictures = {
        TAP_IMAGE: (paint(11, 61, 37), png),
        "tall-23x97.png": (paint(12, 23, 97), png),
        "tiny-7x5.png": (paint(13, 7, 5), png),
        "one-1x1.png": (Image.new("RGB", (1, 1), (200, 30, 90)), png),
        "large-211x140.png": (paint(15, 211, 140), png),
        "grey-50x31.png": (paint(16, 50, 31, channels=1), png),
        "grey-alpha-42x64.png": (with_alpha(paint(17, 42, 64, channels=1), 5), png),
        "rgba-40x53.png": (with_alpha(paint(18, 40, 53), 21), png),
        "palette-48x29.png": (paint(19, 48, 29).quantize(32), png),
        "orientation6-45x27.png": (paint(20, 45, 27), dict(png, exif=oriented(6))),
        "orientation6-57x33.webp": (paint(21, 57, 33), dict(webp, exif=oriented(6))),
        "orientation3-29x47.webp": (paint(22, 29, 47), dict(webp, exif=oriented(3))),
        "photo-113x79.jpg": (paint(31, 40, 28).resize((113, 79), 3), dict(quality=88, subsampling="4:2:0")),
    }
    folder.mkdir(parents=True)
    for name, (image, options) in pictures.items():
        image.save(folder / name, **options)
    assert len({Path(name).stem for name in pictures}) == len(pictures)
    return list(pictures)


def open_image(path):
    """What everyone is compared with: orientation applied, alpha dropped (not composited), no colour management."""
    return ImageOps.exif_transpose(Image.open(path)).convert("RGB")


@torch.no_grad()
def fill(model, spec):
    """Random weights, at a scale that keeps the inputs apart; no tensor is all 0 or all 1, where a bug could hide."""
    generator = torch.Generator().manual_seed(spec["seed"])
    for name, p in sorted(model.named_parameters()):
        noise = torch.randn(p.shape, generator=generator)
        last = name.rpartition(".")[2]
        if last in ("logit_scale", "logit_bias"):
            p.fill_(math.log(spec[last]) if last == "logit_scale" else spec[last])
        elif name.endswith("bias"):
            p.copy_(0.15 * noise)
        elif re.search(r"norm|\bln_", name):
            p.copy_(1 + 0.25 * noise)
        elif re.search("(position|positional|class)_embedding|pos_embed", name):
            p.copy_(0.3 * noise)
        elif re.search("token_embedding|probe|latent", name):
            p.copy_(0.5 * noise)
        else:
            p.copy_(1.8 * noise / math.sqrt(p[0].numel()))


def make_checkpoint(folder, spec):
    clip, (pixels, text, vision) = spec["family"] == "clip", (spec[k] for k in ("preprocessor", "text", "vision"))
    folder.mkdir(parents=True)
    spec.get("tokenizer", clip_tokenizer if clip else siglip_tokenizer)(folder, text)
    write_json(folder / "preprocessor_config.json", pixels)
    if clip:
        model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=spec["projection"]))
    else:
        model = SiglipModel(SiglipConfig(text_config=text, vision_config=vision))
    fill(model, spec)
    model.to(spec["dtype"]).save_pretrained(folder)


class Reference:
    """The folder as transformers opens it. Weights of any type are widened to float32."""

    def __init__(self, folder, spec):
        self.clip = spec["family"] == "clip"
        model = CLIPModel if self.clip else SiglipModel
        tokenizer = CLIPTokenizer if self.clip else Siglip2Tokenizer if "tokenizer" in spec else SiglipTokenizer
        self.model = model.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
        self.tokenizer = tokenizer.from_pretrained(folder)
        self.processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
        self.mean, self.std = self.processor.image_mean, self.processor.image_std
        self.eos = self.tokenizer.eos_token_id

    def run(self, ids, pixels):
        """Unit embeddings of both kinds and logits."""
        return self.model(input_ids=ids, pixel_values=pixels)

    def square(self, image):
        return self.pixels([image], do_rescale=False, do_normalize=False)[0].permute(1, 2, 0).numpy()

    def ids(self, texts):
        length = self.model.config.text_config.max_position_embeddings
        return self.tokenizer(texts, padding="max_length", truncation=True, max_length=length,
                              return_tensors="pt")["input_ids"]

    def pixels(self, images, **options):
        return torch.from_numpy(np.stack(self.processor(images, **options)["pixel_values"]))

    def embed_images(self, pixels):
        return unit(self.model.get_image_features(pixels).pooler_output)

    def embed_texts(self, ids):
        return unit(self.model.get_text_features(ids).pooler_output)


def unit(x):
    return x / x.norm(dim=-1, keepdim=True)


def store_pixels(reference, image, path):
    """What the tower sees; and the proof: these bytes, rescaled and normalised, are exactly the processor's output."""
    Image.fromarray(reference.square(image)).save(path, optimize=True)
    stored = np.array(Image.open(path), np.float64)
    mean, std = (np.array(v, np.float32) for v in (reference.mean, reference.std))
    expected = ((stored * (1 / 255)).astype(np.float32) - mean) / std
    assert np.array_equal(expected.transpose(2, 0, 1), reference.pixels([image])[0].numpy()), path


class Taps:
    """What modules give, or take, while a model runs; without the batch dimension."""

    def __init__(self, model):
        self.values, self.hooks = {}, []
        for side, tower in (("vision", model.vision_model), ("text", model.text_model)):
            self.tap(f"{side}.embed", tower.embeddings)
            for i, block in enumerate(tower.encoder.layers):
                self.tap(f"{side}.block.{i}", block)

    def tap(self, name, module, of_input=False):
        def keep(_, arguments, output):
            value = arguments if of_input else output
            self.values[name] = (value[0] if isinstance(value, tuple) else value)[0].clone()
        self.hooks.append(module.register_forward_hook(keep))

    def end(self, image, text):
        """All of them by name, with the embeddings of the first picture and the first text."""
        for hook in self.hooks:
            hook.remove()
        taps = {**self.values, "vision.embedding": image.pooler_output[0], "text.embedding": text.pooler_output[0]}
        assert all(value.isfinite().all() and value.abs().max() < 1000 for value in taps.values())
        return {name: taps[name].contiguous() for name in sorted(taps)}


def record_taps(reference, ids, pixels):
    model = reference.model
    taps = Taps(model)
    for side, tower in (("vision", model.vision_model), ("text", model.text_model)):
        taps.tap(f"{side}.block.0.attn", tower.encoder.layers[0].self_attn)
        taps.tap(f"{side}.block.0.mlp", tower.encoder.layers[0].mlp)
    taps.tap("text.pooled", model.text_projection if reference.clip else model.text_model.head, of_input=True)
    if reference.clip:
        taps.tap("vision.pre_norm", model.vision_model.pre_layrnorm)
        taps.tap("vision.pooled", model.visual_projection, of_input=True)
    else:
        taps.tap("vision.post_norm", model.vision_model.post_layernorm)
        taps.tap("vision.pooled", model.vision_model.head)
    return taps.end(model.get_image_features(pixels), model.get_text_features(ids))


def numbers(row):
    return [float(f"{x:.9g}") for x in row.tolist()]


def unrelated_distance(name, out):
    """The mean distance between embeddings that have nothing to do with each other, which must be apart."""
    distance = {}
    for kind, embeddings in (("image", out.image_embeds), ("text", out.text_embeds)):
        i, j = torch.triu_indices(len(embeddings), len(embeddings), offset=1)
        cosine = (embeddings[i] * embeddings[j]).sum(-1).mean().item()
        distance[kind] = (embeddings[i] - embeddings[j]).norm(dim=-1).mean().item()
        print(f"{name}: pairs of {kind}s: mean cosine {cosine:.3f}, mean distance {distance[kind]:.3f}")
        assert abs(cosine) < 0.6
    return distance


def make_golden(folder, reference, image_names, texts, record_taps, measure):
    images = {name: open_image(OUT / "images" / name) for name in image_names}
    (folder / "pixels").mkdir()
    for name, image in images.items():
        store_pixels(reference, image, folder / "pixels" / Path(name).with_suffix(".png"))
    pixels, ids = reference.pixels(list(images.values())), reference.ids(texts)
    assert ids[-2, -1] == reference.eos, "truncation must keep the end token"
    out = reference.run(ids, pixels)
    distance = unrelated_distance(folder.name, out)
    logits = out.logits_per_image
    scores = logits.softmax(dim=-1) if reference.clip else logits.sigmoid()
    write_json(folder / "golden.json", dict(
        images={name: dict(embedding=numbers(row)) for name, row in zip(images, out.image_embeds)},
        texts=[dict(text=t, ids=i.tolist(), embedding=numbers(row)) for t, i, row in zip(texts, ids, out.text_embeds)],
        logits_per_image=dict(labels=texts, template=None, **dict(zip(images, map(numbers, logits)))),
        scores=dict(zip(images, map(numbers, scores))), unrelated_distance=distance))
    first = image_names.index(TAP_IMAGE)
    taps = record_taps(reference, ids[:1], pixels[first:first + 1])
    save_file(taps, folder / "taps.safetensors", metadata=dict(image=TAP_IMAGE))  # one key: their order is random
    measure(folder.name, reference, list(images.values()), ids, out, distance)


def reporter(name, out, distance):
    """A function that says how far a mistake moves the embeddings, and insists that it does."""
    def report(what, kind, wrong, rows=slice(None), floor=0.05):
        moved = (wrong - (out.image_embeds if kind == "image" else out.text_embeds))[rows].norm(dim=-1) / distance[kind]
        print(f"{name}: {what}: {kind}s move by {moved.mean():.1e} of the distance between unrelated ones, "
              f"at least {moved.min():.1e}")
        assert moved.mean() >= floor, "this mistake would go unnoticed"
    return report


def measure(name, reference, images, ids, out, distance):
    """Breaks the reference in the usual ways: every mistake must show."""
    model, clip = reference.model, reference.clip
    report = reporter(name, out, distance)
    pixels, nearest = reference.pixels(images), reference.pixels(images, resample=0)
    # A picture of one pixel, or already of the right size, looks the same under every filter.
    rows = (pixels != nearest).flatten(1).any(1).nonzero()[:, 0]
    report("nearest neighbour", "image", reference.embed_images(nearest), rows)
    other = reference.pixels(images, resample=5 - reference.processor.resample)
    report("bilinear and bicubic exchanged", "image", reference.embed_images(other), rows)
    report("shifted by one pixel", "image", reference.embed_images(pixels.roll(1, -1)), rows)
    states = model.vision_model(pixels).last_hidden_state.mean(1)
    states = model.visual_projection(model.vision_model.post_layernorm(states)) if clip else states
    report("vision pooled by the mean", "image", unit(states))

    hidden, project = model.text_model(ids).last_hidden_state, model.text_projection if clip else model.text_model.head
    end = (ids == reference.tokenizer.eos_token_id).int().argmax(-1)
    last = torch.full_like(end, ids.shape[1] - 1)
    places = {"last position": last, "highest id": ids.argmax(-1)} if clip else {"first end token": end}
    for where, place in places.items():
        rows = (place != (end if clip else last)).nonzero()[:, 0]
        if len(rows):
            report(f"text pooled at the {where}", "text", unit(project(hidden[range(len(ids)), place])), rows)
    if clip:
        build, modeling_clip.create_causal_mask = modeling_clip.create_causal_mask, lambda **_: None
        report("causal mask dropped", "text", reference.embed_texts(ids))
        modeling_clip.create_causal_mask = build

    def report_both(what, floor):
        report(what, "image", reference.embed_images(pixels.to(model.dtype)), floor=floor)
        report(what, "text", reference.embed_texts(ids), floor=floor)

    mlps = [module for module in model.modules() if hasattr(module, "activation_fn")]
    right = mlps[0].config.hidden_act
    for act in sorted({"gelu", "gelu_pytorch_tanh", "quick_gelu"} - {right}) + [right]:
        for mlp in mlps:
            mlp.activation_fn = ACT2FN[act]
        if act != right:
            report_both(f"activation {act} for {right}", floor=1e-4)
    model.double()  # last: the rounding of float32 itself, below which no test can look
    report_both("float64 for float32", floor=0)


@torch.no_grad()
def main():
    torch.set_num_threads(1)
    for folder in ("images", *MODELS):
        shutil.rmtree(OUT / folder, ignore_errors=True)
    image_names = make_images(OUT / "images")
    for name, spec in MODELS.items():
        make_checkpoint(OUT / name, spec)
        make_golden(OUT / name, Reference(OUT / name, spec), image_names, TEXTS, record_taps, measure)
    check_size()


def check_size():
    files = [path for path in OUT.rglob("*") if path.is_file() and path.relative_to(OUT).parts[0] != "decoders"]
    total = sum(path.stat().st_size for path in files)
    print(f"{total:,} bytes in {OUT.name}/")
    assert total < 7_000_000


if __name__ == "__main__":
    main()
