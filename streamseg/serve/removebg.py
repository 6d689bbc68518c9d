"""remove.bg's API, version 1.0 (https://www.remove.bg/api): POST /v1.0/removebg and GET /v1.0/account.

What differs is said in README.md beside this module: persons are found, nothing else; nothing is charged; a full
queue is 429 here, as its clients expect.
"""

from __future__ import annotations

import base64
import io
import time
import zipfile
from pathlib import Path
from typing import Any, Literal

import numpy as np
from fastapi import APIRouter
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from ..background import colours
from ..core.frames import Frame, Matte
from ..errors import OptionError
from ..options import Options
from . import engine, placement
from .answers import Json, wants_json
from .engine import Decoded
from .forms import Submitted, Upload
from .parameters import Parameters, parsed, request_body
from .pictures import Made, checked, produced, refuse_nobody
from .placement import Area, Picture
from .refusals import Refusal
from .services import Services

MEGAPIXELS = {"preview": 0.25, "small": 0.25, "regular": 0.25, "medium": 1.5, "hd": 4.0, "4k": 10.0,
              "full": 1e6, "auto": 1e6, "50MP": 50.0}
Rgba = tuple[int, int, int, int]
_FILES = {"image_file": "The picture.", "bg_image_file": "A picture to lay behind the subject."}
_SOURCES = ("image_file", "image_url", "image_file_b64")


class RemoveBg(Parameters):
    """The parameters of POST /v1.0/removebg beside its files."""

    image_url: str | None = Field(None, description="Address of the picture; only where the server reads addresses.")
    image_file_b64: str | None = Field(None, description="The picture as Base64.")
    size: Literal["preview", "small", "regular", "medium", "hd", "4k", "full", "auto", "50MP"] = Field(
        "preview", description="Most pixels of the result: preview, small and regular 0.25 megapixels, medium 1.5, "
        "hd 4, 4k 10; full and auto: as it came.")
    type: Literal["auto", "person"] = Field("auto", description="What the foreground is: persons alone are found.")
    type_level: Literal["none", "1", "2", "latest"] = Field("1", description="none leaves X-Type out.")
    format: Literal["auto", "png", "jpg", "webp", "zip"] = Field(
        "auto", description="auto: PNG where the result is transparent, else JPEG. zip: color.jpg and alpha.png.")
    roi: str = Field("0% 0% 100% 100%", description="The part of the picture where the person is, as x1 y1 x2 y2, in "
                     "px or %.")
    crop: bool = Field(False, description="Cut off what is empty round the subject.")
    crop_margin: str = Field("0", description="Room round the cropped subject: one, two or four lengths.")
    scale: str = Field("original", description="Share of the canvas that the subject fills, 10% to 100%.")
    position: str = Field("original", description="original, center, or one or two of 0% to 100%.")
    channels: Literal["rgba", "alpha"] = Field("rgba", description="alpha: the matte alone.")
    add_shadow: bool = Field(False, description="Cannot be done here: true is refused.")
    shadow_type: Literal["none"] = Field("none", description="Cannot be done here: another is refused.")
    semitransparency: bool = Field(True, description="Of the windows of cars; persons are the same either way.")
    bg_color: str | None = Field(None, description="Colour behind the subject: a name, or hexadecimal as 81d4fa, fff, "
                                 "81d4fa77 (with opacity).")
    bg_image_url: str | None = Field(None, description="Address of a picture to lay behind the subject.")


def router(services: Services) -> APIRouter:
    """The routes of this dialect."""
    routes = APIRouter(tags=["remove.bg"])

    @routes.post("/v1.0/removebg", summary="Remove the background of a picture",
                 openapi_extra=request_body(RemoveBg, _FILES), response_class=Response,
                 responses={200: {"content": {"image/png": {}, "image/jpeg": {}, "image/webp": {},
                                              "application/zip": {}, "application/json": {}}}})
    async def removebg(request: Request) -> Response:
        with services.engine.place():
            async with services.folder() as folder:
                given = await services.read(request, folder)
                made = await services.within_limits(request, _made(services, given, folder))
        return _answer(services, request, made)

    @routes.get("/v1.0/account", summary="What is left of the credits: nothing is charged")
    async def account() -> Response:
        credit = {"total": 0, "subscription": 0, "payg": 0, "enterprise": 0}
        return Json({"data": {"attributes": {"credits": credit, "api": {"free_calls": 0, "sizes": "all"}}}})

    return routes


async def _made(services: Services, given: Submitted, folder: Path) -> tuple[Made, Area, RemoveBg, tuple[int, int]]:
    values = {name: value for name, value in given.values.items() if value not in (None, "")}
    for name in given.files:
        if name not in _FILES:
            raise Refusal("invalid_option", f"{name} is no file here; allowed are: {', '.join(_FILES)}")
    if values.get("size") is not None and values["size"] not in MEGAPIXELS:
        raise Refusal("invalid_size", f"size is {str(values['size'])[:60]!r}; allowed are: {', '.join(MEGAPIXELS)}")
    wanted: RemoveBg = parsed(RemoveBg, values)
    if wanted.add_shadow:
        raise Refusal("unsupported", "add_shadow cannot be done here: leave it out")
    upload = await _source(services, given, wanted, folder)
    colour, back = await _behind(services, given, wanted, folder)
    whole: list[tuple[int, int]] = []
    found: list[Area] = []

    def shrunk(picture: Decoded) -> Decoded:
        whole.append((picture.frame.width, picture.frame.height))
        return _shrunk(picture, MEGAPIXELS[wanted.size])

    def finish(picture: Decoded, matte: Matte) -> Made:
        result, area = _cut_out(picture, matte, wanted)
        found.append(area)
        return _encoded(result, colour, back, wanted, picture)

    hidden = await checked(services, upload, back)
    made = await produced(services, upload, Options(), finish, hidden, shrunk)
    return made, found[0], wanted, whole[0]


async def _source(services: Services, given: Submitted, wanted: RemoveBg, folder: Path) -> Upload:
    """The one picture. Raises Refusal."""
    named = [name for name in _SOURCES if name in given.files or getattr(wanted, name, None) is not None]
    if not named:
        raise Refusal("missing_source", f"no picture was sent: give one of {', '.join(_SOURCES)}")
    if len(named) > 1:
        raise Refusal("multiple_sources", f"{' and '.join(named)} were sent: give one of them")
    if named == ["image_file"]:
        return given.files["image_file"]
    if named == ["image_url"]:
        return await services.fetched(wanted.image_url, folder, "image_url")
    return await services.engine.work(lambda: _from_base64(str(wanted.image_file_b64), folder))


def _from_base64(text: str, folder: Path) -> Upload:
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        data = base64.b64decode("".join(text.split()), validate=True)
    except ValueError as error:  # also for what is no ASCII
        raise Refusal("failed_to_read", "image_file_b64 is no Base64") from error
    path = folder / "image_file_b64"
    path.write_bytes(data)
    return Upload(path, "image_file_b64", len(data))


async def _behind(services: Services, given: Submitted, wanted: RemoveBg,
                  folder: Path) -> tuple[Rgba | None, Upload | None]:
    """What is to lie behind the subject: a colour, a picture or nothing."""
    named = [name for name in ("bg_color", "bg_image_url", "bg_image_file")
             if name in given.files or getattr(wanted, name, None) is not None]
    if len(named) > 1:
        raise Refusal("invalid_option", f"{' and '.join(named)} exclude each other: give one of them")
    if "bg_image_file" in named:
        return None, given.files["bg_image_file"]
    if "bg_image_url" in named:
        return None, await services.fetched(wanted.bg_image_url, folder, "bg_image_url")
    return (None if wanted.bg_color is None else colour_of(wanted.bg_color)), None


def colour_of(text: str) -> Rgba:
    """RGBA of a name, or of 3, 4, 6 or 8 hexadecimal digits. Raises OptionError."""
    word = text.strip().lower().removeprefix("#")
    known = colours.parse(word)
    if known is not None:
        return (*known, 255)
    if len(word) in (3, 4):
        word = "".join(digit * 2 for digit in word)
    try:
        parts = bytes.fromhex(word) if len(word) in (6, 8) and " " not in word else b""
    except ValueError:
        parts = b""
    if not parts:
        raise OptionError(f"bg_color is {text[:60]!r}; allowed are a colour's name and hexadecimal as 81d4fa, fff or "
                          "81d4fa77")
    red, green, blue, opacity = (*parts, 255)[:4]
    return red, green, blue, opacity


def _shrunk(picture: Decoded, megapixels: float) -> Decoded:
    """The picture at no more than so many megapixels."""
    frame = picture.frame
    share = (megapixels * 1e6 / (frame.width * frame.height)) ** 0.5
    if share >= 1:
        return picture
    size = max(1, int(frame.width * share)), max(1, int(frame.height * share))
    rgb = frame.rgb(size)
    if frame.alpha is None:
        return engine.of_array(rgb, picture)
    alpha = placement.resize(frame.alpha, (size[1], size[0]))
    return engine.of_array(np.dstack([rgb, _eight_bits(frame, alpha)]), picture)


def _eight_bits(frame: Frame, alpha: Any) -> Any:
    return np.rint(alpha.astype(np.float32) * (255 / frame.pixel.peak)).astype(np.uint8)


def _cut_out(picture: Decoded, matte: Matte, wanted: RemoveBg) -> tuple[Picture, Area]:
    """The subject on its canvas, RGBA, and where it lies. Raises OptionError, Refusal."""
    refuse_nobody(matte)
    frames, _ = engine.finish(picture, matte, ["cutout"], Options())
    frame = frames["cutout"]
    assert frame.alpha is not None  # a cutout has one
    result: Picture = np.dstack([frame.rgb(), _eight_bits(frame, frame.alpha)])
    try:
        result = placement.only_within(result, placement.region(wanted.roi, frame.width, frame.height))
    except OptionError as error:
        raise Refusal("invalid_region", str(error)) from error
    area = placement.subject(result[..., 3])
    if area is None:
        raise Refusal("unknown_foreground", "no person was found in the part of the picture that roi names")
    if wanted.crop:
        result, area = placement.cropped(result, area, placement.margins(_with_unit(wanted.crop_margin), area))
    if (wanted.scale, wanted.position) != ("original", "original"):
        result, area = placement.placed(result, area, wanted.scale, wanted.position)
    return result, area


def _with_unit(text: str) -> str:
    """remove.bg takes a bare 0."""
    return " ".join(f"{part}px" if part.isdecimal() else part for part in text.split())


def _encoded(result: Picture, colour: Rgba | None, back: Upload | None, wanted: RemoveBg, like: Decoded) -> Made:
    height, width = result.shape[:2]
    if wanted.channels == "alpha":
        if wanted.format == "zip":
            raise OptionError("format is 'zip', which holds a picture and its matte: with channels=alpha allowed are "
                              "auto, png, jpg, webp")
        return _one(result[..., 3], "png" if wanted.format == "auto" else wanted.format, "matte", like)
    if wanted.format == "zip":
        return Made(_zipped(result, colour, back, like), "application/zip", width, height, like.notes)
    if back is not None:
        result = placement.over_picture(result, engine.read(back.path, "the background").frame.rgb())
    elif colour is not None:
        result = placement.over_colour(result, colour)
    opaque = bool(result[..., 3].min() == 255)
    format = wanted.format if wanted.format != "auto" else "jpg" if opaque else "png"
    if format == "jpg" and not opaque:
        result, opaque = placement.over_colour(result, (255, 255, 255, 255)), True
    return _one(result[..., :3] if opaque else result, format, "composite" if opaque else "cutout", like)


def _one(array: Any, format: str, kind: str, like: Decoded) -> Made:
    whole = np.ascontiguousarray(array)
    frame = (engine.of_grey(whole, like) if whole.ndim == 2 else engine.of_array(whole, like)).frame
    media = {"png": "image/png", "jpg": "image/jpeg", "webp": "image/webp"}[format]
    return Made(engine.encode(frame, f".{format}", kind), media, frame.width, frame.height, like.notes)


def _zipped(result: Picture, colour: Rgba | None, back: Upload | None, like: Decoded) -> bytes:
    """color.jpg and alpha.png, and background.jpg where there is one."""
    height, width = result.shape[:2]
    parts = {"color.jpg": _one(result[..., :3], "jpg", "composite", like),
             "alpha.png": _one(result[..., 3], "png", "matte", like)}
    empty = np.zeros((height, width, 4), np.uint8)
    if back is not None:
        behind = placement.over_picture(empty, engine.read(back.path, "the background").frame.rgb())
        parts["background.jpg"] = _one(behind[..., :3], "jpg", "composite", like)
    elif colour is not None:
        parts["background.jpg"] = _one(placement.over_colour(empty, colour)[..., :3], "jpg", "composite", like)
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_STORED) as archive:
        for name, made in parts.items():
            archive.writestr(name, made.data)
    return memory.getvalue()


def _answer(services: Services, request: Request, found: tuple[Made, Area, RemoveBg, tuple[int, int]]) -> Response:
    made, area, wanted, whole = found
    free = services.engine.places - services.engine.under_way
    headers = {"X-Width": str(made.width), "X-Height": str(made.height), "X-Credits-Charged": "0",
               "X-Max-Width": str(whole[0]), "X-Max-Height": str(whole[1]),
               "X-Foreground-Top": str(area.top), "X-Foreground-Left": str(area.left),
               "X-Foreground-Width": str(area.width), "X-Foreground-Height": str(area.height),
               "X-RateLimit-Limit": str(services.engine.places), "X-RateLimit-Remaining": str(max(0, free)),
               "X-RateLimit-Reset": str(round(time.time() + (0 if free else services.engine.wait())))}
    if wanted.type_level != "none":
        headers["X-Type"] = "person"
    if wants_json(request):
        return Json({"data": {"result_b64": base64.b64encode(made.data).decode(), "foreground_top": area.top,
                              "foreground_left": area.left, "foreground_width": area.width,
                              "foreground_height": area.height}}, headers=headers)
    return Response(made.data, media_type=made.media_type, headers=headers)

