"""Writes the pictures, folders of pictures and animations that the tests need; what is in them: clips.py."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import av
import numpy as np

from streamseg.core.opencv import cv2
from tests import clips


def image(path: str | Path, index: int = 0, size: tuple[int, int] = clips.SIZE, *, kind: str = "rgb",
          deep: bool = False, code: bool = True, quality: int = 95) -> Path:
    """One still picture; ``kind`` is rgb, rgba (the truth as alpha), gray or palette; ``deep``: 16 bits."""
    path = Path(path)
    rgb = clips.picture(index, size, code=code)
    if kind == "palette":
        with av.open(str(path), "w", format="image2") as out:
            track = out.add_stream("png")
            track.width, track.height, track.pix_fmt = *size, "pal8"
            out.mux([*track.encode(_paletted(rgb)), *track.encode(None)])
        return path
    made = rgb.astype(np.uint16) * 257 if deep else rgb
    shown = cv2.cvtColor(made, cv2.COLOR_RGB2GRAY if kind == "gray" else cv2.COLOR_RGB2BGR)
    if kind == "rgba":
        peak = np.iinfo(made.dtype).max
        shown = np.dstack([shown, np.where(clips.truth(index, size), peak, 0).astype(made.dtype)])
    flags = [cv2.IMWRITE_JPEG_QUALITY, quality] if path.suffix.lower() in (".jpg", ".jpeg") else (
        [cv2.IMWRITE_WEBP_QUALITY, 101] if path.suffix == ".webp" else [])
    ok, data = cv2.imencode(path.suffix, shown, flags)
    assert ok
    path.write_bytes(data.tobytes())
    return path


def _paletted(rgb: clips.Array) -> av.VideoFrame:
    """pal8 of the picture's own colours (it has fewer than 256)."""
    colours, inverse = np.unique(rgb.reshape(-1, 3), axis=0, return_inverse=True)
    palette = np.zeros((256, 4), np.uint8)
    palette[:len(colours), 1:] = colours
    palette[:, 0] = 255
    frame = av.VideoFrame(rgb.shape[1], rgb.shape[0], "pal8")
    rows = np.zeros((rgb.shape[0], frame.planes[0].line_size), np.uint8)
    rows[:, :rgb.shape[1]] = inverse.reshape(rgb.shape[:2])
    frame.planes[0].update(rows.tobytes())
    frame.planes[1].update(np.ascontiguousarray(palette[:, ::-1]).tobytes())  # native-endian ARGB
    return frame


def oriented(rgb: clips.Array, orientation: int) -> clips.Array:
    """The stored form of an upright picture: what a camera writes beside EXIF orientation 1..8."""
    return np.ascontiguousarray({1: lambda a: a, 2: lambda a: a[:, ::-1], 3: lambda a: a[::-1, ::-1],
                                 4: lambda a: a[::-1], 5: lambda a: a.swapaxes(0, 1),
                                 6: lambda a: np.rot90(a, 1), 7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
                                 8: lambda a: np.rot90(a, -1)}[orientation](rgb))


def exif_image(path: str | Path, orientation: int, size: tuple[int, int] = clips.SIZE) -> Path:
    """A JPEG (or, by extension, PNG): ``clips.picture(0, size)`` once its EXIF orientation is applied."""
    path = Path(path)
    stored = oriented(clips.picture(0, size), orientation)
    tiff = b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x112, 3, 1, orientation, 0, 0)
    ok, data = cv2.imencode(path.suffix, cv2.cvtColor(stored, cv2.COLOR_RGB2BGR),
                            [cv2.IMWRITE_JPEG_QUALITY, 98])
    assert ok
    raw = data.tobytes()
    if path.suffix == ".png":
        chunk = b"eXIf" + tiff
        check = struct.pack(">I", zlib.crc32(chunk))
        raw = raw[:33] + struct.pack(">I", len(tiff)) + chunk + check + raw[33:]
    else:
        exif = b"Exif\0\0" + tiff
        raw = raw[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + raw[2:]
    path.write_bytes(raw)
    return path


def folder(path: str | Path, names: Iterable[str] = ("a1.png", "a2.png", "a10.jpg"),
           size: tuple[int, int] = clips.SIZE) -> Path:
    """A folder of pictures, each with the index of its place in ``names``."""
    path = Path(path)
    path.mkdir(parents=True, exist_ok=True)
    for index, name in enumerate(names):
        image(path / name, index, size)
    return path


def animation(path: str | Path, *, size: tuple[int, int] = clips.SIZE, frames: int = 5,
              delays: Sequence[int] | None = None, alpha: bool = False) -> Path:
    """An animated .gif, .webp or .png/.apng; ``delays`` in ms, one a frame (default 40 each)."""
    path = Path(path)
    if path.suffix in (".png", ".apng"):  # OpenCV blends transparent frames over one another
        times = np.concatenate([[0], np.cumsum(list(delays or [40] * frames)[:-1])])
        return clips.video(path, size=size, codec="apng", format="apng", pix_fmt="rgba" if alpha else "rgb24",
                     pts=[int(time) for time in times], alpha=alpha)
    shown = cv2.Animation()
    shown.frames = [_bgra(clips.picture(index, size), clips.truth(index, size) if alpha else None)
                    for index in range(frames)]
    shown.durations = np.array(list(delays) if delays else [40] * frames)
    flags = [cv2.IMWRITE_WEBP_QUALITY, 101] if path.suffix == ".webp" else []
    ok, data = cv2.imencodeanimation(path.suffix, shown, flags)
    assert ok
    path.write_bytes(data.tobytes())
    return path


def _bgra(rgb: clips.Array, mask: clips.Array | None) -> clips.Array:
    bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    return bgr if mask is None else np.dstack([bgr, np.where(mask, 255, 0).astype(np.uint8)])


def camera_raw(path: Path, *, dng: bool = True, compression: int = 1) -> Path:
    """A camera's raw picture in TIFF's layout: a small copy in colours, and the sensor's values in a sub-directory, as
    ``compression`` says (1 none, 34713 Nikon's). ``dng``: with the tag that says that it is one."""
    data = bytearray(b"II*\0" + bytes(4))

    def directory(width: int, height: int, samples: int, tags: dict[int, tuple[str, list[int]]]) -> int:
        nonlocal data
        bits = 8 if samples == 3 else 16
        place, length = len(data), width * height * samples * bits // 8
        data += bytes(range(200)) * (length // 200) + bytes(length % 200)
        entries = {256: ("I", [width]), 257: ("I", [height]), 258: ("H", [bits] * samples), 273: ("I", [place]),
                   277: ("H", [samples]), 278: ("I", [height]), 279: ("I", [length]), **tags}
        rows = b""
        for tag, (kind, values) in sorted(entries.items()):
            value = struct.pack(f"<{len(values)}{kind}", *values)
            if len(value) > 4:  # it stands elsewhere
                data += value
                value = struct.pack("<I", len(data) - len(value))
            rows += struct.pack("<HHI", tag, {"B": 1, "H": 3, "I": 4}[kind], len(values)) + value.ljust(4, b"\0")
        data += bytes(len(data) % 2)
        data += struct.pack("<H", len(entries)) + rows + bytes(4)
        return len(data) - len(rows) - 6

    sensor = directory(64, 48, 1, {254: ("I", [0]), 259: ("H", [compression]), 262: ("H", [32803]),
                                   33421: ("H", [2, 2]), 33422: ("B", [0, 1, 1, 2])})
    version = {50706: ("B", [1, 4, 0, 0])} if dng else {}
    first = directory(16, 12, 3, {254: ("I", [1]), 259: ("H", [1]), 262: ("H", [2]), 330: ("I", [sensor]), **version})
    data[4:8] = struct.pack("<I", first)
    path.write_bytes(data)
    return path
