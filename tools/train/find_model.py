"""ocelli-tiny-find: transformers' Owlv2ForObjectDetection, how it starts, and its folder."""

import json
import math
import shutil

import torch
import torch.nn.functional as F
from torch import nn
from transformers import Owlv2Config, Owlv2ForObjectDetection

from find_words import LENGTH, Words
from model import stretched
from shipped import FIND, weights

SIDE, PATCH = 256, 16
MEAN, STD = ([0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711])  # CLIP's
USUAL = 0.68  # root mean square of a patch's embedding in ocelli-tiny
TOWER = dict(hidden_size=256, intermediate_size=768, num_attention_heads=4)


def configuration(vocabulary):
    text = dict(TOWER, num_hidden_layers=3, vocab_size=vocabulary, max_position_embeddings=LENGTH, hidden_act="quick_gelu",
                bos_token_id=vocabulary - 2, eos_token_id=vocabulary - 1, pad_token_id=0)
    vision = dict(TOWER, num_hidden_layers=6, image_size=SIDE, patch_size=PATCH, hidden_act="gelu_pytorch_tanh", layer_norm_eps=1e-6)
    return Owlv2Config(text_config=text, vision_config=vision, projection_dim=256)


class Owl(nn.Module):
    """The model, trained; pictures are in -1 to 1, their side any multiple of the patch's."""

    def __init__(self, vocabulary, tower=None):
        super().__init__()
        self.owl = Owlv2ForObjectDetection._from_config(configuration(vocabulary), attn_implementation="eager")
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(STD).view(3, 1, 1), persistent=False)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=1 / math.sqrt(module.weight.shape[1]))
        for block in self.owl.owlv2.text_model.encoder.layers:
            nn.init.zeros_(block.self_attn.out_proj.weight)
            nn.init.zeros_(block.mlp.fc2.weight)
        nn.init.normal_(self.owl.owlv2.text_model.embeddings.token_embedding.weight, std=1 / 16)
        head = self.owl.class_head
        with torch.no_grad():
            for layer in (head.logit_shift, head.logit_scale, self.owl.box_head.dense2, self.owl.objectness_head.dense2):
                layer.weight.mul_(0.1)
                layer.bias.zero_()
            # Unlikely at first: (cosine - 0.5) * 9.
            head.logit_shift.bias.fill_(-0.5)
            head.logit_scale.bias.fill_(8.0)
            self.owl.objectness_head.dense2.bias.fill_(-3.0)
            if tower is not None:
                self.start(tower)

    def start(self, tower):
        """From a SigLIP tower with patches of half the side, whose picture is twice as large here."""
        vision = self.owl.owlv2.vision_model
        own = vision.state_dict()
        for name, tensor in tower.items():
            name = name.removeprefix("vision_model.")
            if name in own and own[name].shape == tensor.shape and "embeddings" not in name:
                own[name].copy_(tensor)
        filters = tower["vision_model.embeddings.patch_embedding.weight"]
        small = filters.repeat_interleave(2, 2).repeat_interleave(2, 3) / 4  # over the mean of 2 × 2 pixels
        std = self.std.view(1, 3, 1, 1) * 2  # from CLIP's range to SigLIP's: x' = 2 (x std + mean) - 1
        bias = tower["vision_model.embeddings.patch_embedding.bias"] + (small * (2 * self.mean.view(1, 3, 1, 1) - 1)).sum((1, 2, 3))
        own["embeddings.patch_embedding.weight"].copy_(small * std)
        square = stretched(tower["vision_model.embeddings.position_embedding.weight"], SIDE // PATCH)
        own["embeddings.position_embedding.weight"][1:].copy_(square + bias)
        own["embeddings.position_embedding.weight"][0].copy_(square.mean(0) + bias)
        own["embeddings.class_embedding"].zero_()
        own["pre_layernorm.weight"].fill_(USUAL)  # SigLIP has no such norm

    def forward(self, pixels, ids, dtype):
        """What the class head says of each patch, and the texts' vectors (both of length 1), logits [B, patches, texts], boxes by centre,
        width and height, and logits of things."""
        owl, side = self.owl, pixels.shape[-1]
        pixels = ((pixels + 1) / 2 - self.mean.float()) / self.std.float()
        grid, _ = owl.image_embedder(pixels.to(dtype), interpolate_pos_encoding=side != SIDE)
        seen = grid.flatten(1, 2)
        states = owl.owlv2.text_model(input_ids=ids).pooler_output
        texts = F.normalize(owl.owlv2.text_projection(states).float(), dim=-1)
        logits, vectors = owl.class_predictor(seen, texts.to(dtype)[None].expand(len(pixels), -1, -1))
        boxes = (owl.box_head(seen).float() + owl.compute_box_bias(*grid.shape[1:3]).to(seen.device)).sigmoid()
        return F.normalize(vectors.float(), dim=-1), texts, logits.float(), boxes, owl.objectness_predictor(seen).float()


def trained():
    """The words and the model that are in the repository."""
    words = Words(FIND / "tokenizer.json")
    find = Owl(len(words))
    # `ocelli quantize` leaves out what no answer needs, and writes the towers' names without their owner's.
    of_towers = lambda name: f"owlv2.{name}" if name.startswith(("vision_model.", "text_")) else name
    missing, unknown = find.owl.load_state_dict({of_towers(k): v for k, v in weights(FIND).items()}, strict=False)
    assert set(missing) <= {"owlv2.logit_scale", "owlv2.visual_projection.weight"} and not unknown, (missing, unknown)
    return words, find


def export(model, words, folder, **processor):
    """`processor` is what the model's own image processor is called, and what it does besides."""
    model.save_pretrained(folder)
    shutil.copyfile(words.path, folder / "tokenizer.json")
    processor |= dict(do_rescale=True, rescale_factor=1 / 255, do_resize=True, size=dict(height=SIDE, width=SIDE), resample=2, do_normalize=True,
                      image_mean=MEAN, image_std=STD)
    tokens = dict(tokenizer_class="CLIPTokenizer", model_max_length=LENGTH, bos_token="<|startoftext|>", eos_token="<|endoftext|>", pad_token="!",
                  unk_token="<|endoftext|>", add_prefix_space=False, do_lower_case=True, errors="replace")
    for name, content in (("preprocessor_config.json", processor), ("tokenizer_config.json", tokens)):
        (folder / name).write_text(json.dumps(content, indent=1) + "\n")
