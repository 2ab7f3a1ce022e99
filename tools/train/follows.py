"""Whether one training run follows another, as far as both go: the same losses to a few percent.

    follows.py LOG [OTHER]        OTHER is the log of the shipped model's run if nothing is said

Two runs are not equal bit for bit: threads add in different orders, and training amplifies the last bit.
"""

import json
import sys
from pathlib import Path

NO_LOSSES = ("step", "side", "seconds", "pictures", "making", "asked")
MOST = 0.05  # of a loss over 25 steps. Another learning rate (0.01 for 0.005) moved the losses of texts by 20 % within 100 steps.


def read(path):
    return {line["step"]: line for line in map(json.loads, Path(path).read_text().splitlines())}


def main():
    other = sys.argv[2] if len(sys.argv) > 2 else Path(__file__).with_name("log.jsonl")
    mine, theirs = read(sys.argv[1]), read(other)
    steps = sorted(mine.keys() & theirs.keys())
    if not steps:
        sys.exit("expected steps in common, found none")
    losses = [k for k, v in mine[steps[0]].items() if k not in NO_LOSSES and isinstance(v, float)]
    worst, step, loss = max((abs(mine[s][k] / theirs[s][k] - 1), s, k) for s in steps for k in losses)
    print(f"steps {steps[0]} to {steps[-1]}: losses differ by {worst:.2%} at most (step {step}, {loss})")
    for s in steps:
        if "top1_top5" in mine[s] and "top1_top5" in theirs[s]:
            print(f"step {s}: {mine[s]['top1_top5']} here, {theirs[s]['top1_top5']} there")
    if worst > MOST:
        sys.exit(f"expected at most {MOST:.0%}")


if __name__ == "__main__":
    main()
