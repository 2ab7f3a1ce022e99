"""The tokenizer of ocelli-tiny-find and -mask, in the form of CLIP's: byte-level pieces, the end token with the highest id.

    find_words.py FOLDER

Writes FOLDER/find-tokenizer.json, learned from all names.
"""

import json
import sys
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

LENGTH = 16  # tokens of a text, the start and the end among them
START, END = "<|startoftext|>", "<|endoftext|>"
WORD = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
TEMPLATES = ["{}", "a {}", "a photo of a {}", "a picture of a {}", "the {}", "a drawing of a {}"]


def byte_letters():
    """The letters that stand for bytes, in the order of CLIP's vocabulary: "!" is 0."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return [chr(b) for b in printable] + [chr(256 + n) for n in range(256 - len(printable))]


def train(texts, path):
    learner = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    learner.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])
    words = pre_tokenizers.Split(Regex(WORD), "removed", invert=True)
    learner.pre_tokenizer = pre_tokenizers.Sequence([words, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    learner.decoder = decoders.ByteLevel()
    learner.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=2400, end_of_word_suffix="</w>", show_progress=False, min_frequency=2))
    whole = json.loads(learner.to_str())
    letters, merges = byte_letters(), whole["model"]["merges"]
    tokens = [*letters, *(letter + "</w>" for letter in letters), *dict.fromkeys("".join(m) for m in merges)]
    tokens = [*dict.fromkeys(tokens), START, END]
    ids = {t: i for i, t in enumerate(tokens)}
    added = dict(single_word=False, lstrip=False, rstrip=False, special=True)
    whole["added_tokens"] = [dict(added, id=ids[t], content=t, normalized=t == START) for t in (START, END)]
    whole["post_processor"] = dict(type="RobertaProcessing", sep=[END, ids[END]], cls=[START, ids[START]], trim_offsets=False, add_prefix_space=False)
    whole["decoder"] = dict(type="ByteLevel", add_prefix_space=True, trim_offsets=True, use_regex=True)
    whole["model"] = dict(whole["model"], vocab=ids, unk_token=END, continuing_subword_prefix="", end_of_word_suffix="</w>", fuse_unk=False)
    path.write_text(json.dumps(whole, ensure_ascii=False))


class Words:
    def __init__(self, path):
        self.path, self.tokenizer = path, Tokenizer.from_file(str(path))

    def __len__(self):
        return self.tokenizer.get_vocab_size()

    def __call__(self, texts):
        """Ids [texts, the longest of them], the end repeated."""
        rows = [e.ids[: LENGTH - 1] + [len(self) - 1] if len(e.ids) > LENGTH else e.ids for e in self.tokenizer.encode_batch(texts)]
        longest = max(map(len, rows))
        return torch.tensor([row + [0] * (longest - len(row)) for row in rows])


if __name__ == "__main__":
    from names import Names

    folder = Path(sys.argv[1])
    labels = Names(folder).labels
    train([t.format(label) for label in labels for t in TEMPLATES], folder / "find-tokenizer.json")
    print(len(Words(folder / "find-tokenizer.json")), "tokens")
