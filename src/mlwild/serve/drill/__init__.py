"""The chaos drill of a running server."""

from mlwild.serve.drill.driller import drill_server

__all__ = ["drill_server"]
