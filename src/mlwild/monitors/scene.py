"""What a monitor may see of a vintage at a cutoff: nothing in it is later."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from mlwild.losses import Loss
from mlwild.monitors.sketches import Moved

Floats = NDArray[np.float64]
Signs = NDArray[np.int8]
Made = TypeVar("Made")

#: Slice functions by name: from a frame of features to booleans, or to -1, 0 (abstains) and 1.
Slices = Mapping[str, Callable[[Any], Any]]


class Side(Protocol):
    """Rows of a scene: evenly spaced ones where there are very many."""

    @property
    def predictions(self) -> Floats:
        """Predictions, shape (n,), or (n, n_classes) for several classes."""
        ...

    @property
    def bins(self) -> NDArray[np.uint8]:
        """Bin of each feature, shape (n, n_columns), 0 where it is missing; see `mlwild.monitors.sketches`."""
        ...

    def frame(self) -> Any:
        """Return the features as the user's kind of frame."""
        ...

    def slices(self, functions: Slices) -> Signs:
        """Return in which slices each row lies, shape (n, n_slices); functions see one period at a time."""
        ...


class LabelledSide(Side, Protocol):
    """Rows whose labels are known."""

    @property
    def labels(self) -> NDArray[Any]:
        """Numbers, or class numbers, shape (n,)."""
        ...

    @property
    def losses(self) -> Floats:
        """Loss of each row, shape (n,); empty for a loss of a set."""
        ...


@dataclass(frozen=True, eq=False)
class PastLosses:
    """
    Losses by period before the window, over the labels known at the cutoff.

    Parameters
    ----------
    total, weight : ndarray of shape (cutoff - 1,)
        Sum of losses and weight of rows; 0 where nothing is known.
    settled : ndarray of bool, shape (cutoff - 1,)
        Whether about all labels of a period that ever come have come.
    """

    total: Floats
    weight: Floats
    settled: NDArray[np.bool_]


class Scene(Protocol):
    """
    What is known of a vintage at a cutoff about the last finished period, before its labels.

    The **reference** are the last periods before the vintage was made, each predicted by the freshest vintage
    of its time, so out of sample; or the vintage's own first period where there are none. The **window** is
    the last finished period; its labels are left out even where they are there, so that all monitors are judged
    by what they say before them.
    """

    @property
    def loss(self) -> Loss:
        """The app's loss."""
        ...

    @property
    def age(self) -> int:
        """Periods between the vintage's cutoff and the window; 0 in its first period."""
        ...

    @property
    def selective(self) -> bool:
        """Whether labels depend on the model's decisions, so that labelled rows speak for themselves only."""
        ...

    @property
    def reference(self) -> Side:
        """All rows of the reference."""
        ...

    @property
    def known(self) -> LabelledSide:
        """Those rows of the reference whose labels are known."""
        ...

    @property
    def window(self) -> Side:
        """Rows of the last finished period, with the vintage's predictions."""
        ...

    @property
    def reference_loss(self) -> float:
        """Mean known loss of the reference; NaN where no label is known."""
        ...

    @property
    def moved(self) -> Moved:
        """Counts of every feature on both sides, over all rows."""
        ...

    def own(self) -> PastLosses:
        """Return the losses of the vintage."""
        ...

    def live(self) -> PastLosses:
        """Return the losses of the freshest vintage of each period."""
        ...

    def rival(self, model: str | None) -> Floats | None:
        """
        Return another opinion on the window: predictions as in `window`.

        Of another model of the app that was fitted at the same time, or (None) of the freshest other
        vintage; None where there is none.
        """
        ...

    def remember(self, key: object, make: Callable[[], Made], *, of_reference: bool = True) -> Made:
        """Return what was made before under a key for this reference (or this scene only), else make it."""
        ...
