"""Trains ocelli-tiny-mask: `mask.py FOLDER` and loop.py's options. It is transformers' CLIPSegForImageSegmentation on the towers of
ocelli-tiny-find as it is in the repository, which stay as they are; only the decoder learns, as in "Image Segmentation Using Text and Image
Prompts" (Lüddecke and Ecker 2022).

Pictures are as varied as find's at last. The towers see each once, and the decoder is asked for several names of it, one in five of them
of what is not there. The loss is the cross-entropy of each pixel, and Dice of each mask ("V-Net", Milletari et al. 2016).

The decoder starts where it tells names apart: what it takes from the last block is, by least squares, what find's class head says of a
patch, and what it multiplies that by is the text's vector.
"""

import numpy as np
import torch
import torch.nn.functional as F
from transformers import CLIPSegConfig, CLIPSegForImageSegmentation

import loop
from ask_start import SEEN, as_clip, fit, of_texts, vectors
from find_model import MEAN, SIDE, STD, TOWER, configuration, export, trained
from find_words import TEMPLATES
from names import Names
from truth import KNOWN, VARIED, World

ABSENT = 0.2
ASKED = 4  # names asked of a picture
FAINT = 0.3  # how much of the earlier blocks the decoder takes at first


@torch.no_grad()
def clipseg(vocabulary, state):
    """With a decoder that has learned nothing, on the towers of `state`, an Owlv2ForObjectDetection's."""
    owl = configuration(vocabulary)
    config = CLIPSegConfig(text_config=owl.text_config.to_dict() | dict(model_type="clipseg_text_model"),
                           vision_config=owl.vision_config.to_dict() | dict(model_type="clipseg_vision_model"),
                           projection_dim=TOWER["hidden_size"], reduce_dim=64, extract_layers=[1, 3, 5], decoder_num_attention_heads=4,
                           decoder_intermediate_size=256, use_complex_transposed_convolution=True)
    model = CLIPSegForImageSegmentation._from_config(config, attn_implementation="sdpa")
    towers = {k.removeprefix("owlv2.").replace("pre_layernorm", "pre_layrnorm"): v for k, v in state.items() if k.startswith("owlv2.")}
    towers = {k: v.reshape(model.clip.logit_scale.shape) if k == "logit_scale" else v for k, v in towers.items()}
    missing, unknown = model.clip.load_state_dict(towers, strict=False)
    assert not missing and not unknown, (missing, unknown)
    for module in model.decoder.modules():
        if isinstance(module, torch.nn.Linear):
            torch.nn.init.normal_(module.weight, std=module.weight.shape[1] ** -0.5)
            torch.nn.init.zeros_(module.bias)
    for reduce in model.decoder.reduces[1:]:
        reduce.weight.mul_(FAINT)
    torch.nn.init.zeros_(model.decoder.transposed_convolution[-1].weight)
    torch.nn.init.constant_(model.decoder.transposed_convolution[-1].bias, -2.0)  # most pixels show something else
    return model


@torch.no_grad()
def tell_apart(model, find, words, labels, pictures, ridge=1e-3):
    """Sets what the decoder takes from the last block to what find says of a patch, in as many directions as it has, and its factors to the
    text's vector in these, half of them with the other sign: their sum, find's cosine, is then no mean, which the next norm takes away.
    Returns how alike the two are on pictures that were not learned from."""
    decoder, owl = model.decoder, find.owl.owlv2
    said = torch.cat([vectors(find, p) for p in pictures]).flatten(0, 1)
    states = torch.cat([model.clip.vision_model(as_clip(find, p), output_hidden_states=True).hidden_states[-1][:, 1:] for p in pictures])
    texts = of_texts(owl, words, labels)
    _, _, directions = torch.linalg.svd(texts, full_matrices=False)
    directions = directions[: decoder.reduces[0].out_features]
    wanted = F.normalize(said - said.mean(0), dim=-1) @ directions.T * 8
    last = len(wanted) // len(pictures)
    seen = states.flatten(0, 1)
    fit(decoder.reduces[0], seen[:-last], wanted[:-last], ridge * seen.square().mean())
    asked = [words([template.format(label) for label in labels]) for template in TEMPLATES]
    asked = torch.cat([owl.text_projection(owl.text_model(input_ids=ids).pooler_output) for ids in asked])
    signs = torch.ones(len(directions))
    signs[1::2] = -1
    fit(decoder.film_mul, asked, (texts @ directions.T * 8 * signs).repeat(len(TEMPLATES), 1), ridge * asked.square().mean())
    return F.cosine_similarity(decoder.reduces[0](seen[-last:]), wanted[-last:], dim=1).mean()


def dice(logits, truth):
    """1 less Dice of each mask."""
    said = logits.sigmoid()
    return 1 - (2 * (said * truth).sum((1, 2)) + 1) / (said.sum((1, 2)) + truth.sum((1, 2)) + 1)


class Mask(loop.Job):
    name, size = "mask", 8

    def __init__(self, folder, device):
        self.device, self.names, (self.words, find) = device, Names(folder), trained()
        self.model = clipseg(len(self.words), find.owl.state_dict()).to(device)
        self.world = World(folder, self.names, SIDE, self.size)
        self.world.know(KNOWN)
        pictures = [self.world.batch(k, VARIED)[0] for k in range(SEEN)]
        alike = tell_apart(self.model.cpu(), find, self.words, [self.names.labels[c] for c in self.world.things], pictures)
        self.model.to(device)
        print(f"the decoder takes from patches what find says of them: cosine {alike:.3f} in the mean", flush=True)

    def rate(self, parameter):
        return 1.0 if parameter.startswith("decoder.") else 0

    def losses(self, working, step, dtype, cooling):
        pixels, owners, pictures = self.world.batch(step, VARIED)
        r, asked, masks = np.random.default_rng([step, 3]), [], []
        for owned, picture in zip(owners, pictures):
            there = sorted({t.concept for t in picture.things})
            for _ in range(ASKED):
                away = not there or r.random() < ABSENT
                concept = int(r.choice(np.setdiff1d(self.world.things, there) if away else there))
                asked.append(r.choice(TEMPLATES).format(self.names.labels[concept]))
                masks.append(np.isin(owned, [t.number for t in picture.of(concept)]))
        ids, truth = self.words(asked).to(self.device), torch.from_numpy(np.stack(masks)).float().to(self.device)
        pixels = ((pixels + 1) / 2 - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
        with torch.no_grad():
            states = working.clip.vision_model(pixels.to(self.device, dtype), output_hidden_states=True).hidden_states
            condition = working.clip.text_projection(working.clip.text_model(input_ids=ids).pooler_output)
        states = tuple(states[k + 1].repeat_interleave(ASKED, 0) for k in working.extract_layers)
        logits = working.decoder(states, condition).logits.float()
        pixel, mask = F.binary_cross_entropy_with_logits(logits, truth), dice(logits, truth)
        said, union, there = (logits > 0) & (truth > 0), (logits > 0) | (truth > 0), truth.flatten(1).any(1)
        iou = said.flatten(1).sum(1) / union.flatten(1).sum(1).clamp(1)
        return pixel + 0.3 * mask.mean(), {"pixels": pixel.detach(), "dice": mask[there].mean().detach(), "iou": iou[there].mean(),
                                           "empty": (logits > 0).flatten(1).any(1)[~there].float().mean()}

    def export(self, folder):
        export(self.model, self.words, folder, image_processor_type="ViTImageProcessor", processor_class="CLIPSegProcessor")


if __name__ == "__main__":
    loop.train(Mask)
