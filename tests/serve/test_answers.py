"""What is answered, and what is not: one server, many requests."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import time

import pytest

from mlwild.serve import read_log

ROW = {
    "id": 7,
    "when": "2026-01-12T10:00:00Z",
    "x": 0.5,
    "n": 3,
    "city": "rome",
    "vip": True,
    "day": "2026-01-12T00:00:00",
}


def test_a_row_is_answered_by_the_model_and_logged(server):
    code, headers, said = server.ask({"rows": [ROW]}, headers={"X-Request-Id": "first"})
    assert code == 200
    one = said["predictions"][0]
    assert one["value"] == pytest.approx(2.0, abs=0.1)
    assert (one["status"], one["cause"], one["stage"], one["arm"]) == ("normal", "", "champion", "champion")
    assert one["low"] < one["value"] < one["high"]
    assert one["high"] - one["low"] == pytest.approx(0.33, abs=0.15)  # 90 % of noise of 0.1
    assert 0 < one["expected_loss"] < 0.1
    assert one["age_seconds"] > 0
    assert one["likely"] is None
    assert headers["X-Request-Id"] == said["id"] == "first"
    assert headers["X-Vintage"] == one["vintage"]
    assert "model;dur=" in headers["Server-Timing"]
    assert "total;dur=" in headers["Server-Timing"]
    line = next(line for line in read_log(server.served) if line["id"] == "first")
    assert line["answer"] == said
    assert line["rows"][0]["key"] == 7
    assert line["rows"][0]["features"] == {"x": 0.5, "rome": 1.0}
    assert abs(line["at"] - time.time()) < 60


def test_the_served_answer_is_that_of_the_features_and_the_model(server, operated_app):
    import numpy as np

    import mlwild as wild
    from mlwild.answering import bundle, service_of
    from mlwild.answering.bundle import load_bundle

    app = wild.load_app(operated_app)
    rows = app.data().head(50)
    asked = json.loads(
        rows.drop(columns="y")
        .assign(when=rows["when"].astype(str), day=rows["day"].astype(str))
        .to_json(orient="records")
    )
    _, _, said = server.ask({"rows": asked})
    store, key, digest = bundle(app)
    model = service_of(store, load_bundle(store, key, digest)).fitted[0]
    expected = np.asarray(model.predict(app.features(rows)), dtype=np.float32)
    np.testing.assert_array_equal([one["value"] for one in said["predictions"]], expected.astype(float))


def test_one_object_is_one_row_and_many_rows_keep_their_order(server):
    _, _, alone = server.ask(ROW)
    rows = [ROW | {"x": x / 100} for x in range(-120, 120)]
    _, _, said = server.ask({"rows": rows})
    values = [one["value"] for one in said["predictions"]]
    assert len(alone["predictions"]) == 1
    assert len(values) == 240
    assert values == sorted(values)


@pytest.mark.parametrize(
    "body",
    [
        {"dataframe_split": {"columns": list(ROW), "data": [list(ROW.values())] * 2}},
        {"dataframe_records": [ROW, ROW]},
        {"instances": [ROW, ROW]},
        {"inputs": {name: [value, value] for name, value in ROW.items()}},
    ],
    ids=lambda body: next(iter(body)),
)
def test_formats_of_mlflow_give_the_same_values(server, body):
    expected = server.ask(ROW)[2]["predictions"][0]["value"]
    code, _, said = server.ask(body, path="/invocations")
    assert (code, said["predictions"]) == (200, [expected, expected])
    assert said == {"predictions": [expected] * 2, "statuses": [{"status": "normal", "cause": ""}] * 2}


def test_a_client_of_mlflow_sees_which_values_are_not_the_models(server):
    rows = [ROW, ROW | {"x": 1e6}, {"x": 0.5, "city": "rome"}]
    full = server.ask({"rows": rows})[2]["predictions"]
    assert [one["status"] for one in full] == ["normal", "fallback", "degraded"]
    code, _, said = server.ask({"dataframe_records": rows}, path="/invocations")
    assert (code, said["predictions"]) == (200, [one["value"] for one in full])
    assert said["statuses"] == [{"status": one["status"], "cause": one["cause"]} for one in full]
    assert all(one["cause"] for one in said["statuses"][1:])


@pytest.mark.parametrize(("path", "like"), [("/predict", "rows"), ("/invocations", "dataframe_records")])
def test_who_sends_csv_is_told_what_to_send(server, path, like):
    code, _, said = server.ask(b"x,city\n0.5,rome\n", path=path, headers={"Content-Type": "text/csv"})
    assert code == 415
    assert said["error"] == f'The body is to be application/json in UTF-8, such as {{"{like}": [{{...}}]}}.'


def test_a_field_that_is_absent_is_answered_and_told(server):
    one = server.one(x=0.5, city="rome")
    assert one["status"] == "degraded"
    assert one["cause"] == "absent: n, vip, day"


@pytest.mark.parametrize("fault", [0.7021, 0.7031, 0.7051], ids=["raises", "NaN", "exits"])
def test_where_the_model_fails_the_next_one_answers_and_only_that_row(server, fault):
    _, headers, said = server.ask({"rows": [ROW, ROW | {"x": fault}, ROW]})
    first, bad, last = said["predictions"]
    assert first == last
    assert first["status"] == "normal"
    assert (bad["status"], bad["stage"]) == ("fallback", "flat")
    assert bad["cause"]
    assert isinstance(bad["value"], float)
    assert "secret" not in json.dumps(said) + str(headers)


def test_the_same_id_gets_the_same_answer_and_is_logged_once(server):
    first = server.ask({"rows": [ROW]}, headers={"X-Request-Id": "twice"})
    timeless = [server.ask({"rows": [{"x": 0.5}]}, headers={"X-Request-Id": "timeless"}) for _ in range(2)]
    assert timeless[0][2] == timeless[1][2]
    assert timeless[0][0] == 200
    again = server.ask({"rows": [ROW], "id": "twice2"}), server.ask({"rows": [ROW], "id": "twice2"})
    second = server.ask({"rows": [ROW]}, headers={"X-Request-Id": "twice"})
    assert first[2] == second[2]
    assert again[0][2] == again[1][2]
    assert sum(line["id"] == "twice" for line in read_log(server.served)) == 1
    code, _, said = server.ask({"rows": [ROW | {"x": 0.6}]}, headers={"X-Request-Id": "twice"})
    assert code == 409
    assert "another request" in said["error"]


BAD = {
    "no JSON": (b"{", 400),
    "NaN": (b'{"rows":[{"x":NaN}]}', 400),
    "Infinity": (b'{"rows":[{"x":-Infinity}]}', 400),
    "a number that is too great": (b'{"rows":[{"x":1e999}]}', 422),
    "twice the same field": (b'{"rows":[{"x":1,"x":2}]}', 400),
    "other encoding": ('{"rows":[{"city":"Malmö"}]}'.encode("latin-1"), 400),
    "UTF-16": ('{"rows":[{"x":1}]}'.encode("utf-16"), 400),
    "half a surrogate pair": (b'{"rows":[{"city":"\\ud800"}]}', 422),
    "deep nesting": (b'{"rows":' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400),
    # Pythons differ in how deep is too deep: 994 levels, 1,497, 9,998. A level less is no column.
    "deep objects": (b'{"x":' * 20_000 + b"1" + b"}" * 20_000, 400),
    "many levels": (b'{"rows":[{"nothing":' + b'{"x":' * 900 + b"1" + b"}" * 900 + b"}]}", 422),
    "a list": (b"[1]", 422),
    "nothing": (b"", 400),
    "no row": (b'{"rows":[]}', 422),
    "rows that are no objects": (b'{"rows":[1]}', 422),
    "words for a number": (b'{"rows":[{"x":"0.5"}]}', 422),
    "true for a number": (b'{"rows":[{"x":true}]}', 422),
    "a list for a number": (b'{"rows":[{"x":[1]}]}', 422),
    "a fraction for a whole number": (b'{"rows":[{"n":0.5}]}', 422),
    "a number beyond 64 bits": (b'{"rows":[{"n":9223372036854775808}]}', 422),
    "a number of many digits": (b'{"rows":[{"n":' + b"9" * 5_000 + b"}]}", 400),
    "a number for text": (b'{"rows":[{"city":5}]}', 422),
    "no time": (b'{"rows":[{"when":"yesterday"}]}', 422),
    "a time without its zone": (b'{"rows":[{"when":"2026-01-01T00:00:00"}]}', 422),
    "a time far away": (b'{"rows":[{"when":"9999-01-01T00:00:00Z"}]}', 422),
    "a time in the future": (b'{"rows":[{"when":"2099-01-01T00:00:00Z"}]}', 422),
    "an unknown field": (b'{"rows":[{"xx":1}]}', 422),
    "an unknown field beside rows": (b'{"rows":[{"x":1}],"y":1}', 422),
    "no known field": (b'{"rows":[{"y":1}]}', 422),
    "100,000 rows": (b'{"rows":[' + b",".join([b'{"n":1}'] * 100_000) + b"]}", 413),
    "an id that is none": (b'{"rows":[{"x":1}],"id":"a b"}', 400),
    "an id that is a number": (b'{"rows":[{"x":1}],"id":5}', 400),
    "a pickle": (b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94.", 400),
}


@pytest.mark.parametrize(("body", "expected"), BAD.values(), ids=BAD)
def test_bad_input_is_refused_in_a_sentence(server, body, expected):
    code, _, said = server.ask(body)
    assert code == expected
    assert set(said) == {"error"}
    assert said["error"].count(". ") <= 1
    for secret in ("Traceback", "File ", "/tmp", "site-packages", "Error:"):
        assert secret not in said["error"]
    assert server.one(**ROW)["status"] == "normal"


@pytest.mark.parametrize(
    ("path", "body", "need"),
    [
        ("/predict", b'{"rows":[1]}', "rows[0] must be an object of fields"),
        ("/predict", b'{"rows":{"x":1}}', '"rows" must be a list of objects'),
        (
            "/invocations",
            b'{"dataframe_split":{"columns":["x"],"data":[[1,2,3]]}}',
            "must be a list of 1 value, one a column",
        ),
    ],
)
def test_what_a_body_must_be_is_not_told_as_what_it_is(server, path, body, need):
    code, _, said = server.ask(body, path=path)
    assert code == 422
    assert need in said["error"]


def test_a_body_of_10_megabytes_is_refused(server):
    code, _, said = server.ask(b'{"rows":[{"city":"' + b"a" * (10 << 20) + b'"}]}')
    assert code == 413
    assert "1048576 bytes" in said["error"]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-python-pickle"}, 415),
        ({"Content-Type": "application/json; charset=latin-1"}, 415),
        ({"Content-Type": "application/json; v=1; charset=utf-16"}, 415),
        ({"Content-Type": "application/jsonx"}, 415),
        ({"Content-Encoding": "gzip"}, 415),
        ({"Host": "evil.example"}, 421),
        ({"X-Request-Id": "a b"}, 400),
        ({"X-Request-Id": "x" * 200}, 400),
    ],
)
def test_bad_headers_are_refused(server, headers, expected):
    code, _, said = server.ask(ROW, headers=headers)
    assert (code, set(said)) == (expected, {"error"})


@pytest.mark.parametrize("more", ["", ";", "; charset=utf-8", ';charset="UTF-8"', "; profile=x", "; v=1; charset=utf8"])
def test_what_else_is_said_of_a_body_makes_it_no_other(server, more):
    code, _, said = server.ask(ROW, headers={"Content-Type": f"Application/JSON{more}"})
    assert (code, said["predictions"][0]["status"]) == (200, "normal")


def test_two_ids_in_one_head_are_refused(server):
    body = b'{"x":0.5}'
    head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as line:
        line.sendall(head + b"X-Request-Id: a\r\nX-Request-Id: b\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        said = b"".join(iter(lambda: line.recv(4096), b""))
    assert said.startswith(b"HTTP/1.1 400 ")
    assert b"X-Request-Id stands there twice" in said


def test_an_unknown_category_is_a_value_like_any_other(server):
    one = server.one(**(ROW | {"city": "atlantis"}))
    assert one["status"] == "normal"
    assert one["value"] == pytest.approx(1.0, abs=0.1)


def test_no_page_shows_a_file(server):
    for path in ("/../../etc/passwd", "/%2e%2e/etc/passwd", "/predict/../app.py", "/docs", "/", "/health/"):
        code, _, said = server.get(path)
        assert (code, said) == (404, {"error": "There is no such page."})
    assert server.get("/predict")[0] == 405


def test_the_other_pages_say_how_it_is(server):
    assert server.get("/health")[2] == {"status": "up"}
    code, _, said = server.get("/ready")
    assert (code, said["ready"], said["workers"], said["troubled"]) == (200, True, 2, False)
    assert (said["stages"], said["unguarded"]) == (["champion", "flat", "constant"], "")
    _, _, text = server.get("/metrics")
    for name in (
        "mlwild_requests_total{",
        "mlwild_rows_total{",
        "mlwild_log_lines_total",
        "mlwild_live_info{",
        "mlwild_log_sync_seconds_bucket",
        "mlwild_data_age_seconds",
        "mlwild_waiting_rows",
        "mlwild_worker_restarts_total",
        "mlwild_request_seconds_bucket",
    ):
        assert name in text
    _, _, api = server.get("/openapi.json")
    row = api["components"]["schemas"]["Row"]["properties"]
    assert row["x"] == {"type": ["number", "null"]}
    assert (row["when"]["type"], row["when"]["format"]) == (["string", "null"], "date-time")
    assert "At most a day in the future" in row["when"]["description"]
    assert "format" not in row["day"]  # its times have no zone
    assert re.search(row["when"]["pattern"], "2026-01-12T10:00:00Z")
    assert re.search(row["day"]["pattern"], "2026-01-12T00:00:00")
    assert not re.search(row["day"]["pattern"], "2026-01-12T00:00:00Z")
    assert row["n"]["type"] == ["integer", "null"]


def test_a_head_without_end_is_refused(server):
    with socket.socket() as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 14)  # else the machine itself may take it all
        line.settimeout(10)
        line.connect(("127.0.0.1", server.port))
        line.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n")
        said = b""
        with contextlib.suppress(OSError):  # it may hang up while we still send
            for number in range(2000):
                line.sendall(b"X-%d: %b\r\n" % (number, b"a" * 1000))
        with contextlib.suppress(OSError):
            said = line.recv(1000)
    assert said.startswith(b"HTTP/1.1 431 ") or said == b""
    assert number < 1999
    assert server.get("/health")[0] == 200


@pytest.mark.slow
@pytest.mark.parametrize("sent", [b"", b"POST /predict HTTP/1.1\r\nHost: loc"], ids=["nothing", "half a head"])
def test_who_sends_no_request_is_hung_up_on(server, sent):
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as line:
        line.sendall(sent)
        assert line.recv(100) == b""
