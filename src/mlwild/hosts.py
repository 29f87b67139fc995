"""Names that a machine answers to: a page elsewhere that points its own name here is refused."""

from __future__ import annotations

import re
import socket
from collections.abc import Container
from ipaddress import ip_address

from mlwild.errors import AppError

#: Names by which a machine calls itself.
LOCAL = ("127.0.0.1", "localhost", "::1")
#: Any address in figures: no name can be pointed here then, only an address.
ANY = "*"


def name_of(host: str) -> str:
    """
    Return the name in a Host header, without its port; empty where there is none.

    Examples
    --------
    >>> name_of("localhost:8642"), name_of("[::1]:9"), name_of("127.0.0.1"), name_of("a@localhost"), name_of("::1")
    ('localhost', '::1', '127.0.0.1', '', '')
    """
    found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::\d{1,5})?", host)
    return (found[1] or found[2]).lower() if found else ""


def knows(name: str, hosts: Container[str]) -> bool:
    """
    Say whether a name is answered to: this machine's own, one of `hosts`, or any address in figures if `ANY` is one.

    Examples
    --------
    >>> knows("localhost", ()), knows("evil.example", {ANY}), knows("10.0.0.7", {ANY})
    (True, False, True)
    """
    return bool(name) and (name in LOCAL or name in hosts or (ANY in hosts and _in_figures(name)))


def answered(host: str) -> tuple[str, ...]:
    """Return the names that are answered to, beside this machine's own, by who listens at an address."""
    if host in LOCAL:
        return ()
    # Behind "all addresses of this machine" no name is known: who calls must name it in figures.
    return (ANY,) if host in ("0.0.0.0", "::") else (host.lower(),)  # noqa: S104


def listening(host: str, port: int, command: str) -> socket.socket:
    """
    Return a socket that listens at once, so that a second one is refused.

    Raises
    ------
    AppError
        If the port is taken, or the address is not this machine's.
    """
    # With its protocol named: asyncio sends answers without delay only then.
    kind = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(kind, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(1024)
    except OSError as problem:
        listener.close()
        raise AppError(
            f"--port: {host}:{port} cannot be listened at: {problem.strerror or problem}. Another {command} may be "
            "running; name another port, or 0 for any that is free."
        ) from problem
    return listener


def _in_figures(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
