"""Writes a trained ocelli-tiny-ask as a folder that transformers' PaliGemmaForConditionalGeneration loads."""

import json
import shutil

import torch
from safetensors.torch import save_file

from ask_model import PATCHES, TEXT, VISION
from words import BOS, EOS, PAD

ROOM = 512  # tokens of a prompt and its answer, the picture's among them


def names(key):
    """A parameter's name in the published checkpoints."""
    if key.startswith("vision_tower."):
        return key.replace("vision_tower.", "vision_tower.vision_model.")
    if key.startswith("projector."):
        return key.replace("projector.", "multi_modal_projector.linear.")
    return f"language_model.model.{key}"


def export(model, tokenizer, folder):
    folder.mkdir(exist_ok=True)
    state = {names(k): v.detach().float().cpu().contiguous() for k, v in model.state_dict().items() if ".head." not in k}
    save_file(state, folder / "model.safetensors", {"format": "pt"})
    shutil.copyfile(tokenizer, folder / "tokenizer.json")
    vocabulary, width = model.embed_tokens.weight.shape
    image = json.loads(tokenizer.read_text())["added_tokens"][-1]["id"]
    special = dict(bos_token_id=BOS, eos_token_id=EOS, pad_token_id=PAD)
    text = dict(model_type="gemma", vocab_size=vocabulary, max_position_embeddings=ROOM, rope_theta=10000.0, rms_norm_eps=1e-6,
                hidden_act="gelu_pytorch_tanh", hidden_activation="gelu_pytorch_tanh", attention_bias=False, attention_dropout=0.0,
                num_image_tokens=PATCHES, tie_word_embeddings=True, use_bidirectional_attention=True, use_cache=True)
    vision = dict(model_type="siglip_vision_model", num_channels=3, vision_use_head=False, projection_dim=width,
                  hidden_act="gelu_pytorch_tanh", layer_norm_eps=1e-6, attention_dropout=0.0)
    config = dict(architectures=["PaliGemmaForConditionalGeneration"], model_type="paligemma", image_token_index=image, hidden_size=width,
                  projection_dim=width, vocab_size=vocabulary, tie_word_embeddings=True, torch_dtype="float32", text_config=TEXT | text | special,
                  vision_config=VISION | vision, **special)
    side = VISION["image_size"]
    processor = dict(do_resize=True, do_rescale=True, do_normalize=True, do_convert_rgb=True, rescale_factor=1 / 255, image_mean=[0.5] * 3,
                     image_std=[0.5] * 3, resample=3, size=dict(height=side, width=side), image_processor_type="SiglipImageProcessor",
                     image_seq_length=PATCHES, processor_class="PaliGemmaProcessor")
    tokens = dict(tokenizer_class="PreTrainedTokenizerFast", bos_token="<bos>", eos_token="<eos>", pad_token="<pad>", unk_token="<unk>",
                  clean_up_tokenization_spaces=False, model_max_length=ROOM)
    for name, content in (("config.json", config), ("preprocessor_config.json", processor), ("tokenizer_config.json", tokens),
                          ("generation_config.json", special)):
        (folder / name).write_text(json.dumps(content, indent=1) + "\n")


def check(model, folder, pixels, prompt):
    """How far the logits of transformers' class are from ours, for one picture and a prompt without its newline."""
    from transformers import PaliGemmaForConditionalGeneration, PreTrainedTokenizerFast

    theirs, info = PaliGemmaForConditionalGeneration.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
    unexpected = [*info["missing_keys"], *info["unexpected_keys"]]
    assert not unexpected, unexpected
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    ids = torch.tensor([tokenizer(f"{prompt}\n").input_ids])
    picture = torch.full((1, PATCHES), theirs.config.image_token_id)
    whole = torch.cat([picture, ids], 1)
    with torch.no_grad():
        masks = dict(attention_mask=torch.ones_like(whole), token_type_ids=torch.zeros_like(whole))
        a = theirs.eval()(input_ids=whole, pixel_values=pixels, **masks).logits[0, PATCHES:]
        all_of_it = torch.ones_like(ids, dtype=torch.bool)
        b = model(model.see(pixels), ids, torch.zeros_like(ids), all_of_it, PATCHES + torch.arange(ids.shape[1])[None], all_of_it)[0]
    return ((a - b).norm() / a.norm()).item()
