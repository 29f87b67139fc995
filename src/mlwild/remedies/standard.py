"""The remedies that are tried unless others are named."""

from __future__ import annotations

from typing import Any

from mlwild.losses import Loss
from mlwild.remedies.abstaining import Abstaining
from mlwild.remedies.augmented import Augmented
from mlwild.remedies.group_dro import GroupDRO
from mlwild.remedies.jtt import JTT
from mlwild.remedies.last_layer import LastLayer
from mlwild.remedies.recalibrated import Recalibrated
from mlwild.remedies.reweighted import Reweighted
from mlwild.remedies.slices import Slice
from mlwild.remedies.transforms import Spliced, Transform


def standard(
    base: Any, slice_: Slice, loss: Loss, *, transform: Transform | None = None, price: float | None = None
) -> tuple[dict[str, Any], dict[str, str]]:
    """
    Return the remedies that suit a model and a loss, and why others do not.

    Where the loss is one of probabilities, groups are the slice and the rest; else within each class, too.

    Parameters
    ----------
    base : estimator or callable
    slice_ : callable or str
    loss : Loss
    transform : callable, optional
        ``f(X, rng)`` that leaves labels as they are; default blocks of columns of rows of the same group.
    price : float, optional
        What a row costs that is not answered, in the unit of the loss; without it nobody abstains.

    Returns
    -------
    remedies : dict of str to estimator
    left_out : dict of str to str
        Name of a remedy, and why it was not tried.

    Examples
    --------
    >>> from sklearn.linear_model import LinearRegression
    >>> from mlwild.losses import named
    >>> made, left_out = standard(LinearRegression(), "in_slice", named("squared"))
    >>> list(made), list(left_out)
    (['slice x4', 'balanced', 'group DRO', 'JTT', 'augmented', 'recalibrated'], ['last layer', 'abstaining'])
    """
    by_class = loss.predicts == "class"
    made: dict[str, Any] = {
        "slice x4": Reweighted(base, slice_, weight=4.0),
        "balanced": Reweighted(base, slice_, by_class=by_class),
        "group DRO": GroupDRO(base, slice_, by_class=by_class),
        "JTT": JTT(base, slice_),
    }
    left_out: dict[str, str] = {}
    if loss.classifies and hasattr(base, "predict_proba"):
        made["last layer"] = LastLayer(base, slice_, by_class=by_class)
    else:
        left_out["last layer"] = "it is for classifiers that give probabilities"
    made["augmented"] = Augmented(base, slice_, transform=transform or Spliced(), only_slice=True)
    if loss.predicts == "class" and loss.per == "row":
        made["threshold"] = Recalibrated(base, slice_, how="threshold", loss=loss)
    else:
        made["recalibrated"] = Recalibrated(base, slice_)
    if price is None:
        left_out["abstaining"] = "it needs a price: what a row costs that is not answered"
    elif loss.per != "row" or not loss.classifies or not hasattr(base, "predict_proba"):
        left_out["abstaining"] = "it is for classifiers that give probabilities, and losses of rows"
    else:
        made["abstaining"] = Abstaining(base, slice_, price=price, loss=loss)
    return made, left_out
