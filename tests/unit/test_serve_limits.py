"""What a file is and how large, told from its first bytes."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import pytest

pytest.importorskip("imagesize", reason="the extra [serve] is not installed")

from streamseg.serve.limits import FILMS, HEAD, PICTURES, PictureLimits, check_picture, kind_of
from streamseg.serve.refusals import Refusal
from tests import clips, stills

LIMITS = PictureLimits(1_000_000, 1_000_000)


@pytest.mark.parametrize(("suffix", "kind"), [(".jpg", "JPEG"), (".png", "PNG"), (".webp", "WebP"), (".bmp", "BMP"),
                                              (".tiff", "TIFF"), (".jp2", "JPEG 2000"), (".gif", "GIF"),
                                              (".avif", "AVIF or HEIF")])
def test_pictures_are_known_with_their_sizes(tmp_path: Path, suffix: str, kind: str) -> None:
    path = stills.image(tmp_path / f"a{suffix}", size=(64, 48))
    assert kind_of(path.read_bytes()[:HEAD]) == kind
    assert kind in PICTURES
    assert check_picture(path, LIMITS) == (64, 48)


@pytest.mark.parametrize(("suffix", "kind"), [(".mp4", "MP4 or QuickTime"), (".mov", "MP4 or QuickTime"),
                                              (".mkv", "Matroska or WebM"), (".webm", "Matroska or WebM"),
                                              (".avi", "AVI"), (".ts", "MPEG-TS"), (".flv", "FLV"), (".mpg", "MPEG-PS"),
                                              (".nut", "NUT"), (".y4m", "Y4M")])
def test_films_are_known(tmp_path: Path, suffix: str, kind: str) -> None:
    path = clips.video(tmp_path / f"a{suffix}", frames=3)
    assert kind_of(path.read_bytes()[:HEAD]) == kind
    assert kind in FILMS


@pytest.mark.parametrize("data", [b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n", b"ffconcat version 1.0\nfile /etc/passwd\n",
                                  b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"<?xml version='1.0'?><MPD/>",
                                  b"root:x:0:0", b"RIFF\0\0\0\0WAVE", b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\n",
                                  b"push graphic-context\n", b"[playlist]\n", b"\0" * 512, b"G", b"P5 1 1 255 x"])
def test_what_names_other_files_is_no_picture_and_no_film(tmp_path: Path, data: bytes) -> None:
    assert kind_of(data) is None
    path = tmp_path / "a"
    path.write_bytes(data)
    with pytest.raises(Refusal, match="no picture of a known kind") as refused:
        check_picture(path, LIMITS)
    assert refused.value.status == 415


def bomb(path: Path, width: int, height: int) -> Path:
    """A PNG that says it is huge and has no pixels at all: whoever decodes it fails otherwise."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body)))
    return path


def test_pixels_are_counted_before_anything_is_decoded(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"60000 x 60000 pixels, 3600\.0 MP, more than the 1 MP") as refused:
        check_picture(bomb(tmp_path / "a.png", 60_000, 60_000), LIMITS)
    assert (refused.value.status, refused.value.code) == (413, "too_many_pixels")


def test_bytes_are_limited(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(stills.image(tmp_path / "b.png").read_bytes().ljust(1_000_001, b"\0"))
    with pytest.raises(Refusal, match="more than the 1 MB") as refused:
        check_picture(path, LIMITS)
    assert (refused.value.status, refused.value.code) == (413, "too_large")


@pytest.mark.parametrize("data", [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"BM", b"GIF89a", b"RIFF\0\0\0\0WEBP",
                                  b"II*\0\xff\xff\xff\xff", b"\0\0\0\x18ftypavif"])
def test_heads_without_a_size_are_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a"
    path.write_bytes(data)
    with pytest.raises(Refusal) as refused:
        check_picture(path, LIMITS)
    assert refused.value.code == "failed_to_read"
