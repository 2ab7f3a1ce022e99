"""Trains ocelli-tiny-mask: `mask.py FOLDER` and loop.py's options. It is transformers' CLIPSegForImageSegmentation on the towers of
ocelli-tiny-find as it is in the repository, which stay as they are; only the decoder learns, as in "Image Segmentation Using Text and Image
Prompts" (Lüddecke and Ecker 2022).

Pictures are as varied as find's at last. Each is asked for one name, one time in five for one that is not there. The loss is the
cross-entropy of each pixel.
"""

import numpy as np
import torch
import torch.nn.functional as F
from transformers import CLIPSegConfig, CLIPSegForImageSegmentation

import loop
from find_model import MEAN, SIDE, STD, TOWER, configuration, export, trained
from find_words import TEMPLATES
from names import Names
from truth import KNOWN, VARIED, World

ABSENT = 0.2


def clipseg(vocabulary, state):
    """With a decoder that has learned nothing, on the towers of `state`, an Owlv2ForObjectDetection's."""
    owl = configuration(vocabulary)
    config = CLIPSegConfig(text_config=owl.text_config.to_dict() | dict(model_type="clipseg_text_model"),
                           vision_config=owl.vision_config.to_dict() | dict(model_type="clipseg_vision_model"),
                           projection_dim=TOWER["hidden_size"], reduce_dim=64, extract_layers=[1, 3, 5], decoder_num_attention_heads=4,
                           decoder_intermediate_size=256, use_complex_transposed_convolution=True)
    model = CLIPSegForImageSegmentation._from_config(config, attn_implementation="eager")
    towers = {k.removeprefix("owlv2.").replace("pre_layernorm", "pre_layrnorm"): v for k, v in state.items() if k.startswith("owlv2.")}
    towers = {k: v.reshape(model.clip.logit_scale.shape) if k == "logit_scale" else v for k, v in towers.items()}
    missing, unknown = model.clip.load_state_dict(towers, strict=False)
    assert not missing and not unknown, (missing, unknown)
    for module in model.decoder.modules():
        if isinstance(module, torch.nn.Linear):
            torch.nn.init.normal_(module.weight, std=module.weight.shape[1] ** -0.5)
            torch.nn.init.zeros_(module.bias)
    torch.nn.init.zeros_(model.decoder.transposed_convolution[-1].weight)
    torch.nn.init.constant_(model.decoder.transposed_convolution[-1].bias, -2.0)  # most pixels show something else
    return model


class Mask(loop.Job):
    name, size = "mask", 16

    def __init__(self, folder, device):
        self.device, self.names, (self.words, find) = device, Names(folder), trained()
        self.model = clipseg(len(self.words), find.owl.state_dict()).to(device)
        self.world = World(folder, self.names, SIDE, self.size)
        self.world.know(KNOWN)

    def rate(self, parameter):
        return 1.0 if parameter.startswith("decoder.") else 0

    def losses(self, working, step, dtype, cooling):
        pixels, owners, pictures = self.world.batch(step, VARIED)
        r, asked, masks = np.random.default_rng([step, 3]), [], []
        for owned, picture in zip(owners, pictures):
            there = sorted({t.concept for t in picture.things})
            away = not there or r.random() < ABSENT
            concept = int(r.choice(np.setdiff1d(self.world.things, there) if away else there))
            asked.append(r.choice(TEMPLATES).format(self.names.labels[concept]))
            masks.append(np.isin(owned, [t.number for t in picture.of(concept)]))
        ids, truth = self.words(asked).to(self.device), torch.from_numpy(np.stack(masks)).float().to(self.device)
        pixels = ((pixels + 1) / 2 - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
        with torch.no_grad():
            states = working.clip.vision_model(pixels.to(self.device, dtype), output_hidden_states=True).hidden_states
            condition = working.clip.text_projection(working.clip.text_model(input_ids=ids).pooler_output)
        logits = working.decoder(tuple(states[k + 1] for k in working.extract_layers), condition).logits.float()
        said, union = (logits > 0) & (truth > 0), (logits > 0) | (truth > 0)
        there = truth.flatten(1).any(1)
        return F.binary_cross_entropy_with_logits(logits, truth), {"loss": F.binary_cross_entropy_with_logits(logits, truth).detach(),
                                                                   "iou": (said.flatten(1).sum(1) / union.flatten(1).sum(1).clamp(1))[there].mean()}

    def export(self, folder):
        export(self.model, self.words, folder, image_processor_type="ViTImageProcessor", processor_class="CLIPSegProcessor")


if __name__ == "__main__":
    loop.train(Mask)
