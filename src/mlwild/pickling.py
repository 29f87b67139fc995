"""Pickles that are the same for the same thing: wherever its code stands, and whichever process makes them."""

from __future__ import annotations

import io
import types
from pathlib import PurePath
from typing import Any

import cloudpickle
from cloudpickle import cloudpickle as inside

from mlwild.digest import digest, fingerprint


def dumps(thing: Any) -> bytes:
    """
    Return a pickle of a thing, the user's own functions and classes included.

    A function's place in its file, the file's folder and the process that pickles do not show: what is made again from
    the same rows by the same code is the same to the byte. What a traceback says of a function that was read back are
    lines counted from where it begins.

    Parameters
    ----------
    thing : object

    Returns
    -------
    bytes
        For `pickle.loads`.

    Examples
    --------
    >>> import pickle
    >>> space = {}
    >>> exec("half = lambda x: x / 2", space)
    >>> first = dumps(space["half"])
    >>> exec("# two lines more" + chr(10) * 2 + "half = lambda x: x / 2", space)
    >>> first == dumps(space["half"]), pickle.loads(first)(3)
    (True, 1.5)
    """
    file = io.BytesIO()
    _Pickler(file).dump(thing)
    return file.getvalue()


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # the library has no types
    """A pickler that leaves out where code stands, and names classes by what they are."""

    def reducer_override(self, obj: Any) -> Any:
        """Return how a thing is pickled; `NotImplemented` for what needs no word of ours."""
        if isinstance(obj, types.CodeType):
            return inside._code_reduce(_placeless(obj))  # noqa: SLF001
        made = super().reducer_override(obj)
        if isinstance(obj, types.FunctionType) and isinstance(made, tuple) and len(made[1]) > 1:
            made[1][1].pop("__file__", None)  # a function that speaks of it has it among its own globals
        if isinstance(obj, type) and isinstance(made, tuple):
            # By default a number that is drawn in each process.
            drawn = inside._get_or_create_tracker_id(obj)  # noqa: SLF001
            own = digest("class 1", fingerprint(obj))
            return (made[0], tuple(own if one is drawn else one for one in made[1]), *made[2:])
        return made


class _Ordered:
    """A set among the constants of code, pickled in an order that does not depend on the process."""

    def __init__(self, items: frozenset[Any]) -> None:
        self.items = items

    def __reduce__(self) -> tuple[Any, ...]:
        return frozenset, (sorted(self.items, key=repr),)


def _placeless(code: types.CodeType) -> types.CodeType:
    consts = tuple(_Ordered(one) if type(one) is frozenset else one for one in code.co_consts)
    # The table of lines counts from the first, so that it does not move with the function.
    return code.replace(co_firstlineno=1, co_filename=PurePath(code.co_filename).name, co_consts=consts)
