"""The pages and what they are made of; they read, and never write."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from starlette.exceptions import HTTPException

from mlwild.card import card_html, life_view
from mlwild.errors import MlwildError
from mlwild.ledger import Ledger
from mlwild.operating import status
from mlwild.operating.life_sheet import life_sheet
from mlwild.versions import Run, left
from mlwild.versions import runs as runs_on_record
from mlwild.web import apps, comparing, runs
from mlwild.web.words import plain_name

#: Names by which a machine calls itself: a page elsewhere that points its own name here is refused.
LOCAL = ("127.0.0.1", "localhost", "[::1]")
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; script-src 'self'; img-src data:; "
    "form-action 'self'; frame-src 'self'; frame-ancestors 'self'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True)
class Workspace:
    """
    What the pages are about.

    Parameters
    ----------
    store : Path
        Folder of the workspace.
    hosts : tuple of str
        Names under which it may be called, beside those of this machine.
    """

    store: Path
    hosts: tuple[str, ...] = ()

    def ledger(self, app: str) -> Ledger:
        """Return the ledger of an app in operation."""
        folder = self.store / "operate" / app
        if not plain_name(app) or not (folder / "ledger.jsonl").is_file():
            raise HTTPException(404, f"No app {app!r} is in operation here.")
        return Ledger(folder / "ledger.jsonl")

    def runs(self) -> list[Run]:
        """Return all runs on record."""
        return runs_on_record(self.store)


def site(workspace: Workspace) -> FastAPI:
    """
    Return the pages of a workspace.

    Parameters
    ----------
    workspace : Workspace

    Returns
    -------
    FastAPI

    Examples
    --------
    >>> import tempfile
    >>> from fastapi.testclient import TestClient
    >>> with TestClient(site(Workspace(Path(tempfile.mkdtemp()))), base_url="http://localhost") as client:
    ...     "No app is in operation" in client.get("/").text
    True
    """
    app = FastAPI(title="mlwild", docs_url=None, redoc_url=None, openapi_url=None)
    render = _renderer()
    _guard(app, workspace, render)
    _life_pages(app, workspace, render)
    _run_pages(app, workspace, render)
    _static(app)
    return app


Render = Callable[..., HTMLResponse]


def _renderer() -> Render:
    pages = Environment(
        loader=ChoiceLoader([PackageLoader("mlwild.web", "pages"), PackageLoader("mlwild.card", "")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )

    def render(name: str, code: int = 200, **shown: Any) -> HTMLResponse:
        return HTMLResponse(pages.get_template(name).render(shown), status_code=code)

    return render


def _guard(app: FastAPI, workspace: Workspace, render: Render) -> None:
    """Answer only to this machine's own names, read only, and say in a sentence what is wrong."""

    @app.middleware("http")
    async def only_here(request: Request, follow: Callable[[Request], Awaitable[Response]]) -> Response:
        host = request.headers.get("host", "")
        name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
        answer: Response
        if name not in (*LOCAL, *workspace.hosts):
            answer = Response("This page answers to the names of its own machine only.", 421, media_type="text/plain")
        elif request.method not in ("GET", "HEAD"):
            answer = Response("This page only shows.", 405, media_type="text/plain")
        else:
            answer = await follow(request)
        for header, value in _HEADERS.items():
            answer.headers.setdefault(header, value)
        return answer

    @app.exception_handler(HTTPException)
    async def told(request: Request, problem: HTTPException) -> Response:
        return _wrong(request, render, problem.status_code, str(problem.detail))

    @app.exception_handler(MlwildError)
    async def ours(request: Request, problem: MlwildError) -> Response:
        return _wrong(request, render, 500, str(problem))


def _wrong(request: Request, render: Render, code: int, said: str) -> Response:
    if request.url.path.startswith("/api/"):
        return JSONResponse({"error": said}, status_code=code)
    return render("wrong.html", code=code, title="Not shown", said=said)


def _life_pages(app: FastAPI, workspace: Workspace, render: Render) -> None:
    @app.get("/")
    def home() -> Response:
        found = status(workspace.store)
        return render("apps.html", title="Apps", **apps.view(found, workspace.store))

    @app.get("/api/apps")
    def home_data() -> list[dict[str, Any]]:
        return [one.as_dict() for one in status(workspace.store)]

    @app.get("/apps/{name}")
    def life(name: str) -> Response:
        sheet = _sheet(workspace, name)
        rehearsed = (workspace.store / "sheets" / f"{name}.json").is_file()
        return render("app.html", title=name, rehearsed=rehearsed, **life_view(sheet))

    @app.get("/api/apps/{name}")
    def life_data(name: str) -> dict[str, Any]:
        return _sheet(workspace, name)

    @app.get("/cards/{name}")
    def card(name: str) -> Response:
        path = workspace.store / "sheets" / f"{name}.json"
        if not plain_name(name) or not path.is_file():
            raise HTTPException(404, f"{name!r} was not rehearsed here. Run mlwild rehearse.")
        return _sandboxed(card_html(apps.sheet_at(path)))


def _sheet(workspace: Workspace, name: str) -> dict[str, Any]:
    sheet = life_sheet(workspace.ledger(name))
    if sheet is None:
        raise HTTPException(404, f"The life of {name!r} was not opened yet. Run mlwild operate.")
    return sheet


def _sandboxed(html: str) -> HTMLResponse:
    """Return a self-contained page that may do nothing: it was made of other people's names and texts."""
    policy = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
    return HTMLResponse(html, headers={"Content-Security-Policy": policy})


def _run_pages(app: FastAPI, workspace: Workspace, render: Render) -> None:
    @app.get("/runs")
    def listed(request: Request) -> Response:
        asked = runs.Asked.of(dict(request.query_params))
        return render("runs.html", title="Runs", **runs.view(workspace.runs(), asked))

    @app.get("/api/runs")
    def listed_data(request: Request) -> list[dict[str, Any]]:
        asked = runs.Asked.of(dict(request.query_params))
        return [one.as_dict() for one in runs.chosen(workspace.runs(), asked)]

    @app.get("/runs/compare")
    def compared(id: Annotated[list[str], Query()] = []) -> Response:  # noqa: A002, B006  the name in the address
        found = comparing.picked(workspace.runs(), id)
        return render("compare.html", title="Runs side by side", **comparing.view(found))

    @app.get("/runs/{number}")
    def one(number: str) -> Response:
        run = _run(workspace, number)
        try:
            files = sorted(left(run, workspace.store))
        except MlwildError:
            files = []
        return render("run.html", title=f"{run.kind} {run.id[:8]}", **runs.one(run, files))

    @app.get("/runs/{number}/card")
    def run_card(number: str) -> Response:
        held = left(_run(workspace, number), workspace.store).get("card.html")
        if held is None:
            raise HTTPException(404, "This run left no card.")
        return _sandboxed(held.decode())


def _run(workspace: Workspace, number: str) -> Run:
    found = [run for run in workspace.runs() if run.id.startswith(number)]
    if len(found) != 1:
        raise HTTPException(404, f"{len(found) or 'No'} run{'s begin' if found else ' begins'} with {number[:40]!r}.")
    return found[0]


def _static(app: FastAPI) -> None:
    script = (Path(__file__).parent / "pages" / "page.js").read_bytes()

    @app.get("/page.js")
    def page_js() -> Response:
        return Response(script, media_type="text/javascript")
