"""The pages and what they are made of; they read, and never write."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.resources import files
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from starlette.exceptions import HTTPException

from mlwild.card import card_html
from mlwild.clock import now_text
from mlwild.errors import MlwildError
from mlwild.jsonable import plain
from mlwild.versions import Run, left
from mlwild.web import apps, comparing, life, run_pages, runs
from mlwild.web.guard import SANDBOX, Guard
from mlwild.web.paging import page_of
from mlwild.web.workspace import Workspace

#: What the program interface gives at once.
AT_ONCE = 1_000
#: Where the data of the pages are.
INTERFACE = (
    "/api/apps",
    "/api/apps/{app}",
    "/api/apps/{app}/facts",
    "/api/runs",
    "/api/groups",
    "/api/runs/compare?id=..&id=..",
    "/api/runs/{run}",
    "/api/cards",
)

Render = Callable[..., HTMLResponse]
Number = Annotated[int, Query(alias="page", ge=1, le=10_000_000)]
Numbers = Annotated[list[str], Query(alias="id")]


def site(workspace: Workspace) -> Guard:
    """
    Return the pages of a workspace.

    Parameters
    ----------
    workspace : Workspace

    Returns
    -------
    Guard
        An ASGI application.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from fastapi.testclient import TestClient
    >>> with TestClient(site(Workspace(Path(tempfile.mkdtemp()))), base_url="http://localhost") as client:
    ...     "No app is in operation" in client.get("/").text
    True
    """
    app = FastAPI(title="mlwild", docs_url=None, redoc_url=None, openapi_url=None)
    render = _renderer()
    _troubles(app, workspace, render)
    _still(app)
    for add in (_app_pages, _run_pages, _card_pages):
        add(app, workspace, render)
    _interface(app, workspace)
    return Guard(app, workspace.hosts)


def _renderer() -> Render:
    pages = Environment(
        loader=ChoiceLoader([PackageLoader("mlwild.web", "pages"), PackageLoader("mlwild.card", "")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )

    def render(name: str, code: int = 200, **shown: Any) -> HTMLResponse:
        page = pages.get_template(name).render({"called": 0, "as_of": now_text()} | shown)
        return HTMLResponse(page, status_code=code)

    return render


def _troubles(app: FastAPI, workspace: Workspace, render: Render) -> None:
    """Say in a sentence what is wrong; no place on this machine, no trace of the code."""

    def answer(request: Request, code: int, said: str) -> Response:
        if request.url.path.startswith("/api"):
            return JSONResponse({"error": said}, status_code=code)
        return render("wrong.html", code=code, title="Not shown", called=int(code >= 500), said=said)

    @app.exception_handler(HTTPException)
    async def refused(request: Request, problem: HTTPException) -> Response:
        said = "There is no such page." if problem.detail == "Not Found" else str(problem.detail)
        return answer(request, problem.status_code, said)

    @app.exception_handler(RequestValidationError)
    async def misread(request: Request, problem: RequestValidationError) -> Response:
        names = ", ".join(str(one["loc"][-1]) for one in problem.errors())
        return answer(request, 400, f"The address asks for something that cannot be: {names}.")

    @app.exception_handler(MlwildError)
    async def ours(request: Request, problem: MlwildError) -> Response:
        return answer(request, 500, workspace.placeless(str(problem)))

    @app.exception_handler(Exception)
    async def unforeseen(request: Request, problem: Exception) -> Response:
        said = f"This page could not be made ({type(problem).__name__}). The terminal of mlwild ui says where."
        return answer(request, 500, said)


def _still(app: FastAPI) -> None:
    """Serve what never changes."""
    folder = files("mlwild.web") / "pages"
    style = (files("mlwild.card") / "style.html").read_text(encoding="utf-8")
    style = style.replace("<style>", "").replace("</style>", "") + (folder / "ui.css").read_text(encoding="utf-8")
    told = {
        "/style.css": (style, "text/css"),
        "/page.js": ((folder / "page.js").read_text(encoding="utf-8"), "text/javascript"),
        "/well.svg": ((folder / "well.svg").read_text(encoding="utf-8"), "image/svg+xml"),
        "/alarm.svg": ((folder / "alarm.svg").read_text(encoding="utf-8"), "image/svg+xml"),
    }
    for path, (content, kind) in told.items():
        app.add_route(path, partial(_file, content, kind))


def _file(content: str, kind: str, _: Request) -> Response:
    return Response(content, media_type=kind)


def _app_pages(app: FastAPI, workspace: Workspace, render: Render) -> None:
    @app.get("/")
    def home(text: str = "", page: Number = 1) -> Response:
        shown = apps.view(workspace.states(), workspace.rehearsed(), text=text[:80], at=page)
        return render("apps.html", title="Apps", called=shown["alarms"], folder=workspace.store.name, **shown)

    @app.get("/apps")
    def listed() -> Response:
        return RedirectResponse("/")

    @app.get("/apps/{name}")
    def one(name: str, show: str = "changes", page: Number = 1) -> Response:
        sheet = workspace.sheet(name)
        shown = life.view(sheet, workspace.life(name).ledger.facts, show=show, at=page)
        rehearsed = name in workspace.rehearsed()
        return render("app.html", title=name, called=int(bool(shown["needs_you"])), rehearsed=rehearsed, **shown)

    @app.get("/apps/{name}/facts")
    def facts(name: str, page: Number = 1) -> Response:
        shown = life.facts_page(workspace.life(name).ledger.facts, name, page)
        return render("facts.html", title=f"{name}: ledger", **shown)


def _run_pages(app: FastAPI, workspace: Workspace, render: Render) -> None:
    @app.get("/runs")
    def listed(request: Request) -> Response:
        asked = runs.Asked.of(request.query_params.multi_items())
        return render("runs.html", title="Runs", **run_pages.view(workspace.runs(), asked))

    @app.get("/runs/compare")
    def compared(numbers: Numbers = []) -> Response:  # noqa: B006  read only
        found = comparing.picked(workspace.runs(), numbers)
        return render("compare.html", title="Runs side by side", **comparing.view(found))

    @app.get("/runs/{number}")
    def one(number: str) -> Response:
        found = workspace.runs()
        run = run_in(found, number)
        try:
            names = sorted(left(run, workspace.store))
        except MlwildError:
            names = []
        return render("run.html", title=f"{run.kind} {run.id[:8]}", **run_pages.one(run, names, found))

    @app.get("/runs/{number}/card")
    def card(number: str) -> Response:
        held = left(run_in(workspace.runs(), number), workspace.store).get("card.html")
        if held is None:
            raise HTTPException(404, "This run left no card.")
        return _sandboxed(held.decode(errors="replace"))


def _card_pages(app: FastAPI, workspace: Workspace, render: Render) -> None:
    @app.get("/cards")
    def listed() -> Response:
        living = [one.app for one in workspace.states()]
        return render("cards.html", title="Cards", names=workspace.rehearsed(), living=living)

    @app.get("/cards/{name}")
    def one(name: str) -> Response:
        return _sandboxed(card_html(workspace.rehearsal(name)))


def _sandboxed(html: str) -> HTMLResponse:
    return HTMLResponse(html, headers={"Content-Security-Policy": SANDBOX})


def _interface(app: FastAPI, workspace: Workspace) -> None:
    """Add the same as data."""

    @app.get("/api")
    def index() -> list[str]:
        return list(INTERFACE)

    @app.get("/api/apps")
    def living() -> Any:
        return [one.as_dict() for one in workspace.states()]

    @app.get("/api/apps/{name}")
    def one(name: str) -> Any:
        return workspace.sheet(name)

    @app.get("/api/apps/{name}/facts")
    def facts(name: str, page: Number = 1) -> Any:
        whole = workspace.life(name).ledger.facts
        some = page_of(len(whole), page, AT_ONCE)
        rows = [{"kind": fact.kind, "cutoff": fact.cutoff, "body": dict(fact.body)} for fact in some.of(whole)]
        return {"total": some.total, "page": some.number, "pages": some.pages, "facts": rows}

    @app.get("/api/runs")
    def listed(request: Request) -> Any:
        asked = runs.Asked.of(request.query_params.multi_items())
        whole = runs.chosen(workspace.runs(), asked)
        some = page_of(len(whole), asked.number, AT_ONCE)
        rows = [plain(run.as_dict()) for run in some.of(whole)]
        return {"total": some.total, "page": some.number, "pages": some.pages, "runs": rows}

    @app.get("/api/groups")
    def groups(request: Request) -> Any:
        asked = runs.Asked.of(request.query_params.multi_items())
        made = runs.grouped(runs.chosen(workspace.runs(), asked), asked)
        return plain({"best": "greatest" if asked.greatest else "least", "groups": [one.as_dict() for one in made]})

    @app.get("/api/runs/compare")
    def compared(numbers: Numbers = []) -> Any:  # noqa: B006  read only
        found = comparing.picked(workspace.runs(), numbers)
        return {"runs": [run.id for run in found]} | comparing.split(found)

    @app.get("/api/runs/{number}")
    def run(number: str) -> Any:
        return plain(run_in(workspace.runs(), number).as_dict())

    @app.get("/api/cards")
    def cards() -> list[str]:
        return workspace.rehearsed()


def run_in(found: list[Run], number: str) -> Run:
    """Return the run of a number, or of the beginning of one."""
    some = [run for run in found if run.id.startswith(number)]
    if len(some) != 1:
        raise HTTPException(404, f"{len(some) or 'No'} run{'s begin' if some else ' begins'} with {number[:40]!r}.")
    return some[0]
