"""Trains ocelli-tiny-mask: `mask.py FOLDER` and loop.py's options. It is transformers' CLIPSegForImageSegmentation ("Image Segmentation Using
Text and Image Prompts", Lüddecke and Ecker 2022) on the towers of ocelli-tiny-find as it is in the repository. The text tower stays as it
is; the picture tower learns with the decoder, at half its rates. These are low, since the decoder starts with what find knows, and forgets it
at higher ones.

Pictures are as varied as find's at last. The towers see each once, and the decoder is asked for several names of it, the last one of something
that is not there, half of the time of the same kind as something there. The loss is the cross-entropy of each pixel, and Dice of each mask ("V-Net", Milletari et al. 2016).
"""

import numpy as np
import torch
import torch.nn.functional as F

import loop
from ask_start import SEEN
from find_model import MEAN, SIDE, STD, export, trained
from find_words import TEMPLATES
from mask_start import start
from names import Names
from questions import Asker
from truth import KNOWN, VARIED, World

ASKED = 4  # names asked of a picture
TOWER = 0.5  # the picture tower's part of the rates


def dice(logits, truth):
    """1 less Dice of each mask."""
    said = logits.sigmoid()
    return 1 - (2 * (said * truth).sum((1, 2)) + 1) / (said.sum((1, 2)) + truth.sum((1, 2)) + 1)


class Mask(loop.Job):
    name, size = "mask", 8
    matrix_rate, other_rate = 0.0006, 3.0e-4

    def __init__(self, folder, device):
        self.device, self.names, (self.words, find) = device, Names(folder), trained()
        self.world = World(folder, self.names, SIDE, self.size)
        self.world.know(KNOWN)
        self.asker = Asker(self.world)
        pictures = [self.world.batch(k, VARIED)[0] for k in range(SEEN)]
        labels = [self.names.labels[c] for c in self.world.things]
        self.model, alike = start(len(self.words), find, self.words, labels, pictures)
        self.model.to(device)
        print(f"the decoder takes from patches what find says of them: cosine {alike:.3f} in the mean", flush=True)

    def rate(self, parameter):
        return 1.0 if parameter.startswith("decoder.") else TOWER if "vision_model" in parameter else 0

    def losses(self, working, step, dtype, cooling):
        pixels, owners, pictures = self.world.batch(step, VARIED)
        r, asked, masks = np.random.default_rng([step, 3]), [], []
        for owned, picture in zip(owners, pictures):
            there = r.permutation(sorted({t.concept for t in picture.things})).tolist()
            names = (there * ASKED)[: ASKED - 1]
            for concept in names + [self.asker.absent(r, picture) for _ in range(ASKED - len(names))]:
                asked.append(r.choice(TEMPLATES).format(self.names.labels[concept]))
                masks.append(np.isin(owned, [t.number for t in picture.of(concept)]))
        ids, truth = self.words(asked).to(self.device), torch.from_numpy(np.stack(masks)).float().to(self.device)
        pixels = ((pixels + 1) / 2 - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
        states = working.clip.vision_model(pixels.to(self.device, dtype), output_hidden_states=True).hidden_states
        with torch.no_grad():
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
