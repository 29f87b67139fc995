"""What is live, written as a model folder of MLflow, with the guard inside."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import tempfile
import traceback
import warnings
from importlib import metadata
from pathlib import Path
from typing import Any

from mlwild import __version__
from mlwild.answering.batch.given import AHEAD, began_of
from mlwild.answering.batch.outputs import NEWEST, Layout
from mlwild.answering.bundle import KIND, Bundle, load_bundle
from mlwild.answering.bundling import bundle
from mlwild.answering.pyfunc import CODE, MANIFEST, manifest_of
from mlwild.answering.service import service_of
from mlwild.app import App
from mlwild.disk import writing
from mlwild.errors import AppError, StoreError
from mlwild.rehearsal import STORE
from mlwild.triangle.store import Store

#: What loads the folder.
LOADER = "mlwild.answering.pyfunc"
#: Packages whose versions stand in the folder: those that what is loaded is made of.
_PACKAGES = ("cloudpickle", "numpy", "pandas", "pyarrow", "scikit-learn", "scipy")
_SKIPPED = {"__pycache__", "node_modules", "site-packages"}
#: Exit code of one that is loaded, and cannot make features.
_NO_FEATURES = 3
#: Seconds that loading may take.
LONGEST = 600
_TRY = "import sys; from mlwild.exporting import pyfunc; pyfunc.tried(*sys.argv[1:])"


def save_pyfunc(app: App | str | Path, folder: str | Path, *, store: str | Path = STORE) -> str:
    """
    Write what is live as a model folder of MLflow: the models, their guard, and the app's code.

    ``mlflow.pyfunc.load_model(folder).predict(frame)`` answers through the guard, as `mlwild serve` does, less its
    deadline and its log; ``mlflow models serve -m FOLDER --env-manager local`` serves it. The folder stays what it is
    when another vintage goes live. It is written whole or not at all, and tried in a process of its own first: it is
    loaded, and makes features of a row.

    Parameters
    ----------
    app : App, str or Path
        The app file, or an app that was loaded from one; in operation.
    folder : str or Path
        Not there yet.
    store : str or Path
        As for `mlwild.operate`.

    Returns
    -------
    str
        The vintage.

    Raises
    ------
    AppError
        If the folder is there, the app is not in operation, or what it needs does not lie beside its file.
    StoreError
        If what is live is gone or changed, or the folder cannot be written.
    """
    out = Path(folder).resolve()
    if out.exists():
        raise AppError(f"--out: {str(folder)!r} is there already. Name a folder that is not, or remove it.")
    if not out.parent.is_dir():
        raise AppError(f"--out: there is no folder {str(out.parent)!r}.")
    if not os.access(out.parent, os.W_OK):
        raise AppError(f"--out: {str(out.parent)!r} cannot be written to.")
    root, key, mark = bundle(app, store=store)
    made = load_bundle(root, key, mark)
    with writing(out), tempfile.TemporaryDirectory(prefix=f".part-{out.name}-", dir=out.parent) as beside:
        data, model = Path(beside) / "data", Path(beside) / "model"
        file = Path(made.file)
        _copy_code(file, data / CODE)
        here = Store(data)
        here.take(*root.entry(key, KIND))
        for part in made.parts:
            here.take(*root.entry(part.key, "model"))
        (data / MANIFEST).write_text(manifest_of(data, file.name, key, mark))
        _save(made, data, model)
        _tried(model, features=_makes_features(root, made))
        model.chmod(0o777 & ~_umask())
        model.replace(out)
    return made.vintage


def _copy_code(file: Path, folder: Path) -> None:
    """Copy an app's file, and the modules and packages that lie beside it."""
    folder.mkdir(parents=True)
    for path in sorted(file.parent.iterdir()):
        if path.suffix == ".py" and path.is_file():
            shutil.copyfile(path, folder / path.name)
        elif (path / "__init__.py").is_file() and path.name not in _SKIPPED:
            shutil.copytree(path, folder / path.name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc", ".*"))
    contract = file.with_name(f"{file.stem}.contract.toml")
    if contract.is_file():
        shutil.copyfile(contract, folder / contract.name)


def _save(made: Bundle, data: Path, model: Path) -> None:
    import mlflow.pyfunc
    from mlflow.models.signature import ModelSignature
    from mlflow.types.schema import AnyType, Array, ColSpec, Schema

    # MLflow refuses a whole number with a gap, and reads a missing truth as false: reading is the guard's part.
    anything: Any = AnyType
    needed: list[Any] = [ColSpec(anything(), one.name, required=False) for one in made.columns.needed]
    layout = Layout.of(made)
    named = (
        "double"
        if made.classes is None
        else {"i": "long", "u": "long", "f": "double", "b": "boolean"}.get(made.classes.dtype.kind, "string")
    )
    value = named if made.ask == "class" else "double"
    given: list[Any] = [ColSpec(value, name) for name in layout.values]
    given += [ColSpec("double", name, required=False) for name in ("low", "high")]
    given += [ColSpec(Array(_type(named)), "likely", required=False)]
    given += [ColSpec("string", name) for name in ("status", "cause", "stage", "vintage")]
    given.append(ColSpec("string", NEWEST, required=False))
    given += [ColSpec("double", name, required=False) for name in ("expected_loss", "chance")]
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*input example", UserWarning)  # one would be a row of the user's data
        mlflow.pyfunc.save_model(
            model,
            loader_module=LOADER,
            data_path=str(data),
            signature=ModelSignature(Schema(needed), Schema(given)),
            pip_requirements=[f"mlwild=={__version__}", *_versions()],
            metadata={
                "app": made.app,
                "vintage": made.vintage,
                "columns": {one.name: one.kind + (" with zone" if one.zoned else "") for one in made.columns.needed},
                "guard": made.unguarded or "inside",
            },
        )


def _type(name: str) -> Any:
    from mlflow.types import DataType

    return DataType[name]


def _versions() -> list[str]:
    return [f"{name}=={metadata.version(name)}" for name in _PACKAGES if _installed(name)]


def _installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def tried(model: str, features: str) -> None:
    """
    Load a model, and have the app's functions make features of a row if they should.

    Parameters
    ----------
    model : str
        Its folder.
    features : str
        Empty, or anything.
    """
    import mlflow.pyfunc

    service = mlflow.pyfunc.load_model(model)._model_impl.service  # noqa: SLF001  MLflow has no other way to it
    if not features:
        return
    try:
        service.maker.make(_row(service.bundle), 1)
    except (Exception, SystemExit):  # noqa: BLE001  the user's function may raise anything; who asked says it
        traceback.print_exc()
        sys.exit(_NO_FEATURES)


def _makes_features(root: Store, made: Bundle) -> bool:
    """Say whether features are made of a made-up row where everything is there: only then they have to be elsewhere."""
    try:
        service_of(root, made).maker.make(_row(made), 1)
    except (Exception, SystemExit):  # noqa: BLE001  the user's function may raise anything, at such a row too
        return False
    return True


def _row(made: Bundle) -> dict[str, list[Any]]:
    """Return a row that is nobody's: noughts, a word that is known, and the present."""
    now = began_of(made.clock) or 0
    plain = {"number": 0.0, "integer": 0, "boolean": False, "text": "", "time": now, "date": now // AHEAD}
    words = {name: one.to_pylist() for name, one in made.data.words.items()}
    return {one.name: [next(iter(words.get(one.name, ())), plain.get(one.kind))] for one in made.columns.needed}


def _tried(model: Path, *, features: bool) -> None:
    """Try it in a process of its own, elsewhere: what is not in the folder is found out here, not where it serves."""
    words = [sys.executable, "-c", _TRY, str(model), "features" if features else ""]
    with tempfile.TemporaryDirectory() as elsewhere:
        try:
            done = subprocess.run(  # noqa: S603  our own words
                words, cwd=elsewhere, capture_output=True, text=True, check=False, timeout=LONGEST
            )
        except subprocess.TimeoutExpired:
            raise StoreError(f"export: the folder was not loaded within {LONGEST} seconds.") from None
    if done.returncode:
        said = " ".join((done.stderr.strip().splitlines() or ["it ended without a word"])[-1].split())[:300]
        what = "make features" if done.returncode == _NO_FEATURES else "be loaded"
        raise StoreError(
            f"export: the folder cannot {what} by itself ({said}). What the app's file reads or imports has to lie "
            "beside it, as .py files or packages, or be installed."
        )


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
