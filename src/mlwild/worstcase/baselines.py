"""What the gate's baselines would have lost on the rows of what was live, with labels as late as they come."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mlwild.errors import DataError
from mlwild.gate import baselines
from mlwild.records import Vintage
from mlwild.worstcase.live import Bools, Live

Floats = NDArray[np.float64]


def baseline_losses(live: Live, chosen: Bools) -> Iterator[tuple[str, Floats]]:
    """
    Yield the losses of each of the gate's baselines on some of the live rows.

    Parameters
    ----------
    live : Live
    chosen : ndarray of bool, shape (n_rows,)

    Raises
    ------
    DataError
        If the loss is not finite for what a baseline predicts.
    """
    replay, survey = live.replay, live.replay.survey
    held = replay.everything.held(live.rows[chosen])
    n_classes = 0 if survey.classes is None else len(survey.classes)

    def start(vintage: Vintage) -> Floats:
        learned = replay.learned_from(vintage)
        weights = survey.grid.weight[learned]
        return baselines.constant(survey.labels[learned], weights, n_classes, survey.loss, survey.ask)

    # The constant is fitted again whenever the model was.
    lived = [replay.life.live[k - live.first] for k in range(live.first, live.periods)]
    constants = {vintage: start(vintage) for vintage in dict.fromkeys(lived)}
    fitted = np.stack([constants[vintage] for vintage in lived]).astype(np.float64)
    made = {"a constant": fitted[held.period - live.first]}
    made |= baselines.recent(replay.everything.until(live.periods), held, survey.ask, constants[lived[0]])
    for name, predicted in made.items():
        try:
            yield name, survey.loss.rows(held.labels, predicted)
        except DataError as error:
            error.add_note(f"This is of the baseline: {name}.")
            raise
