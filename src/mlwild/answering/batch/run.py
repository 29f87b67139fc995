"""Answer the rows of a file: locked, journalled, and published under its name when whole."""

from __future__ import annotations

import contextlib
import os
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from mlwild.answering.apps import app_that_made
from mlwild.answering.batch import outputs
from mlwild.answering.batch.asked import Answers, answers_of, check_deadline
from mlwild.answering.batch.given import began_of
from mlwild.answering.batch.inputs import BATCH, Looked, Rows, changed, format_of, looked, same_file
from mlwild.answering.batch.journal import JOURNAL, Journal
from mlwild.answering.batch.keeping import drop_tables, keep_tables
from mlwild.answering.bundle import Bundle, load_bundle
from mlwild.answering.bundling import bundle
from mlwild.answering.tables import read_now
from mlwild.app import App
from mlwild.digest import file_digest
from mlwild.disk import held, synced, writing
from mlwild.errors import AppError, BusyError, DataError, StoreError
from mlwild.rehearsal import STORE

#: Seconds between two entries of the journal: what a kill costs at most.
EVERY = 1.0
_BODY, _FINAL, _LOCK = "rows", "final", "lock"


@dataclass(frozen=True)
class Predicted:
    """
    What came of a batch.

    Parameters
    ----------
    output : Path
    rows : int
    status : mapping of str to int
        Rows by status.
    causes : mapping of str to int
        Rows by cause, the commonest first; of causes that differ in their numbers alone the first stands for all.
    vintage : str
        What was live.
    resumed : int
        Rows that an earlier run had answered.
    unread : tuple of str
        Columns of the file that nothing reads.
    seconds : float
        Of this run.
    """

    output: Path
    rows: int
    status: Mapping[str, int]
    causes: Mapping[str, int]
    vintage: str
    resumed: int
    unread: tuple[str, ...]
    seconds: float

    @property
    def refused(self) -> int:
        """Rows without a value."""
        return self.status.get("refused", 0)

    def as_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "output": str(self.output),
            "rows": self.rows,
            "status": dict(self.status),
            "causes": dict(self.causes),
            "vintage": self.vintage,
            "resumed": self.resumed,
            "unread": list(self.unread),
            "seconds": self.seconds,
        }


@dataclass(frozen=True)
class Wish:
    """
    What is asked for.

    Parameters
    ----------
    input, output : Path
    absent : bool
        Whether rows are answered without columns that are not there.
    force : bool
        Whether an output that is there may be replaced.
    restart : bool
        Whether a batch that was begun is thrown away.
    deadline : float, optional
        Seconds that a thousand rows may take.
    """

    input: Path
    output: Path
    absent: bool
    force: bool
    restart: bool
    deadline: float | None = None

    @property
    def folder(self) -> Path:
        """Where the batch stands until it is whole."""
        return self.output.with_name(f".{self.output.name}.predict")


def predict(
    app: App | str | Path,
    input: str | Path,  # noqa: A002  what it is called at the command line
    output: str | Path,
    *,
    store: str | Path = STORE,
    absent: bool = False,
    force: bool = False,
    restart: bool = False,
    deadline: float | None = None,
    progress: Callable[[int], None] | None = None,
) -> Predicted:
    """
    Answer the rows of a file by what is live, through the guard: one row out for each row in, in order.

    Rows are read and answered a thousand at a time, so that a file may be larger than memory. A run that was killed
    goes on where it was when it is called again, with what the guard remembered: the output has the same bytes as
    that of one run. It appears under its name only when whole. A cell that cannot be read is answered as missing, and
    the cause says so. A missing time is the beginning of the batch.

    Without a deadline a model that never returns is waited for, and one that ends its process ends the batch. A stage
    that failed too often rests for batches where a server counts seconds.

    Parameters
    ----------
    app : App, str or Path
        The app file, or an app that was loaded from one; in operation.
    input : str or Path
        A .csv (UTF-8, comma, header), .parquet or .jsonl file, with the columns of the app's data. The label is not
        looked at; columns that nothing reads are told.
    output : str or Path
        A .csv, .parquet or .jsonl file: the app's key and time, ``value`` (or ``value_CLASS`` for each class),
        ``low``, ``high``, ``likely``, ``status``, ``cause``, ``stage``, ``vintage``, ``newest_label``,
        ``expected_loss``, ``chance``. A key or time of such a name gets an underscore.
    store : str or Path
        As for `mlwild.operate`.
    absent : bool
        Answer without columns that the file does not have, each row as degraded, as a server would. Otherwise a
        column that is gone is refused: a whole file of degraded answers is seldom what was meant.
    force : bool
        Replace an output that is there.
    restart : bool
        Throw away what an earlier run had answered.
    deadline : float, optional
        Seconds that a thousand rows may take. They are answered in a process of its own then: where the model takes
        longer or ends it, the next stage of the fallback chain answers them, and the cause says so.
    progress : callable, optional
        Called with the number of rows answered so far, about once a second.

    Returns
    -------
    Predicted

    Raises
    ------
    AppError
        If a file is not what it should be, or another batch was begun for this output.
    DataError
        If the input cannot be read to its end, lacks a column, or changes meanwhile.
    StoreError
        If something cannot be written: what was answered is kept.
    BusyError
        If another process writes the same output.
    """
    began = time.monotonic()
    wish = Wish(Path(input), Path(output).resolve(), absent, force, restart, deadline)
    kind = _checked(wish)
    with _locked(wish):
        seen = looked(wish.input)
        root, key, mark = bundle(app, store=store)
        made = load_bundle(root, key, mark)
        tables, read = _tables(wish, made)
        asked = {
            "input": seen.digest,
            "size": seen.size,
            "read_as": format_of(wish.input, "input"),
            "bundle": mark,
            "tables": tables,
            "written_as": kind,
            "absent": absent,
            "batch": BATCH,
        }
        journal = _journal(wish, asked, made)
        rows = Rows(wish.input, made.columns, journal.began)
        unread = _fits(rows, made, absent)
        resumed = journal.rows
        if not journal.whole:
            if read:  # only now: if this batch is refused, an earlier one needs those that it was begun with
                keep_tables(root, wish.folder, read)
            lies = {"key": key, "digest": mark, "folder": str(wish.folder), "tables": tables, "salt": seen.digest}
            with writing(wish.output), contextlib.closing(answers_of(root, made, lies, wish.deadline)) as answers:
                _answer(_Work(wish, kind, journal, answers, seen), rows, progress)
        _publish(wish, kind)
        drop_tables(root, wish.folder)
    causes = {journal.examples[name]: n for name, n in journal.causes.most_common()}
    status = {name: journal.status[name] for name in ("normal", "degraded", "fallback", "refused")}
    return Predicted(wish.output, journal.rows, status, causes, made.vintage, resumed, unread, time.monotonic() - began)


def _checked(wish: Wish) -> str:
    """Return the output's format, or refuse before anything is done."""
    check_deadline(wish.deadline)
    format_of(wish.input, "input")
    kind = format_of(wish.output, "output")
    if not wish.input.is_file():
        what = "is no plain file" if wish.input.exists() else "is not there"
        raise AppError(f"input: {str(wish.input)!r} {what}.")
    if same_file(wish.input, wish.output) or wish.input.resolve() == wish.output:
        raise AppError("output: it is the input. Name another file.")
    if wish.output.exists() and not wish.output.is_file():
        raise AppError(f"output: {str(wish.output)!r} is no plain file. Name another.")
    if not wish.output.parent.is_dir():
        raise AppError(f"output: there is no folder {str(wish.output.parent)!r}.")
    if not os.access(wish.output.parent, os.W_OK):
        raise AppError(f"output: {str(wish.output.parent)!r} cannot be written to.")
    return kind


@contextlib.contextmanager
def _locked(wish: Wish) -> Iterator[None]:
    """Hold the output; a folder that was made for nothing is taken away again."""
    lock = wish.folder / _LOCK
    busy = f"is answering into {wish.output.name}. Wait until it has finished."
    with held(lock, lambda owner: f"output: {owner} {busy}") as file:
        if not _stands(lock, file):  # who held it finished while this one waited, and took the file away
            raise BusyError(f"output: another process has just finished {wish.output.name}.")
        try:
            yield
        finally:
            if not (wish.folder / JOURNAL).exists():
                _clear(wish.folder)


def _stands(lock: Path, file: IO[bytes]) -> bool:
    """Say whether a file is still what stands under its name; on a full disk it does not say whose it is."""
    try:
        return os.path.samestat(lock.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def _clear(folder: Path) -> None:
    """Take away what a batch left that has no journal (any more): it counts for nothing."""
    with writing(folder):
        for path in sorted(folder.iterdir(), key=lambda one: one.name == _LOCK):
            path.unlink()
    with contextlib.suppress(OSError):  # somebody who waits may have made a lock in it anew
        folder.rmdir()


def _journal(wish: Wish, asked: dict[str, Any], made: Bundle) -> Journal:
    """Return how far the batch has come; a new one is not written down yet."""
    path = wish.folder / JOURNAL
    journal = None if wish.restart else Journal.read(path)
    if journal is not None and journal.asked != asked:
        other = [name for name, said in asked.items() if journal.asked.get(name) != said]
        names = {"input": "input", "size": "input", "bundle": "live model", "read_as": "input"}
        names["tables"] = "state of the side tables"
        what = " and ".join(dict.fromkeys(names.get(name, "setting") for name in other))
        raise AppError(
            f"output: {wish.output.name} was begun with another {what}, and {journal.rows:,} of its rows are answered. "
            "Restore that, or throw them away with --restart."
        )
    # What a finished batch left may be its own output: `_publish` looks.
    if wish.output.exists() and not wish.force and not (journal is not None and journal.whole):
        raise AppError(f"output: {str(wish.output)!r} is there already. Replace it with --force, or name another.")
    if journal is not None:
        return journal
    path.unlink(missing_ok=True)
    (wish.folder / _BODY).unlink(missing_ok=True)
    return Journal(asked, began_of(made.clock))


def _tables(wish: Wish, made: Bundle) -> tuple[str, bytes]:
    """Return the digest of the side tables to answer by: of those that a batch was begun with, or read now."""
    begun = None if wish.restart else Journal.read(wish.folder / JOURNAL)
    if begun is not None:
        return str(begun.asked.get("tables", "")), b""
    return read_now(app_that_made(made), made.tables) if made.tables else ("", b"")


def _fits(rows: Rows, made: Bundle, absent: bool) -> tuple[str, ...]:
    """Return the columns that nothing reads, or refuse a file that lacks one."""
    names, columns = rows.names(), made.columns
    if names is None:  # nothing in it can be read: each row says so by itself
        return ()
    ids = {columns.key} if made.clock == "tick" else {columns.key, columns.time}
    gone = [one for one in columns.names if one not in names and one not in ids]
    if gone and not (absent and len(gone) < len(columns.names) and columns.time not in gone):
        have = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
        hint = "" if absent else " Add it, or answer without it, as degraded, with --absent."
        raise DataError(f"input: {rows.path.name} has no column {gone[0]!r}; it has {have}.{hint}")
    return tuple(name for name in names if name not in columns.names and name not in columns.hidden)


@dataclass
class _Work:
    """A batch at work."""

    wish: Wish
    kind: str
    journal: Journal
    answers: Answers
    seen: Looked

    def save(self, body: Any) -> None:
        """Put the answers so far on the disk, and then that they are there."""
        body.flush()
        os.fsync(body.fileno())
        self.journal.watch = self.answers.memory
        self.journal.save(self.wish.folder / JOURNAL)

    def write(self, body: Any, data: bytes) -> None:
        """Write answers."""
        body.write(data)
        self.journal.length += len(data)
        self.journal.check = zlib.crc32(data, self.journal.check)


def _answer(work: _Work, rows: Rows, progress: Callable[[int], None] | None) -> None:
    journal, answers = work.journal, work.answers
    layout = outputs.Layout.of(answers.bundle)
    if journal.watch:
        answers.memory = journal.watch
    path = work.wish.folder / _BODY
    with path.open("r+b" if journal.rows and path.exists() else "w+b") as body:
        if journal.rows:
            _taken_up(path, body, journal)
        else:
            journal.length = journal.check = 0
            work.write(body, outputs.head(work.kind, layout))  # no journal yet: there is nothing to go on with
            synced(work.wish.folder)
        saved = time.monotonic()
        for given in rows.batches(journal.rows):
            # A batch counts as a second: by a real clock, answers would depend on how quick the machine is.
            made = answers.answer(given.columns, journal.rows / BATCH)
            lists = layout.lists(given, made)
            work.write(body, outputs.encoded(work.kind, layout, lists))
            journal.count(lists["status"], lists["cause"], answers.bundle.names)
            journal.rows += given.n
            if time.monotonic() - saved >= EVERY:
                work.save(body)
                saved = time.monotonic()
                if progress is not None:
                    progress(journal.rows)
        if changed(work.wish.input, work.seen):
            raise DataError(f"input: {work.wish.input.name} was changed while it was read. Begin anew with --restart.")
        journal.whole = True
        work.save(body)


def _taken_up(path: Path, body: Any, journal: Journal) -> None:
    """Cut off what came after the last entry of the journal, and refuse answers that were changed since."""
    left, check = journal.length, 0
    while left and (block := body.read(min(left, 1 << 20))):
        check = zlib.crc32(block, check)
        left -= len(block)
    if left or check != journal.check:
        raise StoreError(f"output: {path} was changed or damaged. Begin anew with --restart.")
    body.seek(journal.length)
    body.truncate()


def _publish(wish: Wish, kind: str) -> None:
    """Give the answers their name, and take away what led to them."""
    body, final = wish.folder / _BODY, wish.folder / _FINAL
    with writing(wish.output):
        if kind == "parquet":
            with final.open("wb") as file:
                outputs.write_parquet(body, file)
                file.flush()
                os.fsync(file.fileno())
        elif body.exists():
            final = body
        elif wish.output.exists():  # killed after it had its name
            (wish.folder / JOURNAL).unlink()
            return
        else:
            raise StoreError(f"output: {body} is gone. Begin anew with --restart.")
        if wish.output.exists() and not wish.force and file_digest(wish.output) != file_digest(final):
            raise AppError(f"output: {str(wish.output)!r} is not of this run. Move it, or replace it with --force.")
        final.replace(wish.output)
        synced(wish.output.parent)
        (wish.folder / JOURNAL).unlink()
