"""ray_cluster.py FOLDER MODEL SEED TEMPORARY: a cluster of three raylets, of which something is killed in each scenario; alone in a namespace.

Writes what each scenario leaves to FOLDER/SCENARIO/{out,log}. Disks and raylets fail under OCELLI_FULL=1 alone.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from job import Disk, Job, ancestor, report

PORT = 6399
RAY = Path(sys.executable).with_name("ray")
#: Bytes: less than a job writes, and more.
SMALL, LARGE = 20_000, 10_000_000


def start(*arguments: str) -> None:
    """Starts a node."""
    command = [RAY, "start", "--node-ip-address=127.0.0.1", "--disable-usage-stats", "--object-store-memory=100000000", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise RuntimeError(f"expected a node of Ray, found status {done.returncode}: {done.stdout}")


def start_cluster(temporary: str) -> None:
    """A head without processors and two nodes with some."""
    start("--head", f"--port={PORT}", "--num-cpus=0", "--include-dashboard=false", f"--temp-dir={temporary}")
    for _ in range(2):
        start(f"--address=127.0.0.1:{PORT}", "--num-cpus=3")


def main(folder: Path, model: str, seed: int, temporary: str) -> None:
    moment = random.Random(seed).randrange
    start_cluster(temporary)
    report("cluster", BEGIN)

    def begin(scenario: str, out: str = "out") -> Job:
        return Job("ray_job.py", folder / scenario, model, out=out, RAY_ADDRESS=f"127.0.0.1:{PORT}")

    job = begin("actor")
    worker = job.wait_for(moment(20, 60))
    os.kill(worker, signal.SIGKILL)
    job.lost(worker)
    job.end()
    report("actor", BEGIN)

    for least, most in [(40, 80), (10, 30)]:
        job = begin("driver")
        worker = job.wait_for(moment(least, most))
        job.kill()
        job.lost(worker)
    begin("driver").end()
    report("driver", BEGIN)

    if os.environ.get("OCELLI_FULL") != "1":
        return

    disk = Disk(folder / "disk" / "small", SMALL)
    begin("disk", "small").fail("No space left on device")
    written = disk.files()
    disk.change(f"ro,size={LARGE}")
    begin("disk", "small").fail("Read-only file system")
    disk.change("rw")
    begin("disk", "small").end()
    shutil.copytree(disk.place, folder / "disk" / "out")
    (folder / "disk" / "kept").write_text("".join(f"{name}\n" for name, file in written.items() if disk.files().get(name) == file))
    report("disk", BEGIN)

    job = begin("raylet")
    worker = job.wait_for(moment(20, 60))
    os.kill(ancestor(worker, b"/raylet"), signal.SIGKILL)
    job.lost(worker)
    job.end()
    report("raylet", BEGIN)


if __name__ == "__main__":
    BEGIN = time.monotonic()
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4])
