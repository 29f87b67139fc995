"""The server against its own description: whatever the description allows is answered, and nothing ends in a 500."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.serve.servers import Server

# A request of too many rows is refused as too large, and not as wrong.
CONFIG = """
[checks]
negative_data_rejection.expected-statuses = ["400", "401", "405", "409", "413", "415", "422"]
"""


def _sayable(said):
    """Return the description with what JSON Schema cannot say left out, so that all that it allows must be answered.

    That the two names of a request agree, that times are not of the future, that lists are as long as others.
    """
    for path in said["paths"].values():
        for one in path.values():
            one.pop("parameters", None)
    row = said["components"]["schemas"]["Row"]
    pattern = row["properties"]["when"]["pattern"]
    assert pattern.count("(1[789]|2[01])") == 2
    row["properties"]["when"]["pattern"] = pattern.replace("(1[789]|2[01])", "(1[789]|20(?=[01]))")
    body = said["paths"]["/invocations"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    forms = {next(iter(one["properties"])): one for one in body["oneOf"]}
    split = forms["dataframe_split"]["properties"]["dataframe_split"]
    names = split["properties"].pop("columns")["contains"]["enum"]
    cells = [row["properties"][name] for name in names]
    split["properties"]["data"]["items"] = {
        "type": "array", "prefixItems": cells, "minItems": len(cells), "maxItems": len(cells)
    }  # fmt: skip
    forms["inputs"]["properties"]["inputs"]["anyOf"].pop()
    row["properties"]["y"] = {"type": ["number", "null"]}  # a list would be a column there
    return said


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["positive", "negative"])
def test_requests_that_are_made_from_the_description_get_a_documented_answer(app_file, tmp_path, mode):
    with Server(app_file) as server:
        (tmp_path / "schemathesis.toml").write_text(CONFIG)
        said = server.get("/openapi.json")[2]
        (tmp_path / "openapi.json").write_text(json.dumps(_sayable(said) if mode == "positive" else said))
        command = [
            sys.executable, "-m", "schemathesis.cli", "run", "openapi.json", "--url",
            f"http://127.0.0.1:{server.port}/", "--checks", "all", "--mode", mode, "--max-examples", "200", "--seed",
            "1", "--request-timeout", "5", "--phases", "coverage,fuzzing", "--no-color", "--continue-on-failure",
        ]  # fmt: skip
        env = os.environ | {"PYTHONPATH": ""}
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=500, check=False)
        assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
        assert server.get("/ready")[2]["workers"] == 2
        figures = server.get("/metrics")[2]
        assert 'code="500"' not in figures
        answered = sum(float(line.split()[1]) for line in figures.splitlines() if 'code="200",path="/' in line)
        assert answered > (100 if mode == "positive" else 0)
