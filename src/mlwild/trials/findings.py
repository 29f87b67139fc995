"""Findings of `mlwild check`, kept under a digest of what determines them."""

from __future__ import annotations

import json
from dataclasses import asdict

from mlwild.checks import Finding, contract_of, findings_of
from mlwild.digest import digest, fingerprint, row_hashes, version
from mlwild.events import Events
from mlwild.frames import Frame
from mlwild.side_tables import SideTable
from mlwild.triangle import Survey
from mlwild.triangle.store import Store


def kept_findings(survey: Survey, events: Events, tables: dict[str, SideTable], store: Store) -> tuple[Finding, ...]:
    """
    Return what `mlwild check` finds on a history; read from the store where it was found before.

    Named by the raw rows and side tables (features are computed anew with the future cut off), the code of the
    features, the models, the contract's text, the periods and the versions. Rows that no digest can be
    made of are checked anew.
    """
    app = survey.app
    content = [_content(events.frame), *(_content(table.rows) for table in tables.values())]
    if "" in content:
        return tuple(findings_of(app, events, tables, survey))
    versions = [version(name) for name in ("mlwild", "numpy", "sklearn")]
    declared = (app.label, app.known_at, tuple(app.outcomes), tuple(app.tables), tuple(app.seeds), survey.ask)
    code = [fingerprint(thing) for thing in (app.features, dict(app.models), survey.loss)]
    contract = "" if app.contract is None else contract_of(app)
    key = digest("findings 4", repr(contract), versions, content, survey.data_digest, survey.grid.edges, declared, code)
    if store.get(key, "findings") is None:
        text = json.dumps([asdict(one) for one in findings_of(app, events, tables, survey)]).encode()
        store.put(key, "findings", lambda file: file.write(text))
    found = json.loads(store.payload(key, "findings").read_bytes())
    return tuple(Finding(**one | {"values": one["values"] and tuple(one["values"])}) for one in found)


def _content(frame: Frame) -> str:
    """Return a digest of a table's rows; empty where a column holds objects that Arrow cannot hold."""
    import pyarrow as pa

    try:
        return digest(row_hashes(frame.to_arrow()))
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return ""
