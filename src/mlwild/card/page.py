"""Pages: templates with everything escaped, and files that are written or told why not."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from mlwild.errors import StoreError


def write_page(html: str, path: Path) -> Path:
    """Write a page; a folder that is not there, or a full disk, gets a sentence."""
    try:
        path.write_text(html, encoding="utf-8", newline="\n")
    except OSError as problem:
        why = problem.strerror or str(problem)
        raise StoreError(
            f"The card could not be written to {path}: {why}. Name a file in a folder that exists."
        ) from problem
    return path


def environment() -> Environment:
    """Return where templates are, with everything escaped."""
    return Environment(
        loader=PackageLoader("mlwild.card", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
