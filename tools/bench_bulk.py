#!/usr/bin/env python3
"""Pictures a second from JPEG bytes to embeddings, the wheel beside transformers with PyTorch, on the same cores, in turns.

    python tools/bench_bulk.py MODEL [--threads 1] [--rounds 5] [--pictures 32] [--sizes 256,640x480,12MP] [--peer] [--workers]

MODEL is a SigLIP folder. Pictures are noisy photographs of 256 × 256, 640 × 480 and 4000 × 3000 pixels. Seconds are the least of all rounds.
Shares are medians of rounds, and come from what is left out: `tower` is pixels of the tower's own size, `resize` is decoded pixels less the
tower, `decode` is bytes less decoded pixels. --peer adds transformers (its venv: `./build.sh bench-cpu`), --workers two workers beside one, each
pinned to a core, and the most memory that one had beside its weights. bench_ray.py has what an engine adds.
"""

import argparse
import io
import json
import multiprocessing
import os
import statistics
import time

import numpy as np
from PIL import Image

SIZES = {"256": (256, 256), "640x480": (640, 480), "12MP": (4000, 3000)}


def photo(width: int, height: int, seed: int) -> Image.Image:
    """Smooth colours with a sensor's noise, so that a JPEG has the size of a photograph."""
    random = np.random.default_rng(seed)
    small = Image.fromarray(random.integers(0, 256, (9, 12, 3), np.uint8)).resize((width, height), Image.Resampling.BICUBIC)
    noise = random.normal(0, 6, (height, width, 1))
    return Image.fromarray((np.asarray(small) + noise).clip(0, 255).astype(np.uint8))


def jpeg(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=88)
    return file.getvalue()


def wheel(folder: str, threads: int):
    from ocelli_vision import Model

    model = Model(folder, device="cpu", towers="vision", threads=threads)
    return lambda pictures: model.embed_images(pictures).vectors


def peer(folder: str, threads: int):
    import torch
    from transformers import AutoImageProcessor, SiglipVisionModel

    torch.set_num_threads(threads)
    processor = AutoImageProcessor.from_pretrained(folder)
    tower = SiglipVisionModel.from_pretrained(folder, dtype=torch.float32).eval()

    @torch.inference_mode()
    def embed(pictures):
        opened = [Image.open(io.BytesIO(one)).convert("RGB") if isinstance(one, bytes) else one for one in pictures]
        found = tower(**processor(images=opened, return_tensors="pt")).pooler_output.numpy()
        return found / np.linalg.norm(found, axis=1, keepdims=True)

    return embed


def seconds(work, pictures) -> float:
    start = time.perf_counter()
    work(pictures)
    return (time.perf_counter() - start) / len(pictures)


def worker(core: int, folder: str, pictures, orders, found) -> None:
    """Pinned, and in steady state: what it is timed at comes after a first call. Ends with the most memory that it had."""
    os.sched_setaffinity(0, {core})
    embed = wheel(folder, 1)
    embed(pictures)
    found.put(None)
    for _ in iter(orders.get, None):
        found.put(seconds(embed, pictures))
    found.put(peak())


def peak() -> int:
    """Most bytes that this process had in memory."""
    return next(int(line.split()[1]) << 10 for line in open("/proc/self/status") if line.startswith("VmHWM"))


def weights(folder: str) -> int:
    """Bytes of the picture tower."""
    with open(f"{folder}/model.safetensors", "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    offsets = [tensor["data_offsets"] for name, tensor in header.items() if name.startswith("vision_model.")]
    return sum(end - start for start, end in offsets)


def two_beside_one(folder: str, pictures, rounds: int) -> tuple[list[float], int]:
    """Pictures a second of two workers by what one has alone, of each round; and the most memory of one. Each round has either worker alone
    and twice both, since cores that are lent change their speed from minute to minute."""
    context = multiprocessing.get_context("spawn")
    queues = [(context.Queue(), context.Queue()) for _ in range(2)]
    workers = [context.Process(target=worker, args=(core, folder, pictures, *mine)) for core, mine in enumerate(queues)]
    [one.start() for one in workers]
    [found.get(timeout=3600) for _, found in queues]

    def rate(*cores: int) -> float:
        [queues[core][0].put(True) for core in cores]
        return sum(1 / queues[core][1].get(timeout=3600) for core in cores)

    ratios = [(rate(0, 1) + rate(1, 0)) / (rate(0) + rate(1)) for _ in range(rounds)]
    [orders.put(None) for orders, _ in queues]
    memory = max(found.get(timeout=3600) for _, found in queues)
    [one.join() for one in workers]
    return ratios, memory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pictures", type=int, default=32)
    parser.add_argument("--sizes", default=",".join(SIZES))
    parser.add_argument("--peer", action="store_true")
    parser.add_argument("--workers", action="store_true")
    args = parser.parse_args()

    programs = {"ocelli": wheel(args.model, args.threads)} | ({"transformers": peer(args.model, args.threads)} if args.peer else {})
    side = json.load(open(f"{args.model}/config.json"))["vision_config"].get("image_size", 224)
    for name in args.sizes.split(","):
        width, height = SIZES[name]
        count = max(4, args.pictures // 8) if name == "12MP" else args.pictures
        photos = [photo(width, height, seed) for seed in range(count)]
        stages = {
            "bytes": [jpeg(one) for one in photos],
            "pixels": [np.asarray(one) for one in photos],
            "tower": [np.asarray(one.resize((side, side), Image.Resampling.BICUBIC)) for one in photos],
        }
        times: dict[tuple[str, str], list[float]] = {}
        for _ in range(args.rounds):
            for stage, pictures in stages.items():
                for program, embed in programs.items():
                    times.setdefault((program, stage), []).append(seconds(embed, pictures))
        for program in programs:
            rounds = list(zip(*(times[program, stage] for stage in stages)))
            shares = {
                "decode": [(whole - pixels) / whole for whole, pixels, _ in rounds],
                "resize": [(pixels - tower) / whole for whole, pixels, tower in rounds],
                "tower": [tower / whole for whole, _, tower in rounds],
            }
            said = ", ".join(f"{stage} {100 * statistics.median(share):.0f} %" for stage, share in shares.items())
            print(f"{name:8} {program:13} {1 / min(times[program, 'bytes']):8.2f} pictures/s  {said}", flush=True)
        if len(programs) == 2:
            one, other = (program(stages["bytes"]) for program in programs.values())
            print(f"{name:8} least cosine {(one * other).sum(1).min():.5f}")
        if args.workers:
            ratios, memory = two_beside_one(args.model, stages["bytes"], args.rounds)
            said, beside = ", ".join(f"{ratio:.2f}" for ratio in ratios), (memory - weights(args.model)) / 1e6
            print(f"{name:8} two pinned workers by one: {statistics.mean(ratios):.2f} ({said}); memory beside the weights {beside:.0f} MB", flush=True)


if __name__ == "__main__":
    main()
