"""
Remedies for a slice on which a model fails: models around a base model, to be rehearsed like any other.

None is believed before it was rehearsed: `mlwild patch` says what each did to the slice in the next period
and what it cost elsewhere.
"""

from mlwild.remedies.abstaining import Abstaining
from mlwild.remedies.augmented import Augmented
from mlwild.remedies.group_dro import GroupDRO
from mlwild.remedies.jtt import JTT
from mlwild.remedies.last_layer import LastLayer
from mlwild.remedies.recalibrated import Recalibrated
from mlwild.remedies.reweighted import Reweighted
from mlwild.remedies.slices import Where
from mlwild.remedies.standard import standard
from mlwild.remedies.transforms import Recombined, Spliced

__all__ = [
    "JTT",
    "Abstaining",
    "Augmented",
    "GroupDRO",
    "LastLayer",
    "Recalibrated",
    "Recombined",
    "Reweighted",
    "Spliced",
    "Where",
    "standard",
]
