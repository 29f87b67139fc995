"""What a run rests on beside its data: code, packages, machine."""

from __future__ import annotations

import platform
import shutil
import subprocess
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from mlwild.digest import digest


@dataclass(frozen=True)
class Code:
    """
    The code beside an app.

    Parameters
    ----------
    commit : str
        Empty where there is no repository.
    diff : str
        What differs from it, Python files that it does not know included by name.
    """

    commit: str = ""
    diff: str = ""

    @property
    def dirty(self) -> bool:
        """Whether it differs from the commit."""
        return bool(self.diff)


def code_at(folder: Path) -> Code:
    """
    Return the commit of the repository that a folder lies in, and what differs from it.

    Examples
    --------
    >>> code_at(Path("/")).commit
    ''
    """
    git = shutil.which("git")
    if git is None:
        return Code()

    def asked(*words: str) -> str | None:
        done = subprocess.run(  # noqa: S603  fixed words
            [git, "-C", str(folder), *words], capture_output=True, text=True, errors="replace", check=False
        )
        return done.stdout if done.returncode == 0 else None

    commit = asked("rev-parse", "--verify", "--quiet", "HEAD")
    if commit is None:
        return Code()
    changed = asked("diff", "HEAD", "--no-color", "--no-ext-diff", "--", ".") or ""
    unknown = asked("ls-files", "--others", "--exclude-standard", "--", ".") or ""
    ours = [name for name in unknown.splitlines() if name.endswith(".py") and ".mlwild/" not in name]
    return Code(commit.strip(), changed + "".join(f"? {name}\n" for name in ours))


def packages() -> str:
    """Return Python, the machine and every installed package with its version, a line each."""
    found = {f"{one.metadata['Name']}=={one.version}" for one in metadata.distributions() if one.metadata["Name"]}
    head = [f"# Python {platform.python_version()}", f"# {platform.system()} {platform.machine()}"]
    return "\n".join([*head, *sorted(found, key=str.lower)]) + "\n"


def environment(text: str) -> str:
    """Return a digest of what `packages` said."""
    return digest("environment 1", text)[:16]
