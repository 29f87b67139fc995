"""All checks of an app, in one call."""

from __future__ import annotations

from mlwild.app import App
from mlwild.checks import contract, counts, parity, probes, times
from mlwild.checks.findings import CheckReport, Finding
from mlwild.checks.future import find_leaks
from mlwild.events import Events
from mlwild.side_tables import SideTable
from mlwild.triangle.survey import Survey, lay_survey, make_features, read_events, reads_features


def check(app: App, *, cutoffs: int = 5, seed: int = 0) -> CheckReport:
    """
    Look for features that know the future, and report when labels are known.

    Parameters
    ----------
    app : App
    cutoffs : int
        Number of random instants at which the future is cut off.
    seed : int
        Of the instants and of the shuffles.

    Returns
    -------
    CheckReport

    Raises
    ------
    AppError, DataError
        If a field or the data are wrong.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from mlwild import App
    >>> def events():
    ...     x = np.random.default_rng(0).normal(size=400)
    ...     return pd.DataFrame({"when": np.arange(400), "x": x, "y": np.roll(x, 1)})
    >>> def train(X, y):
    ...     return lambda X: np.zeros(len(X))
    >>> app = App(
    ...     name="leaky", data=events, time="when", label="y", delay=10, models={"zero": train},
    ...     loss="squared", every=50, start=50, features=lambda rows: (rows[["x"]] - rows[["x"]].mean()),
    ... )
    >>> check(app).leaks[0].column
    'x'
    """
    contract.contract_of(app)  # a wrong file is told before the work is done
    events, tables = read_events(app)
    survey = lay_survey(app, events, tables)
    findings = findings_of(app, events, tables, survey, cutoffs=cutoffs, seed=seed)
    return CheckReport(app.name, tuple(findings), times.label_maturity(survey)[1])


def findings_of(
    app: App, events: Events, tables: dict[str, SideTable], survey: Survey, *, cutoffs: int = 5, seed: int = 0
) -> list[Finding]:
    """Return all findings on an app whose data were read."""
    maturity, _ = times.label_maturity(survey)
    findings: list[Finding] = [
        *times.times(events),
        *times.labels(events),
        maturity,
        times.duplicates(survey),
        probes.pickles(survey),
    ]
    findings += contract.held(app, events, survey.features)
    if reads_features(app):
        # What the definition makes: the survey has what was logged.
        made = survey.features if app.logged is None else make_features(app, events.frame, tables)[0]
        findings += find_leaks(app, events, tables, made, cutoffs=cutoffs, seed=seed)
        findings += parity.logged_features(app, events, made)
        findings += parity.alone(app, events, tables, survey.features, seed=seed)
    findings += probes.single_columns(survey, seed=seed)
    findings += counts.label_counts(app, events, survey)
    findings.append(probes.trains(survey))
    findings.append(probes.target_shuffle(survey, seed=seed))
    return findings
