"""Write a starter app that runs as it is."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

from mlwild.errors import AppError, StoreError


def new(path: str | Path) -> Path:
    """
    Write a commented app file to start from.

    Parameters
    ----------
    path : str or Path
        A ``.py`` file that does not exist yet.

    Returns
    -------
    Path

    Raises
    ------
    AppError
        If the file exists, or is not a ``.py`` file in an existing folder.
    """
    file = Path(path)
    if file.suffix != ".py":
        raise AppError(f"app: {str(path)!r} does not end in .py.")
    if file.exists():
        raise AppError(f"app: {str(path)!r} exists already; nothing was written.")
    if not file.absolute().parent.is_dir():
        raise AppError(f"app: there is no folder {str(file.parent)!r}.")
    name = re.sub(r"[^A-Za-z0-9_-]", "-", file.stem).strip("-") or "app"
    text = (files("mlwild") / "starter.py.txt").read_text(encoding="utf-8")
    title = name.replace("_", " ").replace("-", " ").capitalize()
    for mark, word in (("@TITLE@", title), ("@FILE@", file.name), ("@NAME@", name)):
        text = text.replace(mark, word)
    try:
        with file.open("x", encoding="utf-8") as out:
            out.write(text)
    except OSError as problem:
        raise StoreError(f"app: {str(path)!r} cannot be written: {problem.strerror}.") from problem
    return file
