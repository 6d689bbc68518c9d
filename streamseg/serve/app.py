"""The application: routes of all dialects, what guards them, and what starts and ends with it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import html
import logging
import shutil
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from .. import __version__
from ..errors import StreamsegError
from ..options import MethodOptions
from . import rembg, removebg, unscreen, v1, v1_jobs
from .answers import Json, refused
from .engine import PictureEngine
from .fetch import Fetcher
from .jobs.keeper import JobKeeper
from .jobs.process import ProcessRunner
from .jobs.store import FINAL, WAITING
from .jobs.tasks import JobRunner
from .live import Cameras, live_router
from .metrics import CONTENT_TYPE, Metrics
from .options import ServeOptions
from .refusals import ClientGone, Refusal, refusal_of, values_told
from .security import Guard
from .services import Services
from .studio import mount_studio

FILE_THREADS = 6  # that read, write and delete files
FULL = (errno.ENOSPC, errno.EDQUOT)
_CODES = {404: "not_found", 405: "method_not_allowed", 413: "too_large", 415: "unsupported_type"}
_log = logging.getLogger("streamseg.serve")


def create_app(options: ServeOptions | None = None, *, method: MethodOptions | None = None,
               fetcher: Fetcher | None = None, runner: JobRunner | None = None) -> FastAPI:
    """The server as an ASGI application, for uvicorn or any other.

    method    its threads, device and runtime are the server's; by default those of run
    fetcher   reads addresses; by default as options.urls says
    runner    does the films; by default as options.on says: a process of this machine for each, or Ray

    Raises OptionError for a file of a token or a secret that cannot be read.
    """
    options = options or ServeOptions()
    metrics = Metrics()
    engine = PictureEngine(method, places=options.queue, idle=options.idle)
    services = Services(options, engine, fetcher or Fetcher(on=options.urls), metrics, options.home() / "requests")
    jobs = JobKeeper(options, runner or _runner(options), services.fetcher, metrics,
                     None if method is None else method.threads)
    _gauges(services, jobs)

    app = FastAPI(title="streamseg", version=__version__, docs_url=None, redoc_url=None, max_body_size=None,
                  description="Background removal for pictures and films.", lifespan=_lifespan(services, jobs))
    app.state.services, app.state.jobs, app.state.failure = services, jobs, None
    for routes in (_health(services), v1.router(services), removebg.router(services), rembg.router(services),
                   v1_jobs.router(services, jobs), unscreen.router(services, jobs)):
        app.include_router(routes)
    app.state.cameras = Cameras(method, options.cameras)
    app.include_router(live_router(app.state.cameras))
    mount_studio(app)
    _errors(app)
    app.add_middleware(Guard, options=options, metrics=metrics)
    return app


def _runner(options: ServeOptions) -> JobRunner:
    if options.on == "local":
        return ProcessRunner(options.film_time_limit)
    from .jobs.ray_runner import RayRunner  # a server without Ray does not load the batch

    return RayRunner(options)


def _lifespan(services: Services, jobs: JobKeeper) -> Any:
    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        # Python's own would grow to 32 threads on a large machine, each with memory of its own
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(FILE_THREADS, "serve-files"))
        try:
            await jobs.start()  # takes the folder for this server alone
            shutil.rmtree(services.scratch, ignore_errors=True)  # what a killed server left
            services.scratch.mkdir(parents=True, mode=0o700)
        except Exception as error:
            app.state.failure = error  # for ``serve``, which raises it
            await jobs.close()
            await services.engine.close()
            raise
        warming = asyncio.create_task(services.engine.start())
        try:
            yield
        finally:
            await jobs.close()
            await warming
            await services.engine.close()
            shutil.rmtree(services.scratch, ignore_errors=True)

    return lifespan


def _gauges(services: Services, jobs: JobKeeper) -> None:
    engine, show = services.engine, services.metrics.gauge
    show("pictures_under_way", "Pictures under way.", lambda: engine.under_way)
    show("pictures_places", "Pictures that may be under way.", lambda: engine.places)
    show("pictures_refused_total", "Pictures refused because all places were taken.", lambda: engine.refused)
    show("method_calls_total", "Times that the method was called.", lambda: engine.groups)
    show("method_pictures_total", "Pictures that the method saw.", lambda: engine.pictures)
    for state in (*WAITING, *FINAL):
        show(f"films_{state}", f"Films that are {state}.", partial(_count, jobs, state))
    show("method_loaded", "1 while the method is in memory.", lambda: float(engine.is_loaded()))


def _count(jobs: JobKeeper, state: str) -> float:
    return float(jobs.counts.get(state, 0))


def _health(services: Services) -> APIRouter:
    routes = APIRouter(tags=["server"])

    @routes.get("/healthz", summary="200 while the process answers")
    async def healthz() -> Response:
        return Json({"status": "ok", "version": __version__})

    @routes.get("/readyz", summary="503 until the method has made a picture")
    async def readyz() -> Response:
        if services.engine.ready:
            return Json({"status": "ready"})
        failure = services.engine.failure
        return Json({"status": "failed" if failure else "starting", "reason": failure}, 503, {"Retry-After": "1"})

    @routes.get("/metrics", summary="Counters in Prometheus's text form", response_class=PlainTextResponse)
    async def metrics() -> Response:
        return Response(services.metrics.text(), media_type=CONTENT_TYPE)

    @routes.get("/docs", summary="This list", response_class=HTMLResponse)
    async def docs(request: Request) -> Response:
        return HTMLResponse(_page(request.app.openapi()))

    return routes


def _errors(app: FastAPI) -> None:
    """Say in each dialect's form what was refused or failed."""
    @app.exception_handler(StreamsegError)
    async def on_refusal(request: Request, error: Any) -> Response:
        return refused(request, refusal_of(error))

    @app.exception_handler(HTTPException)
    async def on_http(request: Request, error: Any) -> Response:
        code = _CODES.get(error.status_code, "invalid_request")
        answer = refused(request, Refusal(code, str(error.detail), headers=error.headers))
        answer.status_code = error.status_code
        return answer

    @app.exception_handler(RequestValidationError)
    async def on_invalid(request: Request, error: Any) -> Response:
        return refused(request, Refusal("invalid_request", values_told(error.errors())))

    @app.exception_handler(ClientGone)
    async def on_gone(request: Request, error: Any) -> Response:
        return Response(status_code=499)  # nobody reads it

    @app.exception_handler(OSError)
    async def on_system(request: Request, error: Any) -> Response:
        if error.errno in FULL:
            return refused(request, Refusal("storage_full", "the server's disk is full: try again later"))
        return await on_defect(request, error)

    @app.exception_handler(Exception)
    async def on_defect(request: Request, error: Any) -> Response:
        _log.exception("request %s failed", request.scope.get("streamseg.request_id"), exc_info=error)
        return refused(request, Refusal("internal_error", "the server failed at this request, which is a defect of "
                                        "streamseg: its log says more under the request's id"))


def _page(document: Any) -> str:
    """The OpenAPI document as a page that loads nothing."""
    parts = ["<!doctype html><html lang=en><meta charset=utf-8><title>streamseg: API</title><h1>streamseg: API</h1>"
             "<p>The same for programs: <a href=/openapi.json>openapi.json</a></p>"]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            parts.append(f"<h2>{method.upper()} {html.escape(path)}</h2><p>{html.escape(operation['summary'])}</p>")
            parts.append(_table(operation))
    return "".join(parts) + "</html>"


def _table(operation: Any) -> str:
    rows = {item["name"]: item.get("description") for item in operation.get("parameters", [])}
    for content in operation.get("requestBody", {}).get("content", {}).values():
        rows |= {name: schema.get("description")
                 for name, schema in content.get("schema", {}).get("properties", {}).items()}
    if not rows:
        return ""
    return "<table>" + "".join(f"<tr><th scope=row>{html.escape(name)}</th><td>{html.escape(text or '')}</td></tr>"
                               for name, text in rows.items()) + "</table>"
