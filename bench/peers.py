"""Rivals, each in its own virtual environment, made on first use."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent

#: Models are to be the same on both sides, so these are installed as they are here.
SHARED = tuple(f"{name}=={version(name)}" for name in ("scikit-learn", "numpy"))
#: What each rival is installed from; pinned, so that a table can be made again.
PINS = {"retrainopt": ("retrainopt==0.4.2", *SHARED), "skforecast": ("skforecast==0.26.0", *SHARED)}
PINS["pandera"] = (
    "pandera==0.35.0",
    *(f"{name}=={version(name)}" for name in ("narwhals", "numpy", "pandas", "polars", "pyarrow")),
)
PINS["sliceline"] = ("sliceline==0.3.0", "numba==0.68.1", *SHARED)
# It asks for any arch, and the newest one fails with the newest pandas.
PINS["rliable"] = ("rliable==1.2.0", "arch==7.2.0", "pandas==2.3.3", f"numpy=={version('numpy')}")
PINS["bentoml"] = ("bentoml==1.4.40", "pandas", *SHARED)


def python_of(name: str) -> Path | None:
    """Return the interpreter of a rival's environment, or None (said in one line) if it cannot be installed."""
    folder = HERE / ".peers" / name
    python, done = folder / "bin" / "python", folder / "installed"
    pins = " ".join(PINS[name])
    if done.exists() and done.read_text() == pins:
        return python
    try:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True, capture_output=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *PINS[name]], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as problem:
        print(f"{PINS[name][0]} cannot be installed here and is left out ({type(problem).__name__}).")
        return None
    done.write_text(pins)
    return python


def run(name: str, script: str, question: Any) -> Any | None:
    """Run a script of this folder in a rival's environment: one JSON in, one JSON out."""
    python = python_of(name)
    if python is None:
        return None
    done = subprocess.run(
        [python, HERE / script], input=json.dumps(question), capture_output=True, text=True, check=False
    )
    if done.returncode:
        print(f"{name} failed and is left out: {done.stderr.strip().splitlines()[-1]}")
        return None
    return json.loads(done.stdout)


class Peer:
    """A rival that answers, one line of JSON for one, for as long as it is needed."""

    def __init__(self, python: Path, script: str) -> None:
        self._process = subprocess.Popen(
            [python, HERE / script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def ask(self, **question: Any) -> Any:
        """Return the rival's answer."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the rival's process ended")
        return json.loads(line)

    def close(self) -> None:
        """End it."""
        self._process.communicate()


def peer(name: str, script: str) -> Peer | None:
    """Start a rival, or return None if it cannot be installed."""
    python = python_of(name)
    return None if python is None else Peer(python, script)
