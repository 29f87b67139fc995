"""The front by itself, before a stand-in that answers at once: ids that come again, limits, and a log in trouble."""

from __future__ import annotations

import asyncio
import json
import shutil
import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import jsonschema
import pytest

from mlwild import served as lines
from mlwild.answering.service import FIELDS
from mlwild.columns import Column, Columns
from mlwild.serve import front as module
from mlwild.serve import ids, read_log
from mlwild.serve import log as logs
from mlwild.serve.door import Door
from mlwild.serve.front import Front, Limits, application
from mlwild.serve.keys import Key, digest_of
from mlwild.serve.log import Log
from mlwild.serve.tickets import Reply

COLUMNS = Columns((Column("when", "time", zoned=True), Column("x", "number")), (), "when", None)
TOLD = {
    "clock": "instant",
    "ask": "mean",
    "classes": None,
    "vintage": "1",
    "stages": [],
    "unguarded": "",
    "newest": None,
}


class Standing:
    """What answers: every row by the number of rows answered so far."""

    vintage = "1"

    def __init__(self) -> None:
        self.columns, self.shadow, self.pairs, self.rows = COLUMNS, None, {}, 0
        self.champion = SimpleNamespace(told=TOLD, ready=True, workers=[], trouble="")

    async def answer(self, asked, _):
        made = dict.fromkeys(FIELDS, [None] * asked.n)
        texts = {"status": "normal", "cause": "", "stage": "champion", "vintage": self.vintage, "features": "{}"}
        made |= {name: [text] * asked.n for name, text in texts.items()}
        made["value"] = [float(self.rows + row) for row in range(asked.n)]
        self.rows += asked.n
        return Reply(made), ["champion"] * asked.n


class Asking:
    """A front over a log, and a client."""

    def __init__(self, folder, limits, keys=None):
        self.log, self.standing = Log(folder), Standing()
        arms = SimpleNamespace(now=None, trouble="", swaps=0, counts=dict)
        self.front = Front(arms, self.log, limits)
        self.front.remember()
        self.front.follow(self.standing)
        self.door = Door(application(self.front), 1 << 20, lambda *_: None, keys=keys)

    async def __call__(self, body=None, name=None, path="/predict", secret=""):
        """Return code, headers and what is said."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent, told = [], [{"type": "http.request", "body": data, "more_body": False}]

        async def receive():
            return told.pop() if told else {"type": "http.disconnect"}

        async def send(message):
            sent.append(message)

        headers = {"host": "localhost", "content-type": "application/json", "x-api-key": secret}
        headers |= {"x-request-id": name} if name else {}
        scope = {"type": "http", "method": "GET" if body is None else "POST", "path": path, "query_string": b""}
        scope |= {"root_path": "", "headers": [(one.encode(), said.encode()) for one, said in headers.items()]}
        await self.door(scope, receive, send)
        said = json.loads(b"".join(one.get("body", b"") for one in sent))
        return sent[0]["status"], {one.decode(): said.decode() for one, said in sent[0]["headers"]}, said


def run(folder, work, limits=None, keys=None):
    """Have something done with a server of its own."""

    async def main():
        asking = Asking(folder, limits or Limits(), keys)
        try:
            return await asyncio.wait_for(work(asking), 20)
        finally:
            await asking.log.close(1.0)

    return asyncio.run(main())


@pytest.fixture
def stall(monkeypatch):
    """Let the disk of a log stall while an event is not set; nobody waits long for it."""
    goes_on, real = threading.Event(), logs.os.fdatasync
    goes_on.set()
    monkeypatch.setattr(logs.os, "fdatasync", lambda handle: (goes_on.wait(30), real(handle)))
    monkeypatch.setattr(logs, "PATIENCE", 0.2)
    monkeypatch.setattr(module, "PATIENCE", 0.2)
    yield goes_on
    goes_on.set()


def logged(folder):
    return [line["id"] for line in read_log(folder)]


def test_a_request_without_a_time_gets_its_answer_when_it_comes_again(tmp_path):
    async def work(ask):
        first = await ask({"rows": [{"x": 1.0}]}, "again")
        await asyncio.sleep(0.002)
        both = await asyncio.gather(*(ask({"rows": [{"x": 1.0}]}, name) for name in ("again", "two", "two")))
        assert [one[0] for one in (first, *both)] == [200] * 4
        assert first[2] == both[0][2]
        assert both[1][2] == both[2][2]
        assert (await ask({"rows": [{"x": 2.0}]}, "again"))[0] == 409

    run(tmp_path, work)
    assert sorted(logged(tmp_path)) == ["again", "two"]


def test_a_field_that_is_null_and_one_that_is_absent_are_two_requests(tmp_path):
    time = "2026-01-12T10:00:00Z"

    async def work(ask):
        assert (await ask({"rows": [{"when": time, "x": None}]}, "one"))[0] == 200
        code, _, said = await ask({"rows": [{"when": time}]}, "one")
        assert code == 409
        assert "another request" in said["error"]

    run(tmp_path, work)


def test_a_request_that_comes_again_is_known_though_columns_came_or_went(tmp_path):
    rows = {"rows": [{"x": 1.0, "when": None}, {"x": 2.0, "when": "2026-01-12T10:00:00Z"}]}
    bare, fresh = COLUMNS, replace(COLUMNS, needed=(Column("fresh", "number"), *COLUMNS.needed))
    hidden = replace(COLUMNS, needed=COLUMNS.needed[:1], hidden=("x",))

    async def work(ask):
        first = [await ask(rows, "one"), await ask({"inputs": {"x": [1.0]}}, "two", path="/invocations")]
        for columns in (fresh, hidden, bare):
            ask.standing.columns = columns
            ask.front.follow(ask.standing)
            again = await ask(rows, "one")
            assert (again[0], again[2]) == (200, first[0][2])
            if columns is not hidden:
                again = await ask({"dataframe_records": [{"x": 1.0}]}, "two", path="/invocations")
                assert (again[0], again[2]) == (200, first[1][2])
            assert (await ask({"rows": rows["rows"][::-1]}, "one"))[0] == 409

    run(tmp_path, work)
    assert logged(tmp_path) == ["one", "two"]


def test_rows_that_are_nested_too_deeply_to_be_told_from_others_are_refused(tmp_path):
    async def work(ask):
        ask.standing.columns = replace(COLUMNS, hidden=("y",))
        ask.front.follow(ask.standing)
        good, bad = 500, 100_000  # Pythons differ in how deep is too deep

        async def read(depth):
            body = b'{"rows":[{"x":1.0,"y":' + b"[" * depth + b"]" * depth + b"}]}"
            code, _, said = await ask(body, f"deep-{depth}")
            assert code == 200 or (code, said["error"]) == (400, "The body is nested too deeply.")
            return code == 200

        assert await read(good)
        while bad - good > 1:
            middle = (good + bad) // 2
            good, bad = (middle, bad) if await read(middle) else (good, middle)
        # What can be read need not be what can be told from others: nothing between the two is another error.
        assert not any([await read(depth) for depth in range(bad, bad + 100)])

    run(tmp_path, work)


def test_a_disk_that_stalls_is_told_in_time_and_no_request_is_logged_twice(tmp_path, stall):
    async def work(ask):
        assert (await ask({"x": 1.0}, "before"))[0] == 200
        stall.clear()
        began = time.monotonic()
        code, headers, said = await ask({"x": 1.0}, "one")
        assert code == 503
        assert int(headers["retry-after"]) >= 1
        assert "stalls" in said["error"]
        rows = ask.standing.rows
        assert (await ask({"x": 1.0}, "two"))[0] == 503
        assert ask.standing.rows == rows  # the model is not asked for nothing
        assert (await ask({"x": 1.0}, "before"))[0] == 200
        code, _, said = await ask(path="/ready")
        assert (code, said["ready"], "stalls" in said["log"]) == (503, False, True)
        assert (await ask({"x": 1.0}, "one"))[0] == 503
        assert time.monotonic() - began < 5
        stall.set()
        while (await ask(path="/ready"))[0] != 200:  # noqa: ASYNC110  a thread goes on
            await asyncio.sleep(0.02)
        answers = [await ask({"x": 1.0}, name) for name in ("one", "one", "two")]
        assert [one[0] for one in answers] == [200] * 3
        assert answers[0][2] == answers[1][2]
        assert answers[0][2]["predictions"][0]["value"] == rows - 1  # the answer that was on its way

    run(tmp_path, work, Limits(deadline=0.1))
    assert logged(tmp_path) == ["before", "one", "two"]


def test_a_server_whose_disk_stalls_ends_within_its_grace(tmp_path, stall):
    async def work(ask):
        async def answer(_, n):  # of a shadow; the disk begins to stall while it answers
            stall.clear()
            return (await ask.standing.answer(SimpleNamespace(n=n), []))[0]

        ask.standing.shadow = SimpleNamespace(answer=answer, open_rows=0)
        assert (await ask({"x": 1.0}))[0] == 200
        await asyncio.wait_for(ask.front.finish(), 1)
        while "stalls" not in ask.log.trouble:  # noqa: ASYNC110  a thread began to write a little later
            await asyncio.sleep(0.02)
        await asyncio.wait_for(ask.log.close(0.1), 1)
        stall.set()

    run(tmp_path, work)


def test_who_wants_answers_rather_than_a_log_gets_them_while_the_disk_stalls(tmp_path, stall):
    async def work(ask):
        stall.clear()
        assert [(await ask({"x": 1.0}, name))[0] for name in ("one", "two")] == [200, 200]
        assert (await ask(path="/ready"))[0] == 200
        stall.set()

    run(tmp_path, work, Limits(unlogged=True))
    assert logged(tmp_path) == ["one"]  # the second was not even given to the log


def test_a_log_that_was_deleted_is_told_and_answers_are_refused(tmp_path):
    folder = tmp_path / "served"

    async def work(ask):
        assert (await ask({"x": 1.0}))[0] == 200
        shutil.rmtree(folder)
        code, headers, said = await ask({"x": 1.0})
        assert (code, "retry-after" in headers) == (503, True)
        assert "deleted" in said["error"]
        code, _, said = await ask(path="/ready")
        assert code == 503
        assert "deleted" in said["log"]

    run(folder, work)


def test_an_id_that_is_far_back_in_the_log_is_known_after_a_restart(tmp_path):
    async def first(ask):
        return [(await ask({"x": float(k)}, f"id-{k}"))[2] for k in range(50)]

    async def second(ask):
        assert [(await ask({"x": float(k)}, f"id-{k}"))[2] for k in reversed(range(50))] == made[::-1]
        assert ask.standing.rows == 0
        assert (await ask({"x": 7.5}, "id-7"))[0] == 409

    made = run(tmp_path, first)
    with (tmp_path / "00000001.jsonl").open("ab") as file:  # 17 MB
        filler = lines.sealed(json.dumps({"id": "x", "asked": "", "pad": "x" * (1 << 20)}))
        file.writelines([filler] * 17)
    run(tmp_path, second)
    assert sum(name.startswith("id-") for name in logged(tmp_path)) == 50


def test_an_id_that_is_read_back_from_the_log_is_not_that_of_another_request(tmp_path):
    async def second(ask):
        code, _, said = await ask({"x": 2.0}, "one")
        assert (code, "another request" in said["error"]) == (409, True)
        assert (await ask({"x": 1.0}, "one", path="/invocations"))[0] != 200
        assert (await ask({"x": 1.0}, "one"))[2] == made

    made = run(tmp_path, lambda ask: ask({"x": 1.0}, "one"))[2]
    run(tmp_path, second)
    assert logged(tmp_path) == ["one"]


def test_answers_that_are_forgotten_are_read_back_and_places_go_when_there_are_too_many(tmp_path, monkeypatch):
    monkeypatch.setattr(ids, "MOST", 5)
    monkeypatch.setattr(ids, "PLACES", 10)

    async def work(ask):
        first = [(await ask({"x": float(k)}, f"id-{k}"))[2] for k in range(50)]
        again = [(await ask({"x": float(k)}, f"id-{k}"))[2] for k in range(35, 50)]
        assert again == first[35:]
        rows = ask.standing.rows
        assert rows == 50
        return ask.front.ids

    found = run(tmp_path, work)
    assert len(found) == 5
    assert len(found._new) + len(found._old) <= 20


def test_an_answer_that_cannot_be_read_back_now_is_not_made_anew(tmp_path, monkeypatch):
    async def first(ask):
        return (await ask({"x": 1.0}, "one"))[2]

    async def second(ask):
        def fails(*_):
            raise OSError(5, "Input/output error")

        with monkeypatch.context() as broken:
            broken.setattr(module, "read_at", fails)
            code, headers, said = await ask({"x": 1.0}, "one")
            assert (code, "retry-after" in headers) == (503, True)
            assert "cannot be read" in said["error"]
        assert (await ask({"x": 1.0}, "one"))[2] == made

    made = run(tmp_path, first)
    run(tmp_path, second)
    assert logged(tmp_path) == ["one"]


def test_more_rows_than_may_ever_wait_are_refused_for_good(tmp_path):
    keys = (Key("till", digest_of("secret"), ""),)

    async def work(ask):
        code, headers, said = await ask({"rows": [{"x": 1.0}] * 41}, secret="secret")
        assert (code, "retry-after" in headers) == (413, False)
        assert "40 rows" in said["error"]
        code, headers, said = await ask({"rows": [{"x": 1.0}] * 21}, secret="secret")
        assert (code, "retry-after" in headers) == (413, False)
        assert "20 rows" in said["error"]
        assert (await ask({"rows": [{"x": 1.0}] * 20}, secret="secret"))[0] == 200

    run(tmp_path, work, Limits(waiting=40), keys)
    assert len(logged(tmp_path)) == 1


class Busy:
    """Have large requests wait until an event is set; small ones are answered."""

    def __init__(self, ask):
        self.goes_on, self.real, ask.standing.answer = asyncio.Event(), ask.standing.answer, self.answer

    async def answer(self, asked, names):
        if asked.n > 5:
            await self.goes_on.wait()
        return await self.real(asked, names)


NO_ROWS = b'{"rows":[' + b'{"x":1.0},' * 2000  # it has no end


def test_a_long_body_is_refused_unread_where_its_rows_may_not_wait(tmp_path):
    async def work(ask):
        busy, rows = Busy(ask), {"rows": [{"x": 1.0}] * 900}
        assert (await ask(NO_ROWS))[0] == 400
        waiting = asyncio.create_task(ask(rows))
        await asyncio.sleep(0.05)
        code, headers, said = await ask(NO_ROWS)
        assert (code, int(headers["retry-after"])) == (503, 1)
        assert "rows are waiting" in said["error"]
        for path, body in (
            ("/predict", rows),
            ("/invocations", {"inputs": {"x": [1.0] * 900, "when": [None] * 900}}),
            ("/invocations", {"dataframe_split": {"columns": ["x"], "data": [[1.0]] * 900}}),
        ):
            assert (await ask(body, path=path))[0] == 503
        busy.goes_on.set()
        assert (await waiting)[0] == 200
        assert (await ask({"rows": [{"x": 1.0}] * 1000}))[0] == 200

    run(tmp_path, work, Limits(waiting=1000))


def test_a_long_body_of_few_rows_is_answered_however_many_there_seem_to_be(tmp_path):
    async def work(ask):
        ask.standing.columns = replace(COLUMNS, needed=(*COLUMNS.needed, Column("said", "text")))
        ask.front.follow(ask.standing)
        assert (await ask({"rows": [{"x": 1.0, "said": "{" * 20_000}]}))[0] == 200

    run(tmp_path, work, Limits(waiting=1000))


@pytest.mark.parametrize("secret", ["", "secret"])
def test_small_requests_are_answered_while_large_ones_wait(tmp_path, secret):
    async def work(ask):
        busy, half = Busy(ask), [{"x": 1.0}] * 500
        waiting = [asyncio.create_task(ask({"rows": half}, secret=secret))]
        waiting += [asyncio.create_task(ask({"rows": half}, secret="other" if secret else ""))]
        await asyncio.sleep(0.05)
        for n, code in ((1, 200), (5, 200), (6, 503)):
            assert (await ask({"rows": half[:n]}, secret=secret))[0] == code
        few = asyncio.Event()

        async def late(asked, names):
            await few.wait()
            return await busy.real(asked, names)

        ask.standing.answer = late
        most = 10 if secret else 20  # of a hundred rows beside the others
        waiting += [asyncio.create_task(ask({"rows": half[:5]}, secret=secret)) for _ in range(most)]
        await asyncio.sleep(0.05)
        assert (await ask({"x": 1.0}, secret=secret))[0] == (429 if secret else 503)
        busy.goes_on.set()
        few.set()
        assert [(await one)[0] for one in waiting] == [200] * (2 + most)
        assert (await ask({"rows": half}, secret=secret))[0] == 200

    keys = (Key("till", digest_of("secret"), ""), Key("web", digest_of("other"), "")) if secret else None
    run(tmp_path, work, Limits(waiting=1000), keys)


def test_the_description_says_where_a_key_is_needed(tmp_path):
    async def work(ask):
        ask.standing.champion.told = TOLD | {"app": "a"}
        code, _, said = await ask(path="/openapi.json", secret="secret")
        assert code == 200
        schemes = said.get("components", {}).get("securitySchemes", {})
        needed = {path: [one.get("security") for one in page.values()] for path, page in said["paths"].items()}
        return schemes, needed

    keys = (Key("till", digest_of("secret"), ""),)
    schemes, needed = run(tmp_path / "keyed", work, keys=keys)
    assert schemes["bearer"] == {"type": "http", "scheme": "bearer"}
    assert schemes["header"] == {"type": "apiKey", "in": "header", "name": "X-Api-Key"}
    assert needed.pop("/health") == [[]]
    assert set(map(str, needed.values())) == {str([[{"bearer": []}, {"header": []}]])}
    schemes, needed = run(tmp_path / "open", work)
    assert schemes == {}
    assert set(map(str, needed.values())) == {"[None]"}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("\u043f\u043b\u043e\u0441\u043a\u0430\u044f 4", r"\u043f\u043b\u043e\u0441\u043a\u0430\u044f 4"),
        ("mod\u00e8le 4", r"mod\u00e8le 4"),
        ("two\nlines 4", r"two\nlines 4"),
        ("35/90D", "35/90D"),
    ],
)
def test_a_vintage_may_have_a_name_that_no_header_can_hold(tmp_path, name, said):
    async def work(asking):
        asking.standing.vintage = name
        for _ in range(2):  # made, and given again
            code, headers, body = await asking({"rows": [{"x": 1}]}, "a")
            assert (code, headers["x-vintage"], body["predictions"][0]["vintage"]) == (200, said, name)

    run(tmp_path, work)
    assert logged(tmp_path) == ["a"]


def test_segments_that_were_moved_away_while_a_server_runs_are_missed_by_nobody(tmp_path, monkeypatch):
    monkeypatch.setattr(logs, "SEGMENT", 1)  # each line has its own
    monkeypatch.setattr(ids, "MOST", 0)  # answers are read back from it

    async def work(asking):
        first = [(await asking({"rows": [{"x": 1}]}, name))[2] for name in "abc"]
        (tmp_path / "00000001.jsonl").rename(tmp_path / "elsewhere")
        assert (await asking({"rows": [{"x": 1}]}, "b"))[2] == first[1]
        code, _, said = await asking({"rows": [{"x": 1}]}, "a")
        assert (code, said["id"], said != first[0]) == (200, "a", True)  # nobody knows that it was answered
        assert logged(tmp_path) == ["b", "c", "a"]

    run(tmp_path, work)
    assert logged(tmp_path) == ["b", "c", "a"]


KINDS = {
    "mean": (None, 0.5, None, "The prediction"),
    "probability": ([False, True], 0.5, [1], "The probability of true"),
    "class": (["kept", "zurück"], 1.0, None, "The class"),
    "probabilities": (["kept", "neu", "zurück"], [0.5, 0.25, 0.25], [0, 2], 'each class: "kept", "neu", "zurück"'),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_answered_is_what_the_description_says(tmp_path, kind):
    classes, value, likely, said = KINDS[kind]

    async def work(ask):
        ask.standing.columns = replace(COLUMNS, past=("old",))
        ask.standing.champion.told = TOLD | {"ask": kind, "classes": classes, "app": "little"}
        given = ask.standing.answer

        async def answer(asked, names):
            reply, arms = await given(asked, names)
            n = asked.n
            made = reply.lists | {"value": [value] * n, "likely": [likely] * n, "chance": [1.0] * n}
            if asked.columns[1][0] is None:
                made |= {"status": ["refused"] * n, "value": [None] * n, "likely": [None] * n}
            return Reply(made), arms

        ask.standing.answer = answer
        ask.front.follow(ask.standing)
        _, _, told = await ask(path="/openapi.json")

        def hold(path, got):
            code, _, body = got
            schema = told["paths"][path]["post"]["responses"][str(code)]["content"]["application/json"]["schema"]
            jsonschema.Draft202012Validator({**schema, "components": told["components"]}).validate(body)
            return body

        for row in ({"x": 1.0}, {"x": 1.0, "old": "y"}, {"x": None}):
            first = hold("/predict", await ask({"rows": [row]}))
            second = hold("/invocations", await ask({"instances": [row]}, path="/invocations"))
            assert second["predictions"] == [first["predictions"][0]["value"]]
            for body in (first, second):
                assert body.get("ignored") == (["old"] if "old" in row else None)
                assert body.get("classes") == (classes if kind == "probabilities" else None)
        for path in ("/predict", "/invocations"):
            assert "error" in hold(path, await ask({"rows": [{"y": 1}]}, path=path))
        assert said in told["components"]["schemas"]["Prediction"]["properties"]["value"]["description"]

    run(tmp_path, work)
