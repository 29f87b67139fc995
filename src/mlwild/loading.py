"""Load an app and its tests from the user's files."""

from __future__ import annotations

import ast
import difflib
import importlib.util
import re
import sys
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from mlwild.app import App
from mlwild.digest import bytes_digest
from mlwild.errors import AppError
from mlwild.own_modules import found_elsewhere, from_folder, number


def load_app(path: str | Path) -> App:
    """
    Run an app file and return the App that it makes.

    Parameters
    ----------
    path : str or Path
        A Python file with one `App`, or with several of which one is named ``app``.

    Returns
    -------
    App
        With `root` set to the folder of the file, so that relative paths start there.

    Raises
    ------
    AppError
        If there is no such file or no app in it. What the file itself raises passes through.
    """
    file = Path(path).resolve()
    if not file.is_file():
        raise AppError(f"app: there is no file {str(path)!r}. `mlwild new {path}` writes one to start from.")
    try:
        module = _module(file, "app")
    except TypeError as problem:
        wrong = re.search(r"App\.__init__\(\) got an unexpected keyword argument '(\w+)'", str(problem))
        if wrong is None:
            raise
        near = difflib.get_close_matches(wrong[1], [field.name for field in fields(App)], n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise AppError(f"{wrong[1]}: App has no such field.{hint}") from problem

    found = {key: value for key, value in vars(module).items() if isinstance(value, App)}
    if "app" in found:
        app = found["app"]
    elif len(found) == 1:
        app = next(iter(found.values()))
    elif found:
        raise AppError(f"app: {file.name} makes {len(found)} apps ({', '.join(found)}). Name one of them `app`.")
    else:
        raise AppError(f"app: {file.name} makes no App. It needs a line such as app = mlwild.App(...).")
    beside = file.with_name(f"{file.stem}.contract.toml")
    if app.contract is None and beside.is_file():
        app = replace(app, contract=beside)
    return replace(app, root=file.parent if app.root == Path() else app.root, file=file)


def load_again(app: App) -> App:
    """
    Run the file of a loaded app once more and return what it makes now; the modules stay as they were.

    Raises
    ------
    AppError
        If the app was not loaded from a file.
    """
    if app.file is None:
        raise AppError(f"app: {app.name!r} was not loaded from a file.")
    name = _name(app.file, "app")
    before = sys.modules.get(name)
    try:
        return load_app(app.file)
    finally:
        if before is not None:
            sys.modules[name] = before


def load_tests(path: str | Path) -> list[Any]:
    """
    Return the tests in the file beside an app's: ``churn_tests.py`` for ``churn.py``; none where it is not there.

    Every name that begins with ``test_`` is one: a function that asserts, a ready test, or a list of these.

    Raises
    ------
    AppError
        If the file has no test. What the file itself raises passes through.
    """
    file = Path(path).resolve()
    beside = file.with_name(f"{file.stem}_tests.py")
    if not beside.is_file():
        return []
    found: list[Any] = []
    for name, value in vars(_module(beside, "tests")).items():
        if name.startswith("Test") and isinstance(value, type) and any(one.startswith("test_") for one in vars(value)):
            raise AppError(
                f"tests: {name} in {beside.name} is a class, whose tests only pytest would run. Write functions."
            )
        if name.startswith("test_"):
            found += value if isinstance(value, list | tuple) else [value]
    if not found:
        raise AppError(f"tests: {beside.name} has no name that begins with test_. Write one, or remove the file.")
    return found


def load_function(path: str | Path, name: str, field: str) -> Callable[..., Any]:
    """
    Return a function of an app file that was loaded.

    Parameters
    ----------
    path : str or Path
        The file, as `load_app` was given it.
    name : str
    field : str
        What asks for it, for the error.

    Raises
    ------
    AppError
        If the file has no function of that name.
    """
    file = Path(path).resolve()
    space = vars(sys.modules[_name(file, "app")])
    found = space.get(name)
    if not callable(found) or isinstance(found, type):
        near = difflib.get_close_matches(name, [key for key, value in space.items() if callable(value)], n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise AppError(f"{field}: {file.name} has no function {name!r}.{hint}")
    made: Callable[..., Any] = found
    return made


def _name(file: Path, field: str) -> str:
    return f"mlwild_{field}_{file.stem}"


def _module(file: Path, field: str) -> ModuleType:
    """Run a file and return it as a module whose functions can travel to workers."""
    import cloudpickle

    name = _name(file, field)
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise AppError(f"{field}: {str(file)!r} is not a Python file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    # The file may import what lies beside it, and so may the workers; installed packages come first.
    if str(file.parent) not in sys.path:
        sys.path.append(str(file.parent))
    try:
        # Compiled anew, not read from a cache: what travels by value is pickled otherwise then, and has another digest.
        data = file.read_bytes()
        code = compile(data, str(file), "exec", dont_inherit=True)
        with from_folder(file.parent):
            exec(code, vars(module))  # noqa: S102  the user's own
    except (SyntaxError, ValueError) as problem:  # which of them, Python 3.11 itself does not agree about
        if "null bytes" not in str(problem):
            raise
        raise AppError(
            f"{field}: {str(file)!r} holds bytes that are no text: it was damaged, or is no Python."
        ) from None
    _refuse_late(data, file, field)
    # Workers cannot import the file by its name: its functions travel by value.
    cloudpickle.register_pickle_by_value(module)
    number(module, bytes_digest(data))
    return module


def _refuse_late(source: bytes, file: Path, field: str) -> None:
    """Refuse functions that import, when they are called, a module that would not be the one beside the file."""
    late = set[str]()
    for function in ast.walk(ast.parse(source)):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            for step in ast.walk(function):
                if isinstance(step, ast.Import):
                    late |= {one.name for one in step.names}
                elif isinstance(step, ast.ImportFrom) and step.module and not step.level:
                    late.add(step.module)
    wrong = found_elsewhere(late, file.parent)
    if wrong:
        raise AppError(
            f"{field}: {file.name} imports {wrong[0]} in a function, and by then this process finds another {wrong[0]} "
            "than the one beside the file. Import it at the top of the file."
        )
