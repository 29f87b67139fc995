"""What is live as a model of MLflow: it answers through its guard, where only the folder is."""

from __future__ import annotations

import importlib.util
import json
import marshal
import os
import shutil
import socket
import struct
import subprocess
import sys
import time
import urllib.request
from decimal import Decimal
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

import mlwild as wild
from mlwild.answering.pyfunc import MANIFEST, of_frame
from mlwild.columns import Column, Columns
from mlwild.digest import digest, file_digest
from mlwild.errors import AppError, DataError, StoreError
from mlwild.exporting import save_pyfunc

pyfunc = pytest.importorskip("mlflow.pyfunc")


@pytest.fixture(scope="session")
def folder(operated, tmp_path_factory):
    """Return an exported model; not to be changed."""
    made = tmp_path_factory.mktemp("exported") / "model"
    save_pyfunc(operated, made)
    return made


@pytest.fixture
def loaded(folder):
    """Return the model anew: what the guard remembers begins with it."""
    return pyfunc.load_model(str(folder))


def test_it_answers_as_a_batch_does(operated, rows, loaded, tmp_path):
    rows.to_parquet(tmp_path / "in.parquet", index=False)
    wild.predict(operated, tmp_path / "in.parquet", tmp_path / "out.parquet")
    expected = pd.read_parquet(tmp_path / "out.parquet").drop(columns=["id", "when"])
    parts = [loaded.predict(rows.iloc[at : at + 1_000]) for at in range(0, len(rows), 1_000)]
    found = pd.concat(parts, ignore_index=True)
    assert list(found.columns) == list(expected.columns)
    for name in ("value", "low", "high", "expected_loss"):
        np.testing.assert_array_equal(found[name].astype(float), expected[name])
    for name in ("status", "cause", "stage", "vintage"):
        assert found[name].tolist() == expected[name].tolist()
    assert pd.to_datetime(found["newest_label"]).tolist() == expected["newest_label"].tolist()
    assert set(found["status"]) == {"normal", "degraded", "fallback"}


def test_a_frame_of_many_rows_is_answered_as_a_file_of_them(rows, folder, loaded, monkeypatch):
    """A thousand at a time: which rows are strange is judged among those beside them."""
    parts = [loaded.predict(rows.iloc[at : at + 1_000]) for at in range(0, 2_300, 1_000)]
    other = pyfunc.load_model(str(folder))
    service, asked = other._model_impl.service, []
    real = service.answer
    monkeypatch.setattr(service, "answer", lambda given: asked.append(len(given["x"])) or real(given))
    whole = other.predict(rows.iloc[:3_000])
    assert asked == [1_000] * 3
    pd.testing.assert_frame_equal(whole, pd.concat(parts, ignore_index=True), check_dtype=False)


@pytest.mark.slow
def test_it_needs_the_folder_alone(app_file, rows, tmp_path):
    save_pyfunc(app_file, tmp_path / "model")
    shutil.rmtree(app_file.parent)
    shutil.move(tmp_path / "model", tmp_path / "moved")
    rows.iloc[:20].to_parquet(tmp_path / "in.parquet")
    code = (
        "import sys, mlflow.pyfunc, pandas as pd\n"
        "model = mlflow.pyfunc.load_model(sys.argv[1])\n"
        "print(model.predict(pd.read_parquet(sys.argv[2]))['status'].tolist())"
    )
    words = [sys.executable, "-W", "ignore", "-c", code, tmp_path / "moved", tmp_path / "in.parquet"]
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stdout.strip() == str(["normal"] * 20)


@pytest.mark.parametrize("names", [["other", "here"], ["here"]])
def test_modules_beside_the_app_are_those_of_its_folder_whatever_else_has_their_names(
    folder, rows, loaded, tmp_path, names
):
    """Another model's module of that name, or one that lies where the process runs, would make other features."""
    paths = {"here": folder, "other": tmp_path / "other"}
    shutil.copytree(folder, paths["other"])
    _edited(paths["other"], "helper.py", "def doubled(x):\n    return 200 * x\n")
    (tmp_path / "helper.py").write_text("raise SystemExit('another module of that name')\n")
    rows.iloc[:20].to_parquet(tmp_path / "in.parquet")
    code = (
        "import json, sys, mlflow.pyfunc, pandas as pd\n"
        "frame = pd.read_parquet(sys.argv[1])\n"
        "models = [mlflow.pyfunc.load_model(one) for one in sys.argv[2:]]\n"
        "print(json.dumps([model.predict(frame)['value'].tolist() for model in models]))\n"
    )
    words = [sys.executable, "-W", "ignore", "-c", code, "in.parquet", *(str(paths[one]) for one in names)]
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, check=True)
    found = dict(zip(names, json.loads(done.stdout), strict=True))
    assert found["here"] == loaded.predict(rows.iloc[:20])["value"].tolist()
    assert found.get("other") != found["here"]


def _edited(folder, name, text):
    """Change a module of a model, and what the folder says of it."""
    data = folder / "data" / "data"
    (data / "app" / name).write_text(text)
    told = json.loads((data / MANIFEST).read_text())
    told["files"][f"app/{name}"] = file_digest(data / "app" / name)
    del told["check"]
    (data / MANIFEST).write_text(json.dumps(told | {"check": digest(json.dumps(told, sort_keys=True))}))


def test_modules_of_the_process_keep_their_names(folder, rows):
    """What a process imported before is what it has afterwards, too."""
    before = {name: module for name, module in sys.modules.items() if name.split(".")[0] == "helper"}
    own = ModuleType("helper")
    sys.modules["helper"] = own
    try:
        model = pyfunc.load_model(str(folder))
        assert sys.modules["helper"] is own
        assert set(model.predict(rows.iloc[:20])["status"]) == {"normal"}
    finally:
        del sys.modules["helper"]
        sys.modules.update(before)


def test_the_signature_names_the_columns_and_the_answers(folder):
    model = pyfunc.load_model(str(folder)).metadata
    assert model.signature.inputs.input_names() == ["id", "when", "x", "z", "n", "city", "vip", "day"]
    names = ["value", "low", "high", "likely", "status", "cause", "stage", "vintage", "newest_label"]
    names += ["expected_loss", "chance"]
    assert model.signature.outputs.input_names() == names
    assert model.metadata["columns"]["when"] == "time with zone"
    assert "mlwild" in (folder / "requirements.txt").read_text()


def test_every_file_is_held_against_its_digest(folder, tmp_path):
    data = folder / "data" / "data"
    names = [path.relative_to(folder) for path in data.rglob("*") if path.is_file()]
    assert {name.suffix for name in names} == {".py", ".json", ".model", ".bundle"}
    for place, name in enumerate(names):
        copy = tmp_path / f"model{place}"
        shutil.copytree(folder, copy)
        held = bytearray((copy / name).read_bytes())
        held[len(held) // 2] ^= 1
        (copy / name).write_bytes(held)
        with pytest.raises(StoreError, match=r"digest|damaged"):
            pyfunc.load_model(str(copy))
        (copy / name).unlink()
        with pytest.raises(StoreError, match="is gone"):
            pyfunc.load_model(str(copy))


def _files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_bytecode_beside_the_modules_is_neither_run_nor_written(folder, tmp_path):
    copy = tmp_path / "model"
    shutil.copytree(folder, copy)
    helper = copy / "data" / "data" / "app" / "helper.py"
    # What an import would take for the module's own: of the same size and time, by a compiler's account.
    planted = compile("open('planted', 'w').close()\ndef doubled(x):\n    return 2 * x\n", str(helper), "exec")
    head = importlib.util.MAGIC_NUMBER + struct.pack("<III", 0, int(helper.stat().st_mtime), helper.stat().st_size)
    cached = helper.parent / "__pycache__" / f"helper.{sys.implementation.cache_tag}.pyc"
    cached.parent.mkdir()
    cached.write_bytes(head + marshal.dumps(planted))
    before = _files(copy)
    plain = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}

    def run(code):
        words = [sys.executable, "-W", "ignore", "-c", code, str(copy)]
        return subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, check=True, env=plain)

    run("import sys, mlflow.pyfunc; mlflow.pyfunc.load_model(sys.argv[1])")
    assert not (tmp_path / "planted").exists()
    assert _files(copy) == before
    run(f"import sys; sys.path.insert(0, {str(helper.parent)!r}); import helper")
    assert (tmp_path / "planted").exists()  # so it would have been


@pytest.mark.parametrize("name", ["helper2.py", "helper.so", "sub/helper.pyc"])
def test_what_was_not_exported_is_not_loaded(folder, tmp_path, name):
    copy = tmp_path / "model"
    shutil.copytree(folder, copy)
    planted = copy / "data" / "data" / "app" / name
    planted.parent.mkdir(exist_ok=True)
    planted.write_bytes(b"")
    with pytest.raises(StoreError, match=rf"app/{name} was not exported; nothing is loaded"):
        pyfunc.load_model(str(copy))


def served(model):
    """Return a client of MLflow's own scoring server."""
    from mlflow.pyfunc.scoring_server import init
    from starlette.testclient import TestClient

    return TestClient(init(model))


def test_the_scoring_server_sends_answers_with_their_status_and_json_that_is_json(rows, loaded):
    client = served(loaded)
    asked = json.loads(json.dumps(rows.iloc[:3].to_dict("records"), default=str))
    asked[1]["n"] = None
    asked[1]["vip"] = None
    asked[2]["x"] = "high"
    split = {"columns": list(asked[0]), "data": [list(one.values()) for one in asked]}
    for body in ({"dataframe_records": asked}, {"dataframe_split": split}):
        answer = client.post("/invocations", json=body)
        assert answer.status_code == 200, answer.text

        def refused(word):
            raise AssertionError(word)

        said = json.loads(answer.text, parse_constant=refused)["predictions"]
        assert [one["status"] for one in said] == ["normal", "normal", "degraded"]
        assert "x needs a number" in said[2]["cause"]
    few = client.post("/invocations", json={"dataframe_records": [{"x": 0.5, "city": "rome"}]}).json()["predictions"]
    assert few[0]["status"] == "degraded"
    assert "absent: z, n, vip, day" in few[0]["cause"]


def test_frames_of_any_kind_are_read(rows, loaded):
    frame = rows.iloc[:5]
    first = loaded.predict(frame)["value"].tolist()
    objects = frame.astype(object)
    assert loaded.predict(objects)["value"].tolist() == first
    assert loaded.predict(frame.assign(city=frame["city"].astype("category")))["value"].tolist() == first
    assert loaded.predict(frame.set_index(frame.index + 7))["value"].tolist() == first
    mixed = loaded.predict(objects.assign(x=["high", None, 0.1, float("nan"), 1]))
    assert mixed["status"].tolist() == ["degraded", "degraded", "normal", "degraded", "normal"]
    # MLflow turns nullable columns with gaps into objects.
    gaps = loaded.predict(
        frame.astype({"vip": "boolean", "n": "Int64"}).assign(vip=pd.array([True, None] * 2 + [False]))
    )
    assert gaps["cause"].tolist() == [""] * 5
    with pytest.raises(DataError, match="or none with a column that is read; those are id, when, x"):
        loaded.predict(np.ones((3, 2)))
    with pytest.raises(DataError, match="there is no row"):
        loaded.predict(frame.iloc[:0])


@pytest.mark.parametrize("index", [range(60, 20, -2), ["a"] * 20])
def test_answers_have_the_index_of_their_rows(rows, loaded, folder, index):
    """Put beside a frame that was filtered or sorted, the answers would be those of other rows, or gaps."""
    frame = rows.iloc[:20].set_axis(list(index))
    made = loaded.predict(frame)
    assert made.index.equals(frame.index)
    again = pyfunc.load_model(str(folder)).predict(frame.reset_index(drop=True))
    assert made["value"].tolist() == again["value"].tolist()


def test_columns_that_arrow_does_not_know_are_read_cell_by_cell():
    columns = Columns((Column("x", "number"), Column("n", "integer", -9, 9)), (), "at", None)
    frame = pd.DataFrame({"n": [Decimal(3), Decimal("0.5"), np.longdouble(4)]}, dtype=object)
    for kind, wrong in ((pd.SparseDtype(float, 0.0), ()), (np.longdouble, ()), (complex, (0, 1, 2))):
        found = of_frame(frame.assign(x=pd.Series([0.5, 0.0, 2.0]).astype(kind)), columns, None)
        assert found.columns["x"] == ([None] * 3 if wrong else [0.5, 0.0, 2.0])
        assert found.columns["n"] == [3, None, 4]
        assert ["x needs a number" in why for why in found.why] == [row in wrong for row in range(3)]


def test_categories_of_mixed_kinds_periods_and_masks_are_read_as_what_each_cell_is():
    columns = Columns((Column("x", "number"),), (), "at", None)
    periods = pd.period_range("2026-01", periods=3, freq="M")  # each is kept as a whole number
    for given, known in (
        (pd.Categorical([1, "a", 2.5]), [1.0, None, 2.5]),
        (periods, [None] * 3),
        (periods.astype("category"), [None] * 3),
        (pd.Series([np.ma.masked, 0.5, 1], dtype=object), [None, 0.5, 1.0]),
    ):
        assert of_frame(pd.DataFrame({"x": given}), columns, None).columns["x"] == known


def test_what_is_no_table_is_refused_in_a_sentence(rows, loaded):
    model = loaded._model_impl  # what MLflow's own check of the signature lets pass differs from release to release
    frame = rows.iloc[:2]
    for given, said in (
        ("rows", "str is no table"),
        ({"x": 1.0}, "dict is no table"),
        (pd.concat([frame, frame[["x"]]], axis=1), "there are two columns 'x'"),
        (frame.set_axis(range(frame.shape[1]), axis=1), "or none with a column that is read; those are id, when, x"),
    ):
        with pytest.raises(DataError, match=said):
            model.predict(given)


def test_an_app_that_cannot_stand_alone_is_refused_and_nothing_is_left(app_file, tmp_path):
    (app_file.parent / "limits.txt").write_text("3")
    text = app_file.read_text()
    line = "open(__import__('os').path.join(__import__('os').path.dirname(__file__), 'limits.txt')).close()\n"
    app_file.write_text(text.replace("N = 4_000\n", f"N = 4_000\n{line}"))
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(StoreError, match=r"cannot be loaded by itself \(FileNotFoundError.*limits\.txt"):
        save_pyfunc(app_file, out / "model")
    assert list(out.iterdir()) == []


def test_a_file_that_is_read_only_when_features_are_made_is_missed_when_it_is_exported(app_file, tmp_path):
    """It would be where it serves: each row would be answered by the constant."""
    (app_file.parent / "factor.txt").write_text("2")
    text = "from pathlib import Path\n\ndef doubled(x):\n    return float({}.read_text()) * x\n"
    app_file.with_name("helper.py").write_text(text.format("Path(__file__).with_name('factor.txt')"))
    shutil.rmtree(app_file.parent / ".mlwild")
    code = (
        "import sys, mlwild as wild\n"
        "from mlwild.exporting import save_pyfunc\n"
        "from mlwild.rules import Every\n"
        "wild.operate(wild.load_app(sys.argv[1]), rule=Every(1), at='2026-01-17', begin='2026-01-15', jobs=1)\n"
        "save_pyfunc(sys.argv[1], sys.argv[2])\n"
    )
    words = [sys.executable, "-W", "ignore", "-c", code, str(app_file), str(tmp_path / "model")]
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert "export: the folder cannot make features by itself (FileNotFoundError" in done.stderr
    assert "factor.txt" in done.stderr.splitlines()[-1]
    assert not (tmp_path / "model").exists()


@pytest.mark.slow
def test_a_contract_beside_the_app_goes_along(app_file, rows, tmp_path):
    from mlwild.rules import Every

    shutil.rmtree(app_file.parent / ".mlwild")
    (app_file.parent / "batched.contract.toml").write_text("[data.columns.x]\nkind = 'number'\nhigh = 9\n")
    wild.operate(wild.load_app(app_file), rule=Every(1), at="2026-01-17", begin="2026-01-15", jobs=1)
    save_pyfunc(app_file, tmp_path / "model")
    assert (tmp_path / "model" / "data" / "data" / "app" / "batched.contract.toml").is_file()
    made = pyfunc.load_model(str(tmp_path / "model")).predict(rows.iloc[:20])
    assert made["status"].tolist() == ["normal"] * 20


def test_what_cannot_be_written_is_one_sentence(operated, folder, tmp_path):
    with pytest.raises(AppError, match="is there already"):
        save_pyfunc(operated, folder)
    with pytest.raises(AppError, match="there is no folder"):
        save_pyfunc(operated, tmp_path / "no" / "model")
    command = [sys.executable, "-m", "mlwild.cli", "export", "pyfunc", operated.name]
    done = subprocess.run(command, cwd=operated.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.strip() == "mlwild: --out: a pyfunc is a folder. Name one that is not there yet."


@pytest.mark.slow
def test_mlflow_models_serve_serves_it(folder, rows, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", str(folder), "--env-manager", "local"]
    process = subprocess.Popen(
        [*command, "--port", str(port)], cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        body = json.dumps({"dataframe_records": rows.iloc[:5].to_dict("records")}, default=str).encode()
        asked = urllib.request.Request(
            f"http://127.0.0.1:{port}/invocations", body, {"Content-Type": "application/json"}
        )
        for _ in range(120):
            try:
                with urllib.request.urlopen(asked, timeout=10) as answer:
                    said = json.loads(answer.read())["predictions"]
                break
            except OSError:
                time.sleep(0.5)
        assert [one["status"] for one in said] == ["normal"] * 5
    finally:
        process.terminate()
        process.wait(20)
