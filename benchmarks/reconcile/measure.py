"""Measures one command with all its processes: wall time, processor time, memory, bytes read.

    .venv/bin/python benchmarks/reconcile/measure.py COMMAND [ARGUMENT ...]

prints the command's output and then one line of JSON. Linux only: everything comes from /proc. `run.py` and
`benchmarks/bounded_memory.py` call `measure`; what the figures mean stands beside the fields of `Measurement`.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

EVERY = 0.1  # seconds between samples
# smaps_rollup walks the page tables: of a process with 10 GB that takes tens of milliseconds. Sampling itself may
# take this share of one core, not more; then the samples are fewer.
SHARE = 0.05
LINGER = 10  # seconds that processes may outlive the command before they are killed
_TICK = os.sysconf("SC_CLK_TCK")
_WORKER = b"pyspark.daemon"


@dataclass(frozen=True)
class Measurement:
    """What a command took. Megabytes are 2^20 bytes."""

    wall_s: float  # from before its start to its exit
    cpu_s: float  # of all processes
    peak_mb: int  # largest sum of the PSS of all processes, so that shared pages count once
    worker_mb: int  # largest resident size that any Python worker of Spark ever had (VmHWM); 0 without such workers
    worker_pss_mb: int  # largest PSS of any such worker
    bytes_read: int  # by read(): files, but pipes and sockets too; files that were mapped into memory do not count
    exit_code: int  # negative: ended by that signal
    timed_out: bool


def measure(
    command: list[str],
    time_limit: float | None = None,
    environment: Mapping[str, str] | None = None,
    stdout: int | None = None,
    stderr: int | None = None,
) -> Measurement:
    """Runs the command to its end, or kills it at the limit; leaves none of its processes behind."""
    began = time.perf_counter()
    # A session of its own: by its number those processes are found whose parent has died.
    job = subprocess.Popen(command, start_new_session=True, env=environment, stdout=stdout, stderr=stderr)
    watch = Watch(job.pid)
    try:
        ended = _wait(job.pid, time_limit)
        wall = time.perf_counter() - began
        # The command is a zombie now, not yet waited for: its counters still stand in /proc.
        watch.finish()
    finally:
        if job.poll() is None:
            kill_tree(job.pid)
            job.wait()
    _wait_for_the_rest(job.pid)
    return Measurement(
        wall_s=round(wall, 3),
        cpu_s=round(watch.ticks / _TICK, 2),
        peak_mb=watch.peak >> 20,
        worker_mb=watch.worker >> 20,
        worker_pss_mb=watch.worker_pss >> 20,
        bytes_read=watch.read,
        exit_code=job.returncode,
        timed_out=not ended,
    )


def _wait(pid: int, limit: float | None) -> bool:
    """Returns at the moment when the process ends, without polling; False if the limit came first."""
    descriptor = os.pidfd_open(pid)
    try:
        return bool(select.select([descriptor], [], [], limit)[0])
    finally:
        os.close(descriptor)


def _wait_for_the_rest(session: int) -> None:
    """A JVM may close down after the command's exit: the next command must not be measured beside it."""
    give_up = time.monotonic() + LINGER
    while tree(session):
        if time.monotonic() > give_up:
            kill_tree(session)
        time.sleep(0.02)


class Watch:
    """Samples a tree of processes in a thread until `finish`; keeps the largest sums.

    Linux adds what a child has read, and its processor time, to the parent that waits for it. So the sum over the
    processes that live is complete at any time, where a sum over the last values of each would count some twice.
    """

    def __init__(self, root: int) -> None:
        self.peak = self.worker = self.worker_pss = self.read = self.ticks = 0
        self._root = root
        self._others: set[int] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def finish(self) -> None:
        self._stop.set()
        self._thread.join()
        self._sample()

    def _watch(self) -> None:
        pause = 0.0
        while not self._stop.wait(pause):
            began = time.thread_time()  # not the wall time, which grows when the command keeps all cores busy
            self._sample()
            pause = max(EVERY, (time.thread_time() - began) / SHARE)

    def _sample(self) -> None:
        processes = tree(self._root, self._others)
        sizes = {pid: _pss(pid) for pid in processes}
        self.peak = max(self.peak, sum(sizes.values()))
        self.read = max(self.read, sum(map(_bytes_read, processes)))
        self.ticks = max(self.ticks, sum(processes.values()))
        for pid, size in sizes.items():
            if _WORKER in _content(pid, "cmdline"):
                self.worker_pss = max(self.worker_pss, size)
                self.worker = max(self.worker, _field(pid, "status", b"VmHWM:") << 10)


def tree(root: int, others: set[int] | None = None) -> dict[int, int]:
    """Returns every process of the root's session or below one of them, with its processor time in clock ticks.

    `others` remembers who is none of them, from call to call: nobody joins the tree later but by being born in it.
    """
    others = set() if others is None else others
    parents: dict[int, int] = {}
    ticks: dict[int, int] = {}
    members: set[int] = set()
    for pid in {int(entry) for entry in os.listdir("/proc") if entry.isdigit()} - others:
        if stat := _content(pid, "stat"):
            # The name before the last bracket may itself hold blanks and brackets.
            fields = stat[stat.rindex(b")") + 2 :].split()
            parents[pid] = int(fields[1])
            ticks[pid] = sum(map(int, fields[11:15]))  # its own and those of the children that it has waited for
            if int(fields[3]) == root:
                members.add(pid)
    while grown := {pid for pid, parent in parents.items() if parent in members} - members:
        members |= grown
    others |= parents.keys() - members
    return {pid: ticks[pid] for pid in sorted(members)}


def kill_tree(root: int) -> None:
    for pid in tree(root):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def _pss(pid: int) -> int:
    return _field(pid, "smaps_rollup", b"Pss:") << 10


def _bytes_read(pid: int) -> int:
    return _field(pid, "io", b"rchar:")


def _field(pid: int, file: str, name: bytes) -> int:
    """Returns a number of a file below /proc/PID, or 0 where the process has ended."""
    for line in _content(pid, file).splitlines():
        if line.startswith(name):
            return int(line.split()[1])
    return 0


def _content(pid: int, file: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{file}").read_bytes()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return b""


def end_in_order() -> None:
    """Lets SIGTERM unwind the calling script: `measure` then kills what it started, which has a session of its own."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


if __name__ == "__main__":
    end_in_order()
    result = measure(sys.argv[1:])
    print(json.dumps(asdict(result)))
    sys.exit(result.exit_code)
