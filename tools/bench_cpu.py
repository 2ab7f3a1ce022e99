#!/usr/bin/env python3
"""PyTorch, ONNX Runtime and Ocelli on the same cores, with the same weights, in turns: `./build.sh bench-cpu`.

    python tools/bench_cpu.py MODEL [--batches 1,8] [--threads 1,2] [--rounds 5] [--formats f32,q8,q4] [--json FILE]

MODEL is a SigLIP folder in f32. Each program loads the picture tower once, in a process of its own that may use the first N cores, and
then all of them take turns: a round is one run of each. Seconds are the least of all rounds; CPU seconds are those of all threads of
the process, as the kernel counts them.

What is counted: Ocelli begins with 8-bit RGBA pixels of 640 × 480 and resizes, normalises and cuts them into patches itself; PyTorch and
ONNX Runtime begin with a ready tensor of floats. All end with the pooled embedding in memory. Decoding, loading and starting are left out.

Embeddings must agree, else it fails.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "target/bench/cpu"
# f32 in another order of sums; and what 8 and 4 bits cost random weights, which is more than they cost trained ones.
LEAST_COSINE = {"f32": 0.99999, "f16": 0.9999, "q8": 0.995, "q4": 0.9}


# Workers: each prints a line once it is ready, and then one for each line that says how many pictures.


def answer(**fields):
    print(json.dumps(fields), flush=True)


def serve(embed, pixels):
    answer(ready=True)
    for line in sys.stdin:
        batch = np.repeat(pixels[None], int(line), axis=0)
        start = time.perf_counter()
        found = embed(batch)
        seconds = time.perf_counter() - start
        last = found[-1] / np.linalg.norm(found[-1])
        answer(seconds=seconds, embedding=last.tolist())


def pytorch(model, threads):
    import torch
    from transformers import SiglipVisionModel

    torch.set_num_threads(threads)
    tower = SiglipVisionModel.from_pretrained(model, dtype=torch.float32).eval()

    @torch.inference_mode()
    def embed(pixels):
        return tower(pixel_values=torch.from_numpy(pixels)).pooler_output.numpy()

    return embed


def onnx_runtime(model, threads):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(onnx_file(model)), options, providers=["CPUExecutionProvider"])
    return lambda pixels: session.run(["pooler_output"], {"pixel_values": pixels})[0]


WORKERS = {"PyTorch": pytorch, "ONNX Runtime": onnx_runtime}


def onnx_file(model):
    return FOLDER / f"{model.resolve().name}.onnx" / "vision_model.onnx"


def export(model):
    """The picture tower as ONNX, unless it is there."""
    file = onnx_file(model)
    if file.is_file():
        return
    import torch
    from export_onnx import Vision, check, export
    from transformers import AutoModel

    unchecked = file.parent / "unchecked"
    unchecked.mkdir(parents=True, exist_ok=True)
    with torch.no_grad():
        whole = AutoModel.from_pretrained(model, dtype=torch.float32, attn_implementation="eager").eval()
        part = Vision(whole)
        made = export(part, whole, unchecked)
        print(f"{made}: off from PyTorch by at most {check(part, whole, made):.1e}", flush=True)
    made.rename(file)


# The parent.


class Program:
    """A program that takes turns."""

    def __init__(self, name, command, cores):
        self.name, self.best = name, {}
        pin = lambda: os.sched_setaffinity(0, cores)
        self.process = subprocess.Popen(
            [str(part) for part in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=pin
        )
        self.ready = self.line()

    def line(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name} has ended with {self.process.wait()}")
        return json.loads(line)

    def cpu(self):
        """Seconds that its threads have run."""
        threads = Path(f"/proc/{self.process.pid}/task").iterdir()
        return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9

    def turn(self, batch):
        before = self.cpu()
        self.process.stdin.write(f"{batch}\n")
        self.process.stdin.flush()
        found = self.line()
        # Threads that wait for work may spin for a while, which belongs to it.
        time.sleep(0.05)
        return found["seconds"] / batch, (self.cpu() - before) / batch, np.array(found["embedding"])

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def programs(model, threads, formats, picture, square):
    cores = set(sorted(os.sched_getaffinity(0))[:threads])
    ocelli = [ROOT / "target/release/ocelli", "--backend", "cpu", "--threads", threads, "turns", "--model", model]
    for name in WORKERS:
        worker = [sys.executable, __file__, model, "--worker", name, "--threads", threads, "--square", square]
        yield Program(name, worker, cores)
    for format in formats:
        kept = [] if format == "f32" else ["--format", format]
        yield Program(f"Ocelli {format}", [*ocelli, *kept, picture], cores)


def pictures(model):
    """A picture of smooth noise, and the square that Ocelli makes of it, which all towers see."""
    from PIL import Image

    FOLDER.mkdir(parents=True, exist_ok=True)
    picture, square = FOLDER / "picture.png", FOLDER / "square.png"
    small = np.random.default_rng(1).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    Image.fromarray(small).resize((640, 480), Image.Resampling.BICUBIC).save(picture)
    command = [ROOT / "target/release/ocelli", "--backend", "cpu", "preprocess", "--model", model, picture, square]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return picture, square


def floats(square):
    from PIL import Image

    pixels = np.asarray(Image.open(square).convert("RGB"), dtype=np.float32)
    return np.ascontiguousarray((pixels / 127.5 - 1.0).transpose(2, 0, 1))


def agree(name, reference, found):
    cosine = float(reference @ found)
    least = LEAST_COSINE[name.split()[-1]] if name.startswith("Ocelli") else LEAST_COSINE["f32"]
    if not cosine >= least:
        raise SystemExit(f"{name}: expected a cosine of at least {least} to PyTorch's embedding, found {cosine}")
    return cosine


def measure(model, threads, given, files):
    """One line for each program and batch."""
    running = list(programs(model, threads, given.formats, *files))
    lines = []
    for batch in given.batches:
        best = {}
        for round in range(given.rounds + 1):
            for program in running:
                wall, cpu, embedding = program.turn(batch)
                # The first round warms up.
                if round > 0:
                    before = best.get(program.name, (np.inf, np.inf, None))
                    best[program.name] = (min(before[0], wall), min(before[1], cpu), embedding)
        reference = best["PyTorch"]
        for name, (wall, cpu, embedding) in best.items():
            lines.append({
                "threads": threads,
                "batch": batch,
                "program": name,
                "seconds": wall,
                "cpu_seconds": cpu,
                "cpu_ratios": {other: best[other][1] / cpu for other in WORKERS},
                "cosine": agree(name, reference[2], embedding),
            })
            print_line(lines[-1])
    for program in running:
        program.end()
    return lines


def print_line(line):
    ratios = " ".join(f"{ratio:10.2f}" for ratio in line["cpu_ratios"].values())
    print(
        f"{line['threads']:7} {line['batch']:5}  {line['program']:14} {line['seconds']:8.3f} {line['cpu_seconds']:8.3f} {ratios}"
        f" {line['cosine']:9.6f}",
        flush=True,
    )


def numbers(text):
    return [int(part) for part in text.split(",")]


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("model", type=Path)
    arguments.add_argument("--batches", type=numbers, default=[1, 8])
    arguments.add_argument("--threads", type=numbers, default=[1, 2])
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--formats", type=lambda text: text.split(","), default=["f32", "q8", "q4"])
    arguments.add_argument("--json", type=Path)
    arguments.add_argument("--worker", help=argparse.SUPPRESS)
    arguments.add_argument("--square", type=Path, help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.worker:
        serve(WORKERS[given.worker](given.model, given.threads[0]), floats(given.square))
        return
    files = pictures(given.model)
    export(given.model)
    print("                                seconds a picture   speed by CPU seconds")
    print("threads batch  program            wall      CPU    PyTorch  ONNX Runt.    cosine")
    lines = [line for threads in given.threads for line in measure(given.model, threads, given, files)]
    if given.json:
        given.json.write_text(json.dumps(lines, indent=1) + "\n")


if __name__ == "__main__":
    main()
