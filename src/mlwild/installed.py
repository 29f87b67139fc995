"""What is installed, and what is the user's own: the one has a version, the other is looked into."""

from __future__ import annotations

import site
import sys
import sysconfig
from functools import cache
from pathlib import Path

#: What folders of installed packages are called, those of the user and of the system among them.
_NAMES = ("site-packages", "dist-packages")


def is_installed(file: str) -> bool:
    """
    Say whether a file belongs to Python or to an installed package, wherever that was installed to.

    Packages lie in the folders of this Python, in those of the user or of the system, or in any folder
    (``pip install --target``) where the record of a distribution names them. One that is installed to be edited lies
    with its source, and is the user's own.

    Parameters
    ----------
    file : str
        Absolute.

    Examples
    --------
    >>> import json, numpy
    >>> is_installed(json.__file__), is_installed(numpy.__file__), is_installed("/home/me/churn.py")
    (True, True, False)
    """
    return _is_installed(file, tuple(sys.path))


@cache
def _is_installed(file: str, places: tuple[str, ...]) -> bool:
    found = Path(file)
    if any(found.is_relative_to(folder) for folder in installed_folders(places)):
        return True
    # A folder with the file's package and a record of it, on the path or not: beside an app it need not be.
    return any(found.relative_to(place).parts[0].partition(".")[0] in recorded(str(place)) for place in found.parents)


@cache
def installed_folders(places: tuple[str, ...]) -> tuple[str, ...]:
    """Return the folders of nothing but Python's own modules and installed packages."""
    paths = sysconfig.get_paths()
    known = [paths[one] for one in ("stdlib", "platstdlib", "purelib", "platlib")]
    users = site.getusersitepackages() if site.ENABLE_USER_SITE else None
    found = [*known, *site.getsitepackages(), *([users] if users else [])]
    return tuple(dict.fromkeys([*found, *(place for place in places if Path(place).name in _NAMES)]))


@cache
def recorded(folder: str) -> frozenset[str]:
    """Return the modules and packages that distributions have recorded as installed to a folder."""
    made: set[str] = set()
    for record in Path(folder).glob("*.dist-info/RECORD"):
        try:
            lines = record.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:  # somebody else's, in a folder above: what it names is not ours to read, and no reason to end
            continue
        for line in lines:
            top = line.partition(",")[0].strip('"').partition("/")[0]
            made.add(top.partition(".")[0])
    return frozenset(made - {""})
