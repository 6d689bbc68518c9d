"""Metadata of a picture file, read by Pillow: orientation, colour profile, pages, and what no output keeps.

FFmpeg passes EXIF and the profile on as side data, but PyAV 18 cannot list it where there is EXIF, and nearly
every photo has EXIF. Pillow is imported only for files that have such metadata, never for a video without.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

JPEG_MARK, PNG_MARK = b"\xff\xd8", b"\x89PNG\r\n\x1a\n"
TIFF_MARKS = (b"II*\0", b"MM\0*")
SUBFILE, ORIENTATION, MAKE, X_RESOLUTION, UNIT = 0x00FE, 0x0112, 0x010F, 0x011A, 0x0128
EXIF, PROFILE, GPS = 0x8769, 0x8773, 0x8825
DNG, CR2, PARTS = 0xC612, b"CR\2", 0x014A  # DNGVersion; bytes 8 to 10 of Canon's; SubIFDs
REDUCED = 1  # of a TIFF's page: a small copy of another page
SCREEN = (72, 96)  # dots per inch that programs write where nobody chose any
HEADER, LARGEST = 128, 255 * 65519  # bytes of a profile: at least its header, at most what a JPEG can hold
LARGE = "profile too large"  # Pillow reads no PNG whose profile unpacks to more than 1 MB
Tags = Mapping[int, Any]


@dataclass(frozen=True, slots=True)
class PictureMetadata:
    """What a picture file says beside its picture.

    orientation  EXIF's, 1 to 8
    profile      the ICC profile, byte for byte; None if there is none, or if it is not a valid one
    pages        pictures in a TIFF, small copies left out; 1 for other formats
    unkept       names of what is in the file and in no output
    raw          whether it is a camera's raw picture (DNG and others in TIFF's layout), whose pixels are no colours yet
    """

    orientation: int = 1
    profile: bytes | None = None
    pages: int = 1
    unkept: tuple[str, ...] = ()
    raw: bool = False


def metadata_of(data: bytes) -> PictureMetadata:
    """The metadata in the bytes of a JPEG, PNG, WebP or TIFF; the defaults for other formats and for what
    cannot be read: the picture itself may still decode."""
    if data[:4] in TIFF_MARKS:
        return _of_tiff(list(directories(data)), data)
    info = _info(data)
    tags = _exif_tags(info.get("exif", b""))
    large = ("a colour profile (ICC) of more than 1 MB, and all other metadata",) * (LARGE in info)
    return PictureMetadata(_orientation(tags), valid_profile(info.get("icc_profile")), 1, large
                           + _unkept(tags.keys() - {ORIENTATION}, _dots(data, info)))


def exif_orientation(data: bytes) -> int:
    """EXIF's orientation in the bytes of a picture file or of a packet, 1 to 8; 1 if there is none."""
    if data[:4] in TIFF_MARKS:
        return _orientation(next(directories(data), {}))
    return _orientation(_exif_tags(_info(data).get("exif", b""))) if _may_have_exif(data) else 1


def has_exif(exif: bytes | None) -> bool:
    """Whether EXIF has more to say than the orientation."""
    return bool(_exif_tags(exif or b"").keys() - {ORIENTATION})


def plays_of(path: Path) -> int | None:
    """How many times a GIF or APNG plays, 0 for ever; None where that cannot be read."""
    from PIL import GifImagePlugin, PngImagePlugin

    try:
        with path.open("rb") as file:
            if file.read(3) == b"GIF":
                file.seek(0)
                loop = GifImagePlugin.GifImageFile(file).info.get("loop")  # repetitions
                return 1 if loop is None else 0 if loop == 0 else int(loop) + 1
            file.seek(0)
            return int(PngImagePlugin.PngImageFile(file).info["loop"])
    except Exception:  # whatever a damaged file makes it raise: it still may play
        return None


def stated_size(path: Path) -> tuple[int, int] | None:
    """Width and height that the head of a JPEG, PNG, TIFF, WebP or BMP states; None where it cannot be read."""
    from PIL import BmpImagePlugin, JpegImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin

    plugins: dict[bytes, Any] = {b"\xff\xd8": JpegImagePlugin.JpegImageFile, b"\x89P": PngImagePlugin.PngImageFile,
                                 b"II": TiffImagePlugin.TiffImageFile, b"MM": TiffImagePlugin.TiffImageFile,
                                 b"RI": WebPImagePlugin.WebPImageFile, b"BM": BmpImagePlugin.BmpImageFile}
    try:
        with path.open("rb") as file:
            plugin = plugins.get(file.read(2))
            file.seek(0)
            return None if plugin is None else plugin(file).size
    except Exception:  # whatever a damaged file makes it raise
        return None


def is_rgb(profile: bytes) -> bool:
    """Whether an ICC profile is for RGB, which every picture becomes: not for grey or CMYK."""
    return profile[16:20] == b"RGB "


def _may_have_exif(data: bytes) -> bool:
    """Whether it is worth importing Pillow: frames of MJPEG and PNG videos have no EXIF."""
    return b"Exif\0\0" in data or b"eXIf" in data or (data[8:12] == b"WEBP" and b"EXIF" in data)


def _info(data: bytes) -> dict[str, Any]:
    """Pillow's ``info`` of a JPEG, PNG or WebP: exif, icc_profile, dpi. Nothing is decoded, and the plugins are
    used directly: ``Image.open`` limits the size of pictures by settings of the whole process."""
    from PIL import JpegImagePlugin, PngImagePlugin, WebPImagePlugin

    plugins: dict[bytes, Any] = {JPEG_MARK: JpegImagePlugin.JpegImageFile, PNG_MARK[:2]: PngImagePlugin.PngImageFile,
                                 b"RI": WebPImagePlugin.WebPImageFile}
    plugin = plugins.get(data[:2])
    if plugin is None or (data[:2] == b"RI" and data[8:12] != b"WEBP"):
        return {}
    try:
        with plugin(io.BytesIO(data)) as picture:
            if data[:2] == PNG_MARK[:2] and "exif" not in picture.info and b"eXIf" in data:
                picture.load()  # it stands behind the pixels
            info = dict(picture.info)
            if data[:2] == JPEG_MARK and not _pieces_complete(picture.applist):
                info.pop("icc_profile", None)
            return info
    except Exception as error:  # whatever a damaged file makes it raise
        return {LARGE: True} if isinstance(error, ValueError) and "MAX_TEXT_CHUNK" in str(error) else {}


def _pieces_complete(segments: list[tuple[str, bytes]]) -> bool:
    """Whether the pieces of a JPEG's profile are numbered 1 to their count (ICC.1:2022, B.4): Pillow joins any."""
    pieces = [body for name, body in segments if name == "APP2" and body[:12] == b"ICC_PROFILE\0" and len(body) > 14]
    return sorted(body[12] for body in pieces) == list(range(1, len(pieces) + 1)) and all(
        body[13] == len(pieces) for body in pieces)


def _exif_tags(exif: bytes) -> Tags:
    """The tags of EXIF's first directory."""
    if not exif:
        return {}
    return next(directories(exif.removeprefix(b"Exif\0\0")), {})


def directories(tiff: bytes) -> Iterator[Tags]:
    """The tags of each directory of a TIFF, as far as they can be read."""
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    file, seen = io.BytesIO(tiff), {0}
    try:
        directory = ImageFileDirectory_v2(tiff[:8])
        while directory.next not in seen and directory.next < len(tiff):
            seen.add(directory.next)
            file.seek(directory.next)
            directory.load(file)
            yield {tag: _value(directory, tag) for tag in directory}
    except (SyntaxError, struct.error, OSError, ValueError):
        return


def _value(directory: Any, tag: int) -> Any:
    """A tag's value; None where it cannot be read."""
    try:
        return directory[tag]
    except Exception:  # values are parsed when they are asked for
        return None


def _of_tiff(pages: list[Tags], data: bytes) -> PictureMetadata:
    tags = pages[0] if pages else {}
    inches = {2: 1.0, 3: 2.54}.get(tags.get(UNIT, 2), 0.0)
    found = tags.get(PROFILE)
    whole = [page for page in pages if not _number(page.get(SUBFILE, 0)) & REDUCED]
    return PictureMetadata(_orientation(tags), valid_profile(found if isinstance(found, bytes) else None),
                           max(1, len(whole)),
                           _unkept({EXIF, GPS, MAKE} & tags.keys(), inches * _number(tags.get(X_RESOLUTION, 0))),
                           DNG in tags or data[8:11] == CR2 or bool(pages and not whole and PARTS in tags))


def _dots(data: bytes, info: Mapping[str, Any]) -> float:
    """Dots per inch of a JPEG (as JFIF gives them, not EXIF) or of a PNG; 0 where they are not given."""
    if "jfif_unit" in info:
        return float(_number(info["jfif_density"][0])) * {1: 1.0, 2: 2.54}.get(info["jfif_unit"], 0.0)
    return float(_number(info["dpi"][0])) if data[:8] == PNG_MARK and "dpi" in info else 0.0


def _unkept(camera: set[int], dots: float) -> tuple[str, ...]:
    paper = round(dots) not in (0, *SCREEN)
    return ("EXIF (camera, time, place)",) * bool(camera) + ("the size on paper (dots per inch)",) * paper


def _orientation(tags: Tags) -> int:
    value = tags.get(ORIENTATION)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _number(value: Any) -> Any:
    """A number as it is; 0 for what is none, as a fraction of zeros."""
    try:
        return value if value == value and abs(value) < 1e9 else 0
    except Exception:
        return 0


def valid_profile(profile: bytes | None) -> bytes | None:
    """``profile`` if its length and its signature are those of one."""
    if profile is None or not HEADER < len(profile) <= LARGEST or profile[36:40] != b"acsp":
        return None
    return profile
