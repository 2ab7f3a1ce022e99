"""A job that is killed: its driver, the log of what its workers computed, and what it said."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path


class Job:
    """A driver in a folder with `out`, `checkpoint`, `log` and `driver`; each row of the log is a process and an id."""

    def __init__(self, program: str, folder: Path, *arguments: str, out: str = "out", **environment: str) -> None:
        folder.mkdir(exist_ok=True)
        self.folder, self.log = folder, folder / "log"
        self.begun = len(self.lines())
        places = [folder.parent / "pictures", folder / out, folder / "checkpoint", self.log]
        command = [sys.executable, Path(__file__).with_name(program), *places, *arguments]
        with open(folder / "driver", "a") as said:
            self.before = said.tell()
            # A group of its own, so that what it started can be ended with it.
            self.driver = subprocess.Popen(
                command, stdout=said, stderr=said, env={**os.environ, **environment}, start_new_session=True
            )

    def lines(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []

    def wait_for(self, rows: int) -> int:
        """Waits until so many pictures were computed in this run; gives the process of the last one."""
        while len(lines := self.lines()) < self.begun + rows:
            if self.driver.poll() is not None:
                raise SystemExit(f"{self.folder.name}: expected {rows} more pictures, found the end:\n{self.said()}")
            time.sleep(0.02)
        return int(lines[-1].split()[0])

    def said(self, lines: int = 30) -> str:
        """The end of what this run said."""
        said = (self.folder / "driver").read_text()[self.before :]
        return "\n".join(said.splitlines()[-lines:])

    def end(self) -> None:
        if self.driver.wait() != 0:
            raise SystemExit(f"{self.folder.name}: expected a driver that ends well:\n{self.said()}")

    def fail(self, words: str) -> None:
        """Waits for an end with an error that has these words."""
        if self.driver.wait() == 0:
            raise SystemExit(f"{self.folder.name}: expected an error with {words!r}, found none")
        if words not in self.said(1000):
            raise SystemExit(f"{self.folder.name}: expected an error with {words!r}, found:\n{self.said()}")

    def kill(self) -> None:
        """Ends the driver and what it started itself."""
        os.killpg(self.driver.pid, signal.SIGKILL)
        self.driver.wait()

    def lost(self, worker: int) -> None:
        """Waits until a worker is gone, and writes down which it was."""
        end = time.monotonic() + 60
        while runs(worker):
            if time.monotonic() > end:
                raise SystemExit(f"{self.folder.name}: expected process {worker} to end, found it there after a minute")
            time.sleep(0.02)
        with open(self.folder / "killed", "a") as killed:
            killed.write(f"{worker}\n")


class Disk:
    """A small file system in memory, seen in this namespace alone."""

    def __init__(self, place: Path, bytes: int) -> None:
        self.place = place
        place.mkdir(parents=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={bytes}", "tmpfs", place], check=True)

    def change(self, options: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{options}", self.place], check=True)

    def files(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in sorted(self.place.glob("*.parquet"))}


def processes(word: bytes) -> set[int]:
    """Processes of this namespace whose program ends so, or that have it as an argument."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                arguments = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if arguments[0].endswith(word) or word in arguments:
                found.add(int(entry.name))
    return found


def ancestor(worker: int, word: bytes) -> int:
    """The process of this name from which a worker descends."""
    among = processes(word)
    while worker not in among:
        worker = int(status(worker)[1])
    return worker


def runs(process: int) -> bool:
    """Whether it has not ended. One whose parent was killed may never be waited for, and is listed for good."""
    try:
        return status(process)[0] != "Z"
    except FileNotFoundError:
        return False


def status(process: int) -> list[str]:
    """Its state, its parent's number, and more: what stands after the name in brackets."""
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()


def report(done: str, begin: float) -> None:
    print(f"{done}: {time.monotonic() - begin:.0f} s", flush=True)
