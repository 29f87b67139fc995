"""What commands share: arguments, and files that are written."""

from __future__ import annotations

import json
import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mlwild.compute import Jobs, Ray
from mlwild.errors import AppError


class Compute(StrEnum):
    """Where fits are made."""

    joblib = "joblib"
    ray = "ray"


ComputeOption = Annotated[
    Compute, typer.Option("--compute", help="Where fits are made: processes of this machine, or a Ray cluster.")
]

AppFile = Annotated[Path, typer.Argument(help="The app file, such as flights.py.", show_default=False)]


def folder_named(value: str) -> str:
    """Refuse a folder that is a file: what looks into it would find nothing, and call that well."""
    if Path(value).is_file():
        raise typer.BadParameter(f"{value!r} is a file. Name a folder; it is made if it is not there.")
    return value


StoreOption = Annotated[str, typer.Option("--store", help="Folder that keeps what was fitted.", callback=folder_named)]


def can_write(path: Path | None, option: str) -> None:
    """Refuse before the work is done, not after."""
    if path is None:
        return
    if path.is_dir():
        raise AppError(f"{option}: {str(path)!r} is a folder. Name a file in it.")
    if not path.absolute().parent.is_dir():
        raise AppError(f"{option}: there is no folder {str(path.parent)!r}.")
    if not os.access(path if path.exists() else path.absolute().parent, os.W_OK):
        raise AppError(f"{option}: {str(path)!r} cannot be written: no leave, or a read-only disk. Name another file.")


def write_json(path: Path | None, facts: object) -> None:
    """Write plain data as JSON, where a file is named."""
    if path is not None:
        write(path, json.dumps(facts, indent=1, allow_nan=False, ensure_ascii=False) + "\n")


def write(path: Path, text: str) -> None:
    """Write a text whole or not at all."""
    from mlwild.disk import write_atomically

    write_atomically(path, lambda file: file.write(text.encode()))


def jobs_of(compute: Compute, jobs: int | None) -> Jobs:
    """Return what makes the fits."""
    return Ray(cpus=jobs) if compute is Compute.ray else jobs
