"""Keys for who calls from elsewhere: shown once, kept as digests, compared in constant time."""

from __future__ import annotations

import hmac
import json
import os
import re
import secrets
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from mlwild.clock import now_text
from mlwild.disk import synced, waiting, writing
from mlwild.errors import AppError, StoreError

FILE = "serve-keys.json"
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Key:
    """
    A key that is known.

    Parameters
    ----------
    name : str
        Whose.
    digest : str
        SHA-256 of the key.
    made : str
        When.
    """

    name: str
    digest: str
    made: str


@dataclass(frozen=True)
class Keys:
    """
    The keys of a store.

    A key has 256 random bits: a plain digest of it cannot be turned back, as one of a password could.

    Parameters
    ----------
    path : Path
        The file that keeps them; made with the first one, readable by its owner alone.

    Examples
    --------
    >>> import tempfile
    >>> keys = Keys(Path(tempfile.mkdtemp()) / "keys.json")
    >>> secret = keys.add("till")
    >>> holder(keys.all(), secret), holder(keys.all(), "guess")
    ('till', '')
    >>> keys.revoke("till"); keys.all()
    ()
    """

    path: Path

    def all(self) -> tuple[Key, ...]:
        """
        Return the keys, oldest first.

        Raises
        ------
        StoreError
            If the file cannot be read.
        """
        try:
            said = json.loads(self.path.read_bytes())
            return tuple(_key(one) for one in said["keys"])
        except FileNotFoundError:
            return ()
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as problem:
            raise StoreError(
                f"keys: {self.path} cannot be read. Restore it, or remove it and make new keys."
            ) from problem

    def add(self, name: str) -> str:
        """
        Make a key and return it: it is not kept, and cannot be shown again.

        Raises
        ------
        AppError
            If the name is taken, or no name.
        """
        if not _NAME.fullmatch(name):
            raise AppError("keys: a name has 1 to 64 of the letters A-Z a-z 0-9 _ . -")
        secret = f"mlw_{secrets.token_urlsafe(32)}"
        with waiting(self.path.with_suffix(".lock")):
            found = self.all()
            if any(one.name == name for one in found):
                raise AppError(f"keys: there is a key {name!r}. Revoke it first, or give another name.")
            self._write((*found, Key(name, digest_of(secret), now_text())))
        return secret

    def revoke(self, name: str) -> None:
        """
        Take a key away; a server that runs knows of it within a second.

        Raises
        ------
        AppError
            If there is none of this name.
        """
        with waiting(self.path.with_suffix(".lock")):
            found = self.all()
            if all(one.name != name for one in found):
                have = ", ".join(one.name for one in found) or "none"
                raise AppError(f"keys: there is no key {name!r}; there is {have}.")
            self._write(tuple(one for one in found if one.name != name))

    def _write(self, keys: tuple[Key, ...]) -> None:
        said: dict[str, Any] = {"keys": [{"name": one.name, "sha256": one.digest, "made": one.made} for one in keys]}
        part = self.path.with_suffix(".part")
        with writing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            part.unlink(missing_ok=True)
            handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(said, file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            part.replace(self.path)
            synced(self.path.parent)  # else a key that was revoked could be there again after a power cut


def _key(said: Any) -> Key:
    """Return a key as the file says it."""
    if not _DIGEST.fullmatch(said["sha256"]):
        raise ValueError("this is no digest")
    return Key(str(said["name"]), said["sha256"], str(said["made"]))


def digest_of(secret: str) -> str:
    """Return what is kept of a key."""
    return sha256(secret.encode(errors="replace")).hexdigest()


def holder(keys: tuple[Key, ...], secret: str) -> str:
    """Return whose key it is; empty if nobody's. All keys are compared, each in constant time."""
    given, found = digest_of(secret), ""
    for one in keys:
        if hmac.compare_digest(one.digest, given):
            found = one.name
    return found
