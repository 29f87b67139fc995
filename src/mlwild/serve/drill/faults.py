"""Faults that befall a running server, and how each is mended."""

from __future__ import annotations

import contextlib
import json
import resource
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mlwild.serve.drill.clients import Crowd, Manner
from mlwild.serve.drill.nonsense import Vandal
from mlwild.serve.drill.place import Running, signalled
from mlwild.served import segments

#: Times as many clients in a burst.
BURST = 10
#: Seconds in which each client asks at least once.
ASKED = 0.3


@dataclass
class Scene:
    """
    What faults befall.

    Parameters
    ----------
    server : Running
    crowd : Crowd
    sizes : sequence of int
        Rows of the requests of each client.
    store : Path
        The copy.
    log : Path
    model : Path or None
        Of the champion; None for a published forecast.
    bundle, live : Path
    order : list of int
        Workers, the one that answers first.
    """

    server: Running
    crowd: Crowd
    sizes: Sequence[int]
    store: Path
    log: Path
    model: Path | None
    bundle: Path
    live: Path
    order: list[int] = field(default_factory=list)
    held: dict[Path, bytes] = field(default_factory=dict)
    limits: dict[int, int] = field(default_factory=dict)
    stopped: list[int] = field(default_factory=list)
    vandals: list[Vandal] = field(default_factory=list)
    more: list[threading.Event] = field(default_factory=list)

    def damage(self, path: Path, said: bytes | None = None) -> None:
        """Write something else into a file, as one who does not know what it is: in place."""
        self.held.setdefault(path, path.read_bytes())
        path.write_bytes(self.held[path][:-7] + b"garbage" if said is None else said)

    def restore(self) -> None:
        """Undo it all."""
        for path, held in self.held.items():
            path.write_bytes(held)
        self.held.clear()

    def kill(self, *places: int) -> None:
        """Kill workers: 0 is the one that answers, 1 the one that stands by."""
        for place, pid in enumerate(self.order):
            if place in places:
                signalled(pid, signal.SIGKILL)

    def stop(self, *places: int) -> None:
        """Stop workers: they are there, and do nothing."""
        for place, pid in enumerate(self.order):
            if place in places:
                self.stopped.append(pid)
                signalled(pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """Let stopped workers go on, if they are still there."""
        there = set(self.server.workers)
        for pid in self.stopped:
            if pid in there:
                signalled(pid, signal.SIGCONT)
        self.stopped.clear()


Do = Callable[[Scene], None]


def nothing(_: Scene) -> None:
    """Do nothing: some faults need no mending."""


@dataclass(frozen=True)
class Trouble:
    """
    A fault of a running server.

    Parameters
    ----------
    name, what : str
    begin, end : callable
        Bring it about, and mend it.
    gone : bool
        Whether there is no server for a while: then requests cannot be answered.
    refused : bool
        Whether requests are such that they are to be refused by 4xx.
    model, clock : bool
        Whether it needs the file of a model, and times that a clock tells.
    kills : bool
        Whether it befalls workers: then they are to have lived for a while.
    """

    name: str
    what: str
    begin: Do
    end: Do = nothing
    gone: bool = False
    refused: bool = False
    model: bool = False
    clock: bool = False
    kills: bool = False


def _killed(*places: int) -> Do:
    return lambda scene: scene.kill(*places)


def _stopped(*places: int) -> Do:
    return lambda scene: scene.stop(*places)


def _model(scene: Scene) -> None:
    assert scene.model is not None
    scene.damage(scene.model)


def _model_and_one(scene: Scene) -> None:
    _model(scene)
    scene.kill(0)


def _model_and_both(scene: Scene) -> None:
    _model(scene)
    scene.kill(0, 1)


def _bundle_and_both(scene: Scene) -> None:
    scene.damage(scene.bundle)
    scene.kill(0, 1)


def _away(scene: Scene) -> None:
    scene.store.rename(scene.store.with_name(scene.store.name + ".away"))


def _away_and_one(scene: Scene) -> None:
    _away(scene)
    scene.kill(0)


def _back(scene: Scene) -> None:
    scene.store.with_name(scene.store.name + ".away").rename(scene.store)


def _limit(scene: Scene, kind: int, most: int | None) -> None:
    """Put a limit on the front process; None lifts it again, if the process is still there."""
    with contextlib.suppress(ProcessLookupError):
        soft, hard = resource.prlimit(scene.server.pid, kind)
        scene.limits.setdefault(kind, soft)
        resource.prlimit(scene.server.pid, kind, (scene.limits.pop(kind) if most is None else most, hard))


def _disk_full(scene: Scene) -> None:
    _limit(scene, resource.RLIMIT_FSIZE, segments(scene.log)[-1].stat().st_size + 100)


def _disk_free(scene: Scene) -> None:
    _limit(scene, resource.RLIMIT_FSIZE, None)


def _no_files(scene: Scene) -> None:
    _limit(scene, resource.RLIMIT_NOFILE, sum(1 for _ in Path(f"/proc/{scene.server.pid}/fd").iterdir()))
    scene.kill(0)


def _files_again(scene: Scene) -> None:
    _limit(scene, resource.RLIMIT_NOFILE, None)


def _half_written(scene: Scene) -> None:
    whole = scene.live.read_bytes()
    scene.damage(scene.live, whole[: len(whole) // 2])


def _nonsense_live(said: str) -> Do:
    return lambda scene: scene.damage(scene.live, said.encode())


def _another_key(scene: Scene) -> None:
    said = json.loads(scene.live.read_bytes())
    scene.damage(scene.live, json.dumps(said | {"key": "0" * 32, "digest": "0" * 64, "live": "none"}).encode())


def _manner(**how: object) -> Do:
    def begin(scene: Scene) -> None:
        scene.crowd.manner = Manner(**how)  # type: ignore[arg-type]

    return begin


def _clock(hours: int) -> Do:
    """Let the clock jump while requests of now come; those of before it come again."""

    def begin(scene: Scene) -> None:
        scene.crowd.manner = Manner(present=True)
        time.sleep(ASKED)
        scene.crowd.manner = Manner(present=True, again="before")
        scene.server.move(hours)

    return begin


def _clock_right(scene: Scene) -> None:
    """Set it right; requests that were answered while it was wrong come again for a moment."""
    scene.crowd.manner = Manner(again="before")
    scene.server.move(0)
    time.sleep(ASKED)
    scene.crowd.manner = Manner()


def _burst(scene: Scene) -> None:
    scene.more = scene.crowd.begin([one for one in scene.sizes for _ in range(BURST - 1)])


def _no_burst(scene: Scene) -> None:
    for ends in scene.more:
        ends.set()


def _vandals(scene: Scene) -> None:
    scene.vandals = [Vandal(lambda: scene.server.port, scene.crowd.rows, seed) for seed in range(2)]


def _no_vandals(scene: Scene) -> None:
    for one in scene.vandals:
        one.end()


def _server_killed(scene: Scene) -> None:
    scene.server.kill()


def _server_again(scene: Scene) -> None:
    scene.server.start()


def _restored(scene: Scene) -> None:
    scene.restore()


_AS_BEFORE = _manner()

TROUBLES = (
    Trouble("worker killed, the one that answers", "SIGKILL", _killed(0), kills=True),
    Trouble("worker killed, the one that stands by", "SIGKILL", _killed(1), kills=True),
    Trouble("workers killed, both", "SIGKILL", _killed(0, 1), kills=True),
    Trouble("worker hangs, the one that answers", "SIGSTOP, then SIGCONT", _stopped(0), Scene.go_on, kills=True),
    Trouble("worker hangs, the one that stands by", "SIGSTOP, then SIGCONT", _stopped(1), Scene.go_on, kills=True),
    Trouble("workers hang, both", "SIGSTOP, then SIGCONT", _stopped(0, 1), Scene.go_on, kills=True),
    Trouble("model file damaged", "it stays in memory", _model, _restored, model=True),
    Trouble(
        "model file damaged, a worker killed",
        "a new one refuses the file",
        _model_and_one,
        _restored,
        model=True,
        kills=True,
    ),
    Trouble(
        "model file damaged, both workers killed",
        "new ones refuse it",
        _model_and_both,
        _restored,
        model=True,
        kills=True,
    ),
    Trouble("bundle damaged, both workers killed", "new ones refuse it", _bundle_and_both, _restored, kills=True),
    Trouble("store away", "its folder is renamed", _away, _back),
    Trouble("store away, a worker killed", "a new one finds nothing", _away_and_one, _back, kills=True),
    Trouble("disk full", "the log cannot grow", _disk_full, _disk_free),
    Trouble("no file descriptors, a worker killed", "no new one can be started", _no_files, _files_again, kills=True),
    Trouble("live.json half written", "cut in the middle", _half_written, _restored),
    Trouble("live.json nonsense", "a list, nested 100,000 deep", _nonsense_live("[" * 100_000), _restored),
    Trouble("live.json names what is not there", "another key", _another_key, _restored),
    Trouble("times a day behind", "in each request", _manner(days=-1), _AS_BEFORE),
    Trouble("times 23 hours ahead", "of now", _manner(ahead=23), _AS_BEFORE, clock=True),
    Trouble(
        "times two days ahead", "of now: refused in words", _manner(ahead=48), _AS_BEFORE, refused=True, clock=True
    ),
    # After those of times ahead: a server that saw its clock further ahead refuses less of them.
    Trouble("clock jumps two days ahead", "of the machine; each request is of now", _clock(48), _clock_right),
    Trouble("clock jumps two days back", "of the machine; each request is of now", _clock(-48), _clock_right),
    Trouble("clock jumps an hour back", "as where summer time ends wrongly", _clock(-1), _clock_right),
    Trouble("rows out of order", "any rows in any order", _manner(shuffled=True), _AS_BEFORE),
    Trouble("requests doubled, same ids", "each is sent twice", _manner(again="same"), _AS_BEFORE),
    Trouble("requests doubled, other ids", "each is sent twice", _manner(again="other"), _AS_BEFORE),
    Trouble("nonsense beside good requests", "bodies, halves, hang-ups", _vandals, _no_vandals),
    Trouble(f"burst, {BURST} times the clients", "each as eager as before", _burst, _no_burst),
    Trouble("server killed", "SIGKILL, then started again", _server_killed, _server_again, gone=True),
)
