"""Two who make ready what answers at once, and what the user's code prints meanwhile."""

from __future__ import annotations

import errno
import io
import json
import subprocess
import sys
import threading
import time

from mlwild.answering import bundle, bundling
from mlwild.answering.bundle import KIND
from mlwild.digest import file_digest


def test_two_who_bundle_the_same_at_once_have_one_bundle(app_file, monkeypatch):
    (app_file.parent / "helper.py").touch()
    for note in app_file.parent.glob(".mlwild/operate/*/memo/*/*.bundle.*"):
        note.unlink()
    made, before = [], bundling._made

    def slow(*args):
        made.append(threading.get_ident())
        time.sleep(0.3)
        return before(*args)

    monkeypatch.setattr(bundling, "_made", slow)
    found = []
    both = [threading.Thread(target=lambda: found.append(bundle(app_file))) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join(60)
    (store, key, mark), other = found
    assert len(made) == 1
    assert other[1:] == (key, mark)
    assert file_digest(store.payload(key, KIND)) == mark


def test_what_code_prints_below_python_does_not_spoil_what_is_said(app_file):
    text = app_file.read_text()
    app_file.write_text("import os\nos.system('echo from below')\n" + text)
    asked = {"file": str(app_file), "store": ".mlwild", "arm": "champion", "said": None}
    done = subprocess.run(
        [sys.executable, "-m", "mlwild.answering.bundling", json.dumps(asked)],
        cwd=app_file.parent, capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert "from below" in done.stderr
    assert set(json.loads(done.stdout)) == {"root", "key", "digest"}


def test_a_lock_is_held_where_its_text_cannot_be_written(tmp_path, monkeypatch):
    from mlwild import disk

    class Full(io.FileIO):
        def write(self, *_):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(disk.Path, "open", lambda path, *_, **__: Full(path, "a+"))
    with disk.held(tmp_path / "lock", lambda who: f"{who} holds it."):
        assert disk.is_held(tmp_path / "lock")
    monkeypatch.undo()
    assert not disk.is_held(tmp_path / "lock")
    assert (tmp_path / "lock").read_bytes() == b""
