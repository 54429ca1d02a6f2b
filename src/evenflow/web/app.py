"""The server's addresses: one for each question that the page asks."""

from __future__ import annotations

import contextlib
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from functools import lru_cache
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from .. import views
from ..lang import speaking
from ..ledger import from_run
from ..report import finite
from ..schema import METRICS
from ..showing import visible
from ..store import StoreError, load
from . import live
from .guarding import Gatekeeper
from .shelf import Shelf

_KINDS = {
    "json": "application/json",
    "html": "text/html",
    "js": "text/javascript",
    "css": "text/css",
    "svg": "image/svg+xml",
}
#: Answers shorter than this are sent as they are.
_SMALL = 1_400
#: Runs that one answer asks to be read.
_AT_ONCE = 16


def application(folder: Path, hosts: Collection[str] = (), token: str = "") -> Starlette:
    """The page of a folder's runs, as an ASGI application.

    Args:
        folder: runs are looked for in it and below.
        hosts, token: see `Gatekeeper`.
    """
    shelf = Shelf(folder)
    asks: dict[str, Any] = {
        "/api/runs": _runs,
        "/api/words": _words,
        "/api/cure/{name:path}": _cure,
        "/api/fit/{name:path}": _fit,
        "/api/run/{name:path}/summary": _summary,
        "/api/run/{name:path}/findings": _findings,
        "/api/run/{name:path}/curves": _curves,
        "/api/run/{name:path}/grid": _grid,
        "/api/run/{name:path}/step": _step,
        "/api/run/{name:path}/site": _site,
        "/api/run/{name:path}/table": _table,
        "/api/run/{name:path}/beside": _beside,
        "/api/run/{name:path}/ledger": _ledger,
        "/api/run/{name:path}/live": _live,
    }
    routes = [Route(path, _answering(ask)) for path, ask in asks.items()]
    routes += [Route("/", _asset), Route("/assets/{file:path}", _asset)]
    app = Starlette(
        routes=routes,
        middleware=[Middleware(Gatekeeper, hosts=hosts, token=token)],
        lifespan=lambda app: _closing(shelf),
    )
    app.state.shelf = shelf
    return app


@contextlib.asynccontextmanager
async def _closing(shelf: Shelf) -> AsyncIterator[None]:
    try:
        yield
    finally:
        shelf.close()


Ask = Callable[[Request, Shelf], Response]


def _answering(ask: Ask | Callable[[Request, Shelf], Awaitable[Response]]) -> Any:
    """An answer is made in a thread; what cannot be read is one sentence with its status."""

    async def answer(request: Request) -> Response:
        shelf: Shelf = request.app.state.shelf
        try:
            with speaking(request.query_params.get("lang", "")):
                if ask is _live:
                    return await _live(request, shelf)
                return await run_in_threadpool(ask, request, shelf)  # type: ignore[arg-type]
        except KeyError as error:
            return _refused(404, f"there is no {error.args[0]!r} here")
        except (StoreError, ValueError) as error:
            return _refused(422, str(error))
        except OSError as error:
            return _refused(410, f"it cannot be read: {error.strerror or error}")
        except (ArithmeticError, LookupError, TypeError) as error:
            return _refused(422, f"what it holds makes no sense ({type(error).__name__}: {error})")

    return answer


def _refused(status: int, why: str) -> Response:
    return JSONResponse({"error": visible(why)[:500]}, status)


def _packed(content: bytes, kind: str, request: Request) -> Response:
    headers = {}
    if len(content) > _SMALL and "gzip" in request.headers.get("accept-encoding", ""):
        content = gzip.compress(content, 1)
        headers["Content-Encoding"] = "gzip"
    return Response(content, media_type=kind, headers=headers)


def _json(told: Any, request: Request) -> Response:
    return _packed(JSONResponse(told).body, "application/json", request)  # type: ignore[arg-type]


def _number(request: Request, key: str, otherwise: int) -> int:
    text = request.query_params.get(key, "")
    if not text:
        return otherwise
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{key} must be a whole number, not {text!r:.40}") from None


def _scale(request: Request) -> views.Range | None:
    low, high = (request.query_params.get(key) for key in ("low", "high"))
    if low is None or high is None:
        return None
    return views.Range(float(low), float(high), request.query_params.get("log") == "true")


# -- answers --------------------------------------------------------------------------------------


def _runs(request: Request, shelf: Shelf) -> Response:
    """All runs, cures and models, the newest first; details of those that were read: some more will
    be next time."""
    left, out = _AT_ONCE, []
    for (kind, name), path in shelf.all().items():
        try:
            told = shelf.line(path)
            if told is None and left:
                shelf.fill(path)
                left -= 1
            changed = path.stat().st_mtime
            out.append({"kind": kind, "name": name, "changed": changed, **(told or {})})
        except OSError:
            continue  # gone since
    return _json({"folder": str(shelf.folder), "runs": out}, request)


def _cure(request: Request, shelf: Shelf) -> Response:
    return _json(shelf.cure(request.path_params["name"]), request)


def _fit(request: Request, shelf: Shelf) -> Response:
    name = request.path_params["name"]
    return _json({**views.read_fit(shelf.path(name, "fit")), "name": name}, request)


def _words(request: Request, shelf: Shelf) -> Response:
    return _json(views.words(), request)


def _summary(request: Request, shelf: Shelf) -> Response:
    return _json(views.summary(shelf.followed(request.path_params["name"])), request)


def _findings(request: Request, shelf: Shelf) -> Response:
    return _json(shelf.judged(request.path_params["name"]), request)


def _curves(request: Request, shelf: Shelf) -> Response:
    return _json(views.curves(shelf.followed(request.path_params["name"])), request)


def _grid(request: Request, shelf: Shelf) -> Response:
    run = shelf.followed(request.path_params["name"])
    picture = request.query_params.get("picture", "delta")
    if picture not in views.pictures(run) and ("site", picture) not in METRICS:
        raise KeyError(picture)  # what was not measured yet is a picture without rows
    start, stop = _number(request, "start", 0), _number(request, "stop", 2**62)
    found = views.grid(run, picture, start, stop, _scale(request)).packed()
    return Response(found, media_type="application/octet-stream")  # packing takes longer


def _step(request: Request, shelf: Shelf) -> Response:
    run = shelf.followed(request.path_params["name"])
    column = _number(request, "column", len(run.steps) - 1)
    if not 0 <= column < len(run.steps):
        raise KeyError(f"column {column}")
    names = request.query_params.get("pictures", "delta").split(",")
    known = views.pictures(run)
    return _json(views.at_step(run, column, [n for n in names if n in known]), request)


def _site(request: Request, shelf: Shelf) -> Response:
    run = shelf.followed(request.path_params["name"])
    id = _number(request, "id", -1)
    if not 0 <= id < len(run.sites):
        raise KeyError(f"site {id}")
    return _json(views.site(run, id), request)


def _beside(request: Request, shelf: Shelf) -> Response:
    return _json(finite(shelf.beside(request.path_params["name"])), request)


def _table(request: Request, shelf: Shelf) -> Response:
    run = shelf.followed(request.path_params["name"])
    picture, form = (request.query_params.get(key, "") for key in ("picture", "form"))
    if picture not in views.pictures(run):
        raise KeyError(picture)
    return _packed(views.exported(run, picture, form), views.FORMS[form], request)


def _ledger(request: Request, shelf: Shelf) -> Response:
    path = shelf.path(request.path_params["name"])
    site = request.query_params.get("site") or None
    step = _number(request, "at", -1)
    ledger = from_run(load(path, partial=True), site, None if step < 0 else step)
    return _json(finite(ledger.as_dict()), request)


async def _live(request: Request, shelf: Shelf) -> Response:
    run = await run_in_threadpool(shelf.followed, request.path_params["name"])
    after = request.headers.get("last-event-id") or request.query_params.get("after", "")
    picture = request.query_params.get("picture", "")
    if picture not in views.pictures(run):
        picture = ""
    told = live.events(run, picture, _scale(request), after)
    return StreamingResponse(told, media_type="text/event-stream")


# -- files ----------------------------------------------------------------------------------------


@lru_cache
def _file(name: str) -> tuple[bytes, bytes]:
    """As it is, and packed. The page's modules are sent as one: the fewer requests the sooner."""
    content = (views.script("main.js") if name == "bundle.js" else views.asset(name)).encode()
    return content, gzip.compress(content)


async def _asset(request: Request) -> Response:
    name = request.path_params.get("file", "index.html")
    try:
        content, packed = _file(name)
    except (OSError, ValueError):
        return _refused(404, f"there is no {name!r} here")
    kind = _KINDS.get(name.rpartition(".")[2], "text/plain")
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(packed, media_type=kind, headers={"Content-Encoding": "gzip"})
    return Response(content, media_type=kind)
