"""Serve a fitted model with BentoML: the pickle, a folder for the service, and the port."""

import os
import sys
from pathlib import Path

SERVICE = """
import pickle

import bentoml
import pandas as pd


@bentoml.service(workers=1, traffic={{"timeout": 60}})
class Service:
    def __init__(self):
        self.model = pickle.load(open({model!r}, "rb"))
        self.names = list(self.model.feature_names_in_)

    @bentoml.api
    def predict(self, rows: list[dict]) -> list[float]:
        return self.model.predict(pd.DataFrame(rows, columns=self.names)).tolist()
"""

model, folder, port = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
(folder / "peer_service.py").write_text(SERVICE.format(model=str(Path(model).resolve())))
os.chdir(folder)
words = ["-m", "bentoml", "serve", "peer_service:Service", "--port", port, "--host", "127.0.0.1"]
os.execve(sys.executable, [sys.executable, *words], os.environ | {"BENTOML_DO_NOT_TRACK": "True"})
