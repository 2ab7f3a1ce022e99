"""Writes a Hugging Face SigLIP folder."""

import json
import shutil

from safetensors.torch import save_file

from names import EOS, LENGTH


def export(model, config, tokenizer, folder):
    folder.mkdir(exist_ok=True)
    save_file({k: v.detach().float().cpu().contiguous() for k, v in model.state_dict().items()}, folder / "model.safetensors",
              {"format": "pt"})
    shutil.copyfile(tokenizer, folder / "tokenizer.json")
    (folder / "spiece.model").write_bytes(sentencepiece_model(tokenizer))
    special = dict(pad_token_id=EOS, eos_token_id=EOS, bos_token_id=None)
    shared = dict(hidden_act="gelu_pytorch_tanh", layer_norm_eps=1e-6, attention_dropout=0.0)
    whole = {
        "architectures": ["SiglipModel"],
        "model_type": "siglip",
        "text_config": dict(model_type="siglip_text_model", **config["text_config"], **shared, **special),
        "vision_config": dict(model_type="siglip_vision_model", num_channels=3, vision_use_head=True, **config["vision_config"], **shared),
    }
    side = config["vision_config"]["image_size"]
    processor = dict(do_normalize=True, do_rescale=True, do_resize=True, image_mean=[0.5] * 3, image_std=[0.5] * 3, resample=3,
                     image_processor_type="SiglipImageProcessor", processor_class="SiglipProcessor", rescale_factor=1 / 255,
                     size=dict(height=side, width=side))
    tokens = dict(tokenizer_class="SiglipTokenizer", model_max_length=LENGTH, do_lower_case=True, pad_token="</s>", eos_token="</s>",
                  unk_token="<unk>", padding_side="right")
    for name, content in (("config.json", whole), ("preprocessor_config.json", processor), ("tokenizer_config.json", tokens)):
        (folder / name).write_text(json.dumps(content, indent=1) + "\n")


def sentencepiece_model(tokenizer):
    """The Unigram model of a tokenizer.json as SentencePiece's own file, which is what transformers' SiglipTokenizer reads."""
    from sentencepiece import sentencepiece_model_pb2 as sp

    pieces = json.loads(tokenizer.read_text())["model"]["vocab"]
    proto = sp.ModelProto()
    special = {"<unk>": sp.ModelProto.SentencePiece.UNKNOWN, "</s>": sp.ModelProto.SentencePiece.CONTROL}
    for piece, score in pieces:
        proto.pieces.add(piece=piece, score=score, type=special.get(piece, sp.ModelProto.SentencePiece.NORMAL))
    proto.trainer_spec.model_type = sp.TrainerSpec.UNIGRAM
    proto.trainer_spec.vocab_size = len(pieces)
    proto.trainer_spec.unk_id, proto.trainer_spec.bos_id, proto.trainer_spec.eos_id, proto.trainer_spec.pad_id = 0, -1, EOS, -1
    proto.normalizer_spec.name = "identity"
    proto.normalizer_spec.add_dummy_prefix = True
    proto.normalizer_spec.remove_extra_whitespaces = True
    return proto.SerializeToString()
