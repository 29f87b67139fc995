"""Where fits are made: worker processes of this machine, or a Ray cluster."""

from __future__ import annotations

from dataclasses import dataclass

from mlwild.errors import AppError


@dataclass(frozen=True)
class Ray:
    """
    A Ray cluster that makes the fits: give it as ``jobs``.

    Data are put into the cluster once, fits are sent in chunks, and a chunk whose worker or node dies is done again
    elsewhere. What comes back is kept at once, under its key, so that a run that is cut off loses nothing that was
    made. The nodes need the same Python and packages, and no disk in common.

    Parameters
    ----------
    address : str, optional
        Of a running cluster; default the variable ``RAY_ADDRESS``, and without it one that is started on this machine
        for the run, listening with a token that nobody else knows.
    cpus : int, optional
        Processors of a cluster that is started; default all.
    chunk : int, optional
        Fits that are sent together; default about a second's worth.

    Examples
    --------
    >>> Ray(cpus=2)
    Ray(address=None, cpus=2, chunk=None)
    """

    address: str | None = None
    cpus: int | None = None
    chunk: int | None = None

    def __post_init__(self) -> None:
        """Check the numbers."""
        for name in ("cpus", "chunk"):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, int) and value >= 1):
                raise AppError(f"compute: Ray({name}={value!r}) is no positive number.")


#: How many worker processes, or a cluster; None: one a processor.
Jobs = int | Ray | None
