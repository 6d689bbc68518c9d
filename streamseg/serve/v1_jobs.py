"""Our own API for films: /v1/jobs. A film comes in the request, in parts, or from an address."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter
from fastapi import Path as PathParameter
from pydantic import BeforeValidator, Field
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from ..errors import OptionError
from ..sink import CONTAINERS
from .answers import Json
from .downloads import MEDIA_TYPES, download
from .forms import FORM, JSON, Submitted, Upload, body, content_length, submitted
from .jobs.keeper import JobKeeper
from .jobs.store import Job
from .jobs.tasks import Target
from .jobs.wanted import BACKGROUND, SOURCE, Wanted
from .jobs.worker import check_outputs
from .limits import FILMS, PICTURES, head_of, kind_of
from .parameters import FilmOptions, parsed, request_body
from .refusals import Refusal
from .services import Services

FILES = {"file": "The film.", "background_file": "A picture or film to lay behind the subject."}
KINDS = ("result", "matte", "cutout", "foreground")
QUIET = 15.0  # seconds after which a line is sent that says nothing, so that no proxy closes the connection
PATIENCE = 60.0
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_OUTPUT = "/v1/jobs/{id}/outputs/{name}"


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class FilmParameters(FilmOptions):  # type: ignore[valid-type,misc]
    """The parameters of POST /v1/jobs beside its files."""

    output: Annotated[list[str], BeforeValidator(_listed)] = Field(
        ["out.mp4"], max_length=8, description="What is to be made: NAME.EXT, whose extension decides the format, or "
        f"KIND:NAME.EXT with a kind of {', '.join(KINDS)}, as matte:alpha.mkv. A result is what run makes: transparent "
        "where no background is named and the format is for it. May be given several times.")
    url: str | None = Field(None, description="Address of the film; only where the server reads addresses.")
    size: int | None = Field(None, ge=1, description="Bytes of a film that comes in parts: PATCH .../upload.")
    name: str | None = Field(None, max_length=200, description="What the film is called, for the list of jobs.")
    webhook: str | None = Field(None, description="Address that is told how the job ended.")


def router(services: Services, jobs: JobKeeper) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["streamseg: films"])
    answers: dict[int | str, dict[str, Any]] = {201: {"description": "Accepted: the job"},
                                                413: {"description": "A limit, which is named"}}

    @routes.post("/v1/jobs", summary="Hand in a film", status_code=201, responses=answers, response_class=Response,
                 openapi_extra=request_body(FilmParameters, FILES))
    async def hand_in(request: Request) -> Response:
        job = await _accepted(services, jobs, request)
        told = await jobs.shown(job)
        return Json(told, 201, {"Location": told["url"]})

    @routes.get("/v1/jobs", summary="The jobs that were handed in last")
    async def newest() -> Response:
        return Json({"jobs": [await jobs.shown(job) for job in await jobs.newest(100)]})

    @routes.get("/v1/jobs/{id}", summary="How far a job is")
    async def look(id: str) -> Response:
        return Json(await jobs.shown(await jobs.get(id)))

    @routes.delete("/v1/jobs/{id}", summary="Stop a job and delete its files", status_code=204)
    async def delete(id: str) -> Response:
        await jobs.delete((await jobs.get(id)).id)
        return Response(status_code=204)

    @routes.get("/v1/jobs/{id}/events", summary="How far a job is, as server-sent events",
                response_class=StreamingResponse)
    async def events(id: str) -> Response:
        await jobs.get(id)
        return StreamingResponse(_events(jobs, id), media_type="text/event-stream")

    @routes.head("/v1/jobs/{id}/upload", summary="How much of a film is there")
    async def offset(id: str) -> Response:
        job = await jobs.get(id)
        return Response(headers=_offset(jobs, job))

    @routes.patch("/v1/jobs/{id}/upload", summary="The next part of a film", status_code=204,
                  openapi_extra={"requestBody": {"content": {"application/offset+octet-stream": {
                      "schema": {"type": "string", "format": "binary"}}}},
                      "parameters": [{"name": "Upload-Offset", "in": "header", "required": True,
                                      "schema": {"type": "integer", "minimum": 0},
                                      "description": "The first byte's place in the film."}]})
    async def part(request: Request, id: str) -> Response:
        job = await jobs.get(id)
        await _append(jobs, job, request)
        return Response(status_code=204, headers=_offset(jobs, await jobs.get(id)))

    @routes.get("/v1/jobs/{id}/previews/{number}", summary="A small picture of the film while it is made",
                response_class=Response)
    async def preview(id: str, number: Annotated[int, PathParameter(ge=0, le=9999)]) -> Response:
        data = await asyncio.to_thread(jobs.view.preview(await jobs.get(id), number).read_bytes)
        return Response(data, media_type="image/webp", headers={"Cache-Control": "private, max-age=60"})

    @routes.get(_OUTPUT, summary="An output, whole or in part", response_class=Response)
    @routes.head(_OUTPUT, summary="An output's size", response_class=Response)
    async def output(request: Request, id: str, name: str) -> Response:
        return download(request, jobs.view.output(await jobs.get(id), name), name)

    return routes


def _offset(jobs: JobKeeper, job: Job) -> dict[str, str]:
    there = jobs.received(job.id) if job.state == "uploading" else job.size or 0
    return {"Upload-Offset": str(there), "Upload-Length": str(job.size or 0)}


async def _events(jobs: JobKeeper, id: str) -> AsyncIterator[bytes]:
    async for told in jobs.events(id, QUIET):
        yield b": nothing new\n\n" if told is None else b"data: " + json.dumps(told).encode() + b"\n\n"


async def _accepted(services: Services, jobs: JobKeeper, request: Request) -> Job:
    limit = round(services.options.max_film * 1e6)
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    plain = media in (JSON, FORM)
    async with jobs.place(0 if plain else content_length(request) or 0) as id:
        folder = jobs.folder(id)
        given = await submitted(request, folder, (1 << 20) if plain else limit + services.limits.bytes + (1 << 20))
        parameters, wanted, hook = wanted_of(services, jobs, given)
        return await handed_in(services, jobs, id, "streamseg", given, wanted, size=parameters.size, hook=hook)


async def handed_in(services: Services, jobs: JobKeeper, id: str, dialect: str, given: Submitted, wanted: Wanted, *,
                    size: int | None = None, hook: str | None = None) -> Job:
    """Put the files into their places, look at the film where it is there, and accept the job. Raises Refusal."""
    await asyncio.to_thread(check_outputs, wanted)
    folder, film = jobs.folder(id), given.files.get("file")
    back = given.files.get("background_file")
    if back is not None:
        await asyncio.to_thread(_checked_background, back)
        await asyncio.to_thread(os.replace, back.path, folder / BACKGROUND)
    if film is not None:
        await asyncio.to_thread(os.replace, film.path, folder / SOURCE)
        await jobs.check(id, wanted.name)
    if size is not None and size > services.options.max_film * 1e6:
        raise Refusal("too_large", f"the film has {size / 1e6:.1f} MB, more than the {services.options.max_film:g} MB "
                      "that are the limit here")
    if size is not None:
        await jobs.make_room(size)
    return await jobs.accept(id, dialect, wanted, size=size, hook=hook)


def _checked_background(back: Upload) -> None:
    if kind_of(head_of(back.path)) not in (*PICTURES, *FILMS):
        raise Refusal("unsupported_type", "the background is neither a picture nor a film of a known kind")


def wanted_of(services: Services, jobs: JobKeeper, given: Submitted) -> tuple[Any, Wanted, str | None]:
    """What a request asks for. Raises Refusal, OptionError."""
    for name in given.files:
        if name not in FILES:
            raise Refusal("invalid_option", f"{name} is no file here; allowed are: {', '.join(FILES)}")
    parameters: Any = parsed(FilmParameters, given.values)
    ways = [name for name, there in (("file", "file" in given.files), ("url", parameters.url is not None),
                                     ("size", parameters.size is not None)) if there]
    if not ways:
        raise Refusal("missing_source", "no film was sent: give file, url, or size and then its parts")
    if len(ways) > 1:
        raise Refusal("multiple_sources", f"{' and '.join(ways)} exclude each other: give one of them")
    if parameters.url is not None and not services.fetcher.on:
        raise Refusal("urls_off", "this server reads no addresses (it was started without --urls): send the film")
    if parameters.webhook is not None:
        jobs.refuse_webhook()
    back = "background_file" in given.files
    if back and parameters.background is not None:
        raise Refusal("invalid_option", "background and background_file exclude each other: give one of them")
    parameters.options()  # refused now, not when its turn comes
    options = json.loads(json.dumps({name: value for name, value in parameters.model_dump(exclude_none=True).items()
                                     if name in FilmOptions.model_fields}, default=str))
    name = parameters.name or (given.files["file"].name if "file" in given.files else "") or "the film"
    wanted = Wanted(options, targets_of(parameters.output), name=name[:200], url=parameters.url, background=back)
    return parameters, wanted, parameters.webhook


def targets_of(texts: list[str]) -> tuple[Target, ...]:
    """'out.mp4' or 'matte:alpha.mkv', each. Raises OptionError."""
    found: list[Target] = []
    for text in texts:
        kind, colon, name = text.rpartition(":")
        kind = kind if colon else "result"
        if kind not in KINDS:
            raise OptionError(f"output has {text[:80]!r}; kinds are: {', '.join(KINDS)}")
        ending = Path(name).suffix.lower()
        if not _NAME.fullmatch(name) or ending not in CONTAINERS or ending not in MEDIA_TYPES or name != name.lower():
            endings = ", ".join(item for item in CONTAINERS if item in MEDIA_TYPES)
            raise OptionError(f"output has {text[:80]!r}; it must be a name of small letters, digits, '.', '_' and "
                              f"'-', ending in one of {endings}")
        if any(item.name == name for item in found):
            raise OptionError(f"output has the name {name!r} twice")
        found.append(Target(name, kind))
    if not found:
        raise OptionError("output is empty: name at least one, as out.mp4")
    return tuple(found)


async def _append(jobs: JobKeeper, job: Job, request: Request) -> None:
    """Append a part to a film, and hand it on when it is the last. Raises Refusal."""
    text = request.headers.get("upload-offset", "")
    if not (text.isascii() and text.isdecimal() and len(text) < 18):
        raise Refusal("invalid_request", "the header Upload-Offset is missing: the place of the part's first byte")
    assert job.size is not None or job.state != "uploading"
    size = job.size or 0
    async with jobs.part(job, int(text)) as path:
        if not path.parent.is_dir():
            raise Refusal("not_found", "the job was deleted")
        with await asyncio.to_thread(path.open, "ab", 0) as file:  # what came is there, also after kill -9
            async for piece in body(request, size - int(text), PATIENCE):
                await asyncio.to_thread(file.write, piece)
    if jobs.received(job.id) == size:
        await jobs.complete(job)
