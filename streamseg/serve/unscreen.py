"""unscreen's dialect for films: POST /v1.0/videos and GET /v1.0/videos/{id}. The service itself is closed; the form is
that of its documentation as its clients use it."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from ..background import colours
from ..errors import OptionError
from .answers import Json
from .downloads import download
from .forms import FORM, JSON, content_length, submitted
from .jobs.keeper import JobKeeper
from .jobs.store import Job
from .jobs.tasks import Target
from .jobs.wanted import Wanted
from .parameters import Parameters, parsed, request_body
from .refusals import Refusal
from .services import Services
from .v1_jobs import handed_in

STATUS = {"uploading": "queued", "fetching": "queued", "queued": "queued", "running": "processing", "done": "done",
          "failed": "error"}
BUNDLE = "pro_bundle.zip"
TARGETS = {"mp4": (Target("result.mp4"),), "gif": (Target("result.gif"),), "webm": (Target("result.webm"),),
           "mov": (Target("result.mov"),),
           "pro_bundle": (Target("color.mp4", "foreground"), Target("alpha.mp4", "matte"))}
_TRANSPARENT = ("gif", "webm", "mov")


class Video(Parameters):
    """The parameters of POST /v1.0/videos beside its file."""

    video_url: str | None = Field(None, description="Address of the film; only where the server reads addresses.")
    format: Literal["mp4", "gif", "webm", "mov", "pro_bundle"] = Field(
        "mp4", description="mp4 lies over background_color; gif, webm and mov are transparent without one; pro_bundle "
        "is a zip of color.mp4 and alpha.mp4.")
    background_color: str | None = Field(None, description="Colour behind the subject: a name, or hexadecimal as "
                                         "81d4fa.")
    webhook_url: str | None = Field(None, description="Address that is told how the job ended.")


def router(services: Services, jobs: JobKeeper) -> APIRouter:
    """The routes of this dialect."""
    routes = APIRouter(tags=["unscreen"])

    @routes.post("/v1.0/videos", summary="Hand in a film", status_code=201, response_class=Response,
                 openapi_extra=request_body(Video, {"video_file": "The film."}))
    async def hand_in(request: Request) -> Response:
        media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        plain = media in (JSON, FORM)
        async with jobs.place(0 if plain else content_length(request) or 0) as id:
            limit = (1 << 20) + (0 if plain else round(services.options.max_film * 1e6))
            given = await submitted(request, jobs.folder(id), limit)
            wanted, hook = _wanted(services, jobs, given)
            if "video_file" in given.files:
                given.files["file"] = given.files.pop("video_file")
            job = await handed_in(services, jobs, id, "unscreen", given, wanted, hook=hook)
        return Json(await _shown(request, jobs, job), 201)

    @routes.get("/v1.0/videos/{id}", summary="How far a film is")
    async def look(request: Request, id: str) -> Response:
        return Json(await _shown(request, jobs, await jobs.get(id, "unscreen")))

    @routes.get("/v1.0/videos/{id}/result", summary="The finished film", response_class=Response)
    async def result(request: Request, id: str) -> Response:
        job = await jobs.get(id, "unscreen")
        name = Wanted.of(job.wanted).names[0]
        return download(request, jobs.view.output(job, name), name)

    return routes


def _wanted(services: Services, jobs: JobKeeper, given: Any) -> tuple[Wanted, str | None]:
    for name in given.files:
        if name != "video_file":
            raise Refusal("invalid_option", f"{name} is no file here; allowed is: video_file")
    video: Video = parsed(Video, {name: value for name, value in given.values.items() if value != ""})
    named = [name for name, there in (("video_file", "video_file" in given.files),
                                      ("video_url", video.video_url is not None)) if there]
    if not named:
        raise Refusal("missing_source", "no film was sent: give video_file or video_url")
    if len(named) > 1:
        raise Refusal("multiple_sources", "video_file and video_url were sent: give one of them")
    if video.video_url is not None and not services.fetcher.on:
        raise Refusal("urls_off", "this server reads no addresses (it was started without --urls): send the film")
    if video.webhook_url is not None:
        jobs.refuse_webhook()
    name = given.files["video_file"].name if named == ["video_file"] else "the film"
    bundle = BUNDLE if video.format == "pro_bundle" else None
    return Wanted(_options(video), TARGETS[video.format], bundle, name, video.video_url), video.webhook_url


def _options(video: Video) -> dict[str, Any]:
    if video.background_color is None:
        return {"background": "none"} if video.format in _TRANSPARENT else {}
    if video.format == "pro_bundle":
        raise Refusal("invalid_option", "background_color says nothing of pro_bundle, which holds no background: leave "
                      "it out")
    text = video.background_color.strip()
    for word in (text, f"#{text}"):
        if colours.parse(word) is not None:
            return {"background": word}
    raise OptionError(f"background_color is {text[:60]!r}; allowed are a colour's name and hexadecimal as 81d4fa")


async def _shown(request: Request, jobs: JobKeeper, job: Job) -> dict[str, Any]:
    base = str(request.base_url).rstrip("/") + f"/v1.0/videos/{job.id}"
    told = await jobs.shown(job)
    attributes: dict[str, Any] = {"status": STATUS[job.state]}
    progress = told["progress"] or {}
    if progress.get("total"):
        attributes["progress_percent"] = round(100 * progress["frames"] / progress["total"], 1)
    if job.state == "done" and job.report is not None:
        attributes |= {"result_url": f"{base}/result", "frames": job.report["frames"], "progress_percent": 100}
    if job.error is not None:
        attributes["error"] = {"code": job.error["code"], "title": job.error["message"]}
    return {"data": {"type": "video", "id": job.id, "links": {"self": base}, "attributes": attributes}}
