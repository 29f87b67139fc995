"""Every run on record: what was done, on which data, by which code, with what result."""

from mlwild.versions.place import Place, place_of
from mlwild.versions.reading import left, run_of, runs
from mlwild.versions.recording import Made, record
from mlwild.versions.registry import Registered, Registrar, load_registered, registered
from mlwild.versions.reproducing import Reproduced, reproduce
from mlwild.versions.run import Run

__all__ = [
    "Made",
    "Place",
    "Registered",
    "Registrar",
    "Reproduced",
    "Run",
    "left",
    "load_registered",
    "place_of",
    "record",
    "registered",
    "reproduce",
    "run_of",
    "runs",
]
