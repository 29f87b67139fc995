"""What a run rests on beside its data: code, packages, machine."""

from __future__ import annotations

import platform
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from mlwild.digest import digest

#: Letters of files that a repository does not know that are kept with a run.
MOST = 200_000


@dataclass(frozen=True)
class Code:
    """
    The code beside an app.

    Parameters
    ----------
    commit : str
        Empty where there is no repository.
    diff : str
        What differs from it, as a patch; Python files that it does not know are new ones there, up to `MOST` letters.
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
            [git, "-C", str(folder), *words], capture_output=True, check=False
        )
        return done.stdout.decode(errors="replace") if done.returncode == 0 else None

    commit = asked("rev-parse", "--verify", "--quiet", "HEAD")
    if commit is None:
        return Code()
    changed = asked("diff", "HEAD", "--no-color", "--no-ext-diff", "--", ".") or ""
    unknown = asked("ls-files", "--others", "--exclude-standard", "--full-name", "-z", "--", ".") or ""
    ours = [name for name in unknown.split("\0") if name.endswith(".py") and ".mlwild/" not in name]
    top = Path((asked("rev-parse", "--show-toplevel") or str(folder)).rstrip("\n"))
    return Code(commit.strip(), changed + _new(top, ours))


def _new(top: Path, names: Sequence[str]) -> str:
    """Return files as a patch that makes them; of what is too much, or no text, the name and why."""
    made, left = [], MOST
    for name in names:
        try:
            text = (top / name).read_bytes().decode()  # line breaks as they are
        except (OSError, ValueError) as problem:
            made.append(f"? {name}: left out, since it cannot be read as text ({type(problem).__name__})\n")
            continue
        if len(text) > left:
            made.append(f"? {name}: left out, since it has {len(text):,} letters and {left:,} more would be kept\n")
            continue
        left -= len(text)
        made.append(f"? {name}\n" + _made_new(name, text))
    return "".join(made)


def _made_new(name: str, text: str) -> str:
    """Return the patch that makes a file, as git writes it."""
    lines = text.split("\n")
    whole = lines[-1] == ""
    lines = lines[:-1] if whole else lines
    head = f"diff --git a/{name} b/{name}\nnew file mode 100644\n"
    if not lines:
        return head + "index 0000000..e69de29\n"
    body = "".join(f"+{line}\n" for line in lines)
    end = "" if whole else "\\ No newline at end of file\n"
    return f"{head}--- /dev/null\n+++ b/{name}\n@@ -0,0 +1,{len(lines)} @@\n{body}{end}"


def packages() -> str:
    """Return Python, the machine and every installed package with its version, a line each."""
    found = {f"{one.metadata['Name']}=={one.version}" for one in metadata.distributions() if one.metadata["Name"]}
    head = [f"# Python {platform.python_version()}", f"# {platform.system()} {platform.machine()}"]
    return "\n".join([*head, *sorted(found, key=str.lower)]) + "\n"


def environment(text: str) -> str:
    """Return a digest of what `packages` said."""
    return digest("environment 1", text)[:16]
