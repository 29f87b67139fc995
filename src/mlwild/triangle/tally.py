"""What the making of triangles took."""

from __future__ import annotations

from dataclasses import dataclass, field

from mlwild.triangle.fitting import Done


@dataclass
class Tally:
    """What the making of triangles took."""

    made: int = 0
    reused: int = 0
    mended: int = 0
    seconds: float = 0.0
    warned: dict[str, int] = field(default_factory=dict)

    def count(self, done: Done) -> None:
        """Add a finished job."""
        self.made += done.fitted
        self.reused += not done.fitted and not done.why
        self.seconds += done.seconds
        for text in done.warned:
            self.warned[text] = self.warned.get(text, 0) + 1
