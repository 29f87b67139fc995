"""Every request answered, with a status; what was answered is on the disk before it is acknowledged."""

from mlwild.serve.run import serve
from mlwild.served import read_log

__all__ = ["read_log", "serve"]
