"""A process that answers for another one: it ends when that does."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

#: Of prctl: send this signal when the parent dies.
_PDEATHSIG = 1


def end_with(front: int) -> None:
    """Die when the front process dies, even in the middle of a call that never returns."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the front process, which ends us
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != front:
            raise SystemExit(0)
