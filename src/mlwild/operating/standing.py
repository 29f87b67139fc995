"""The gate as it stands in operation: the app's own tests, and those beside its file."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from textwrap import shorten

from mlwild.app import App
from mlwild.compute import Jobs
from mlwild.gating import judge, suite_of, waivers_beside
from mlwild.loading import load_tests
from mlwild.operating.beside import SUFFIX
from mlwild.operating.desk import Gate
from mlwild.rehearsal import STORE, folder_of

#: Characters of why the first test is red, at most; the report has them all.
MOST_SAID = 300


def standing_gate(file: Path | None = None, *, store: str | Path = STORE, jobs: Jobs = None) -> Gate:
    """
    Return the gate that judges whatever would go live: the suite of `mlwild gate`, waivers included.

    Red blocks; what cannot be told from so few rows does not.

    Parameters
    ----------
    file : Path, optional
        The app file: tests and waivers lie beside it.
    store, jobs : optional
        As for `mlwild.rehearse`.

    Returns
    -------
    callable
        For `operate`.
    """

    def gate(app: App, today: date) -> str:
        suite = suite_of(app, beside=load_tests(file) if file is not None else ())
        name = app.name.removesuffix(SUFFIX)  # a challenger is judged as what would be in the champion's place
        waivers = waivers_beside(file, name) if file is not None else []
        folder = folder_of(app, store) / "operate" / name
        report = judge(app, tests=suite, waivers=waivers, today=today, past=False, store=folder.absolute(), jobs=jobs)
        red = [verdict for verdict in report.verdicts if verdict.blocks]
        if not red:
            return ""
        why = shorten(
            red[0].outcome.said.removesuffix("."), MOST_SAID, placeholder=" ..."
        )  # an alarm is read in a line
        return f"the gate blocks it: {', '.join(one.test for one in red)} red ({why})"

    return gate
