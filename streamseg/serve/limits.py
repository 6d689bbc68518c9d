"""What a file may be, told from its first bytes: nothing is decoded before.

Only kinds that are known by their marks are read at all. FFmpeg would also read playlists and lists of files,
which name other files and addresses: an upload of one would be a way to read the server's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import imagesize

from .refusals import Refusal

HEAD = 512
PICTURES = ("JPEG", "PNG", "WebP", "GIF", "TIFF", "BMP", "AVIF or HEIF", "JPEG 2000")
FILMS = ("MP4 or QuickTime", "Matroska or WebM", "AVI", "MPEG-TS", "MPEG-PS", "FLV", "Ogg", "Y4M", "GIF", "PNG",
         "WebP", "AVIF or HEIF", "NUT")
_MARKS: dict[str, tuple[bytes, ...]] = {
    "JPEG": (b"\xff\xd8\xff",), "PNG": (b"\x89PNG\r\n\x1a\n",), "GIF": (b"GIF87a", b"GIF89a"),
    "TIFF": (b"II*\0", b"MM\0*"), "BMP": (b"BM",), "JPEG 2000": (b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51"),
    "Matroska or WebM": (b"\x1a\x45\xdf\xa3",), "FLV": (b"FLV\x01",), "Ogg": (b"OggS",), "Y4M": (b"YUV4MPEG2 ",),
    "MPEG-PS": (b"\0\0\1\xba",), "NUT": (b"nut/multimedia container\0",),
}
_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot")
_STILL_BRANDS = (b"avif", b"avis", b"heic", b"heix", b"hevc", b"hevx", b"mif1", b"msf1")


@dataclass(frozen=True, slots=True)
class PictureLimits:
    """``bytes`` of the file and ``pixels`` of the picture, at most."""

    bytes: int
    pixels: int


def kind_of(head: bytes) -> str | None:
    """What a file is, one of PICTURES or FILMS, told by its first HEAD bytes; None if it is neither."""
    for name, marks in _MARKS.items():
        if head.startswith(marks):
            return name
    if head[:4] == b"RIFF":
        return {b"WEBP": "WebP", b"AVI ": "AVI"}.get(head[8:12])
    if head[4:8] in _BOXES:
        still = head[4:8] == b"ftyp" and head[8:12] in _STILL_BRANDS
        return "AVIF or HEIF" if still else "MP4 or QuickTime"
    packets = [head[at] for size in (188, 192) for at in (0 if size == 188 else 4, size + (size == 192) * 4)
               if at < len(head)]
    return "MPEG-TS" if packets[:2] == [0x47, 0x47] or packets[2:] == [0x47, 0x47] else None


def head_of(path: Path) -> bytes:
    """The file's first bytes."""
    with path.open("rb") as file:
        return file.read(HEAD)


def check_picture(path: Path, limits: PictureLimits, what: str = "the picture") -> tuple[int, int]:
    """Width and height of a picture file, upright, as its header states them.

    Raises Refusal: unsupported_type for what is no picture of a known kind, failed_to_read where no size
    stands in it, too_large and too_many_pixels for more than the limits.
    """
    size = path.stat().st_size
    if size > limits.bytes:
        raise Refusal("too_large", f"{what} has {size / 1e6:.1f} MB, more than the {limits.bytes / 1e6:g} MB that "
                      "are the limit here")
    head = head_of(path)
    if not head:
        raise Refusal("failed_to_read", f"{what} is empty")
    if kind_of(head) not in PICTURES:
        raise Refusal("unsupported_type", f"{what} is no picture of a known kind; those are {', '.join(PICTURES)}")
    width, height = _size(path, head)
    if width < 1 or height < 1:
        raise Refusal("failed_to_read", f"{what} cannot be read: its header states no size")
    if width * height > limits.pixels:
        raise Refusal("too_many_pixels", f"{what} has {width} x {height} pixels, {width * height / 1e6:.1f} MP, more "
                      f"than the {limits.pixels / 1e6:g} MP that are the limit here")
    return width, height


def _size(path: Path, head: bytes) -> tuple[int, int]:
    if head.startswith(b"BM"):
        return int.from_bytes(head[18:22], "little"), abs(int.from_bytes(head[22:26], "little", signed=True))
    with path.open("rb") as file:
        return imagesize.get(file)
