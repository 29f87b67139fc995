"""What is live as a model of MLflow: a folder with the guard, the models and the app's code, and what loads it."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from mlwild import frames
from mlwild.answering.apps import app_of
from mlwild.answering.batch.cells import Read, each, of_arrow, of_decimal
from mlwild.answering.batch.given import Given, began_of, given
from mlwild.answering.batch.inputs import BATCH
from mlwild.answering.batch.outputs import NEWEST, Layout
from mlwild.answering.bundle import load_bundle
from mlwild.answering.service import AppService, assembled
from mlwild.columns import Column, Columns
from mlwild.digest import digest, file_digest
from mlwild.errors import DataError, StoreError
from mlwild.loading import load_app
from mlwild.own_modules import from_folder
from mlwild.triangle.store import Store

#: What says which bundle is meant, and the digest of every file.
MANIFEST = "mlwild.json"
#: Folder of the app's file and of the modules beside it.
CODE = "app"


@dataclass
class GuardedModel:
    """
    What `mlflow.pyfunc.load_model` returns the predictions of.

    Parameters
    ----------
    service : AppService
    """

    service: AppService
    # Servers ask from several threads, and what the guard remembers goes from row to row.
    _turn: Any = field(default_factory=threading.Lock, repr=False)

    def predict(self, model_input: Any, params: Mapping[str, Any] | None = None) -> Any:
        """
        Answer rows through the guard.

        Parameters
        ----------
        model_input : DataFrame, or dict of str to array
            Columns of the app's data; one that is not there is answered as missing, and the row is degraded.
        params : mapping, optional
            MLflow passes it; there is none to set.

        Returns
        -------
        pandas.DataFrame
            ``value`` (or ``value_CLASS`` for each class), ``low``, ``high``, ``likely``, ``status``, ``cause``,
            ``stage``, ``vintage``, ``newest_label``, ``expected_loss``, ``chance``: a row for each row, in
            order and with its index. What is not known is None.

        Raises
        ------
        DataError
            If the input is no table, has no row or no column that is read, or names a column twice.
        """
        import pandas as pd

        bundle = self.service.bundle
        try:
            frame = pd.DataFrame(model_input)
        except (TypeError, ValueError) as problem:
            raise DataError(f"input: {type(model_input).__name__} is no table. Give a frame, or columns.") from problem
        names = bundle.columns.names
        if not len(frame) or not any(one in frame.columns for one in names):
            # MLflow drops what has no name of a column, such as an array's cells, and the rows with it.
            have = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
            raise DataError(f"input: there is no row, or none with a column that is read; those are {have}.")
        twice = next((one for one in names if (frame.columns == one).sum() > 1), None)
        if twice is not None:
            raise DataError(f"input: there are two columns {twice!r}. Rename one.")
        layout, began = replace(Layout.of(bundle), ids=()), began_of(bundle.clock)
        lists: dict[str, list[Any]] = {}
        with self._turn:
            for at in range(0, len(frame), BATCH):  # as a file's: which rows are strange depends on those beside them
                rows = of_frame(frame.iloc[at : at + BATCH], bundle.columns, began)
                for name, values in layout.lists(rows, self.service.answer(rows.columns)).items():
                    lists.setdefault(name, []).extend(values)
        lists[NEWEST] = [layout.newest_text] * len(frame)
        # A gap in floats is NaN, which is no JSON: MLflow's server would send it all the same.
        columns = {
            name: pd.Series(values, dtype=object if name == "likely" or None in values else None)
            for name, values in lists.items()
        }
        return pd.DataFrame(columns).set_axis(frame.index)  # pandas puts columns side by side by it


def of_frame(frame: Any, columns: Columns, began: int | None) -> Given:
    """Return the rows of a pandas frame, whose columns may be of any kind."""
    import pandas as pd
    import pyarrow as pa

    def cells(column: Column) -> Read | None:
        if column.name not in frame.columns:
            return None
        values = frame[column.name]
        if values.dtype != object:
            # Sparse, complex, of 128 bits; categories of mixed kinds.
            with contextlib.suppress(pa.ArrowNotImplementedError, TypeError, DataError):
                typed = frames.to_arrow(values.to_frame(), "input")[0].column(0)
                kind = typed.type.value_type if pa.types.is_dictionary(typed.type) else typed.type
                if not isinstance(kind, pa.BaseExtensionType):  # a period would be its number
                    return of_arrow(column, typed)
            values = values.astype(object)
        return each(column, [None if one is pd.NA else _plain(one) for one in values.tolist()])

    return given(columns, len(frame), cells, {}, began)


def _plain(value: Any) -> Any:
    """Return an object of Python or NumPy as JSON would have given it."""
    if value is np.ma.masked:  # beneath the mask there is a number
        return None
    if hasattr(value, "isoformat"):  # a date, a time; NaT is the text of its name
        return None if value != value else value.isoformat()  # noqa: PLR0124
    if isinstance(value, Decimal):
        return of_decimal(value)
    if isinstance(value, np.floating):  # of 128 bits too
        return float(value)
    return value.item() if hasattr(value, "item") and getattr(value, "ndim", 0) == 0 else value


def manifest_of(folder: Path, file: str, key: str, bundled: str) -> str:
    """Return the text that tells a folder whole from one that was changed."""
    names = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    files = {name.as_posix(): file_digest(folder / name) for name in names}
    body = {"version": 1, "app": file, "key": key, "digest": bundled, "files": files}
    return json.dumps(body | {"check": digest(json.dumps(body, sort_keys=True))}, indent=1)


def _load_pyfunc(path: str) -> GuardedModel:
    """
    Return what answers, of a folder that `mlwild export pyfunc` wrote; MLflow calls this.

    Raises
    ------
    StoreError
        If a file is gone, or has another digest: nothing of the folder is run then.
    """
    folder = Path(path)
    told = _whole(folder)
    with _uncached(), from_folder(folder / CODE, anew=True):
        return _loaded(folder, told)


@contextlib.contextmanager
def _uncached() -> Iterator[None]:
    """Import modules from their source alone: bytecode beside them has no digest, and the folder may be another's."""
    before = sys.dont_write_bytecode, sys.pycache_prefix
    with tempfile.TemporaryDirectory() as nowhere:
        sys.dont_write_bytecode, sys.pycache_prefix = True, nowhere
        try:
            yield
        finally:
            sys.dont_write_bytecode, sys.pycache_prefix = before


def _loaded(folder: Path, told: Mapping[str, Any]) -> GuardedModel:
    # First the app: its file says where the modules are that what is loaded next may need.
    file = str((folder / CODE / told["app"]).absolute())
    store = Store(folder)
    try:
        load_app(file)
        bundle = load_bundle(store, told["key"], told["digest"])
        app = app_of(file, bundle.model)
    except ModuleNotFoundError as problem:
        raise StoreError(
            f"model: {told['app']} needs the module {problem.name!r}, which is not there. Install it, or put it beside "
            "the app and export again."
        ) from problem
    service = assembled(store, replace(bundle, file=file), app)
    if service.watch is not None:
        service.watch.salt = os.urandom(16)  # what it draws, no other process does, nor the next one
    return GuardedModel(service)


def _whole(folder: Path) -> dict[str, Any]:
    """Return what a folder says of itself, if all of its files agree."""
    try:
        told: dict[str, Any] = json.loads((folder / MANIFEST).read_bytes())
        check = told.pop("check")
        sound = told["version"] == 1 and check == digest(json.dumps(told, sort_keys=True))
    except (OSError, ValueError, KeyError, AttributeError) as problem:
        raise StoreError(f"model: {folder / MANIFEST} is gone or damaged. Export the model again.") from problem
    if not sound:
        raise StoreError(f"model: {folder / MANIFEST} is damaged, or of another version. Export the model again.")
    for name, mark in told["files"].items():
        path = folder / name
        if not path.is_file() or file_digest(path) != mark:
            what = "has another digest: it was changed or damaged" if path.exists() else "is gone"
            raise StoreError(f"model: {name} {what}; nothing is loaded. Export the model again.")
    for path in sorted((folder / CODE).rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name not in told["files"] and path.parent.name != "__pycache__":
            raise StoreError(f"model: {name} was not exported; nothing is loaded. Remove it, or export again.")
    return told
