"""A local page over the workspace: apps, their lives, runs side by side, cards."""

from mlwild.web.server import serve
from mlwild.web.site import site
from mlwild.web.workspace import Workspace

__all__ = ["Workspace", "serve", "site"]
