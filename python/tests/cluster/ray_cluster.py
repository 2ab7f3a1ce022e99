"""ray_cluster.py FOLDER MODEL SEED TEMPORARY: a cluster of three raylets, of which something is killed in each scenario; alone in a namespace.

Writes what each scenario leaves to FOLDER/SCENARIO/{out,log}.
"""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

PORT = 6399
JOB = Path(__file__).with_name("ray_job.py")
RAY = Path(sys.executable).with_name("ray")


class Cluster:
    """A head without processors and two nodes with some."""

    def __init__(self, temporary: str) -> None:
        self.start("--head", f"--port={PORT}", "--num-cpus=0", "--include-dashboard=false", f"--temp-dir={temporary}")
        self.nodes = [self.node(), self.node()]

    def start(self, *arguments: str) -> int:
        """Starts a node; gives its raylet."""
        before = raylets()
        memory = "--object-store-memory=100000000"
        command = [RAY, "start", "--node-ip-address=127.0.0.1", "--disable-usage-stats", memory, *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        (raylet,) = raylets() - before
        return raylet

    def node(self) -> int:
        return self.start(f"--address=127.0.0.1:{PORT}", "--num-cpus=3")

    def kill_node(self) -> None:
        os.kill(self.nodes.pop(0), signal.SIGKILL)


def raylets() -> set[int]:
    """Raylets of this namespace."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                command = (entry / "cmdline").read_bytes().split(b"\0")[0]
            except OSError:
                continue
            if command.endswith(b"/raylet"):
                found.add(int(entry.name))
    return found


class Job:
    """A driver, and the log of its actors."""

    def __init__(self, folder: Path, model: str) -> None:
        folder.mkdir(exist_ok=True)
        self.folder, self.log = folder, folder / "log"
        self.begun = len(self.lines())
        arguments = [folder.parent / "pictures", model, folder / "out", folder / "checkpoint", self.log]
        with open(folder / "driver", "a") as said:
            environment = {**os.environ, "RAY_ADDRESS": f"127.0.0.1:{PORT}"}
            command = [sys.executable, JOB, *map(str, arguments)]
            self.driver = subprocess.Popen(command, stdout=said, stderr=said, env=environment)

    def lines(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []

    def wait_for(self, rows: int) -> str:
        """Waits until so many pictures were computed in this run; gives the process of the last one."""
        while len(lines := self.lines()) < self.begun + rows:
            if self.driver.poll() is not None:
                raise SystemExit(f"{self.folder.name}: expected {rows} more pictures, found the end:\n{self.said()}")
            time.sleep(0.02)
        return lines[-1].split()[0]

    def said(self) -> str:
        return "\n".join((self.folder / "driver").read_text().splitlines()[-30:])

    def end(self) -> None:
        if self.driver.wait() != 0:
            raise SystemExit(f"{self.folder.name}: expected a driver that ends well:\n{self.said()}")


def main(folder: Path, model: str, seed: int, temporary: str) -> None:
    moment = random.Random(seed).randrange
    cluster = Cluster(temporary)
    print(f"cluster: {time.monotonic() - BEGIN:.0f} s", flush=True)

    job = Job(folder / "actor", model)
    os.kill(int(job.wait_for(moment(20, 60))), signal.SIGKILL)
    job.end()
    print(f"actor: {time.monotonic() - BEGIN:.0f} s", flush=True)

    job = Job(folder / "driver", model)
    job.wait_for(moment(40, 80))
    job.driver.kill()
    job.driver.wait()
    job = Job(folder / "driver", model)
    job.wait_for(moment(10, 30))
    job.driver.kill()
    job.driver.wait()
    Job(folder / "driver", model).end()
    print(f"driver: {time.monotonic() - BEGIN:.0f} s", flush=True)

    job = Job(folder / "raylet", model)
    job.wait_for(moment(20, 60))
    cluster.kill_node()
    job.end()
    print(f"raylet: {time.monotonic() - BEGIN:.0f} s", flush=True)


if __name__ == "__main__":
    BEGIN = time.monotonic()
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4])
