"""Where ocelli-tiny-mask starts: transformers' CLIPSegForImageSegmentation on the towers of ocelli-tiny-find, with a decoder that enlarges
find's cosine of a patch and a name. All that it needs is set by least squares and by hand; training then teaches it edges.

Of the decoder's numbers, NAMES say how alike a patch and the text are in so many directions, half of them with the other sign, since a
norm takes the mean away; two are constant, so that the norms keep what is large and what is small; two are the cosine, added up by the
first block, and that times -1.
"""

import torch
import torch.nn.functional as F
from transformers import CLIPSegConfig, CLIPSegForImageSegmentation

from ask_start import as_clip, fit, of_texts, vectors
from find_model import TOWER, configuration
from find_words import TEMPLATES

WIDTH, CELLS = 64, 4  # of the decoder; what the first of its last two layers makes of a patch along a side
NAMES, CONSTANT, SCORE = slice(0, 56), (56, 57), (58, 59)
LARGE = 12.0  # the constant numbers
LEAST, STEEP = 0.1, 16.0  # the cosine from which on the first block says something, and how much
THING, SURE = 0.5, 5.0  # what it says where a mask ends, and what that times is a logit
FAINT = 0.1  # how much of the earlier blocks the decoder takes at first


@torch.no_grad()
def start(vocabulary, find, words, labels, pictures):
    """The model, and how like find's the vectors of patches are on the last of `pictures`, which are not learned from."""
    owl = configuration(vocabulary)
    config = CLIPSegConfig(text_config=owl.text_config.to_dict() | dict(model_type="clipseg_text_model"),
                           vision_config=owl.vision_config.to_dict() | dict(model_type="clipseg_vision_model"),
                           projection_dim=TOWER["hidden_size"], reduce_dim=WIDTH, extract_layers=[1, 3, 5], decoder_num_attention_heads=4,
                           decoder_intermediate_size=256, use_complex_transposed_convolution=True)
    model = CLIPSegForImageSegmentation._from_config(config, attn_implementation="sdpa")
    towers = {k.removeprefix("owlv2.").replace("pre_layernorm", "pre_layrnorm"): v for k, v in find.owl.state_dict().items() if k.startswith("owlv2.")}
    towers = {k: v.reshape(model.clip.logit_scale.shape) if k == "logit_scale" else v for k, v in towers.items()}
    missing, unknown = model.clip.load_state_dict(towers, strict=False)
    assert not missing and not unknown, (missing, unknown)
    decoder = model.decoder
    for module in decoder.modules():
        if isinstance(module, torch.nn.Linear):
            torch.nn.init.normal_(module.weight, std=module.weight.shape[1] ** -0.5)
            torch.nn.init.zeros_(module.bias)
    for reduce in decoder.reduces[1:]:
        reduce.weight.mul_(FAINT)
        reduce.weight[SCORE, :] = 0
    for block in decoder.layers:
        for last in (block.self_attn.out_proj, block.mlp.fc2):
            torch.nn.init.zeros_(last.weight)
    alike, signs = tell_apart(model, find, words, labels, pictures)
    add_up(decoder, signs)
    enlarge(decoder.transposed_convolution)
    return model, alike


def tell_apart(model, find, words, labels, pictures, ridge=1e-3):
    """Sets what the decoder takes from the last block to what find says of a patch, and its factors to the text's vector."""
    decoder, owl = model.decoder, find.owl.owlv2
    said = torch.cat([vectors(find, p) for p in pictures]).flatten(0, 1)
    states = torch.cat([model.clip.vision_model(as_clip(find, p), output_hidden_states=True).hidden_states[-1][:, 1:] for p in pictures])
    texts = of_texts(owl, words, labels)
    _, _, directions = torch.linalg.svd(texts, full_matrices=False)
    size = WIDTH**0.5
    place = torch.zeros(WIDTH, texts.shape[1])
    place[NAMES] = directions[: NAMES.stop] * size
    wanted = F.normalize(said - said.mean(0), dim=-1) @ place.T
    last = len(wanted) // len(pictures)
    seen = states.flatten(0, 1)
    fit(decoder.reduces[0], seen[:-last], wanted[:-last], ridge * seen.square().mean())
    asked = [words([template.format(label) for label in labels]) for template in TEMPLATES]
    asked = torch.cat([owl.text_projection(owl.text_model(input_ids=ids).pooler_output) for ids in asked])
    signs = torch.zeros(WIDTH)
    signs[NAMES] = 1
    signs[1 : NAMES.stop : 2] = -1
    fit(decoder.film_mul, asked, (texts @ place.T * signs).repeat(len(TEMPLATES), 1), ridge * asked.square().mean())
    torch.nn.init.zeros_(decoder.film_add.weight)
    decoder.film_add.bias[list(CONSTANT)] = torch.tensor([LARGE, -LARGE])
    return F.cosine_similarity(decoder.reduces[0](seen[-last:]), wanted[-last:], dim=1).mean(), signs


def add_up(decoder, signs):
    """Lets the first block's first hidden number be the cosine beyond LEAST, as far as the norm before it keeps it."""
    mlp = decoder.layers[0].mlp
    norm = (2 * LARGE**2 / WIDTH) ** 0.5  # what the norm divides by, if the names were nothing
    mlp.fc1.weight[0] = signs * STEEP * norm / WIDTH
    mlp.fc1.bias[0] = -STEEP * LEAST
    mlp.fc2.weight[list(SCORE), 0] = torch.tensor([1.0, -1.0])


def enlarge(layers):
    """Cells between the middles of patches are in between, and pixels are as their cells."""
    around, cells, pixels = layers[0], layers[2], layers[4]
    for layer in (around, cells):
        layer.bias.zero_()
    cells.weight[:, 0] = 0
    pixels.weight.zero_()
    for at in range(CELLS**2):
        around.weight[at] = 0
        down, right = ((place + 0.5) / CELLS - 0.5 for place in divmod(at, CELLS))
        for row, upright in shares(down):
            for column, share in shares(right):
                around.weight[at, SCORE[0], row, column] = upright * share
        cells.weight[at, 0, at // CELLS, at % CELLS] = 1
    pixels.weight[0] = SURE
    pixels.bias.fill_(-SURE * THING)


def shares(offset):
    """Which of three neighbours in a row a place beside the middle of the second is made of, and how much of each."""
    return [(1, 1 - abs(offset)), (2 if offset > 0 else 0, abs(offset))]
