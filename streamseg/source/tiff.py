"""TIFFs that FFmpeg (8.1) does not decode, or decodes to another picture without an error, by Pillow.

    compression   JPEG inside of TIFF comes out black; LZMA, Zstandard, WebP and LERC do not decode
    colours       YCbCr is taken for limited range, though full range is TIFF's default (TIFF 6.0, section 20); the
                  alpha beside a palette's indices is taken for indices
    samples       grey of 32 bits does not decode
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import Any

import av
import av.error
import numpy as np

from ..core.native_stderr import native_lines_hidden
from ..errors import SourceError
from .metadata import ORIENTATION, TIFF_MARKS, Tags, directories, metadata_of
from .open import FAILURES, too_large

BITS, COMPRESSION, COLOURS, SAMPLES, KINDS, TABLES = 258, 259, 262, 277, 339, 347
STRIPS, TILES = (273, 279), (324, 325)  # places and lengths
READ = (1, 2, 3, 4, 5, 8, 32773, 32946, 34712)  # compressions that FFmpeg decodes
JPEG = 7
_FLOATING = 3  # of KINDS
PALETTE, YCBCR = 3, 6
REMEDY = "save it with 8 or 16 bits, without compression, or with LZW or Deflate"


class NotDecodedError(Exception):
    """The file is damaged."""


def decoded(packet: av.Packet, name: str, limit: int) -> av.VideoFrame | None:
    """The first picture of a TIFF, which a packet holds, as stored; None where FFmpeg decodes it, and where it is no
    TIFF that can be read.

    gray, rgb24 or rgba; gray16le, of floats from 0 to 1, too. Raises NotDecodedError, and SourceError for more pixels
    than ``limit`` or than Pillow takes, and for what cannot be read without loss.
    """
    data = bytes(packet)
    if data[:4] not in TIFF_MARKS:
        return None
    tags = next(directories(data), {})
    _refuse_half_floats(tags, name)
    image = _opened(data)
    if image is None and JPEG in _listed(tags.get(COMPRESSION)):
        raise NotDecodedError("JPEG inside of TIFF, in a form that is not read")  # FFmpeg's picture would be black
    if image is None or not _is_read_wrongly(image) or metadata_of(data).raw:
        return None
    from PIL import Image

    pixels = image.size[0] * image.size[1]
    if pixels > limit:
        raise too_large(name, image.size[0], image.size[1], limit)
    most = Image.MAX_IMAGE_PIXELS
    if most is not None and pixels > most:
        raise SourceError(f"{name} is a TIFF of {pixels:,} pixels in a form that is read up to {most:,}: {REMEDY}")
    if image.mode.startswith("I") and image.mode != "I;16" and image.mode != "I;16B":
        which = "32-bit" if max(image.tag_v2.get(BITS, (32,))) > 16 else "signed"
        raise SourceError(f"{name} is a TIFF of {which} whole numbers, whose white is not known: {REMEDY}")
    if max(image.tag_v2.get(BITS, (8,))) > 8 and image.mode not in ("I;16", "I;16B", "F"):
        raise SourceError(f"{name} is a TIFF whose {max(image.tag_v2[BITS])} bits are not read in this form: {REMEDY}")
    if image.mode == "LAB":
        raise SourceError(f"{name} is a TIFF in L*a*b* colours, which are not read: save it in RGB")
    if image.tag_v2.get(COMPRESSION) == JPEG and not all(_is_whole(part) for part in _jpegs(image.tag_v2, data)):
        raise NotDecodedError("a JPEG in it is damaged")
    try:
        with native_lines_hidden():
            picture = _frame(image)
    except Exception as error:  # whatever Pillow and libtiff raise
        raise NotDecodedError(str(error)) from error
    picture.pts, picture.time_base = packet.pts, packet.time_base
    return picture


def _refuse_half_floats(tags: Tags, name: str) -> None:
    """FFmpeg takes them for whole numbers, and Pillow reads none."""
    if _FLOATING in _listed(tags.get(KINDS)) and max(_listed(tags.get(BITS)), default=0) == 16:
        raise SourceError(f"{name} is a TIFF of 16-bit floating point, which is not read: {REMEDY}")


def _listed(value: Any) -> list[int]:
    """The whole numbers of a tag."""
    return [item for item in (value if isinstance(value, tuple) else (value,)) if isinstance(item, int)]


def _opened(data: bytes) -> Any:
    """Pillow's image, of which nothing is decoded yet and whose orientation is left to the caller."""
    from PIL import TiffImagePlugin

    try:
        return TiffImagePlugin.TiffImageFile(io.BytesIO(_as_stored(data)))
    except Exception:  # whatever a damaged file makes it raise: FFmpeg says what is wrong
        return None


def _as_stored(data: bytes) -> bytes:
    """``data`` with orientation 1: some versions of Pillow turn the picture, others do not."""
    order = "<" if data[:2] == b"II" else ">"
    begin, = struct.unpack_from(f"{order}I", data, 4)
    count, = struct.unpack_from(f"{order}H", data, begin)
    for place in range(begin + 2, begin + 2 + 12 * count, 12):
        if struct.unpack_from(f"{order}H", data, place) == (ORIENTATION,):
            return data[:place + 8] + struct.pack(f"{order}HH", 1, 0) + data[place + 12:]
    return data


def _is_read_wrongly(image: Any) -> bool:
    tags = image.tag_v2
    samples = tags.get(SAMPLES, 1)
    return (tags.get(COMPRESSION, 1) not in READ or tags.get(COLOURS) == YCBCR
            or (tags.get(COLOURS) == PALETTE and samples > 1) or (samples == 1 and image.mode in ("F", "I")))


def _jpegs(tags: Any, data: bytes) -> Iterator[bytes]:
    """The strips or tiles of a TIFF in JPEG, each with the tables that they share (Adobe's TIFF Technical Note 2).
    Raises NotDecodedError where the file does not say where they are."""
    places, lengths = (_listed(tags.get(number)) for number in (STRIPS if STRIPS[0] in tags else TILES))
    if not places or len(places) != len(lengths):
        raise NotDecodedError("the places of its parts are no whole numbers, or are missing")
    found = tags.get(TABLES)
    tables = found if isinstance(found, bytes) else b""
    for place, length in zip(places, lengths, strict=True):
        part = data[place:place + length]
        yield part[:2] + tables[2:-2] + part[2:]


def _is_whole(jpeg: bytes) -> bool:
    """Whether FFmpeg decodes it without complaint: libtiff makes damaged parts grey and says nothing to Pillow."""
    context: Any = av.CodecContext.create("mjpeg", "r")
    context.options = {"err_detect": "explode"}
    try:
        return len(context.decode(av.Packet(jpeg)) + context.decode(None)) == 1
    except av.error.PatchWelcomeError:
        return True  # a form that it does not know, as grey with alpha: that is no damage
    except FAILURES:
        return False


def _frame(image: Any) -> av.VideoFrame:
    if image.mode == "F":
        shares = np.clip(np.nan_to_num(np.asarray(image, np.float32)), 0, 1)  # not light, as other pictures' floats are
        return av.VideoFrame.from_ndarray(np.rint(shares * 65535).astype(np.uint16), "gray16le")
    if image.mode.startswith("I;16"):
        return av.VideoFrame.from_ndarray(np.ascontiguousarray(np.asarray(image), np.dtype("<u2")), "gray16le")
    if image.mode in ("1", "L"):
        return av.VideoFrame.from_ndarray(np.ascontiguousarray(np.asarray(image.convert("L"))), "gray")
    alpha = image.mode in ("LA", "PA", "La", "RGBA", "RGBa")
    shown = np.ascontiguousarray(np.asarray(image.convert("RGBA" if alpha else "RGB")))
    return av.VideoFrame.from_ndarray(shown, "rgba" if alpha else "rgb24")
