"""The defect ledger: each defect is stopped at a door that names its cause, and the clean project is let through."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from mlwild.cli import cli
from tests.ledger.blind import BLIND
from tests.ledger.doors import checked, compared, gated
from tests.ledger.mutation import APP
from tests.ledger.mutations import MISSED, MUTATIONS
from tests.ledger.page import PAGE, page

#: Caught at least, of 25.
LEAST = 22


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Return the store that all projects share: what none of them changes is fitted once."""
    return tmp_path_factory.mktemp("ledger") / "store"


def ask(mutation, folder, store):
    mutation.write(folder)
    if mutation.door == "check":
        return checked(folder)
    if mutation.door == "compare":
        return compared(folder)
    return gated(folder, store, [mutation.test])


def caught(mutation, folder, store):
    """Say what is missing for a defect to be caught; nothing where it is."""
    found = ask(mutation, folder, store)
    if found.code != mutation.code or mutation.test not in found.said:
        return f"{mutation.door} ends with {found.code}: {found.said}"
    said = found.said[mutation.test]
    return "".join(f"{words!r} is not in: {said}" for words in mutation.said if words not in said)


def test_the_ledger_has_25_defects_of_which_22_are_caught_at_least():
    names = [one.name for one in MUTATIONS]
    assert len(names) == len(set(names)) == 25
    assert set(MISSED) <= set(names)
    assert len(names) - len(MISSED) >= LEAST


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda one: one.name)
def test_a_defect_is_caught(mutation, tmp_path, store):
    missing = caught(mutation, tmp_path, store)
    if mutation.name in MISSED:
        assert missing != "", "it is caught now: take it off the list of those that are not"
    else:
        assert missing == ""


@pytest.mark.parametrize("mutation", BLIND, ids=lambda one: one.name)
def test_what_is_said_not_to_be_caught_is_not(mutation, tmp_path, store):
    """The list of what nothing stops is kept true: one that is caught goes on the ledger."""
    assert ask(mutation, tmp_path, store).said == {}


@pytest.mark.slow
@pytest.mark.parametrize("mutation", [one for one in MUTATIONS if one.door == "gate"], ids=lambda one: one.name)
def test_the_whole_gate_blocks_a_defect(mutation, tmp_path, store, monkeypatch):
    """By the command itself, with every ready test and every test of the project."""
    mutation.write(tmp_path)
    monkeypatch.chdir(tmp_path)
    command = ["gate", APP, "--jobs", "1", "--no-past", "--store", str(store), "--json", "gate.json"]
    done = CliRunner().invoke(cli, command)
    assert done.exit_code in (1, mutation.code), done.output
    made = {one["test"]: one for one in json.loads((tmp_path / "gate.json").read_text())["tests"]}
    assert made[mutation.test]["verdict"] in (("fail", "error") if mutation.code == 1 else ("underpowered",))
    for words in mutation.said:
        assert words in made[mutation.test]["said"]


def test_the_page_is_that_of_the_ledger():
    assert PAGE.read_text(encoding="utf-8") == page(), "write it anew: python -m tests.ledger.page"
