"""The core of all dialects: from a picture's file and what is wanted of it to the bytes of the answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ..core.frames import Matte
from ..errors import OptionError, StreamsegError
from ..options import Options
from ..segment import method_name
from ..subject import SubjectCounter, remarks, require
from . import engine
from .engine import Decoded
from .forms import Upload
from .limits import check_picture
from .refusals import Refusal, refusal_of
from .services import Services

FORMATS = {"png": (".png", "image/png"), "jpg": (".jpg", "image/jpeg"), "webp": (".webp", "image/webp"),
           "tiff": (".tiff", "image/tiff")}
KINDS = ("composite", "cutout", "matte", "foreground")
PERSON = 0.5   # alpha from which on a pixel shows somebody
NOBODY = 2e-4  # of the picture: less of it than this is nobody


@dataclass(frozen=True, slots=True)
class Made:
    """An answer's picture: its bytes and media type, its size in pixels, and remarks for the client. ``subject``:
    found, none or grey, as report.Subject has it."""

    data: bytes
    media_type: str
    width: int
    height: int
    notes: tuple[str, ...] = ()
    subject: str = "found"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be made of a picture: Options, one of KINDS, a key of FORMATS."""

    options: Options
    kind: str
    format: str

    @classmethod
    def of(cls, options: Options, kind: str | None, format: str | None) -> Wanted:
        """As ``run`` decides: a cutout where no background was named and the format can hold it.

        Raises OptionError for a kind that the format cannot hold.
        """
        if kind is None:
            opaque = format == "jpg" or options.show_matte or options.background not in (None, "none")
            kind = "composite" if opaque else "cutout"
        format = format or "png"
        if kind == "cutout" and format == "jpg":
            raise OptionError("format is 'jpg', which holds no transparency: for a cutout allowed are png, webp, tiff")
        return cls(options, kind, format)


async def made(services: Services, upload: Upload, wanted: Wanted, background: Upload | None = None) -> Made:
    """The finished picture. Raises Refusal.

    background   a picture to lay behind the subject, in place of options.background
    """
    hidden = await checked(services, upload, background)
    extension, media_type = FORMATS[wanted.format]
    options = wanted.options
    if background is not None:
        options = Options.of({**given(options), "background": str(background.path)})

    def finish(picture: Decoded, matte: Matte) -> Made:
        seen = SubjectCounter()
        seen.see(picture.frame, matte)
        subject, method = seen.result, method_name(options.method)
        if options.require_subject:
            require(subject, 1, method)
        frames, notes = engine.finish(picture, matte, [wanted.kind], options)
        frame = frames[wanted.kind]
        data = engine.encode(frame, extension, wanted.kind, options.quality)
        return Made(data, media_type, frame.width, frame.height, (*picture.notes, *notes, *remarks(subject, 1, method)),
                    subject.state)

    return await produced(services, upload, options, finish, hidden)


async def produced(services: Services, upload: Upload, options: Options, finish: Callable[[Decoded, Matte], Made],
                   hidden: dict[Path, str], shrunk: Callable[[Decoded], Decoded] | None = None) -> Made:
    """``finish`` of the upload's picture and matte; ``shrunk`` may change it before. Raises Refusal."""
    def read() -> Decoded:
        picture = engine.read(upload.path, "the picture")
        return picture if shrunk is None else shrunk(picture)

    try:
        return await services.engine.picture(read, options, finish)
    except StreamsegError as error:
        raise refusal_of(error, hidden) from error


async def checked(services: Services, upload: Upload, background: Upload | None = None) -> dict[Path, str]:
    """What messages call the server's paths. Raises Refusal for a file that is beyond the limits or no picture."""
    def check() -> None:
        check_picture(upload.path, services.limits)
        if background is not None:
            check_picture(background.path, services.limits, "the background")

    await services.engine.work(check)
    return {upload.path: "the picture"} | ({background.path: "the background"} if background else {})


def given(options: Options) -> dict[str, Any]:
    """The fields of ``options`` as keyword arguments."""
    return {item.name: getattr(options, item.name) for item in fields(options)}


def refuse_nobody(matte: Matte) -> None:
    """Raise Refusal where a matte shows nobody."""
    if float((matte.alpha >= PERSON).mean()) < NOBODY:
        raise Refusal("unknown_foreground", "no person was found in the picture")
