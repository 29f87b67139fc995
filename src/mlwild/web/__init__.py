"""A local page over the workspace: apps, their lives, runs side by side, cards."""

from mlwild.web.server import serve
from mlwild.web.site import Workspace, site

__all__ = ["Workspace", "serve", "site"]
