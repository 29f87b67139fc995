"""What a process of its own takes: seconds, and the peak memory of it and of its workers (Linux)."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
POLL_SECONDS = 0.05
ENVIRONMENT = os.environ | {
    "PYTHONPATH": os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")]).strip(os.pathsep)
}


@dataclass(frozen=True)
class Memory:
    """
    Peak memory in MB.

    Parameters
    ----------
    main, worker : float
        Greatest resident size of the main process, and of the largest of its workers (0 if none).
    together : float
        Greatest sum over all processes at one time, pages shared by several counted once.
    """

    main: float
    worker: float
    together: float


def _field(path: Path, name: str) -> float:
    """Return a field of a /proc file in MB; 0 for a process that has gone."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(name)), 0.0)


def _family(root: int) -> list[int]:
    """Return a process and all that descend from it."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
    found = [root]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found


def peak_memory(*arguments: str) -> Memory:
    """Run Python with some arguments to its end, and watch its memory."""
    process = subprocess.Popen([sys.executable, *arguments], env=ENVIRONMENT)
    largest: dict[int, float] = {}
    together = 0.0
    while process.poll() is None:
        family = _family(process.pid)
        for pid in family:
            largest[pid] = max(largest.get(pid, 0.0), _field(Path(f"/proc/{pid}/status"), "VmHWM:"))
        together = max(together, sum(_field(Path(f"/proc/{pid}/smaps_rollup"), "Pss:") for pid in family))
        time.sleep(POLL_SECONDS)
    if process.returncode:
        raise RuntimeError(f"the process ended with {process.returncode}")
    main = largest.pop(process.pid)
    return Memory(main, max(largest.values(), default=0.0), together)


def rehearsal_memory(module: str, app: str, store: Path, jobs: int) -> Memory:
    """Rehearse an app, given as an expression of a module of this folder, in a process of its own."""
    code = f"import mlwild, {module}; mlwild.rehearse({module}.{app}, store={str(store)!r}, jobs={jobs})"
    return peak_memory("-c", code)


def import_seconds(statement: str) -> float:
    """Return the seconds that a statement takes in a new process."""
    code = f"import time; began = time.perf_counter(); {statement}; print(time.perf_counter() - began)"
    return float(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)
