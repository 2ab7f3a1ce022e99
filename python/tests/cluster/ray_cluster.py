"""ray_cluster.py FOLDER MODEL SEED TEMPORARY: a cluster of three raylets, of which something is killed in each scenario; alone in a namespace.

Writes what each scenario leaves to FOLDER/SCENARIO/{out,log}.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from job import Disk, Job, processes, report

PORT = 6399
RAY = Path(sys.executable).with_name("ray")
#: Bytes: less than a job writes, and more.
SMALL, LARGE = 20_000, 10_000_000


class Cluster:
    """A head without processors and two nodes with some."""

    def __init__(self, temporary: str) -> None:
        self.start("--head", f"--port={PORT}", "--num-cpus=0", "--include-dashboard=false", f"--temp-dir={temporary}")
        self.nodes = [self.node(), self.node()]

    def start(self, *arguments: str) -> int:
        """Starts a node; gives its raylet."""
        before = processes(b"/raylet")
        memory = "--object-store-memory=100000000"
        command = [RAY, "start", "--node-ip-address=127.0.0.1", "--disable-usage-stats", memory, *arguments]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            raise RuntimeError(f"expected a node of Ray, found status {done.returncode}: {done.stdout}")
        (raylet,) = processes(b"/raylet") - before
        return raylet

    def node(self) -> int:
        return self.start(f"--address=127.0.0.1:{PORT}", "--num-cpus=3")

    def kill_node(self) -> None:
        os.kill(self.nodes.pop(0), signal.SIGKILL)


def main(folder: Path, model: str, seed: int, temporary: str) -> None:
    moment = random.Random(seed).randrange
    cluster = Cluster(temporary)
    report("cluster", BEGIN)

    def begin(scenario: str, out: str = "out") -> Job:
        return Job("ray_job.py", folder / scenario, model, out=out, RAY_ADDRESS=f"127.0.0.1:{PORT}")

    job = begin("actor")
    os.kill(job.wait_for(moment(20, 60)), signal.SIGKILL)
    job.end()
    report("actor", BEGIN)

    for least, most in [(40, 80), (10, 30)]:
        job = begin("driver")
        job.wait_for(moment(least, most))
        job.kill()
    begin("driver").end()
    report("driver", BEGIN)

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
    job.wait_for(moment(20, 60))
    cluster.kill_node()
    job.end()
    report("raylet", BEGIN)


if __name__ == "__main__":
    BEGIN = time.monotonic()
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4])
