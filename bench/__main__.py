"""Run every bench, one after the other."""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main() -> None:
    """Run each script in a process of its own; one that fails does not stop the others."""
    failed = []
    for name in (
        "overhead",
        "scale",
        "backtests",
        "contest",
        "splits",
        "monitors",
        "comparisons",
        "drift",
        "labelfree",
        "contracts",
        "digits",
        "slices",
        "operate",
        "promises",
        "tables",
        "runs",
        "compute",
        "features",
        "guards",
        "serve",
    ):
        print(f"\n== {name}", flush=True)
        if subprocess.run([sys.executable, HERE / f"{name}.py"], check=False).returncode:
            failed.append(name)
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
