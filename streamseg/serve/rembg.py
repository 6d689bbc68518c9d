"""rembg's HTTP API (https://github.com/danielgatis/rembg, `rembg s`): GET and POST /api/remove.

Parameters come from the address or from the form. What is accepted does what it says; what cannot be done here
is refused by name (see README.md beside this module).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
from fastapi import APIRouter
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from ..core.frames import Matte
from ..errors import OptionError
from ..options import Options
from . import engine, placement
from .engine import Decoded
from .forms import Submitted, Upload
from .parameters import Parameters, PictureOptions, parsed, request_body
from .pictures import Made, checked, produced
from .pictures import given as as_given
from .refusals import Refusal
from .services import Services

# rembg's own model for people stands for ours, which are looked through by default
MODELS = {"default": None, "u2net_human_seg": None, "small": "small", "medium": "medium",
          "large": "large"}


class Rembg(Parameters):
    """The parameters of /api/remove beside the file."""

    url: str | None = Field(None, description="Address of the picture; only where the server reads addresses.")
    model: Literal["default", "u2net_human_seg", "small", "medium", "large"] = Field(
        "default", description="Ours alone, which find persons; u2net_human_seg is taken for the default.")
    a: bool = Field(False, description="Refine the edge by the picture's colours: always done, by edges=guided.")
    af: int = Field(240, ge=0, le=255, description="Alpha matting's foreground threshold: another value is refused.")
    ab: int = Field(10, ge=0, le=255, description="Alpha matting's background threshold: another value is refused.")
    ae: int = Field(10, ge=0, description="Alpha matting's erosion: another value is refused.")
    om: bool = Field(False, description="The matte alone, in grey.")
    ppm: bool = Field(False, description="Clean the matte up and make its edge hard.")
    dc: bool = Field(False, description="Take the old background's colour out of the edge: always done.")
    vm: bool = Field(False, description="Refine by ViTMatte: cannot be done here, true is refused.")
    bgc: str | None = Field(None, description="Colour behind the subject, as red,green,blue,opacity, each 0 to 255.")
    extras: str | None = Field(None, description="JSON object of further options: those of POST /v1/pictures.")


def router(services: Services) -> APIRouter:
    """The routes of this dialect."""
    routes = APIRouter(tags=["rembg"])
    content: dict[int | str, dict[str, Any]] = {200: {"content": {"image/png": {}}}}
    query = {"parameters": [
        {"name": name, "in": "query", "required": False, "schema": schema, "description": schema.get("description")}
        for name, schema in Rembg.model_json_schema()["properties"].items()]}
    body = request_body(Rembg, {"file": "The picture."})
    body["requestBody"]["content"].pop("application/json")

    @routes.get("/api/remove", summary="Remove the background of a picture at an address", openapi_extra=query,
                response_class=Response, responses=content)
    async def remove_url(request: Request) -> Response:
        return await _answer(services, request)

    @routes.post("/api/remove", summary="Remove the background of a picture", openapi_extra=query | body,
                 response_class=Response, responses=content)
    async def remove_file(request: Request) -> Response:
        return await _answer(services, request)

    return routes


async def _answer(services: Services, request: Request) -> Response:
    with services.engine.place():
        async with services.folder() as folder:
            given = await services.read(request, folder, files=1, query=True)
            made = await services.within_limits(request, _made(services, given, folder))
    return Response(made.data, media_type=made.media_type)


async def _made(services: Services, given: Submitted, folder: Path) -> Made:
    wanted: Rembg = parsed(Rembg, {name: value for name, value in given.values.items() if value != ""})
    _refuse(wanted)
    upload = await _source(services, given, wanted, folder)
    options = _options(wanted)
    colour = None if wanted.bgc is None else _colour(wanted.bgc)

    def finish(picture: Decoded, matte: Matte) -> Made:
        frames, _ = engine.finish(picture, matte, ["matte" if wanted.om else "cutout"], options)
        kind, frame = next(iter(frames.items()))
        if colour is not None and not wanted.om:
            assert frame.alpha is not None  # a cutout has one
            alpha = np.rint(frame.alpha.astype(np.float32) * (255 / frame.pixel.peak)).astype(np.uint8)
            whole = placement.over_colour(np.dstack([frame.rgb(), alpha]), colour)
            frame = engine.of_array(whole, picture).frame
        return Made(engine.encode(frame, ".png", kind), "image/png", frame.width, frame.height, picture.notes)

    hidden = await checked(services, upload)
    return await produced(services, upload, options, finish, hidden)


def _refuse(wanted: Rembg) -> None:
    """Raise Refusal for what rembg could do and we cannot."""
    if wanted.vm:
        raise Refusal("unsupported", "vm (ViTMatte) cannot be done here: leave it out")
    for name, usual in (("af", 240), ("ab", 10), ("ae", 10)):
        if getattr(wanted, name) != usual:
            raise Refusal("unsupported", f"{name} is {getattr(wanted, name)}; edges are refined here without "
                          f"thresholds: leave it out, or give {usual}")


async def _source(services: Services, given: Submitted, wanted: Rembg, folder: Path) -> Upload:
    for name in given.files:
        if name != "file":
            raise Refusal("invalid_option", f"{name} is no file here; allowed is: file")
    if "file" in given.files and wanted.url is not None:
        raise Refusal("multiple_sources", "file and url were sent: give one of them")
    if "file" in given.files:
        return given.files["file"]
    if wanted.url is None:
        raise Refusal("missing_source", "no picture was sent: give file or url")
    return await services.fetched(wanted.url, folder, "url")


def _options(wanted: Rembg) -> Options:
    """What a run is told. Raises OptionError, Refusal."""
    more = {}
    if wanted.extras is not None:
        try:
            more = json.loads(wanted.extras)
        except (ValueError, RecursionError) as error:
            raise OptionError(f"extras is no JSON: {error}") from error
        if not isinstance(more, dict):
            raise OptionError("extras must be a JSON object, as {\"erode\": 1}")
    options = parsed(PictureOptions, more).options()
    if options.background is not None or options.show_matte:
        raise OptionError("extras cannot hold background or show_matte, for the answer is a cutout: give bgc, or use "
                          "POST /v1/pictures")
    changed: dict[str, object] = {}
    if wanted.model != "default" and MODELS[wanted.model] is not None:
        changed["model"] = MODELS[wanted.model]
    if wanted.ppm:
        changed |= {"clean": True, "threshold": 0.5}
    return Options.of({**as_given(options), **changed}) if changed else options


def _colour(text: str) -> tuple[int, int, int, int]:
    parts = [part.strip() for part in text.split(",")]
    if len(parts) not in (3, 4) or not all(part.isascii() and part.isdecimal() and int(part[:4]) <= 255
                                           for part in parts):
        raise OptionError(f"bgc is {text[:60]!r}; it must be red,green,blue,opacity, each 0 to 255")
    red, green, blue, opacity = ([int(part) for part in parts] + [255])[:4]
    return red, green, blue, opacity
