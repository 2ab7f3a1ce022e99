"""Writes tests/fixtures/decoders/choices.json: how likely each of some answers is to the decoders of tests/fixtures/decoders.

    pip install -r tools/requirements.txt
    python tools/make_choices.py  # from the root of the repository, after make_decoder_fixtures.py

The reference is transformers in float32. An answer's log probability is the sum over its tokens and over what ends it: the tokens of
`stops` together. tests/fixtures/README.md names what is written.
"""

import os

os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_VERBOSITY="error", TQDM_DISABLE="1")

import torch

from decoder_models import MODELS
from decoder_reference import DecoderReference
from fixture_tokenizers import write_json
from make_fixtures import OUT

DECODERS = OUT / "decoders"
# One begins with another, several are equally long, one is a character of several bytes.
CHOICES = ["no", "it", "in", "in it", "on", "a dog", "yes, it is", "🐱"]
# What a chat template puts before an answer, but not before the answer that it asks for.
LEAD = dict(smolvlm=" ", llava=" ")
ENDS = dict(smolvlm=["<end_of_utterance>"], llava=["</s>"], paligemma=["<eos>"])
EXACT, FAR = 1e-5, 1e-2


def tokens_of(reference, lead, choice):
    """The tokens that a choice has behind the prompt, and those of the prompt itself."""
    ids = lambda text: reference.tokenizer(text, add_special_tokens=False)["input_ids"]
    # PaliGemma's processor ends every prompt with a new line.
    raw = reference.raw + ("\n" if reference.spec.get("raw") else "")
    prompt, whole = ids(raw), ids(raw + lead + choice)
    assert whole[:len(prompt)] == prompt, choice
    return whole[len(prompt):]


def log_probability(reference, inputs, tokens, stops, end=True):
    """Of these tokens behind the prompt and, with `end`, of a text that ends there; all in one run."""
    longer = reference.longer(inputs, tokens)
    found = reference.model(**longer).logits[0, -len(tokens) - 1:].double().log_softmax(-1)
    said = found[torch.arange(len(tokens)), torch.tensor(tokens)].sum()
    return (said + found[-1, stops].logsumexp(0) if end else said).item()


def by_steps(reference, inputs, tokens, stops):
    """The same token by token, by the cache."""
    out = reference.model(**inputs, use_cache=True)
    place, total = inputs["input_ids"].shape[1] + (reference.model.config.model_type == "paligemma"), 0.0
    for at, token in enumerate(tokens):
        total += out.logits[0, -1].double().log_softmax(-1)[token].item()
        out = reference.model(input_ids=torch.tensor([[token]]), past_key_values=out.past_key_values, use_cache=True,
                              position_ids=torch.tensor([[place + at]]))
    return total + out.logits[0, -1].double().log_softmax(-1)[stops].logsumexp(0).item()


def case(name):
    reference = DecoderReference(DECODERS / name, MODELS[name])
    inputs, lead = reference.inputs(), LEAD.get(name, "")
    if lead:
        # The template's own word for it.
        said = dict(role="assistant", content=[dict(type="text", text="yes")])
        whole = reference.processor.apply_chat_template([*reference.spec["messages"], said])
        assert whole.startswith(reference.raw + lead + "yes") and not reference.raw.endswith(lead), whole
    stops = reference.stop if isinstance(reference.stop, list) else [reference.stop]
    stops = sorted({*stops, *(reference.tokenizer.convert_tokens_to_ids(end) for end in ENDS.get(name, []))})
    tokens = [tokens_of(reference, lead, choice) for choice in CHOICES]
    found = torch.tensor([log_probability(reference, inputs, t, stops) for t in tokens], dtype=torch.float64)
    steps = torch.tensor([by_steps(reference, inputs, t, stops) for t in tokens], dtype=torch.float64)
    assert (found - steps).abs().max() < EXACT, (name, found, steps)
    lengths = torch.tensor([len(t) + 1 for t in tokens], dtype=torch.float64)
    wrong = {
        "without the end": torch.tensor([log_probability(reference, inputs, t, stops, end=False) for t in tokens]),
        "the mean over tokens": found / lengths,
        "the first token alone": torch.tensor([log_probability(reference, inputs, t[:1], stops, end=False) for t in tokens]),
        "one end of several": torch.tensor([log_probability(reference, inputs, t, stops[:1]) for t in tokens]) if stops[1:] else None,
        "words that follow at once": torch.tensor(
            [log_probability(reference, inputs, tokens_of(reference, "", c), stops) for c in CHOICES]) if lead else None,
    }
    wrong = {mistake: (w.double() - found).abs().max().item() for mistake, w in wrong.items() if w is not None}
    assert min(wrong.values()) > FAR, (name, wrong)
    best = found.topk(2).values
    assert best[0] - best[1] > FAR
    return dict(choices=CHOICES, stops=stops, tokens=tokens, log_probabilities=found.tolist(),
                probabilities=found.softmax(0).tolist(), best=found.argmax().item(), wrong=wrong)


@torch.no_grad()
def main():
    torch.set_num_threads(1)
    found = {name: case(name) for name in ("llama", "qwen2", "gemma2", "gemma3", "smolvlm", "paligemma", "llava",
                                      "llava-onevision")}
    write_json(DECODERS / "choices.json", found)
    for name, one in found.items():
        print(f"{name}: {one['choices'][one['best']]!r}, " + ", ".join(f"{p:.3f}" for p in one["probabilities"])
              + f", {sum(map(len, one['tokens']))} tokens; mistakes: " + ", ".join(f"{w} {d:.2g}" for w, d in one["wrong"].items()))


if __name__ == "__main__":
    main()
