"""Tiny tokenizers for make_decoder_fixtures.py, with the structure of the published ones: byte-level BPE (SmolLM2, Qwen2), Gemma's BPE with
byte fallback, and Llama's. Each writes tokenizer.json and tokenizer_config.json, and returns the ids by token."""

import collections
import json
import re

from fixture_tokenizers import CORPUS, clip_vocabulary, learn_merges, write_json

PLAIN = dict(single_word=False, lstrip=False, rstrip=False, normalized=False)
QWEN_WORDS = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
SMOL_TILES = [f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7)]
LOCATIONS = [f"<loc{i:04}>" for i in range(1024)] + [f"<seg{i:03}>" for i in range(128)]


def byte_letters():
    """The letters of the 256 bytes, in the order of GPT-2's vocabulary, and the letter of each byte."""
    letters, _ = clip_vocabulary()
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in printable]
    return letters, dict(zip([*printable, *others], letters))


def template(*before):
    """A post-processor that puts these tokens in front."""
    start = [{"SpecialToken": {"id": token, "type_id": 0}} for token, _ in before]
    a, b = ({"Sequence": {"id": letter, "type_id": i}} for i, letter in enumerate("AB"))
    return dict(type="TemplateProcessing", single=[*start, a], pair=[*start, a, *start, b],
                special_tokens={token: dict(id=token, ids=[i], tokens=[token]) for token, i in before})


def write(folder, vocab, merges, added, model, config, **parts):
    """`added` are special tokens; those that `vocab` lacks follow it."""
    ids = dict(vocab)
    for token in added:
        ids.setdefault(token, len(ids))
    path = folder / "tokenizer.json"
    write_json(path, dict(version="1.0", truncation=None, padding=None, added_tokens=[], **parts,
                          model=dict(model, type="BPE", dropout=None, vocab=vocab, merges=merges)))
    # A line for each, as PaliGemma has more than a thousand.
    rows = [json.dumps(dict(id=ids[t], content=t, **PLAIN, special=True), separators=(",", ":")) for t in sorted(added, key=ids.get)]
    path.write_text(path.read_text().replace('"added_tokens": []', '"added_tokens": [\n  ' + ",\n  ".join(rows) + "\n ]"))
    more = dict(tokenizer_class="PreTrainedTokenizerFast", clean_up_tokenization_spaces=False)
    write_json(folder / "tokenizer_config.json", config | more)
    return ids


def byte_level(folder, count, first, last, config, words, normalizer=None):
    """`first` open the vocabulary, `last` are added behind it; `count` merges between them."""
    letters, letter = byte_letters()
    found = collections.Counter(re.findall(r" ?[A-Za-zé]+", "\n".join(CORPUS)))
    merges = learn_merges({" ".join(letter[b] for b in word.encode()): n for word, n in found.items()}, count)
    tokens = [*first, *letters, *(merge.replace(" ", "") for merge in merges)]
    level = dict(type="ByteLevel", add_prefix_space=False, trim_offsets=True)
    return write(
        folder, {token: i for i, token in enumerate(tokens)}, merges, [*first, *last],
        dict(unk_token=None, continuing_subword_prefix="", end_of_word_suffix="", fuse_unk=False, byte_fallback=False, ignore_merges=False),
        config, normalizer=normalizer, pre_tokenizer=dict(type="Sequence", pretokenizers=words(level)), post_processor=None,
        decoder=dict(level, use_regex=True))


def smol(folder, count=40, last=()):
    """SmolLM2's: digits stand alone; SmolVLM's tokens follow."""
    config = dict(bos_token="<|im_start|>", eos_token="<end_of_utterance>" if last else "<|im_end|>", unk_token="<|endoftext|>",
                  pad_token="<|im_end|>")
    words = lambda level: [dict(type="Digits", individual_digits=True), dict(level, use_regex=True)]
    return byte_level(folder, count, ["<|endoftext|>", "<|im_start|>", "<|im_end|>"], last, config, words)


def smolvlm(folder):
    tokens = ["<global-img>", *SMOL_TILES, "<fake_token_around_image>", "<image>", "<end_of_utterance>"]
    return smol(folder, 70, tokens)


def qwen(folder, count=38, last=("<|endoftext|>", "<|im_start|>", "<|im_end|>")):
    """Qwen2's: NFC, special tokens behind the vocabulary."""
    config = dict(bos_token=None, eos_token="<|im_end|>", pad_token="<|endoftext|>", unk_token=None)
    split = dict(type="Split", pattern={"Regex": QWEN_WORDS}, behavior="Isolated", invert=False)
    words = lambda level: [split, dict(level, use_regex=False)]
    return byte_level(folder, count, [], last, config, words, normalizer=dict(type="NFC"))


def qwen_vision(folder):
    return qwen(folder, 70, ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<image>", "<video>"])


def spelled(count, special, newlines):
    """A vocabulary of bytes, characters and merges behind special tokens, and its merges; spaces are ▁."""
    words = collections.Counter(re.findall(r"▁[a-zA-Z]+", "▁".join(["", *CORPUS]).replace(" ", "▁")))
    merges = [merge.split() for merge in learn_merges({" ".join(word): n for word, n in words.items()}, count)]
    letters = sorted({c for word in words for c in word} | set("0123456789.,:;!?()'"))
    lines = [["\n" * n, "\n"] for n in range(1, newlines)]
    pieces = ["\n" * n for n in range(1, newlines + 1)]
    tokens = [*special, *(f"<0x{b:02X}>" for b in range(256)), *pieces, *letters, *("".join(merge) for merge in merges)]
    return {token: i for i, token in enumerate(tokens)}, [*lines, *merges]


FALLBACK = dict(unk_token="<unk>", continuing_subword_prefix=None, end_of_word_suffix=None, fuse_unk=True, byte_fallback=True,
                ignore_merges=False)
SPELL = [dict(type="Replace", pattern={"String": "▁"}, content=" "), dict(type="ByteFallback"), dict(type="Fuse")]


def gemma(folder, last=()):
    """Gemma's: the begin token goes in front, newlines are pieces of their own."""
    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "<start_of_turn>", "<end_of_turn>"]
    vocab, merges = spelled(30, special, 2)
    config = dict(bos_token="<bos>", eos_token="<eos>", pad_token="<pad>", unk_token="<unk>")
    return write(folder, vocab, merges, [*special, *last], FALLBACK, config,
                 normalizer=dict(type="Replace", pattern={"String": " "}, content="▁"),
                 pre_tokenizer=dict(type="Split", pattern={"String": " "}, behavior="MergedWithPrevious", invert=False),
                 post_processor=template(("<bos>", 2)), decoder=dict(type="Sequence", decoders=SPELL))


def paligemma(folder):
    """All places and codes are there: the processor would add what is missing."""
    return gemma(folder, [*LOCATIONS, "<image>"])


def llama(folder):
    """Llama 2's: a space in front of each stretch of text, newlines as bytes."""
    special = ["<unk>", "<s>", "</s>"]
    vocab, merges = spelled(40, special, 0)
    config = dict(bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>")
    replace = dict(type="Replace", pattern={"String": " "}, content="▁")
    return write(folder, vocab, merges, [*special, "<image>", "<pad>"], FALLBACK, config,
                 normalizer=dict(type="Sequence", normalizers=[dict(type="Prepend", prepend="▁"), replace]), pre_tokenizer=None,
                 post_processor=template(("<s>", 1)),
                 decoder=dict(type="Sequence", decoders=[*SPELL, dict(type="Strip", content=" ", start=1, stop=0)]))
