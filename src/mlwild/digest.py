"""Digests of content: of table rows, of files, and of the code that makes a model."""

from __future__ import annotations

import contextlib
import copyreg
import dis
import functools
import hashlib
import importlib.metadata
import sys
import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlwild.installed import is_installed

RowHashes = NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_NULL = np.uint64(0xA5A5A5A5DEADBEEF)


def digest(*parts: Any) -> str:
    """
    Return a hexadecimal digest of texts, bytes, numbers and arrays, in order.

    Examples
    --------
    >>> digest("a", 1) == digest("a", 1), digest("a", 1) == digest("a1")
    (True, False)
    """
    state = hashlib.blake2b(digest_size=16)
    for part in parts:
        if isinstance(part, np.ndarray):
            data = np.ascontiguousarray(part)
            state.update(f"array {data.dtype.str} {data.shape}".encode())
            state.update(data.view(np.uint8).data if data.size else b"")
        else:
            text = part if isinstance(part, bytes) else repr(part).encode()
            state.update(f"{len(text)}:".encode())
            state.update(text)
    return state.hexdigest()


def file_digest(path: Path) -> str:
    """Return the digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def bytes_digest(data: bytes) -> str:
    """Return the digest that a file of these bytes has."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def _mix(values: RowHashes) -> RowHashes:
    # splitmix64's finaliser (Steele, Lea, Flood 2014): every input bit moves every output bit.
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def row_hashes(table: Any) -> RowHashes:
    """
    Return a 64-bit hash of each row of an Arrow table: of its values, names and types.

    Missing is neither NaN nor zero; a dictionary-encoded column and one of plain text differ, as all
    types do; chunks and the order of a dictionary do not count.

    Parameters
    ----------
    table : pyarrow.Table of shape (n_rows, n_columns)

    Returns
    -------
    ndarray of uint64, shape (n_rows,)

    Examples
    --------
    >>> import pyarrow as pa
    >>> hashes = row_hashes(pa.table({"x": [1.0, 2.0, 1.0]}))
    >>> bool(hashes[0] == hashes[2]), bool(hashes[0] == hashes[1])
    (True, False)
    """
    total = np.zeros(table.num_rows, dtype=np.uint64)
    with np.errstate(over="ignore"):
        for name, column in zip(table.column_names, table.columns, strict=True):
            salt = np.uint64(int(digest(name, str(column.type))[:16], 16))
            total = _mix(total * _GOLDEN + _column_hashes(column) + salt)
    return total


def _column_hashes(column: Any) -> RowHashes:
    import pyarrow as pa
    import pyarrow.compute as pc

    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(array, pa.ChunkedArray):  # pyarrow keeps an empty or huge column chunked
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    missing = array.is_null().to_numpy(zero_copy_only=False) if array.null_count else None
    kind = array.type
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind):
        if pa.types.is_boolean(kind):
            array = array.cast(pa.uint8())
        if missing is not None:
            array = pc.fill_null(array, pa.scalar(0, array.type))
        values = array.to_numpy(zero_copy_only=False)
        if values.dtype.itemsize < 8:
            values = values.astype(np.float64 if values.dtype.kind == "f" else np.int64)
        hashes = values.view(np.uint64) * np.uint64(1)
    elif pa.types.is_temporal(kind):
        wide = array.cast(pa.int64()) if kind.bit_width == 64 else array.cast(pa.int32())
        return _column_hashes(wide)
    else:
        if not pa.types.is_dictionary(kind):
            try:
                array = array.dictionary_encode()
            except pa.ArrowNotImplementedError:  # lists, structs: by their text
                array = pa.array([repr(value) for value in array.to_pylist()]).dictionary_encode()
        words = array.dictionary.to_pylist()
        table = np.array([int(digest(word)[:16], 16) for word in words] or [0], dtype=np.uint64)
        codes = pc.fill_null(array.indices, 0).to_numpy(zero_copy_only=False)
        hashes = table[codes.astype(np.int64)] if len(codes) else np.zeros(0, np.uint64)
    mixed = _mix(hashes)
    return np.where(missing, _NULL, mixed) if missing is not None else mixed


def fingerprint(thing: Any) -> str:
    """
    Return a digest of what an object does: code, settings and versions, not line numbers.

    A function counts with its instructions, its defaults, the values it closes over and the functions
    and values of the user's own files that it names; an estimator with its class and parameters; a
    table with its rows; whatever comes from an installed package with that package's version. Not
    seen: what a function imports inside its body, and the inside of a lock or a connection.

    Examples
    --------
    >>> def half(x): return x / 2
    >>> def other(x): return x / 3
    >>> fingerprint(half) == fingerprint(other)
    False
    """
    return digest(*_describe(thing, _Walk()))


@dataclass(frozen=True)
class _Walk:
    """
    Where a description has come to.

    Parameters
    ----------
    path : set of int
        Ids on the way down, against cycles.
    told : dict
        The user's functions and classes so far, and of their modules what was asked of each. All is told once: of code
        that names other code, and is named by it, there are more ways through it than anybody can wait for.
    """

    path: set[int] = field(default_factory=set)
    told: dict[tuple[int, frozenset[str]], tuple[int, Any]] = field(default_factory=dict)

    def again(self, thing: Any, names: frozenset[str] = frozenset()) -> str:
        """Return a word for what was told before; empty, and take it down, the first time."""
        if (id(thing), names) in self.told:
            return f"again {self.told[id(thing), names][0]}"
        self.told[id(thing), names] = len(self.told), thing  # held, so that nothing else gets its id
        return ""

    def aside(self) -> _Walk:
        """Return a walk that goes on from here and leaves no trace."""
        return _Walk(set(self.path), dict(self.told))


def _describe(thing: Any, walk: _Walk) -> Iterable[Any]:
    """Yield what tells a thing apart."""
    if thing is None or isinstance(thing, bool | int | float | complex | str | bytes):
        yield repr(thing)
    elif id(thing) in walk.path:
        yield "cycle"
    else:
        walk.path.add(id(thing))
        yield from _describe_inside(thing, walk)
        walk.path.discard(id(thing))


def _describe_inside(thing: Any, walk: _Walk) -> Iterable[Any]:
    if isinstance(thing, np.ndarray) and thing.dtype.kind != "O":
        yield digest(thing)
    elif isinstance(thing, np.generic):
        yield repr(thing)
    elif isinstance(thing, Mapping):
        yield "mapping"
        for word, value in sorted(((_word(key, walk), value) for key, value in thing.items()), key=itemgetter(0)):
            yield word
            yield from _describe(value, walk)
    elif isinstance(thing, set | frozenset):
        yield "set"
        yield from sorted(digest(*_describe(item, walk.aside())) for item in thing)  # in no order
    elif isinstance(thing, list | tuple | np.ndarray):
        yield f"sequence {len(thing)}"
        for item in thing:
            yield from _describe(item, walk)
    elif isinstance(thing, functools.partial):
        yield "partial"
        yield from _describe((thing.func, thing.args, thing.keywords), walk)
    elif isinstance(thing, types.MethodType):
        yield "method"
        yield from _describe((thing.__self__, thing.__func__), walk)
    elif isinstance(thing, types.FunctionType):
        yield from _describe_function(thing, walk)
    elif isinstance(getattr(thing, "__wrapped__", None), types.FunctionType):  # functools.cache
        yield "wrapped"
        yield from _describe(thing.__wrapped__, walk)
    elif isinstance(thing, types.BuiltinFunctionType) and not isinstance(thing.__self__, types.ModuleType | None):
        yield f"bound {thing.__name__}"  # the get of some dictionary
        yield from _describe(thing.__self__, walk)
    elif isinstance(thing, types.ModuleType | types.BuiltinFunctionType):
        yield from _origin(getattr(thing, "__module__", None) or thing.__name__, thing.__name__)
    elif isinstance(thing, type):
        yield from _describe_class(thing, walk)
    else:
        yield from _describe_class(type(thing), walk)
        # An estimator is what its parameters are; any other object what it would be pickled as.
        parameters = getattr(thing, "get_params", None)
        # One that refuses to be cloned (a frozen estimator) is what it was fitted to.
        clone = getattr(type(thing), "__sklearn_clone__", None)
        if clone is not None and clone.__module__ != "sklearn.base":
            state: Any = _pickled(thing)
        else:
            state = parameters(deep=False) if callable(parameters) else _state(thing)
        yield from _describe(state, walk)


def _word(key: Any, walk: _Walk) -> str:
    """Return what stands for a key; a function's own word is its address, which is another in each process."""
    said = repr(key)
    return digest(*_describe(key, walk.aside())) if " at 0x" in said else said


def _pickled(thing: Any) -> str:
    import cloudpickle

    return digest(cloudpickle.dumps(thing))


def _state(thing: Any) -> Any:
    """Return what an object is made of, or a word for one that cannot be looked into."""
    if hasattr(thing, "__arrow_c_stream__"):
        import pyarrow as pa

        with contextlib.suppress(pa.ArrowException, TypeError, ValueError):  # a series, mixed objects
            return digest(row_hashes(pa.table(thing)))
    try:
        reduce = copyreg.dispatch_table.get(type(thing))
        parts = reduce(thing) if reduce else thing.__reduce_ex__(4)
    except Exception:  # noqa: BLE001  a lock, a connection, a generator: each refuses in its own way
        return "opaque"
    return parts if isinstance(parts, str) else [list(p) if isinstance(p, Iterator) else p for p in parts]


def _describe_function(function: types.FunctionType, walk: _Walk) -> Iterable[Any]:
    if not is_users(function.__module__):
        yield from _origin(function.__module__, function.__qualname__)
        return
    if again := walk.again(function):
        yield again
        return
    yield "function"
    yield from _describe_code(function.__code__)
    yield from _describe((function.__defaults__, function.__kwdefaults__), walk)
    yield from _describe([_inside(cell) for cell in function.__closure__ or ()], walk)
    yield from _describe_names(names_in(function.__code__), function.__globals__, walk)


def _inside(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return "empty cell"


def _describe_names(names: set[str], space: Mapping[str, Any], walk: _Walk) -> Iterable[Any]:
    """Yield what the names of a piece of code stand for, in the user's modules too: ``helpers.clean``."""
    for name in sorted(names & set(space)):
        yield name
        value = space[name]
        if not (isinstance(value, types.ModuleType) and is_users(value.__name__)):
            yield from _describe(value, walk)
        elif again := walk.again(value, frozenset(names)):
            yield again
        else:
            yield from _describe_names(names, vars(value), walk)


def names_in(code: types.CodeType) -> set[str]:
    """Return the global names and attributes that a piece of code speaks of, in its inner functions too."""
    inner = [const for const in code.co_consts if isinstance(const, types.CodeType)]
    return set(code.co_names).union(*(names_in(part) for part in inner))


def _describe_code(code: types.CodeType) -> Iterable[Any]:
    """Yield instructions with what they speak of: the positions of constants shift with docstrings."""
    yield repr((code.co_varnames, code.co_argcount, code.co_kwonlyargcount))
    yield getattr(code, "co_exceptiontable", b"")
    for step in dis.get_instructions(code):
        yield step.opname
        if isinstance(step.argval, types.CodeType):
            yield from _describe_code(step.argval)
        elif isinstance(step.argval, frozenset):
            yield repr(sorted(step.argval, key=repr))
        else:
            yield repr(step.argval)


def _describe_class(kind: type, walk: _Walk) -> Iterable[Any]:
    yield from _origin(kind.__module__, kind.__qualname__)
    if is_users(kind.__module__) and (again := walk.again(kind)):
        yield again
    elif is_users(kind.__module__):
        for base in kind.__bases__:
            yield from _describe(base, walk)
        for name, value in sorted(vars(kind).items()):
            if isinstance(value, property):
                yield name
                yield from _describe([value.fget, value.fset, value.fdel], walk)
            elif isinstance(value, types.FunctionType | staticmethod | classmethod):
                yield name
                yield from _describe(getattr(value, "__func__", value), walk)
            elif not name.startswith("__"):
                yield name
                yield from _describe(value, walk)


def is_users(module: str | None) -> bool:
    """Say whether a module is the user's own rather than installed or built in."""
    loaded = sys.modules.get(module or "")
    path = getattr(loaded, "__file__", None)
    if loaded is not None and path is None:
        return module == "__main__"
    if path is None:
        return True
    return not is_installed(path) and not (module or "").startswith("mlwild.")


@functools.cache
def _origin(module: str | None, name: str) -> tuple[str, ...]:
    top = (module or "").split(".")[0]
    return (str(module), name, version(top))


@functools.cache
def version(package: str) -> str:
    """Return the installed version of an import name, or an empty text."""
    names = {"sklearn": "scikit-learn", "PIL": "pillow"}
    try:
        return importlib.metadata.version(names.get(package, package))
    except importlib.metadata.PackageNotFoundError:
        return str(getattr(sys.modules.get(package), "__version__", ""))
