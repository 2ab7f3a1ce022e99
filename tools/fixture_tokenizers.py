"""Tiny tokenizers for make_fixtures.py, of CLIP's kind (byte-level BPE), SigLIP's (SentencePiece unigram) and SigLIP 2's (Gemma's BPE
with byte fallback).

The files have the structure of the published ones, and their traps.
"""

import base64
import collections
import io
import itertools
import json
import re
import tempfile
import unicodedata
from pathlib import Path

from sentencepiece import SentencePieceTrainer, sentencepiece_model_pb2

# The vocabularies are learnt from every combination of a start, a subject and a place.
STARTS = "a photo of|A drawing of|an old photo with|Look:|a close-up (from above) of|two paintings, each with|it's"
SUBJECTS = ("a black cat|a dog and its ball|two dogs running|the red bicycle|a small bird|a bowl of soup|a blue door|"
            "people walking|the green tree|a train|three children playing|a cup of coffee|flowers in a vase|a white house")
PLACES = ("on the grass.|in the snow|at night!|near the old town|on the side of the road|by the lake, isn't it?|"
          "in a café")
CORPUS = [" ".join(parts) for parts in itertools.product(*(s.split("|") for s in (STARTS, SUBJECTS, PLACES)))]


def write_json(path, data):
    text = json.dumps(data, indent=1, ensure_ascii=False)
    path.write_text(re.sub(r"\[[-+\d.,e\s]+\]", lambda m: re.sub(r"\s+", "", m[0]), text) + "\n", encoding="utf-8")


def clip_vocabulary():
    """The 256 letters that stand for bytes, in the order of CLIP's vocabulary, and merges learnt from CORPUS."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = [chr(b) for b in printable] + [chr(256 + n) for n in range(256 - len(printable))]
    letter = dict(zip(printable, letters))
    words = collections.Counter(re.findall(r"[a-zé]+", " ".join(CORPUS).lower()))
    return letters, learn_merges({" ".join(letter[b] for b in word.encode()) + "</w>": n for word, n in words.items()})


def learn_merges(words, merge_count=96):
    """Byte-pair encoding of words that are written with spaces between their symbols, and how often each occurs."""
    merges = []
    for _ in range(merge_count):
        pairs = collections.Counter()
        for word, n in words.items():
            for pair in itertools.pairwise(word.split()):
                pairs[" ".join(pair)] += n
        merges.append(min(pairs, key=lambda pair: (-pairs[pair], pair)))  # the order must not hang on hashes
        found = re.compile(rf"(?<!\S){re.escape(merges[-1])}(?!\S)")
        words = {found.sub(merges[-1].replace(" ", ""), word): n for word, n in words.items()}
    return merges


def clip_tokenizer(folder, text):
    start, end = special = ["<|startoftext|>", "<|endoftext|>"]
    letters, merges = clip_vocabulary()
    words = [merge.replace(" ", "") for merge in merges]
    tokens = letters + [c + "</w>" for c in letters] + (words + special if "eos_token_id" in text else special + words)
    vocab = {token: i for i, token in enumerate(tokens)}
    text |= dict(dict(bos_token_id=vocab[start], eos_token_id=vocab[end]), **text, vocab_size=len(vocab))
    added = dict(single_word=False, lstrip=False, rstrip=False, special=True)
    pattern = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
    byte_level = dict(type="ByteLevel", trim_offsets=True, use_regex=True)
    write_json(folder / "tokenizer.json", dict(
        version="1.0", truncation=None, padding=None,
        added_tokens=[dict(added, id=vocab[t], content=t, normalized=t == start) for t in special],
        normalizer=dict(type="Sequence", normalizers=[
            dict(type="NFC"), dict(type="Replace", pattern={"Regex": r"\s+"}, content=" "), dict(type="Lowercase")]),
        pre_tokenizer=dict(type="Sequence", pretokenizers=[
            dict(type="Split", pattern={"Regex": pattern}, behavior="Removed", invert=True),
            dict(byte_level, add_prefix_space=False)]),
        post_processor=dict(type="RobertaProcessing", sep=[end, vocab[end]], cls=[start, vocab[start]],
                            trim_offsets=False, add_prefix_space=False),
        decoder=dict(byte_level, add_prefix_space=True),
        model=dict(type="BPE", dropout=None, unk_token=end, continuing_subword_prefix="", end_of_word_suffix="</w>",
                   fuse_unk=False, byte_fallback=False, vocab=vocab, merges=merges)))
    write_json(folder / "tokenizer_config.json", dict(
        tokenizer_class="CLIPTokenizer", model_max_length=text["max_position_embeddings"], bos_token=start,
        eos_token=end, pad_token=end, unk_token=end, add_prefix_space=False, do_lower_case=True, errors="replace"))


def gemma_tokenizer(folder, text):
    """As published for SigLIP 2: the file keeps case, which the reference (Siglip2Tokenizer) does not; no space goes in front; the end
    token and padding have ids 1 and 0. A piece stands for itself, and a character that has none for its bytes."""
    words = collections.Counter(re.findall(r"▁[a-zA-Z]+", "▁".join(["", *CORPUS]).replace(" ", "▁")))
    merges = learn_merges({" ".join(word): n for word, n in words.items()})
    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    letters = sorted({c for word in words for c in word} | set("0123456789.,:!?()'"))
    tokens = special + [f"<0x{b:02X}>" for b in range(256)] + letters + [m.replace(" ", "") for m in merges]
    vocab = {token: i for i, token in enumerate(tokens)}
    added = dict(single_word=False, lstrip=False, rstrip=False, normalized=False)
    end, (a, b) = {"SpecialToken": {"id": "<eos>", "type_id": 0}}, ({"Sequence": {"id": i, "type_id": n}} for n, i in enumerate("AB"))
    write_json(folder / "tokenizer.json", dict(
        version="1.0", truncation=None,
        padding=dict(strategy={"Fixed": text["max_position_embeddings"]}, direction="Right", pad_to_multiple_of=None, pad_id=0,
                     pad_type_id=0, pad_token="<pad>"),
        added_tokens=[dict(added, id=i, content=t, special=t != "<mask>") for i, t in enumerate(special)],
        normalizer=dict(type="Replace", pattern={"String": " "}, content="▁"),
        pre_tokenizer=dict(type="Split", pattern={"String": " "}, behavior="MergedWithPrevious", invert=False),
        post_processor=dict(type="TemplateProcessing", single=[a, end], pair=[a, end, b, end],
                            special_tokens={"<eos>": dict(id="<eos>", ids=[1], tokens=["<eos>"])}),
        decoder=dict(type="Sequence", decoders=[dict(type="Replace", pattern={"String": "▁"}, content=" "), dict(type="ByteFallback"),
                                                dict(type="Fuse")]),
        model=dict(type="BPE", dropout=None, unk_token="<unk>", continuing_subword_prefix=None, end_of_word_suffix=None,
                   fuse_unk=True, byte_fallback=True, ignore_merges=False, vocab=vocab, merges=[m.split() for m in merges])))
    write_json(folder / "tokenizer_config.json", dict(
        tokenizer_class="GemmaTokenizer", bos_token="<bos>", eos_token="<eos>", pad_token="<pad>", unk_token="<unk>", mask_token="<mask>",
        model_max_length=text["max_position_embeddings"], padding_side="right", add_bos_token=False, add_eos_token=True,
        processor_class="SiglipProcessor"))
    text["vocab_size"] = len(vocab)


def normalization_rules():
    """SentencePiece's nmt_nfkc for a few blocks only: the whole of it takes 316 kB in tokenizer.json."""
    rules = {chr(c): "" for c in [*range(1, 9), 0xB, *range(14, 32), 0x7F, 0x8F, 0x9F]}
    rules |= {chr(c): " " for c in [9, 10, 12, 13, 0xA0, 0x1680, *range(0x2000, 0x2010), 0x2028, 0x2029, 0x202F, 0x205F,
                                    0x2581, 0x3000, 0xFEFF, 0xFFFD]}
    rules["～"] = "～"
    blocks = [range(0xA0, 0x180), range(0x2070, 0x20A0), range(0x2100, 0x2180), range(0x2460, 0x24FF),
              range(0xFB00, 0xFB07), range(0xFF01, 0xFFEF)]
    for char in map(chr, itertools.chain(*blocks)):
        for source in (char, unicodedata.normalize("NFD", char)):
            rules.setdefault(source, unicodedata.normalize("NFKC", char))
    code = lambda text: " ".join(f"{ord(c):X}" for c in text)
    return "".join(f"{code(source)}\t{code(to)}\n" for source, to in sorted(rules.items()) if source != to)


def train_sentencepiece():
    plurals = [line.replace(" ", "s ") for line in CORPUS]  # a piece is learnt only where two different words have it
    model = io.BytesIO()
    with tempfile.TemporaryDirectory() as temporary:
        rules = Path(temporary) / "rules.tsv"
        rules.write_text(normalization_rules())
        SentencePieceTrainer.train(
            sentence_iterator=iter(CORPUS + plurals), model_writer=model, model_type="unigram", vocab_size=400,
            hard_vocab_limit=False, byte_fallback=True, pad_id=0, eos_id=1, unk_id=2, bos_id=-1, num_threads=1,
            character_coverage=1.0, normalization_rule_tsv=str(rules), minloglevel=2)
    proto = sentencepiece_model_pb2.ModelProto.FromString(model.getvalue())
    proto.normalizer_spec.normalization_rule_tsv = ""  # the name of the temporary file
    return proto


def siglip_tokenizer(folder, text):
    """As published: no lower-casing, no stripping of punctuation, no byte fallback. The reference does all three."""
    proto = train_sentencepiece()
    (folder / "spiece.model").write_bytes(proto.SerializeToString(deterministic=True))
    vocab = [[p.piece, p.score] for p in proto.pieces]
    assert [p[0] for p in vocab[:259]] == ["<pad>", "</s>", "<unk>"] + [f"<0x{b:02X}>" for b in range(256)]
    charsmap = base64.b64encode(proto.normalizer_spec.precompiled_charsmap).decode()
    token = dict(single_word=False, lstrip=True, rstrip=True, normalized=True, special=True)
    metaspace = dict(type="Metaspace", replacement="▁", add_prefix_space=True, prepend_scheme="always")
    end, (a, b) = {"SpecialToken": {"id": "</s>", "type_id": 0}}, ({"Sequence": {"id": i, "type_id": 0}} for i in "AB")
    write_json(folder / "tokenizer.json", dict(
        version="1.0", truncation=None, padding=None,
        added_tokens=[dict(token, id=1, content="</s>"), dict(token, id=2, content="<unk>")],
        normalizer=dict(type="Sequence", normalizers=[
            dict(type="Precompiled", precompiled_charsmap=charsmap),
            dict(type="Replace", pattern={"Regex": " {2,}"}, content=" ")]),
        pre_tokenizer=metaspace,
        post_processor=dict(type="TemplateProcessing", single=[a, end], pair=[a, end, b, end],
                            special_tokens={"</s>": dict(id="</s>", ids=[1], tokens=["</s>"])}),
        decoder=metaspace, model=dict(type="Unigram", unk_id=2, byte_fallback=False, vocab=vocab)))
    write_json(folder / "tokenizer_config.json", dict(
        added_tokens_decoder={"1": dict(token, content="</s>"), "2": dict(token, content="<unk>")},
        additional_special_tokens=[], clean_up_tokenization_spaces=True, do_lower_case=True, eos_token="</s>",
        pad_token="</s>", unk_token="<unk>", model_input_names=["input_ids"], processor_class="SiglipProcessor",
        model_max_length=text["max_position_embeddings"], sp_model_kwargs={}, tokenizer_class="SiglipTokenizer"))
    text["vocab_size"] = len(vocab)
