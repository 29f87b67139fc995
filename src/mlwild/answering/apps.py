"""The app of what answers, from its file: only if its code is that which made what is live."""

from __future__ import annotations

from mlwild.answering.bundle import Bundle
from mlwild.app import App
from mlwild.errors import AppError
from mlwild.loading import load_app
from mlwild.operating.opening import same_code
from mlwild.operating.shadowing import challenger_app


def app_of(file: str, model: str) -> App:
    """Return the app of a file, in which one of its models lives."""
    app = load_app(file)
    return app if model == app.live else challenger_app(app, model)


def app_that_made(bundle: Bundle) -> App:
    """
    Return the app that made a bundle.

    Raises
    ------
    AppError
        If the app is not what it was when it was bundled.
    """
    app = app_of(bundle.file, bundle.model)
    if not same_code(app, bundle.code):
        raise AppError(
            f"app: {app.name!r} is not what it was when it was put into operation. What is live was made by that code. "
            "Restore it, or put the new one in place with mlwild deploy."
        )
    return app
