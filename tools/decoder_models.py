"""The models of make_decoder_fixtures.py as data, and their checkpoints: random weights that keep tokens and pictures apart.

With the usual initialisation such a model repeats one token. Sizes are awkward on purpose: head sizes other than hidden / heads, a score
scale other than the head size's, a window shorter than the prompt, caps that bite, an odd vocabulary; Gemma's hidden size has a root that
bfloat16 can't hold.
"""

import json
import math
import shutil

import torch
from safetensors.torch import load_file, save_file
from transformers import (CLIPVisionConfig, Gemma2Config, Gemma2ForCausalLM, Gemma3ForCausalLM, Gemma3TextConfig, GemmaConfig,
                          GemmaForCausalLM, LlamaConfig, LlamaForCausalLM, LlavaConfig, LlavaForConditionalGeneration, LlavaOnevisionConfig,
                          LlavaOnevisionForConditionalGeneration, PaliGemmaConfig, PaliGemmaForConditionalGeneration, Qwen2Config,
                          Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM, SiglipVisionConfig, SmolVLMConfig,
                          SmolVLMForConditionalGeneration)
from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD
from transformers.models.smolvlm.configuration_smolvlm import SmolVLMVisionConfig
from transformers.models.smolvlm.processing_smolvlm import DEFAULT_CHAT_TEMPLATE

import decoder_tokenizers as tokenizers
from fixture_tokenizers import write_json

PROMPT = "Two dogs in the snow with 12 blue cups: it's a café, isn't it?"
QUESTION = "How many dogs are in the snow?"
ASKED = [dict(role="user", content=[dict(type="image"), dict(type="text", text=QUESTION)])]
PICTURE = "rgb-61x37.png"
RENDERED = "{# Render all images first #}{% for content in message['content'] | selectattr('type', 'equalto', 'image') %}"
TEXTS = "{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}"
# As published with llava-1.5 and llava-onevision.
LLAVA_TEMPLATE = (
    "{% for message in messages %}{% if message['role'] != 'system' %}{{ message['role'].upper() + ': '}}{% endif %}" + RENDERED
    + "{{ '<image>\\n' }}{% endfor %}{# Render all text next #}{% if message['role'] != 'assistant' %}" + TEXTS
    + "{{ content['text'] + ' '}}{% endfor %}{% else %}" + TEXTS + "{% generation %}{{ content['text'] + ' '}}{% endgeneration %}"
    "{% endfor %}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}")
ONEVISION_TEMPLATE = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + ' '}}" + RENDERED
    + "{{ '<image>' }}{% endfor %}{# Render all video then #}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'video') %}"
    "{{ '<video>' }}{% endfor %}{# Render all text next #}{% if message['role'] != 'assistant' %}" + TEXTS
    + "{{ '\\n' + content['text'] }}{% endfor %}{% else %}" + TEXTS + "{% generation %}{{ '\\n' + content['text'] }}{% endgeneration %}"
    "{% endfor %}{% endif %}{{'<|im_end|>'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}")


def text(hidden, layers, kv_heads, intermediate, theta=None, **more):
    rope = {} if theta is None else dict(rope_parameters=dict(rope_type="default", rope_theta=float(theta)))
    return dict(hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=4, num_key_value_heads=kv_heads,
                intermediate_size=intermediate, max_position_embeddings=256, **rope, **more)


def tower(kind, side, patch, layers, **more):
    return kind(hidden_size=48, num_attention_heads=4, num_hidden_layers=layers, intermediate_size=92, image_size=side, patch_size=patch,
                **more)


def pixels(kind, size, resample, mean=(0.5,) * 3, std=(0.5,) * 3, **more):
    return dict(do_resize=True, do_rescale=True, do_normalize=True, do_convert_rgb=True, rescale_factor=1 / 255, image_mean=list(mean),
                image_std=list(std), resample=resample, size=size, image_processor_type=kind, **more)


def square(side):
    return dict(height=side, width=side)


PINPOINTS = [[42, 42], [42, 84], [42, 126], [84, 42], [84, 84], [126, 42]]
# In no order: of two that serve as well the first counts.
OTHER_PINPOINTS = [[32, 96], [64, 64], [96, 32], [64, 32], [32, 64]]
CAPS = dict(attn_logit_softcapping=2.0, final_logit_softcapping=0.5)
WINDOW = dict(sliding_window=9, query_pre_attn_scalar=20)
# `stop` are tokens; `old` writes the names of before transformers 5, in config.json and of tensors.
MODELS = {
    "llama": dict(model=LlamaForCausalLM, config=LlamaConfig, tokenizer=tokenizers.smol, seed=2, stop=["<|im_end|>"], old=True,
                  text=text(64, 4, 2, 108, 1e5, rms_norm_eps=1e-5)),
    "qwen2": dict(model=Qwen2ForCausalLM, config=Qwen2Config, tokenizer=tokenizers.qwen, seed=3, stop=["<|im_end|>", "<|endoftext|>"],
                  text=text(64, 4, 2, 92, 1e6, tie_word_embeddings=True)),
    "qwen3": dict(model=Qwen3ForCausalLM, config=Qwen3Config, tokenizer=tokenizers.qwen, seed=5, stop=["<|im_end|>", "<|endoftext|>"],
                  text=text(64, 3, 2, 100, 1e6, tie_word_embeddings=True, head_dim=24)),
    # It says "gelu" and means the approximation by tanh.
    "gemma": dict(model=GemmaForCausalLM, config=GemmaConfig, tokenizer=tokenizers.gemma, seed=9, stop=["<eos>"], old=True,
                  text=text(72, 3, 1, 108, 1e4, head_dim=24), written=dict(hidden_act="gelu")),
    "gemma2": dict(model=Gemma2ForCausalLM, config=Gemma2Config, tokenizer=tokenizers.gemma, seed=15, stop=["<eos>", "<end_of_turn>"],
                   text=text(72, 4, 2, 92, 1e4, head_dim=24, **WINDOW, **CAPS)),
    # Layers 0, 1 and 3 have the window and the local rotation; the others' frequencies are divided by 8.
    "gemma3": dict(model=Gemma3ForCausalLM, config=Gemma3TextConfig, tokenizer=tokenizers.gemma, seed=2, stop=["<eos>", "<end_of_turn>"],
                   old=True, written=dict(sliding_window_pattern=3),
                   text=text(72, 4, 2, 92, head_dim=24, **WINDOW, sliding_window_pattern=3, rope_parameters=dict(
                       full_attention=dict(rope_type="linear", rope_theta=1e6, factor=8.0),
                       sliding_attention=dict(rope_type="default", rope_theta=1e4)))),
    # 64 patches a tile become 4 rows.
    "smolvlm": dict(
        model=SmolVLMForConditionalGeneration, config=SmolVLMConfig, tokenizer=tokenizers.smolvlm, seed=12, stop=["<end_of_utterance>"],
        old=True, section=LlamaConfig, text=text(64, 3, 2, 92, 1e5, rms_norm_eps=1e-5),
        vision=tower(SmolVLMVisionConfig, 64, 8, 2), more=dict(scale_factor=4, tie_word_embeddings=False), image_token="image_token_id",
        template=DEFAULT_CHAT_TEMPLATE, messages=ASKED, others=[["tall-23x97.png"], ["tiny-7x5.png"], ["one-1x1.png", "tall-23x97.png"]],
        preprocessor=pixels("SmolVLMImageProcessor", dict(longest_edge=192), 1, do_pad=True, do_image_splitting=True,
                            max_image_size=dict(longest_edge=64), processor_class="SmolVLMProcessor"),
        processor=dict(image_seq_len=4, processor_class="SmolVLMProcessor")),
    "paligemma": dict(
        model=PaliGemmaForConditionalGeneration, config=PaliGemmaConfig, tokenizer=tokenizers.paligemma, seed=27, stop=["<eos>"], old=True,
        section=GemmaConfig, text=text(40, 3, 1, 92, 1e4, head_dim=24),
        vision=tower(SiglipVisionConfig, 30, 10, 2, vision_use_head=False),
        more=dict(projection_dim=40, hidden_size=40), image_token="image_token_index",
        raw="<image>answer en how many dogs are in the snow?", others=[["tall-23x97.png"], ["tiny-7x5.png"]],
        preprocessor=pixels("SiglipImageProcessor", square(30), 3, image_seq_length=9, processor_class="PaliGemmaProcessor")),
    # A picture of 96 × 96 makes more features than the ratio allows: they are shrunk.
    "llava-onevision": dict(
        model=LlavaOnevisionForConditionalGeneration, config=LlavaOnevisionConfig, tokenizer=tokenizers.qwen_vision, seed=4,
        stop=["<|im_end|>"], section=Qwen2Config, text=text(64, 3, 2, 92, 1e6, tie_word_embeddings=True),
        vision=tower(SiglipVisionConfig, 42, 14, 3, vision_use_head=False), image_token="image_token_index",
        more=dict(image_grid_pinpoints=PINPOINTS, vision_aspect_ratio="anyres_max_3", tie_word_embeddings=True,
                  video_token_index="<video>"),
        template=ONEVISION_TEMPLATE, messages=ASKED,
        others=[["exact-96x96.png"], ["tall-23x97.png"], ["tiny-7x5.png"], [PICTURE, "tall-23x97.png"]],
        preprocessor=pixels("LlavaOnevisionImageProcessor", square(42), 3, OPENAI_CLIP_MEAN, OPENAI_CLIP_STD, do_pad=True,
                            image_grid_pinpoints=PINPOINTS),
        processor=dict(num_image_tokens=9, vision_feature_select_strategy="full", vision_aspect_ratio="anyres_max_3"), low=True),
    # Nearly all pictures are shrunk. As in what is published, a rest of the tile is no patch, and what ties the table is in the decoder's part.
    "llava-onevision-shrunk": dict(
        model=LlavaOnevisionForConditionalGeneration, config=LlavaOnevisionConfig, tokenizer=tokenizers.qwen_vision, seed=5,
        stop=["<|im_end|>"], old=True, section=Qwen2Config, text=text(64, 3, 2, 92, 1e6, tie_word_embeddings=True),
        vision=tower(SiglipVisionConfig, 32, 6, 2, vision_use_head=False), image_token="image_token_index",
        more=dict(image_grid_pinpoints=OTHER_PINPOINTS, vision_aspect_ratio="anyres_max_1", video_token_index="<video>"),
        written=dict(tie_word_embeddings=False, use_image_newline_parameter=True),
        template=ONEVISION_TEMPLATE, messages=ASKED,
        others=[["exact-96x96.png"], ["tall-23x97.png"], ["tiny-7x5.png"], ["large-211x140.png"],
                [PICTURE, "tall-23x97.png", "one-1x1.png"]],
        preprocessor=pixels("LlavaOnevisionImageProcessor", square(32), 3, do_pad=True, image_grid_pinpoints=OTHER_PINPOINTS),
        processor=dict(num_image_tokens=25, vision_feature_select_strategy="full", vision_aspect_ratio="anyres_max_1",
                       image_token="<image>", video_token="<video>", processor_class="LlavaOnevisionProcessor"), low=True),
    # No key or value heads are shared here.
    "llava": dict(
        model=LlavaForConditionalGeneration, config=LlavaConfig, tokenizer=tokenizers.llama, seed=6, stop=["</s>"], old=True,
        section=LlamaConfig, text=text(64, 3, 4, 92, 1e4, rms_norm_eps=1e-5), vision=tower(CLIPVisionConfig, 36, 12, 3),
        more=dict(vision_feature_layer=-2, vision_feature_select_strategy="default", image_seq_length=9), image_token="image_token_index",
        template=LLAVA_TEMPLATE, messages=ASKED, others=[["tall-23x97.png"], ["tiny-7x5.png", PICTURE]],
        preprocessor=pixels("CLIPImageProcessor", dict(shortest_edge=36), 3, OPENAI_CLIP_MEAN, OPENAI_CLIP_STD, do_center_crop=True,
                            crop_size=square(36), processor_class="LlavaProcessor"),
        processor=dict(patch_size=12, num_additional_image_tokens=1, vision_feature_select_strategy="default", image_token="<image>",
                       processor_class="LlavaProcessor")),
}


@torch.no_grad()
def fill(model, seed):
    """Weights are rounded to float16, in which they are stored."""
    generator = torch.Generator().manual_seed(seed)
    norms = {f"{name}.weight": 0.0 if type(module).__name__.startswith("Gemma") else 1.0
             for name, module in model.named_modules() if type(module).__name__.endswith("Norm")}
    for name, p in sorted(model.named_parameters()):
        noise = torch.randn(p.shape, generator=generator)
        if name in norms:
            value = norms[name] + 0.3 * noise
        elif "embed_tokens" in name:
            value = 0.02 * noise
        elif "lm_head" in name:
            value = noise / math.sqrt(p.shape[1])
        elif name.endswith("bias") or "position_embedding" in name or "class_embedding" in name:
            value = 0.3 * noise
        elif "image_newline" in name:
            value = noise
        else:
            value = 1.5 * noise / math.sqrt(p[0].numel())
        p.copy_(value.half())


def old_names(config):
    """The same settings by the names that they had before transformers 5."""
    config = {key: old_names(value) if isinstance(value, dict) else value for key, value in config.items()}
    if "dtype" in config:
        config["torch_dtype"] = config.pop("dtype")
    rope = config.pop("rope_parameters", {})
    if "full_attention" in rope:
        scaling, local = rope["full_attention"], rope["sliding_attention"]
        config |= dict(rope_theta=scaling.pop("rope_theta"), rope_scaling=scaling, rope_local_base_freq=local["rope_theta"])
        config.pop("layer_types", None)
    elif rope:
        config["rope_theta"] = rope["rope_theta"]
    return config


def configure(spec, ids):
    """The config class of a model whose tokenizer has these ids."""
    special = dict(vocab_size=len(ids) + 2 | 1, eos_token_id=ids[spec["stop"][0]], pad_token_id=None)
    special["bos_token_id"] = next((ids[t] for t in ("<bos>", "<s>", "<|im_start|>") if t in ids), None)
    if "vision" not in spec:
        return spec["config"](**spec["text"], **special)
    more = {key: ids.get(value, value) if isinstance(value, str) else value for key, value in spec["more"].items()}
    if spec["config"] is PaliGemmaConfig:
        more["vocab_size"] = special["vocab_size"]
    return spec["config"](text_config=spec["section"](**spec["text"], **special), vision_config=spec["vision"],
                          **{spec["image_token"]: ids["<image>"]}, **more)


def make_checkpoint(folder, spec, seed):
    """A folder as it is published, without what a processor writes itself."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    ids = spec["tokenizer"](folder)
    model = spec["model"](configure(spec, ids))
    fill(model, seed)
    stop = [ids[token] for token in spec["stop"]]
    model.generation_config.eos_token_id = stop if len(stop) > 1 else stop[0]
    model.half().save_pretrained(folder)
    if spec.get("old"):
        file = folder / "model.safetensors"
        renamed = {name.replace("vision_tower.", "vision_tower.vision_model."): tensor for name, tensor in load_file(file).items()}
        save_file(renamed, file, metadata=dict(format="pt"))
    config = json.loads((folder / "config.json").read_text())
    write_json(folder / "config.json", (old_names(config) if spec.get("old") else config) | spec.get("written", {}))
    if "vision" in spec:
        write_json(folder / "preprocessor_config.json", spec["preprocessor"])
    if spec.get("old") and "processor" in spec:
        write_json(folder / "processor_config.json", spec["processor"])
        write_json(folder / "chat_template.json", dict(chat_template=spec["template"]))
