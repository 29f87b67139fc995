"""Modules that lie beside a file that is run: its own, whatever else has their names."""

from __future__ import annotations

import importlib
import io
import pickle
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from mlwild.digest import bytes_digest, digest
from mlwild.installed import installed_folders, recorded

#: Modules that go by a name of their own, by their folder and the name that its files know them by.
_held: dict[Path, dict[str, ModuleType]] = {}
#: Folders whose own modules are found at present, the latest last; one thread's alone.
_open: list[Path] = []
_one_at_a_time = threading.RLock()


class _Anew(SourceFileLoader):
    """Compiles a file, whatever is cached: what travels by value is pickled otherwise when it was read from a cache."""

    def get_code(self, fullname: str) -> CodeType:
        made: CodeType = self.source_to_code(self.get_data(self.path), self.path)
        return made


@dataclass(frozen=True)
class _Beside:
    """Finds the modules of some names in one folder alone; others have the names of some."""

    folder: Path
    names: frozenset[str]
    others: frozenset[str]

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        top = _top(name)
        if top not in self.names:
            return None
        found = PathFinder.find_spec(name, [str(self.folder)] if path is None else path, target)
        by_value = top in self.others or not _found_in(top, self.folder)
        if found is not None and by_value and isinstance(found.loader, SourceFileLoader):
            found.loader = _Anew(found.loader.name, found.loader.path)
        return found


@contextmanager
def from_folder(folder: Path, *, anew: bool = False) -> Iterator[None]:
    """
    Import modules that lie in a folder from there: not from where a process runs, nor those of another app.

    Installed packages come first. Modules that the process has of these names from elsewhere are aside meanwhile, and
    have them again afterwards: those of the folder then go by names of their own, and travel to workers by value. So
    do modules that the process would find elsewhere.

    Parameters
    ----------
    folder : Path
    anew : bool
        Whether modules that were imported from there before are imported once more.

    Notes
    -----
    What a function imports only when it is called is found as anywhere: by then the names are the process's again.
    Names are the whole process's: another thread waits.
    """
    folder = folder.resolve()
    with _one_at_a_time:
        if _open[-1:] == [folder]:  # an app within an exported model
            yield
        else:
            with _aside(folder, anew=anew):
                yield


@contextmanager
def _aside(folder: Path, *, anew: bool) -> Iterator[None]:
    names = _beside(folder)
    before = {name: module for name, module in sys.modules.items() if _top(name) in names}
    known = {} if anew else _held.get(folder, {})
    aside = {name: one for name, one in before.items() if anew or not _lies_in(one, folder / _top(name))}
    for name in aside:
        del sys.modules[name]
    sys.modules.update(known)
    others = frozenset(map(_top, aside))
    finder = _Beside(folder, names, others)
    sys.meta_path.insert(0, finder)
    _open.append(folder)
    try:
        yield
    finally:
        _open.pop()
        sys.meta_path.remove(finder)
        made = {name: one for name, one in sys.modules.items() if _top(name) in names and before.get(name) is not one}
        taken = {top for top in map(_top, made) if top in others or not _found_in(top, folder)}
        for name in [one for one in made if _top(one) in taken]:
            del sys.modules[name]
        sys.modules.update(aside)
        _hold(folder, {name: one for name, one in made.items() if _top(name) in taken})


def found_elsewhere(names: Iterable[str], folder: Path) -> list[str]:
    """
    Return the modules that lie in a folder, and that a process which asks for them by name is given from elsewhere.

    Parameters
    ----------
    names : iterable of str
    folder : Path
    """
    folder = folder.resolve()
    return sorted(
        name
        for name in _beside(folder).intersection(map(_top, names))
        if not (_lies_in(sys.modules[name], folder / name) if name in sys.modules else _found_in(name, folder))
    )


def own_modules(folder: Path) -> Mapping[str, ModuleType]:
    """Return the modules of a folder that go by names of their own, by those that its files know them by."""
    return _held.get(folder.resolve(), {})


def loads(data: bytes, own: Mapping[str, ModuleType]) -> Any:
    """
    Unpickle what an app made: what it names of a module that has a name of its own is found there.

    It may have been made where no other module had that name.

    Parameters
    ----------
    data : bytes
    own : mapping of str to ModuleType
        As `own_modules` gives them.
    """
    return _Own(data, own).load() if own else pickle.loads(data)


class _Own(pickle.Unpickler):
    def __init__(self, data: bytes, own: Mapping[str, ModuleType]) -> None:
        super().__init__(io.BytesIO(data))
        self._own = own

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("cloudpickle.cloudpickle", "subimport"):  # what stands for a module
            return lambda one: self._own.get(one) or importlib.import_module(one)
        found: Any = self._own.get(module)
        if found is None:
            return super().find_class(module, name)
        for part in name.split("."):
            found = getattr(found, part)
        return found


def number(module: ModuleType, content: str) -> None:
    """
    Give the classes of a module numbers that come of its content, where they travel by value.

    Drawn at random, they would give a model other digests.

    Parameters
    ----------
    module : ModuleType
    content : str
        Digest of its file.
    """
    _number(module, vars(module).values(), content)


def _number(module: ModuleType, things: Iterable[object], content: str) -> None:
    from cloudpickle import cloudpickle as inside  # the public part has no way to say it

    name = module.__spec__.name if module.__spec__ is not None else module.__name__
    numbers, lock = inside._DYNAMIC_CLASS_TRACKER_BY_CLASS, inside._DYNAMIC_CLASS_TRACKER_LOCK  # noqa: SLF001
    for thing in list(things):
        if isinstance(thing, type) and thing.__module__ == name and thing not in numbers:
            with lock:
                numbers[thing] = digest(name, content, thing.__qualname__)
            _number(module, vars(thing).values(), content)


def _hold(folder: Path, modules: dict[str, ModuleType]) -> None:
    """Keep modules by names of their own, by which they can be pickled."""
    import cloudpickle

    for name, module in modules.items():
        if _held.setdefault(folder, {}).get(name) is module:
            continue
        module.__name__ = f"mlwild_{digest(str(folder))[:12]}_{name}"
        sys.modules[module.__name__] = _held[folder][name] = module
        cloudpickle.register_pickle_by_value(module)
        if module.__file__ is not None:
            number(module, bytes_digest(Path(module.__file__).read_bytes()))


def _beside(folder: Path) -> frozenset[str]:
    found = {path.stem for path in folder.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    return frozenset(name for name in found if not _installed(name))


def _top(name: str) -> str:
    return name.partition(".")[0]


def _lies_in(module: ModuleType, place: Path) -> bool:
    file = getattr(module, "__file__", None)
    return file is not None and _is_at(file, place)


def _is_at(file: str, place: Path) -> bool:
    """Say whether a file is a module, or one of the package of that name, at a place; not in a folder within."""
    found = Path(file).resolve()
    return found == place.with_name(f"{place.name}.py") or found.is_relative_to(place)


def _found_in(name: str, folder: Path) -> bool:
    """Say whether a process that asks for a name is given what lies in a folder."""
    spec = PathFinder.find_spec(name)
    return spec is None or spec.origin is None or _is_at(spec.origin, folder / name)


def _installed(name: str) -> bool:
    """Say whether a module is built in or lies among what is installed; this package itself may lie elsewhere."""
    places = tuple(sys.path)
    folders = installed_folders(places)
    if name == __name__.partition(".")[0] or name in sys.builtin_module_names:
        return True
    if PathFinder.find_spec(name, folders) is not None:
        return True
    return any(name in recorded(place) for place in places if place and place not in folders)
