"""Serve a fitted model with `mlflow models serve`: the pickle, a folder to save it in, and the port."""

import os
import pickle
import sys
from pathlib import Path

import mlflow.sklearn

model, folder, port = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
mlflow.sklearn.save_model(pickle.loads(model.read_bytes()), folder / "saved", serialization_format="cloudpickle")
words = ["-m", "mlflow", "models", "serve", "-m", str(folder / "saved"), "-p", port, "-h", "127.0.0.1"]
os.execv(sys.executable, [sys.executable, *words, "--env-manager", "local"])
