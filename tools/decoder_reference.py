"""transformers' decoders as make_decoder_fixtures.py asks them: what a folder's model and processor give for a prompt."""

import copy
import json

import numpy as np
import torch
from PIL import Image
from transformers import AutoImageProcessor, PreTrainedTokenizerFast
from transformers.models.llava.processing_llava import LlavaProcessor
from transformers.models.llava_onevision.processing_llava_onevision import LlavaOnevisionProcessor
from transformers.models.llava_onevision.video_processing_llava_onevision import LlavaOnevisionVideoProcessor
from transformers.models.paligemma.processing_paligemma import PaliGemmaProcessor
from transformers.models.smolvlm import processing_smolvlm
from transformers.models.smolvlm.processing_smolvlm import SmolVLMProcessor
from transformers.models.smolvlm.video_processing_smolvlm import SmolVLMVideoProcessor

from decoder_models import PICTURE, PROMPT
from make_fixtures import OUT, open_image

STEPS = 32
processing_smolvlm.num2words = str  # the processor asks for num2words, which it needs for videos only


def distance(wrong, right):
    """Of logits, as a share of the right ones' spread."""
    return ((torch.nan_to_num(wrong, 1e3, 1e3, -1e3) - right).norm() / (right - right.mean()).norm()).item()


def make_processor(folder, spec):
    """The processor of a folder, with its image processor's "pil" backend."""
    images = AutoImageProcessor.from_pretrained(folder, backend="pil")
    assert type(images).__name__.endswith("Pil"), type(images)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    name = spec["model"].__name__.removesuffix("ForConditionalGeneration")
    options = {key: value for key, value in spec.get("processor", {}).items() if key != "processor_class"}
    if name == "PaliGemma":
        return PaliGemmaProcessor(images, tokenizer)
    if name == "Llava":
        return LlavaProcessor(images, tokenizer, chat_template=spec["template"], **options)
    if name == "SmolVLM":
        return SmolVLMProcessor(images, tokenizer, SmolVLMVideoProcessor(), chat_template=spec["template"], **options)
    return LlavaOnevisionProcessor(images, tokenizer, LlavaOnevisionVideoProcessor(), chat_template=spec["template"], **options)


def write_processor(folder, spec):
    """What transformers 5 writes for a processor: one file for all but the tokenizer, and the chat template beside it."""
    processor = make_processor(folder, spec)
    (folder / "preprocessor_config.json").unlink()
    processor.to_json_file(folder / "processor_config.json")
    (folder / "chat_template.jinja").write_text(spec["template"])


class DecoderReference:
    """The folder as transformers opens it. Weights are widened to float32."""

    def __init__(self, folder, spec):
        self.spec, self.sees = spec, "vision" in spec
        self.model = spec["model"].from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
        self.processor = make_processor(folder, spec) if self.sees else None
        self.tokenizer = self.processor.tokenizer if self.sees else PreTrainedTokenizerFast.from_pretrained(folder)
        self.stop = json.loads((folder / "generation_config.json").read_text())["eos_token_id"]
        self.raw = PROMPT
        if self.sees:
            self.raw = spec.get("raw") or self.processor.apply_chat_template(spec["messages"], add_generation_prompt=True)

    @property
    def decoder(self):
        base = self.model.model
        return getattr(base, "text_model", None) or getattr(base, "language_model", base)

    @property
    def tower(self):
        base = self.model.model
        return getattr(base, "vision_model", None) or base.vision_tower

    @property
    def connector(self):
        base = self.model.model
        return getattr(base, "connector", None) or base.multi_modal_projector

    def inputs(self, pictures=(PICTURE,), images=None, raw=None, low=False, **options):
        """What the model takes for the prompt, or for other pictures in it. LLaVA-OneVision's `low` sees a picture as one of several, though
        it is the only one."""
        if not self.sees:
            return dict(self.tokenizer(self.raw, return_tensors="pt", return_token_type_ids=False))
        images = images or [open_image(OUT / "images" / name) for name in pictures]
        if low:
            image, = images
            two = self.inputs(images=[image, image])
            ids = self.tokenizer(self.raw.replace("<image>", "<image>" * (self.processor.num_image_tokens + 1)), return_tensors="pt")
            return dict(ids, pixel_values=two["pixel_values"][:1], image_sizes=two["image_sizes"][:1], batch_num_images=torch.tensor([2]))
        raw = raw or self.raw.replace("<image>", "<image>" * len(images))
        inputs = self.processor(images=[images], text=[raw], return_tensors="pt", **options)
        return {key: value for key, value in inputs.items() if key != "labels"}  # which are for training

    def logits(self, inputs):
        """Of the last position."""
        return self.model(**inputs).logits[0, -1]

    def generate(self, inputs):
        """Greedy tokens, and the logits from which each was taken."""
        out = self.model.generate(**inputs, do_sample=False, max_new_tokens=STEPS, output_logits=True, return_dict_in_generate=True,
                                  pad_token_id=0)
        return out.sequences[0, inputs["input_ids"].shape[1]:].tolist(), torch.cat(out.logits)

    def longer(self, inputs, tokens, kind=1):
        """The same with more tokens behind; PaliGemma's are of the causal suffix."""
        more = torch.tensor([tokens])
        longer = dict(inputs, input_ids=torch.cat([inputs["input_ids"], more], 1),
                      attention_mask=torch.ones(1, inputs["input_ids"].shape[1] + len(tokens), dtype=torch.long))
        if "token_type_ids" in inputs:
            longer["token_type_ids"] = torch.cat([inputs["token_type_ids"], torch.full_like(more, kind)], 1)
        return longer

    def next(self, inputs, token, off=0):
        """The logits after one more token, by the cache, at a place that is `off` from the right one."""
        out = self.model(**inputs, use_cache=True)
        place = inputs["input_ids"].shape[1] + (self.model.config.model_type == "paligemma") + off
        return self.model(input_ids=torch.tensor([[token]]), past_key_values=out.past_key_values, use_cache=True,
                          position_ids=torch.tensor([[place]])).logits[0, -1]

    def exact(self, inputs):
        """The last logits in float64."""
        model = copy.deepcopy(self.model).double()
        return model(**{k: v.double() if v.is_floating_point() else v for k, v in inputs.items()}).logits[0, -1]

    def features(self, inputs):
        """The rows of the connector in the order in which they replace tokens."""
        names = ("pixel_values", "pixel_attention_mask", "image_sizes", "batch_num_images")
        found = self.model.get_image_features(**{name: inputs[name] for name in names if name in inputs}).pooler_output
        return found.flatten(0, 1) if isinstance(found, torch.Tensor) else torch.cat(list(found))

    def taps(self, inputs):
        """What each step gives for a prompt, without the batch dimension."""
        taps, hooks = {}, []

        def tap(name, module, of_input=False):
            def keep(_, arguments, output):
                value = arguments if of_input else output
                taps[name] = (value[0] if isinstance(value, tuple) else value).clone()
            hooks.append(module.register_forward_hook(keep))

        tap("embed", self.decoder.layers[0], of_input=True)
        for i, layer in enumerate(self.decoder.layers):
            tap(f"block.{i}", layer)
        tap("norm", self.decoder.norm)
        if self.sees:
            tap("tower", self.connector, of_input=True)
        logits = self.logits(inputs)
        for hook in hooks:
            hook.remove()
        taps = {name: value if name == "tower" else value[0] for name, value in taps.items()}
        return taps | dict(logits=logits) | (dict(picture=self.features(inputs)) if self.sees else {})

    def tiles(self, pictures, low=False):
        """The 8-bit squares that the tower sees, one below the other; and the proof: rescaled and normalised, they are the processor's."""
        def stack(**options):
            found = np.array(self.processor.image_processor([images], **options)["pixel_values"])
            return found.reshape(-1, *found.shape[-3:])[:1 if low else None]

        images = [open_image(OUT / "images" / name) for name in pictures] * (2 if low else 1)
        seen = stack(do_rescale=False, do_normalize=False)
        assert seen.dtype == np.uint8
        mean, std = (np.array(v, np.float32)[:, None, None] for v in (self.processor.image_processor.image_mean,
                                                                      self.processor.image_processor.image_std))
        assert np.array_equal(((seen.astype(np.float64) * (1 / 255)).astype(np.float32) - mean) / std, stack()), pictures
        return Image.fromarray(seen.transpose(0, 2, 3, 1).reshape(-1, seen.shape[-1], 3))
