#!/usr/bin/env python3
"""What Ray Data adds to a worker: pictures a second of one actor beside a plain loop over the same batches, on the same core, in turns.

    python tools/bench_ray.py MODEL [--pictures 40] [--batch 8] [--rounds 3] [--peer]

MODEL is a SigLIP folder; pictures are those of bench_bulk.py, 640 × 480. Both are in steady state: from the end of the first batch to the end
of the last. The engine's overhead is what is missing of the plain loop's pictures a second. --peer has transformers do the same.
"""

import argparse
import multiprocessing
import os
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import ray
from bench_bulk import SIZES, jpeg, peer, photo, wheel

#: The core that both are pinned to; Ray's own processes are where the system puts them.
CORE = 1
PROGRAMS = {"ocelli": wheel, "transformers": peer}


class Timed:
    """Embeds batches, and keeps when it had done each."""

    def __init__(self, program: str, folder: str, log: str) -> None:
        os.sched_setaffinity(0, {CORE})
        self.embed, self.log = PROGRAMS[program](folder, 1), log

    def __call__(self, table: pa.Table) -> pa.Table:
        vectors = self.embed(table["bytes"].to_pylist())
        with open(self.log, "a") as log:
            log.write(f"{time.monotonic()} {table.num_rows}\n")
        return pa.table({"id": table["id"], "sum": vectors.sum(1)})


def rate(log: Path) -> float:
    """Pictures a second after the first batch."""
    rows = [line.split() for line in log.read_text().splitlines()]
    first, last = float(rows[0][0]), float(rows[-1][0])
    return sum(int(count) for _, count in rows[1:]) / (last - first)


def plain(program: str, folder: str, files: str, log: str, batch: int) -> None:
    timed, table = Timed(program, folder, log), pq.read_table(files)
    for start in range(0, table.num_rows, batch):
        timed(table.slice(start, batch))


def engine(program: str, folder: str, files: str, log: str, batch: int) -> None:
    mapped = ray.data.read_parquet(files).map_batches(
        Timed,
        fn_constructor_args=[program, folder, log],
        batch_format="pyarrow",
        batch_size=batch,
        num_cpus=1,
        compute=ray.data.ActorPoolStrategy(size=1),
    )
    with tempfile.TemporaryDirectory() as out:
        mapped.write_parquet(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--pictures", type=int, default=40)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peer", action="store_true")
    args = parser.parse_args()

    os.environ["RAY_DISABLE_IMPORT_WARNING"] = "1"
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, runtime_env={"env_vars": {"PYTHONPATH": str(Path(__file__).parent)}})
    ray.data.DataContext.get_current().enable_progress_bars = False
    spawn = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder) / "pictures.parquet"
        pictures = [jpeg(photo(*SIZES["640x480"], seed)) for seed in range(args.pictures)]
        pq.write_table(pa.table({"id": [str(at) for at in range(len(pictures))], "bytes": pa.array(pictures, pa.binary())}), files)
        rates: dict[tuple[str, str], list[float]] = {}
        for turn in range(args.rounds):
            for program in ["ocelli", "transformers"] if args.peer else ["ocelli"]:
                for kind, run in [("plain", plain), ("engine", engine)]:
                    log = Path(folder) / f"{program} {kind} {turn}"
                    arguments = (program, args.model, str(files), str(log), args.batch)
                    if kind == "plain":
                        process = spawn.Process(target=run, args=arguments)
                        process.start()
                        process.join()
                    else:
                        run(*arguments)
                    rates.setdefault((program, kind), []).append(rate(log))
        for program in dict.fromkeys(program for program, _ in rates):
            loop, actor = (max(rates[program, kind]) for kind in ["plain", "engine"])
            print(f"{program:13} plain loop {loop:.2f} pictures/s, in Ray Data {actor:.2f}: overhead {100 * (1 - actor / loop):.1f} %")
            print(f"{'':13} rounds: {[f'{a:.2f} {b:.2f}' for a, b in zip(rates[program, 'plain'], rates[program, 'engine'], strict=True)]}")


if __name__ == "__main__":
    main()
