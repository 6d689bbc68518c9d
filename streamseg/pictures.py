"""Single pictures, without files in between: ``remove`` takes an array, a Pillow image, bytes or a path."""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass, fields
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .composite import Compositor
from .core.area import Area
from .core.frames import Frame, Matte, VideoInfo
from .core.geometry import Box
from .errors import OptionError, SegmentError, SourceError, StreamsegError
from .options import CommonOptions, CompositeOptions, InputOptions
from .segment import DEFAULT, Segmenter, adapt, method_name
from .segment.model import Model, load_model
from .segment.places import Places
from .sink.pixels import rgb_of, rgba_of, scaled
from .source import open_source
from .source.arrays import frame_of
from .subject import SubjectCounter, require
from .validation import check_method, choice, format_value

if TYPE_CHECKING:
    from PIL import Image

Array = npt.NDArray[Any]
# What an option can be: of a compositor's, what a single picture has a use for
_NOT_HERE = {item.name for item in fields(CommonOptions)} | {"background", "show_matte", "show_stages"}
OPTIONS = tuple(item.name for item in fields(CompositeOptions) if item.name not in _NOT_HERE)
_ALLOWED = ("an array of uint8 or uint16, (h, w, 3) RGB, (h, w, 4) RGBA or (h, w) grey; a Pillow image; the bytes of a "
            "picture file; or its path")
_BASE = Fraction(1, 25)  # a frame wants a clock


def remove(picture: Any, background: str | None = None, *, model: Model | Segmenter | None = None,
           **options: Any) -> Any:
    """Take the background out of one picture, as ``streamseg.run`` does, at the picture's full size.

    picture     an array, uint8 or uint16, (h, w, 3) RGB, (h, w, 4) RGBA with straight alpha, or (h, w) grey; a Pillow
                image; ``bytes`` of a picture file; or a path. EXIF's orientation is applied to the last three
    background  None or "none": transparent. Else "blur", "original", a colour name or "#rrggbb", or a picture's path
    model       what ``streamseg.load_model`` gives, or any Segmenter (for one thread at a time); None: the default
                model, which is loaded once and stays until ``default_model().close()``
    options     of OPTIONS: fit, blur, edges, subject, roi, region, invert, require_subject, clean, threshold,
                erode, feather, feather_out, light_wrap

    Returns RGBA with straight alpha, or RGB where there is a background: (h, w, 4) or (h, w, 3), uint8, or uint16
    where the picture has more than 8 bits. For a Pillow image a Pillow image (RGBA or RGB) with its colour profile.
    The subject's own colours are solved for at the edge, so that no old background shines through. What is given is
    not changed. May be called from several threads at once.

    Raises OptionError for what is no picture or no option, SourceError or DamagedInputError for a file that is none,
    SegmentError where the model fails, NoSubjectError where nobody is found and ``require_subject`` is True.
    """
    chosen = _options(background, options)
    cutout = background is None or background.strip().lower() == "none"
    shown = _opened(picture)
    frame = _finished(shown.frame, model, "cutout" if cutout else "composite", chosen)
    depth = 8 if frame.pixel.depth == 8 else 16
    made = rgba_of(frame, depth) if cutout else rgb_of(frame, depth)
    return made if shown.image is None else _as_image(made, shown.image)


def alpha(picture: Any, *, model: Model | Segmenter | None = None, **options: Any) -> npt.NDArray[np.float32]:
    """float32 (h, w) in [0, 1], 1 = subject, at the picture's full size; all else as ``remove``."""
    frame = _finished(_opened(picture).frame, model, "matte", _options(None, options))
    return frame.planes[0].astype(np.float32) / np.float32(frame.pixel.peak)


def default_model() -> Model:
    """The model that ``remove`` uses where it is given none. Its ``close`` frees it; the next call loads it again."""
    with _DEFAULT.lock:
        if _DEFAULT.model is None or _DEFAULT.model.closed:
            _DEFAULT.model = load_model()
        return _DEFAULT.model


class _Default:
    """The model that is kept, once there is one."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.model: Model | None = None


_DEFAULT = _Default()


@dataclass(frozen=True, slots=True)
class _Picture:
    """A picture as a Frame, and the Pillow image that it was, if it was one."""

    frame: Frame
    image: Image.Image | None = None


def _options(background: str | None, options: Mapping[str, Any]) -> CompositeOptions:
    for name in options:
        choice("option", name, OPTIONS)
    return CompositeOptions(background=background, **options)


def _finished(frame: Frame, model: Model | Segmenter | None, kind: str, options: CompositeOptions) -> Frame:
    """The frame's picture of ``kind``, one of composite.KINDS."""
    info = VideoInfo(frame.width, frame.height, frame.format, frame.time_base, colour=frame.colour,
                     has_alpha=frame.alpha is not None, stills=True, name="the picture")
    compositor = Compositor(info, [kind], options)
    try:
        matte = _matte(frame, model, options)
        if options.require_subject:
            seen = SubjectCounter()
            seen.see(frame, matte)
            require(seen.result, 1, DEFAULT if model is None else method_name(model))
        return compositor.finish(frame, matte)[kind]
    finally:
        compositor.close()


def _matte(frame: Frame, model: Model | Segmenter | None, options: CompositeOptions) -> Matte:
    """The frame's matte; the model sees the roi alone."""
    if options.roi is None:
        return _found(frame, model, options.region)
    area, size = Area(options.roi), (frame.width, frame.height)
    return area.placed(_found(area.cut(frame), model, options.region, size, area.box(*size)), frame)


def _found(frame: Frame, model: Model | Segmenter | None, region: str | None, size: tuple[int, int] | None = None,
           box: Box | None = None) -> Matte:
    if model is not None:
        check_method(model)
    segmenter = adapt(default_model() if model is None else model, stills=True)
    if region is not None:
        segmenter = Places(segmenter, region, size=size, box=box)
    try:
        segmenter.reset()
        found = segmenter.segment([frame])
    except StreamsegError:
        raise
    except Exception as error:
        raise SegmentError(f"the model failed: {type(error).__name__}: {error}") from error
    if len(found) != 1 or not isinstance(found[0], Matte):
        raise SegmentError(f"the model gave {found!r} for a picture: segment() must return one Matte a frame")
    return found[0]


def _opened(picture: Any) -> _Picture:
    if isinstance(picture, np.ndarray):
        return _Picture(_of_array(picture))
    if isinstance(picture, (str, os.PathLike)):
        return _Picture(_of_file(os.fspath(picture)))
    if isinstance(picture, (bytes, bytearray, memoryview)):
        return _Picture(_of_bytes(bytes(picture)))
    pillow = sys.modules.get("PIL.Image")  # where it is not loaded, nobody can have made an image with it
    if pillow is not None and isinstance(picture, pillow.Image):
        return _Picture(_of_array(_pixels(picture)), picture)
    raise OptionError(f"the picture is {type(picture).__name__}; it must be {_ALLOWED}")


def _of_array(picture: Array) -> Frame:
    shaped = picture[..., 0] if picture.ndim == 3 and picture.shape[2] == 1 else picture
    fits = shaped.ndim == 2 or (shaped.ndim == 3 and shaped.shape[2] in (3, 4))
    if not fits or not shaped.size or shaped.dtype not in (np.uint8, np.uint16):
        raise OptionError(f"the picture is {format_value(picture)}; it must be {_ALLOWED}")
    return frame_of(np.ascontiguousarray(shaped), 0, _BASE)


def _of_file(path: str) -> Frame:
    source = open_source(path, InputOptions(audio=False))
    try:
        if source.info.frames != 1:  # an AVIF picture comes as a film of one frame
            raise SourceError(f"{path!r} is not a single picture: give films and folders to streamseg.run")
        return next(iter(source))
    finally:
        source.close()


def _of_bytes(data: bytes) -> Frame:
    # By way of a file: what tells pictures apart, and their orientation and profile, is read from files.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture"
        path.write_bytes(data)
        try:
            return _of_file(str(path))
        except SourceError as error:
            said = str(error).replace(repr(str(path)), "picture").replace(str(path), "picture")
            raise type(error)(f"the {len(data)} bytes are no picture that can be read: {said}") from error


def _pixels(image: Image.Image) -> Array:
    """A Pillow image upright, as an array of those that are taken. Raises OptionError for modes of no picture,
    SourceError for what Pillow cannot read."""
    try:
        return _upright_pixels(image)
    except StreamsegError:
        raise
    except (OSError, ValueError, SyntaxError) as error:  # closed, cut off, of a mode that is not converted
        raise SourceError(f"the picture, a Pillow image of mode {image.mode!r}, cannot be read: {error}") from error


def _upright_pixels(image: Image.Image) -> Array:
    from PIL import ImageOps

    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I;16"):
        return np.asarray(upright).astype(np.uint16)
    if upright.mode in ("I", "F"):
        raise OptionError(f"the picture is a Pillow image of mode {image.mode!r}, whose white is not known: give an "
                          "array of uint8 or uint16")
    if upright.mode in ("L", "RGB", "RGBA"):
        return np.asarray(upright)
    has_alpha = upright.mode in ("LA", "La", "PA", "RGBa") or "transparency" in upright.info
    straight = upright.convert("LA") if upright.mode == "La" else upright  # Pillow has no way from La to RGBA
    return np.asarray(straight.convert("RGBA" if has_alpha else "RGB"))


def _as_image(made: Array, like: Image.Image) -> Image.Image:
    from PIL import Image

    eight = made if made.dtype == np.uint8 else scaled(made, 16, 8)  # Pillow has no RGB of 16 bits
    image = Image.fromarray(np.ascontiguousarray(eight))
    profile = like.info.get("icc_profile")
    if profile and like.mode not in ("L", "LA", "La", "CMYK", "LAB", "1", "I;16"):  # a profile of RGB only
        image.info["icc_profile"] = profile
    return image
