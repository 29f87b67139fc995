"""What was fitted is kept, found again, mended and resumed."""

from __future__ import annotations

import pytest

import mlwild as wild
from mlwild.rules import Every, Never, standard
from tests.support import Line, drifting, small_app


def _stable(sheet):
    return {key: value for key, value in sheet.items() if key not in ("seconds", "fits")}


def test_a_second_rehearsal_and_one_with_another_rule_fit_nothing(tmp_path):
    app = small_app()
    first = wild.rehearse(app, store=tmp_path)
    assert first.sheet["fits"] == {"made": 10, "reused": 0}
    again = wild.rehearse(app, store=tmp_path)
    assert again.sheet["fits"] == {"made": 0, "reused": 10}
    assert _stable(again.sheet) == _stable(first.sheet)
    other = wild.rehearse(app, rules=[Every(5), Never()], store=tmp_path)
    assert other.sheet["fits"] == {"made": 0, "reused": 10}


def test_thirty_rules_cost_no_fit_more_than_one(tmp_path):
    rules = [*standard(), *(Every(n) for n in (5, 7, 9, 10))]
    assert len(rules) >= 30
    assert wild.rehearse(small_app(), rules=rules, store=tmp_path).sheet["fits"]["made"] == 10
    assert wild.rehearse(small_app(), rules=[Never()], store=tmp_path / "b").sheet["fits"]["made"] == 10


def test_workers_or_none_give_identical_sheets(tmp_path, monkeypatch):
    from mlwild.triangle import parallel

    alone = wild.rehearse(small_app(), store=tmp_path / "alone", jobs=1)
    monkeypatch.setattr(parallel, "ALONE", 0.0)
    together = wild.rehearse(small_app(), store=tmp_path / "together", jobs=2)
    assert _stable(alone.sheet) == _stable(together.sheet)
    for ours, theirs in zip(alone.triangles, together.triangles, strict=True):
        for vintage in ours.scores:
            assert ours.predictions(vintage).tobytes() == theirs.predictions(vintage).tobytes()


def test_a_new_row_of_history_refits_only_the_new_vintage(tmp_path):
    frame = drifting(1300, delay=0)
    wild.rehearse(small_app(frame[:1200]), store=tmp_path)
    assert wild.rehearse(small_app(frame), store=tmp_path).sheet["fits"] == {"made": 1, "reused": 10}


@pytest.mark.parametrize(
    "change",
    [
        {"models": {"line": Line(ridge=1.0)}},
        {"seeds": [1]},
        {"features": lambda rows: rows[["a"]]},
        {"windows": [300]},
    ],
)
def test_what_determines_a_fit_makes_a_new_one(tmp_path, change):
    wild.rehearse(small_app(), store=tmp_path)
    assert wild.rehearse(small_app(**change), store=tmp_path).sheet["fits"]["made"] > 0


def test_what_does_not_determine_a_fit_makes_none(tmp_path):
    wild.rehearse(small_app(), store=tmp_path)
    for change in ({"prices": wild.Prices(loss=3.0, retrain=1.0)}, {"loss": "absolute"}, {"groups": ["b"]}):
        assert wild.rehearse(small_app(**change), store=tmp_path).sheet["fits"]["made"] == 0


def test_a_damaged_entry_is_found_by_its_digest_and_made_again(tmp_path):
    app = small_app()
    before = wild.rehearse(app, store=tmp_path)
    victim = sorted((tmp_path / "memo").rglob("*.arrow"))[3]
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.write_bytes(bytes(data))
    after = wild.rehearse(app, store=tmp_path)
    assert after.sheet["mended"] == 1
    assert after.sheet["rules"] == before.sheet["rules"]
    # The fitted model was sound: only its predictions were made again.
    assert after.sheet["fits"]["made"] == 0
    model = sorted((tmp_path / "memo").rglob("*.model"))[3]
    model.write_bytes(b"")
    model.with_suffix(".arrow").unlink(missing_ok=True)
    for arrow in (tmp_path / "memo").rglob("*.arrow"):
        arrow.unlink()
    assert wild.rehearse(app, store=tmp_path).sheet["fits"]["made"] == 1


def test_an_interrupted_run_resumes_where_it_stopped(tmp_path):
    calls = []

    def stop(ready, total, fitted):
        calls.append(fitted)
        if fitted == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        wild.rehearse(small_app(), store=tmp_path, jobs=1, progress=stop)
    assert wild.rehearse(small_app(), store=tmp_path, jobs=1).sheet["fits"] == {"made": 6, "reused": 4}
    assert calls[-1] == 4


def test_the_losses_are_left_on_disk_and_add_up(tmp_path):
    import duckdb

    made = wild.rehearse(small_app(), store=tmp_path)
    path = tmp_path / "losses" / "small.parquet"
    diagonal = duckdb.sql(f"select avg(loss) from '{path}' where cutoff = period and \"window\" = 'all'").fetchall()[0][
        0
    ]
    assert diagonal == pytest.approx(made.models[0]["fresh"], rel=0.01)
    assert made.losses().num_rows == 55


def test_a_damaged_parent_of_an_update_is_fitted_again(tmp_path):
    app = small_app(update="partial_fit")
    before = wild.rehearse(app, store=tmp_path)
    for model in (tmp_path / "memo").rglob("*.model"):
        model.write_bytes(model.read_bytes()[:20])
    for arrow in (tmp_path / "memo").rglob("*.arrow"):
        arrow.unlink()
    after = wild.rehearse(app, store=tmp_path)
    assert not after.triangles[0].failed
    assert after.sheet["rules"] == before.sheet["rules"]


def test_rows_on_disk_that_were_changed_are_written_again(tmp_path):
    before = wild.rehearse(small_app(), store=tmp_path)
    (label,) = (tmp_path / "rows").rglob("label.npy")
    data = bytearray(label.read_bytes())
    data[-1] ^= 64
    label.write_bytes(data)
    for entry in (tmp_path / "memo").rglob("*.model"):
        entry.unlink()
    for entry in (tmp_path / "memo").rglob("*.arrow"):
        entry.unlink()
    assert wild.rehearse(small_app(), store=tmp_path).sheet["rules"] == before.sheet["rules"]


def test_the_second_run_says_all_that_the_first_said(tmp_path):
    import warnings

    def train(X, y):
        warnings.warn("it did not converge", UserWarning, stacklevel=1)
        return lambda X: X["a"].to_numpy()

    one, two = (wild.rehearse(small_app(models={"m": train}), store=tmp_path, jobs=1) for _ in range(2))
    assert any("it did not converge" in said for said in one.sheet["unknown"])
    assert _stable(one.sheet) == _stable(two.sheet)
