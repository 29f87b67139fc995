"""Modules that lie beside an exported app: read from its folder, whatever else has their names."""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType


@dataclass(frozen=True)
class _Beside:
    """Finds the modules of some names in one folder alone."""

    folder: Path
    names: frozenset[str]

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return PathFinder.find_spec(name, [str(self.folder)], target) if path is None and name in self.names else None


@contextmanager
def from_folder(folder: Path) -> Iterator[None]:
    """
    Import modules that lie in a folder from there: not from where a process runs, nor those of another model.

    Installed packages come first, as where the app went live. Modules that the process had of these names are aside
    meanwhile, and have them again afterwards.

    Parameters
    ----------
    folder : Path

    Notes
    -----
    What a function imports only when it is called is found as anywhere: by then the names are the process's again.
    """
    beside = {path.stem for path in folder.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    finder = _Beside(folder, frozenset(name for name in beside if not _installed(name)))
    before = {name: module for name, module in sys.modules.items() if name.split(".")[0] in finder.names}
    for name in before:
        del sys.modules[name]
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        back = {name.split(".")[0] for name in before}
        for name in [one for one in sys.modules if one.split(".")[0] in back]:
            del sys.modules[name]
        sys.modules.update(before)


def _installed(name: str) -> bool:
    """Say whether a module is built in or lies among what is installed; this package itself may lie elsewhere."""
    paths = sysconfig.get_paths()
    installed = [paths[one] for one in ("stdlib", "platstdlib", "purelib", "platlib")]
    ours = name == __name__.partition(".")[0]
    return ours or name in sys.builtin_module_names or PathFinder.find_spec(name, installed) is not None
