"""spark_cluster.py FOLDER MODEL SEED TEMPORARY: Spark with two executors, of which something is killed in each scenario; alone in a namespace.

Writes what each scenario leaves to FOLDER/SCENARIO/{out or whole,log}.
"""

import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

from job import Disk, Job, ancestor, processes, report

EXECUTOR = b"org.apache.spark.executor.CoarseGrainedExecutorBackend"
#: Bytes: less than a job writes, and more.
SMALL, LARGE = 80_000, 10_000_000


def end_executors() -> None:
    """Ends those of a driver that has ended, and waits until they are gone, with the files that they hold open."""
    while executors := processes(EXECUTOR):
        for executor in executors:
            try:
                os.kill(executor, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.1)


def main(folder: Path, model: str, seed: int, temporary: str) -> None:
    moment = random.Random(seed).randrange
    environment = {"SPARK_LOCAL_IP": "127.0.0.1", "SPARK_LOCAL_HOSTNAME": "localhost", "SPARK_LOCAL_DIRS": temporary,
                   "SPARK_WORKER_DIR": temporary, "PYSPARK_PYTHON": sys.executable}

    def begin(scenario: str, kind: str, out: str = "out") -> Job:
        return Job("spark_job.py", folder / scenario, model, kind, out=out, **environment)

    job = begin("executor", "batch")
    worker = job.wait_for(moment(20, 60))
    os.kill(ancestor(worker, EXECUTOR), signal.SIGKILL)
    job.lost(worker)
    job.end()
    report("executor", BEGIN)

    for least, most in [(40, 80), (10, 30)]:
        job = begin("driver", "stream")
        worker = job.wait_for(moment(least, most))
        job.kill()
        end_executors()
        job.lost(worker)
    begin("driver", "stream").end()
    report("driver", BEGIN)

    disk = Disk(folder / "disk" / "small", SMALL)
    begin("disk", "stream", "small").fail("No space left on device")
    end_executors()
    written = disk.files()
    disk.change(f"ro,size={LARGE}")
    begin("disk", "stream", "small").fail("Read-only file system")
    end_executors()
    disk.change("rw")
    begin("disk", "stream", "small").end()
    kept = [name for name, file in written.items() if disk.files().get(name) == file]
    (folder / "disk" / "kept").write_text("".join(f"{name}\n" for name in kept))
    shutil.copytree(disk.place, folder / "disk" / "out")
    report("disk", BEGIN)


if __name__ == "__main__":
    BEGIN = time.monotonic()
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4])
