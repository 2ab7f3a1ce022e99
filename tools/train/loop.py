"""The loop in which ocelli-tiny-ask, -find and -mask are trained, as far as time goes.

    NAME.py FOLDER [--resume] [--stop-after STEPS] [--cool STEPS] [--further] [--rate SHARE] [--threads N]

The rate is constant after a warm-up, so that a run may end at any step and go on at any time: NAME.pt is its state. `--cool` takes that
state (with `--further` the weights in the repository), lets the rate fall to nothing over so many steps, and writes NAME-cool.pt and the
folder NAME-model; NAME.pt stays as it is. `--rate` is the share of the usual rate that it begins with. Every step's batch follows from the
step's number alone. After 20 steps the pace is printed.
"""

import argparse
import copy
import json
import os
import time
from pathlib import Path

import numpy as np
import torch

from model import Muon

WARM_UP = 60
EVERY, SAVED = 25, 240  # steps between two lines of the log, seconds between two states


class Job:
    """What is trained. `model` holds all parameters in f32; `size` pictures make a batch."""

    name, size = "", 0
    matrix_rate, other_rate = 0.005, 1.5e-3

    def __init__(self, folder, device):
        raise NotImplementedError

    def rate(self, parameter):
        """This parameter's part of the rates, 0 if it stays as it is."""
        return 1.0

    def go_further(self):
        """Takes the weights that are in the repository. Returns how many steps, and pictures, they have seen."""
        raise SystemExit(f"{self.name} does not start from what is in the repository")

    def losses(self, working, step, dtype, cooling):
        """The loss of a step and its parts by name. `working` is a copy of the model, in `dtype`."""
        raise NotImplementedError

    def stepped(self):
        """After each step."""

    def export(self, folder):
        raise NotImplementedError


def optimizers(job, dtype):
    """Muon for matrices, Adam for embeddings and what is left; each parameter with its part of the rate."""
    groups = {}
    for name, p in job.model.named_parameters():
        matrix = p.ndim == 2 and "embed" not in name
        if job.rate(name):
            groups.setdefault((matrix, job.rate(name)), []).append(p)
    split = lambda matrix: [{"params": ps, "rate": rate} for (is_matrix, rate), ps in groups.items() if is_matrix == matrix]
    return Muon(split(True), lr=1.0, weight_decay=0.02, dtype=dtype), torch.optim.AdamW(split(False), lr=1.0, betas=(0.9, 0.98), weight_decay=0.0)


def train(kind):
    arguments = argparse.ArgumentParser()
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--resume", action="store_true")
    arguments.add_argument("--stop-after", type=int, default=10**9)
    arguments.add_argument("--cool", type=int, default=0)
    arguments.add_argument("--further", action="store_true")
    arguments.add_argument("--rate", type=float, default=1.0)
    arguments.add_argument("--threads", type=int, default=0)
    options = arguments.parse_args()
    folder, cool = options.folder, options.cool
    if options.threads:
        torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    # bf16 where the machine multiplies in it; elsewhere it is emulated and slower than f32.
    dtype = torch.bfloat16 if device == "cuda" or torch.cpu._is_avx512_bf16_supported() else torch.float32
    job = kind(folder, device)
    working = copy.deepcopy(job.model).to(dtype)
    muon, adam = optimizers(job, dtype)
    parts = {"model": job.model, "muon": muon, "adam": adam}
    state, step, pictures, warm = folder / f"{job.name}.pt", 0, 0, 0
    begun = options.resume and state.exists()
    if options.further and (cool or not begun):
        step, pictures = job.go_further()
        warm = step
    elif cool or begun:
        saved = torch.load(state, map_location=device, weights_only=True)
        step, pictures = saved["step"], saved.get("pictures", saved["step"] * job.size)
        for name, part in parts.items():
            part.load_state_dict(saved[name])
    first, last = step, step + cool if cool else options.stop_after
    target = folder / f"{job.name}-cool.pt" if cool else state
    log = open(target.with_suffix(".jsonl"), "a" if step and not cool else "w")
    print(f"{job.name}: {sum(p.numel() for p in job.model.parameters()) / 1e6:.2f} M parameters, {device}, {dtype}, from step {step}", flush=True)

    began, recent, written = time.time(), [], time.time()
    while step < last:
        rate = options.rate * min(1.0, (step - warm + 1) / WARM_UP) * (1 - (step - first) / cool if cool else 1.0)
        for optimizer, usual in ((muon, job.matrix_rate), (adam, job.other_rate)):
            for group in optimizer.param_groups:
                group["lr"] = usual * rate * group["rate"]
        with torch.no_grad():
            torch._foreach_copy_(list(working.parameters()), list(job.model.parameters()))
        loss, losses = job.losses(working, step, dtype, bool(cool))
        working.zero_grad(set_to_none=True)
        loss.backward()
        for p, worked in zip(job.model.parameters(), working.parameters()):
            p.grad = None if worked.grad is None else worked.grad.float()
        torch.nn.utils.clip_grad_norm_([p for g in adam.param_groups for p in g["params"]], 1.0)
        muon.step()
        adam.step()
        job.stepped()
        recent.append([float(x.detach()) for x in losses.values()])
        step, pictures = step + 1, pictures + job.size
        seconds = time.time() - began
        if step == first + 20:
            print(f"{seconds / 20:.2f} s a step, {job.size * 20 / seconds:.1f} pictures a second, {72000 / seconds:.0f} steps an hour", flush=True)
        if step % EVERY == 0 or step == last:
            means = {name: round(float(x), 4) for name, x in zip(losses, np.mean(recent, 0))}
            line = json.dumps({"step": step, "seconds": round(seconds), "pictures": pictures, **means})
            recent = []
            print(line, flush=True)
            print(line, file=log, flush=True)
        if time.time() - written > SAVED or step == last:
            torch.save({"step": step, "pictures": pictures, **{name: part.state_dict() for name, part in parts.items()}}, target.with_suffix(".new"))
            os.replace(target.with_suffix(".new"), target)
            written = time.time()
    if cool:
        job.export(folder / f"{job.name}-model")
