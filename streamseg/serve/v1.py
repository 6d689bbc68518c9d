"""Our own API for pictures: POST /v1/pictures, with every option of `streamseg run` that a picture has."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any, Literal

from fastapi import APIRouter
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from .answers import Json, header_text, wants_json
from .forms import Submitted
from .parameters import PictureOptions, parsed, request_body
from .pictures import Made, Wanted, made
from .refusals import Refusal
from .services import Services

FILES = {"file": "The picture.", "background_file": "A picture to lay behind the subject."}
_TYPES: dict[str, Any] = {"image/png": {}, "image/jpeg": {}, "image/webp": {}, "image/tiff": {}}


class PictureParameters(PictureOptions):  # type: ignore[valid-type,misc]
    """The parameters of POST /v1/pictures beside its files."""

    kind: Literal["composite", "cutout", "matte", "foreground"] | None = Field(
        None, description="What is wanted: the subject over the background, with transparency, the matte in grey, or "
        "the subject's colours alone. Default: a cutout, unless a background is named or the format has none.")
    format: Literal["png", "jpg", "webp", "tiff"] | None = Field(None, description="The answer's format. Default: png.")
    url: str | None = Field(None, description="Address of the picture; only where the server reads addresses.")
    background_url: str | None = Field(None, description="Address of a picture to lay behind the subject.")


def router(services: Services) -> APIRouter:
    """The routes of this dialect."""
    routes = APIRouter(tags=["streamseg"])

    @routes.post("/v1/pictures", summary="Remove the background of a picture, with any option of run",
                 openapi_extra=request_body(PictureParameters, FILES), response_class=Response,
                 responses={200: {"content": {**_TYPES, "application/json": {}}}})
    async def pictures(request: Request) -> Response:
        with services.engine.place():
            async with services.folder() as folder:
                given = await services.read(request, folder)
                result = await services.within_limits(request, _made(services, given, folder))
        return _answer(request, result)

    return routes


async def _made(services: Services, given: Submitted, folder: Path) -> Made:
    for name in given.files:
        if name not in FILES:
            raise Refusal("invalid_option", f"{name} is no file here; allowed are: {', '.join(FILES)}")
    parameters: Any = parsed(PictureParameters, given.values)
    wanted = Wanted.of(parameters.options(), parameters.kind, parameters.format)
    upload = given.files.get("file")
    if upload is not None and parameters.url is not None:
        raise Refusal("multiple_sources", "file and url were sent: give one of them")
    if upload is None and parameters.url is None:
        raise Refusal("missing_source", "no picture was sent: give file or url")
    back = given.files.get("background_file")
    if sum(item is not None for item in (back, parameters.background_url, parameters.background)) > 1:
        raise Refusal("invalid_option", "background, background_file and background_url exclude each other: give one")
    if back is None and parameters.background_url is not None:
        back = await services.fetched(parameters.background_url, folder, "background_url")
    if parameters.kind not in (None, "composite") and (back is not None or parameters.background not in (None, "none")):
        raise Refusal("invalid_option", f"kind is {parameters.kind!r}, which shows no background: leave "
                      f"{'background' if back is None else 'background_file'} out")
    if back is not None:
        wanted = Wanted(wanted.options, "composite", wanted.format)
    if upload is None:
        upload = await services.fetched(parameters.url, folder, "url")
    return await made(services, upload, wanted, back)


def _answer(request: Request, result: Made) -> Response:
    headers = {"X-Width": str(result.width), "X-Height": str(result.height), "X-Subject": result.subject}
    if result.notes:
        headers["X-Notes"] = header_text("; ".join(result.notes))
    if wants_json(request):
        return Json({"picture_b64": base64.b64encode(result.data).decode(), "media_type": result.media_type,
                     "width": result.width, "height": result.height, "subject": result.subject,
                     "notes": list(result.notes)}, headers=headers)
    return Response(result.data, media_type=result.media_type, headers=headers)
