"""The drill of a running server: faults one after the other, while clients ask on."""

from __future__ import annotations

import http.client
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isnan
from pathlib import Path

from mlwild.answering import bundle
from mlwild.answering.bundle import KIND, Bundle, load_bundle
from mlwild.answering.live import read_live
from mlwild.app import App
from mlwild.clock import Clock
from mlwild.drilling.served import ServedCell, ServedDrill
from mlwild.errors import AppError
from mlwild.loading import load_app
from mlwild.operating.beside import SHADOW
from mlwild.operating.publishing import FILE
from mlwild.rehearsal import STORE, folder_of
from mlwild.serve import pair
from mlwild.serve.drill.clients import Crowd, Got, answer_mark
from mlwild.serve.drill.faults import TROUBLES, Scene, Trouble, nothing
from mlwild.serve.drill.place import Running, copied, told_to_end
from mlwild.serve.drill.rows import newest
from mlwild.serve.front import teller
from mlwild.served import SERVED, read_log

#: Rows of the requests of each client.
SIZES = (1, 1, 1, 50)
#: Rows of the history that are asked for, over and over.
ROWS = 2000
#: Seconds that answers must be as before until they count so, and that they get for it.
STEADY, PATIENCE = 1.0, 90.0
#: Requests that are looked at for that: more than can be answered in that time.
NEWEST = 20_000
#: Share of the rows that are normal without a fault and may be otherwise in that time: a guard judges by what it saw.
OTHERWISE = 0.05
NOTES = ("Not covered: a power cut, and a disk that gives back other bytes than it was given.",)


def drill_server(
    app: App | str | Path,
    *,
    seconds: float = 3.0,
    deadline: float = 0.5,
    store: str | Path = STORE,
    faults: Sequence[str] | None = None,
    progress: Callable[[str], None] | None = None,
) -> ServedDrill:
    """
    Start the app's server on a copy of its store, ask it for the newest rows of the history, and let faults befall it.

    Clients ask all the while: three for one row at a time, one for fifty. Each fault lasts some seconds and is mended;
    then the server gets time to be as before by itself. At the end the log is held against what was acknowledged.

    Parameters
    ----------
    app : App, str or Path
        The app file, or an app that was loaded from one; it must be in operation.
    seconds : float
        That each fault lasts.
    deadline : float
        Seconds that a row may wait for the model.
    store : str or Path
        Where the app is in operation. Nothing in it is changed.
    faults : sequence of str, optional
        What their names begin with; default all.
    progress : callable, optional
        Called with each fault.

    Returns
    -------
    ServedDrill

    Raises
    ------
    AppError
        If the app is not in operation, no fault has such a name, or this is not Linux.
    StoreError
        If what is live is gone or was changed, or the server does not start.

    References
    ----------
    .. [1] Basiri, A., et al. (2016). Chaos engineering. IEEE Software, 33(3), 35-41.

    Examples
    --------
    >>> drill_server("app.py", faults=["flood"])
    Traceback (most recent call last):
        ...
    mlwild.errors.AppError: faults: none begins with 'flood'. They are: worker killed, the one that answers; ...
    """
    if not sys.platform.startswith("linux"):
        raise AppError("drill: faults of a running server need Linux (/proc, prlimit). Drill replays instead.")
    chosen = _chosen(faults)
    app = app if isinstance(app, App) else load_app(app)
    if app.file is None:
        raise AppError("app: it was not loaded from a file, and the server reads it from there. Give the path of one.")
    with told_to_end(), tempfile.TemporaryDirectory(prefix="mlwild-drill-") as name:
        folder = Path(name)
        here = folder_of(app, store) / "operate" / app.name
        copy = folder / "store"
        read_live(here)  # that nothing is live is told of the store that was named
        copied(here, copy / "operate" / app.name)
        held, key, mark = bundle(app, store=copy)
        found = load_bundle(held, key, mark)
        rows = newest(app, found.columns, teller(Clock(found.clock)), ROWS)
        server = Running(app.file.absolute(), copy, deadline, folder / "errors", key)
        root = copy / "operate" / app.name
        model = held.payload(found.parts[0].key, "model") if found.parts else None
        crowd = Crowd(lambda: server.port, rows, "drill")
        scene = Scene(
            server, crowd, SIZES, copy, root / SERVED, model, held.payload(key, KIND), root / FILE
        )  # fmt: skip
        try:
            server.start()
            return _Driller(scene, found, seconds, progress).run(chosen)
        finally:
            crowd.end()
            server.end()


def _chosen(faults: Sequence[str] | None) -> list[Trouble]:
    if faults is None:
        return list(TROUBLES)
    for name in faults:
        if not any(one.name.startswith(name) for one in TROUBLES):
            have = "; ".join(one.name for one in TROUBLES)
            raise AppError(f"faults: none begins with {name!r}. They are: {have}.")
    return [one for one in TROUBLES if one.name.startswith(tuple(faults))]


@dataclass(frozen=True)
class _Part:
    """A fault as it was seen: when it began, was mended and was over, and memory before and after."""

    trouble: Trouble
    began: float
    mended: float
    recovered: float
    until: float
    memory: tuple[float, float]
    wrong: int
    unsound: int


class _Driller:
    """Lets faults befall a server, one after the other."""

    def __init__(self, scene: Scene, found: Bundle, seconds: float, progress: Callable[[str], None] | None) -> None:
        self.scene, self.found, self.seconds, self.progress = scene, found, seconds, progress
        self.usual: set[str] = set()
        self._whole = 0.0

    def run(self, chosen: Sequence[Trouble]) -> ServedDrill:
        """Return what came of all."""
        scene, clocked = self.scene, self.found.clock != "tick"
        scene.crowd.learn()
        scene.crowd.begin(SIZES)
        time.sleep(0.5)
        clean = self._part(Trouble("none", "without a fault", lambda _: None))
        self.usual = {cause for one in scene.crowd.got for cause in one.causes}
        able = [one for one in chosen if (scene.model or not one.model) and (clocked or not one.clock)]
        parts = [self._part(trouble) for trouble in able]
        scene.crowd.end()
        scene.server.end()
        found: dict[str, list[bytes]] = {}
        for line in read_log(scene.log):
            if line["rows"][0]["arm"] == SHADOW:  # who acknowledges nothing
                continue
            found.setdefault(str(line["id"]), []).append(answer_mark(line["answer"]))
        # Between two faults there is none: what is answered then is as good as without.
        got = [[one for one in scene.crowd.got if part.began <= one.ended < part.until] for part in parts]
        told = {id(one) for some in got for one in some}
        rest = [one for one in scene.crowd.got if id(one) not in told]
        cells = [self._cell(part, some, found) for part, some in zip(parts, got, strict=True)]
        cells.sort(key=lambda cell: cell.badness, reverse=True)
        return ServedDrill(
            app=self.found.app,
            vintage=self.found.vintage,
            deadline=scene.server.deadline,
            seconds=self.seconds,
            cells=tuple(cells),
            clean=self._cell(clean, rest, found),
            clients=len(SIZES),
            skipped=tuple(one.name for one in chosen if one not in able),
            notes=NOTES,
        )

    def _part(self, trouble: Trouble) -> _Part:
        if self.progress is not None:
            self.progress(trouble.name)
        scene = self.scene
        if trouble.kills:  # a worker that is young when it dies is thought to die of what it is given
            time.sleep(max(self._whole + pair.STEADY + 0.5 - time.monotonic(), 0.0))
            scene.order = scene.server.by_work()
        before, began = scene.server.memory, time.monotonic()
        trouble.begin(scene)
        mended = began
        if trouble.end is not nothing:
            time.sleep(self.seconds)
            mended = time.monotonic()
            trouble.end(scene)
        recovered = self._recovers(mended)
        if isnan(recovered):  # what comes next is not to suffer from it
            scene.server.kill()
            scene.server.start()
            self._recovers(time.monotonic())
        time.sleep(max(began + self.seconds - time.monotonic(), 0.0))
        until = time.monotonic()
        wrong, unsound = (sum(getattr(one, name) for one in scene.vandals) for name in ("sent", "unsound"))
        scene.vandals = []
        return _Part(
            trouble, began, mended, recovered, until, (before, scene.server.memory), wrong, unsound
        )  # fmt: skip

    def _recovers(self, mended: float) -> float:
        """Return the seconds until answers are as before and both workers are there; NaN where that never is."""
        whole = float("nan")
        while (now := time.monotonic()) - mended < PATIENCE:
            time.sleep(0.1)
            if not self._up():
                whole = float("nan")
                continue
            self._whole = whole = now if whole != whole else whole  # noqa: PLR0124  NaN is not itself
            window = [one for one in self.scene.crowd.got[-NEWEST:] if one.ended > now - STEADY]
            if now - max(whole, mended) >= STEADY and window and self._as_before(window):
                last = max((one.ended for one in self._shown(mended) if one.ended < now - STEADY), default=mended)
                return max(whole, last, mended) - mended
        return float("nan")

    def _shown(self, since: float) -> list[Got]:
        return [one for one in self.scene.crowd.since(since) if self._shows(one)]

    def _as_before(self, window: Sequence[Got]) -> bool:
        rows = sum(one.n for one in window)
        return all(one.kind == "answered" for one in window) and (sum(one.fresh for one in window) <= OTHERWISE * rows)

    def _shows(self, one: Got) -> bool:
        return one.kind != "answered" or bool(one.causes - self.usual)

    def _up(self) -> bool:
        """Say whether the server says that both workers are there, and nothing is wrong."""
        try:
            line = http.client.HTTPConnection("127.0.0.1", self.scene.server.port, timeout=5)
            line.request("GET", "/ready")
            said = json.loads(line.getresponse().read())
            line.close()
        except (OSError, http.client.HTTPException, ValueError):
            return False
        return said["ready"] and said["workers"] == 2 and not said["troubled"]

    def _cell(self, part: _Part, got: Sequence[Got], logged: dict[str, list[bytes]]) -> ServedCell:
        trouble = part.trouble
        kinds = Counter(one.kind for one in got)
        allowed = {"refused"} if trouble.refused else {"away"} if trouble.gone or isnan(part.recovered) else set()
        answered = [one for one in got if one.kind == "answered"]
        marks = {one.name: one.mark for one in answered}
        shown = [one.ended for one in sorted(got, key=lambda one: one.ended) if self._shows(one)]
        return ServedCell(
            fault=trouble.name,
            what=trouble.what,
            asked=len(got) - (kinds["refused"] if trouble.refused else 0),
            answered=kinds["answered"],
            turned=kinds["turned"],
            away=kinds["away"] if "away" in allowed else 0,
            silent=sum(n for kind, n in kinds.items() if kind not in {"answered", "turned", *allowed}),
            rows=dict(sum((one.rows for one in answered), Counter())),
            causes=dict(Counter(cause for one in answered for cause in one.causes).most_common(10)),
            slowest=1000 * max((one.ended - one.began for one in answered), default=float("nan")),
            late=sum(one.late(self.scene.server.deadline) for one in answered),
            detected=shown[0] - part.began if shown else float("nan"),
            recovered=part.recovered,
            lost=sum(mark not in logged.get(name, []) for name, mark in marks.items()),
            doubled=sum(len(logged.get(name, [])) > 1 for name in marks),
            wrong=part.wrong + (kinds["refused"] if trouble.refused else 0),
            unsound=part.unsound,
            memory=part.memory,
        )
