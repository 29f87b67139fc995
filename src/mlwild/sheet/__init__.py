"""The answer sheet."""

from mlwild.sheet.make import make_sheet

__all__ = ["make_sheet"]
