"""The defect ledger: each defect is stopped at a door that names its cause, and the clean project is let through."""

from __future__ import annotations

import pytest

from tests.ledger.doors import checked, compared, gated
from tests.ledger.mutations import MUTATIONS

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


def test_the_ledger_has_25_defects():
    assert len(MUTATIONS) == len({one.name for one in MUTATIONS}) == 25


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda one: one.name)
def test_a_defect_is_caught(mutation, tmp_path, store):
    assert caught(mutation, tmp_path, store) == ""
