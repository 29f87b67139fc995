"""A defect that is put into the clean project: replaced texts, and what the door that stops it has to say."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).with_name("project")
APP, TESTS, RUNS = "orders.py", "orders_tests.py", "runs.csv"


@dataclass(frozen=True)
class Edit:
    """A text of a file that is replaced; it has to be there exactly once."""

    file: str
    old: str
    new: str

    def made(self, text: str) -> str:
        """Return the file with the text replaced."""
        found = text.count(self.old)
        if found != 1:
            raise ValueError(f"{self.file}: {self.old!r} is there {found} times, not once.")
        return text.replace(self.old, self.new)


@dataclass(frozen=True)
class Mutation:
    """
    One defect.

    `door` is the command that has to stop it, and `test` the check, or test of the gate, that does. `code` is the exit
    code: 1 red, 3 undecided. `said` are words of the message: they name the cause.
    """

    name: str
    what: str
    where: str
    door: str
    test: str
    said: tuple[str, ...]
    edits: tuple[Edit, ...]
    code: int = 1

    def write(self, folder: Path) -> None:
        """Write the project with the defect into a folder."""
        texts = {name: (PROJECT / name).read_text() for name in (APP, TESTS, RUNS)}
        for edit in self.edits:
            texts[edit.file] = edit.made(texts[edit.file])
        for name, text in texts.items():
            (folder / name).write_text(text)


CLEAN = Mutation("clean", "nothing is wrong", "", "", "", (), ())


def app(*edits: tuple[str, str]) -> tuple[Edit, ...]:
    """Return changes of the app."""
    return tuple(Edit(APP, *one) for one in edits)


def tests(*edits: tuple[str, str]) -> tuple[Edit, ...]:
    """Return changes of the project's own tests."""
    return tuple(Edit(TESTS, *one) for one in edits)


def runs(*edits: tuple[str, str]) -> tuple[Edit, ...]:
    """Return changes of the table of runs."""
    return tuple(Edit(RUNS, *one) for one in edits)


IMPORTS = """from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
"""


def model(source: str, name: str) -> tuple[Edit, ...]:
    """Return the app with a classifier of its own as the last step of its pipeline."""
    return app(
        ("import numpy as np\n", "import os\n\nimport numpy as np\n"),
        (
            "from sklearn.preprocessing import StandardScaler\n",
            IMPORTS + "from sklearn.preprocessing import StandardScaler\n",
        ),
        ("app = wild.App(", f"{source}\n\napp = wild.App("),
        ("LogisticRegression())}", f"{name}())}}"),
    )
