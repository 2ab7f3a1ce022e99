"""Scores of answers and captions for tests/fixtures/text-scores.json, by the rules of their papers and with usual mistakes.

    python tools/make_text_scores.py

Nothing else is needed. Written from the papers and from what vqaEval.py and pycocoevalcap do, step by step and slowly: answers one subset
of nine after the other, n-grams as tuples in lists.
"""

import json
import math
import re
from pathlib import Path

OUT = Path(__file__).parent.parent / "tests/fixtures/text-scores.json"
CAPTIONS = [
    ("two dogs run in the snow", ["two dogs play in the snow", "two brown dogs run through deep snow", "dogs in the snow"]),
    ("a man rides a red bike down the street", ["a man rides a red bike down the street"]),
    ("a a a a cat", ["a cat sleeps on a sofa", "the cat is asleep on the couch", "a cat lies on a sofa near a window", "a sleeping cat"]),
    ("", ["a plate of food on a table", "food on a plate"]),
    ("a plate of food on a table next to a glass of water and a knife and a fork", ["a plate with a knife", "food on a plate on a table"]),
    ("boat", ["a small boat with a red sail on a calm blue lake", "a boat out on the lake at dusk with two people aboard"]),
]


def grams(words, n):
    return [tuple(words[i:i + n]) for i in range(len(words) - n + 1)]


def bleu(cases, clip=True, length="nearest", whole=True, brevity=True):
    if not whole:
        each = [bleu([case]) for case in cases]
        return [sum(scores[i] for scores in each) / len(each) for i in range(4)]
    said = sum(len(candidate) for candidate, _ in cases)
    pick = {"nearest": lambda c, r: min(r, key=lambda n: (abs(n - c), n)), "shortest": lambda c, r: min(r), "longest": lambda c, r: max(r)}
    expected = sum(pick[length](len(candidate), [len(r) for r in references]) for candidate, references in cases)
    penalty = math.exp(1 - expected / said) if brevity and said and said < expected else float(said > 0)
    scores, logs = [], 0.0
    for n in range(1, 5):
        right = total = 0
        for candidate, references in cases:
            own = grams(candidate, n)
            total += len(own)
            for gram in set(own):
                most = max(grams(reference, n).count(gram) for reference in references)
                right += min(own.count(gram), most) if clip else own.count(gram) * (most > 0)
        logs = logs + math.log(right / total) if right else -math.inf
        scores.append(penalty * math.exp(logs / n))
    return scores


def cider(cases, clip=True, near=True, by_caption=False, sigma=6.0, log=True, most=4):
    everything = [references for _, references in cases]
    documents = [[reference] for references in everything for reference in references] if by_caption else everything
    result = []
    for candidate, references in cases:
        score = 0.0
        for n in range(1, most + 1):
            def vector(words):
                own = grams(words, n)
                def weight(gram):
                    found = sum(any(gram in grams(r, n) for r in document) for document in documents)
                    share = len(documents) / max(1, found)
                    return own.count(gram) * (math.log(share) if log else share)
                return {gram: weight(gram) for gram in set(own)}
            x = vector(candidate)
            for reference in references:
                y = vector(reference)
                dot = sum((min(x[g], y[g]) if clip else x[g]) * y[g] for g in x if g in y)
                lengths = [math.sqrt(sum(v * v for v in z.values())) for z in (x, y)]
                cosine = dot / (lengths[0] * lengths[1]) if all(lengths) else 0.0
                far = (len(candidate) - len(reference)) ** 2
                score += cosine * (math.exp(-far / (2 * sigma ** 2)) if near else 1.0) / len(references)
        result.append(10 * score / most)
    return result


NUMBERS = dict(zip("none zero one two three four five six seven eight nine ten".split(), [0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]))
# Of the table of contractions those that are asked for here.
CONTRACTIONS = {"dont": "don't", "isnt": "isn't", "whats": "what's", "couldntve": "couldn't've"}


def plain(text):
    out = text = re.sub(r"[\n\t]", " ", text).strip()
    for mark in ";/[]\"{}()=+\\_-><@`,?!":
        gone = f"{mark} " in text or f" {mark}" in text or re.search(r"\d,\d", text)
        out = out.replace(mark, "" if gone else " ")
    out = re.sub(r"\.(?!\d)", "", out)
    words = [str(NUMBERS.get(word, word)) for word in out.lower().split()]
    return " ".join(CONTRACTIONS.get(word, word) for word in words if word not in ("a", "an", "the"))


def accuracy(answer, answers):
    answer, answers = plain(answer), [plain(one) for one in answers]
    subsets = [answers[:i] + answers[i + 1:] for i in range(len(answers))]
    return sum(min(1, subset.count(answer) / 3) for subset in subsets) / len(subsets)


def without_subsets(answer, answers):
    return min(1, [plain(one) for one in answers].count(plain(answer)) / 3)


def people(**counts):
    return [word.replace("_", " ") for word, count in counts.items() for _ in range(count)]


ANSWERS = [
    ("Two dogs.", people(two_dogs=2, dogs=5, **{"2 dogs": 1, "2": 2})),
    ("the cat", people(cat=1, dog=9)),
    ("a Cat!", people(cat=2, dog=8)),
    ("Yes.", people(yes=10)),
    ("Yes, there is", people(yes=10)),
    ("1,000 - maybe", ["1000 maybe"] * 4 + ["1000"] * 6),
    ("hot-dog", ["hot dog"] * 3 + ["hotdog"] * 7),
    ("black/white ; grey", ["black white grey"] * 3 + ["grey"] * 7),
    ("3.5 ft. tall", ["3.5 ft tall"] * 9 + ["tall"]),
    ("dont know", ["don't know"] * 5 + ["no idea"] * 5),
    ("", people(yes=5, no=5)),
]

CASES = [(candidate.split(), [reference.split() for reference in references]) for candidate, references in CAPTIONS]
OUT.write_text(json.dumps(dict(
    captions=dict(
        pictures=[dict(candidate=candidate, references=references) for candidate, references in CAPTIONS],
        bleu=bleu(CASES),
        cider=cider(CASES),
        wrong_bleu={
            "not clipped": bleu(CASES, clip=False), "length of the shortest": bleu(CASES, length="shortest"),
            "length of the longest": bleu(CASES, length="longest"), "mean of sentences": bleu(CASES, whole=False),
            "no brevity penalty": bleu(CASES, brevity=False)},
        wrong_cider={
            "not clipped": cider(CASES, clip=False), "no length penalty": cider(CASES, near=False),
            "captions for documents": cider(CASES, by_caption=True), "sigma of 3": cider(CASES, sigma=3.0),
            "no logarithm": cider(CASES, log=False), "n-grams up to 3": cider(CASES, most=3)}),
    vqa=[dict(answer=answer, answers=answers, plain=plain(answer), accuracy=accuracy(answer, answers),
              wrong=without_subsets(answer, answers)) for answer, answers in ANSWERS]), indent=1, ensure_ascii=False) + "\n")
