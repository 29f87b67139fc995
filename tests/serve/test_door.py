"""The door of a server: by which names it is called."""

from __future__ import annotations

import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from mlwild.hosts import answered
from mlwild.serve.door import Door


@pytest.mark.parametrize(
    ("host", "good", "bad", "said"),
    [
        ("0.0.0.0", "10.0.0.7:8000", "vm:8000", "is called by its address in figures, such as http://10.0.0.7:8000"),
        ("predict.example", "predict.example:8000", "10.0.0.7", "the name or address that it was started with only"),
        ("127.0.0.1", "localhost:8000", "vm", "answers to localhost"),
    ],
)
def test_who_calls_by_another_name_is_told_which_would_do(host, good, bad, said):
    client = TestClient(Door(PlainTextResponse("in"), 100, lambda *_: None, answered(host)))
    refused = client.get("/health", headers={"host": bad})
    assert refused.status_code == 421
    assert said in refused.json()["error"]
    assert client.get("/health", headers={"host": good}).text == "in"
