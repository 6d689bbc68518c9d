"""Writes one small picture with an encoder into a container and reads it back: what of it is kept.

    python -m streamseg.sink.capability.trial    makes table.json anew, with the FFmpeg that is installed
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
from collections.abc import Iterator
from dataclasses import asdict
from fractions import Fraction
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from ...core.pixel_formats import FULL, LIMITED, Colour
from ..containers import CONTAINERS, NUT_RAW, PIPED, Y4M, usable
from ..encoder import DEFAULTS, Settings, open_encoder, tag_for
from ..palette import Palette
from . import ALPHAS, MATRICES, TABLE, Cell

# Encoders that are tried: those without hardware that a film is made with
ENCODERS = ("libx264", "libx265", "libvpx-vp9", "libvpx", "libsvtav1", "ffv1", "prores_ks", "mpeg4", "mpeg2video",
            "mjpeg", "png", "qtrle", "huffyuv", "ffvhuff", "utvideo", "magicyuv", "dnxhd", "cfhd", "gif", "apng",
            "libwebp_anim", "rawvideo", "wrapped_avframe")
_WORKING = [sampling + depth for sampling in ("yuv420p", "yuv422p", "yuv444p", "gbrp", "gray")
            for depth in ("", "10le", "12le", "16le")]
# rawvideo and wrapped_avframe take anything; these are what the sink hands them
_RAW = [*_WORKING, "yuva420p", "yuva422p", "yuva444p", "yuva420p10le", "yuva422p10le", "yuva444p10le",
        "yuva422p12le", "yuva444p12le", "yuva420p16le", "rgba", "rgba64le"]
_Y4M = ("yuv420p", "yuv422p", "yuv444p", "gray")
_NEVER = re.compile(r"9le|14le|41[01]|440|nv\d")  # the sink always finds something nearer
_OPTIONS = DEFAULTS | {"dnxhd": {"profile": "dnxhr_hq"}}
_READ_AS = {"webp": "webp_pipe"}  # FFmpeg reads one picture of it, no animation
_SIZE, _SIZES = 64, {"dnxhd": 256}
_TICK = Fraction(1, 25)
NEAR = 0.01  # of the whole range: what a lossy encoder's alpha may be off


def trial(muxer: str, codec: str, pix_fmt: str) -> Cell:
    """The cell of the table, by four pictures: both ranges, four matrices."""
    back = {}
    for span, matrix in zip((LIMITED, FULL) * 2, MATRICES, strict=True):
        # refused on opening or when the header is written; or taken, and no picture comes back
        with contextlib.suppress(av.error.FFmpegError, IndexError):
            back[span, matrix] = _read(muxer, codec, _written(muxer, codec, pix_fmt, span, matrix))
    matrices = {matrix: found for (_, matrix), (_, found, _) in back.items()}
    spans = {wanted: found for (wanted, _), (found, _, _) in back.items()}
    kept = tuple(wanted for wanted, found in matrices.items() if wanted == found)
    same = set(matrices.values())
    fixed = same.pop() if len(same) == 1 and len(matrices) > 1 else None
    alpha = min((found for *_, found in back.values()), key=ALPHAS.index, default="")
    return Cell(spans.get(LIMITED), spans.get(FULL), kept, fixed, alpha)


def _written(muxer: str, codec: str, pix_fmt: str, span: int, matrix: int) -> bytes:
    """A file of one picture. Raises FFmpegError."""
    file = io.BytesIO()
    with av.open(file, "w", format=muxer) as container:
        stream: Any = container.add_stream(codec, rate=25)
        size = _SIZES.get(codec, _SIZE)
        Settings(codec, pix_fmt, size, size, _TICK, 1 / _TICK, Colour(matrix, span), Fraction(1), 1,
                 dict(_OPTIONS.get(codec, {})), tag=tag_for(codec, muxer)).apply(stream.codec_context)
        open_encoder(stream.codec_context)
        for number in range(1 if muxer in _READ_AS else 3):  # of fewer x265 knows no times to decode them at
            picture = _picture(pix_fmt, size)
            picture.pts, picture.time_base, picture.color_range, picture.colorspace = number, _TICK, span, matrix
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return file.getvalue()


def _picture(pix_fmt: str, size: int) -> av.VideoFrame:
    """Grey of a quarter; alpha is 0 in the left half, full in the right."""
    if pix_fmt == "pal8":
        rgba = _picture("rgba", size)
        rgba.pts, rgba.time_base = 0, _TICK
        palette = Palette(rgba, True)
        return [*palette.put(rgba), *palette.put(None)][0]
    picture = av.VideoFrame(size, size, pix_fmt)
    for number, part in enumerate(picture.format.components):
        samples = _samples(picture, number)
        samples[:] = 1 << (part.bits - 2)
        if part.is_alpha:
            samples[:, :size // 2], samples[:, size // 2:] = 0, (1 << part.bits) - 1
    return picture


def _samples(picture: av.VideoFrame, number: int) -> npt.NDArray[Any]:
    """A view of a component's samples in the picture's memory."""
    name, parts = picture.format.name, picture.format.components
    part = parts[number]
    kind = np.dtype(np.uint8 if part.bits == 8 else ">u2" if name.endswith("be") else "<u2")
    plane: Any = picture.planes[part.plane]
    rows = np.frombuffer(memoryview(plane), kind).reshape(-1, plane.line_size // kind.itemsize)[:plane.height]
    if sum(other.plane == part.plane for other in parts) == 1:
        return rows[:, :plane.width]
    step = 4 if name.endswith("0") else len(parts)
    place = (number + 1) % step if name.startswith(("a", "0")) else number
    return rows[:, place:step * picture.width:step]


def _read(muxer: str, codec: str, data: bytes) -> tuple[int, int, str]:
    """(range, matrix, how alpha came back) of the file's picture."""
    with av.open(io.BytesIO(data), "r", format=_READ_AS.get(muxer, muxer)) as container:
        stream = container.streams.video[0]
        context: Any = stream.codec_context
        if codec == "libvpx-vp9":  # FFmpeg's own decoder gives no alpha
            context = av.CodecContext.create(codec, "r")
        pictures = [picture for packet in container.demux(stream) for picture in context.decode(packet)]
        picture = pictures[0]
        span = FULL if picture.format.name.startswith("yuvj") else int(picture.color_range)
        if picture.format.name == "pal8":
            picture = picture.reformat(format="bgra", threads=1)
        return span, int(picture.colorspace), _alpha_kept(picture)


def _alpha_kept(picture: av.VideoFrame) -> str:
    """"exact", "near" or "", as in Cell."""
    for number, part in enumerate(picture.format.components):
        if part.is_alpha:
            samples, peak = _samples(picture, number).astype(int), (1 << part.bits) - 1
            left, right = np.hsplit(samples, 2)
            worst = max(left.max(), peak - right.min()) / peak
            return "" if worst > NEAR else "near" if worst else "exact"
    return ""


def _tried() -> Iterator[tuple[str, str, str]]:
    muxers = dict.fromkeys(item.muxer for item in (*CONTAINERS.values(), NUT_RAW, PIPED, Y4M))
    for muxer in muxers:
        for codec in ENCODERS if muxer != Y4M.muxer else ("wrapped_avframe",):
            with av.open(os.devnull, "w", format=muxer) as container:
                try:
                    container.add_stream(codec, rate=25)
                except ValueError:  # the container does not hold it
                    continue
            for name in _formats(muxer, codec):
                yield muxer, codec, name


def _formats(muxer: str, codec: str) -> list[str]:
    if muxer == "yuv4mpegpipe":
        return list(_Y4M)
    if codec in ("rawvideo", "wrapped_avframe"):
        return _RAW
    if codec == "gif":
        return ["pal8"]
    listed = [item.name for item in av.Codec(codec, "w").video_formats or []]
    return [name for name in listed if usable(name) and not _NEVER.search(name)]


def _table() -> dict[str, Any]:
    """table.json's content: a row for all pixel formats of an encoder in a container that are alike."""
    rows: dict[tuple[str, str, Cell], list[str]] = {}
    for muxer, codec, name in _tried():
        cell = trial(muxer, codec, name)
        rows.setdefault((muxer, codec, cell), []).append(name)
    return {"ffmpeg": av.ffmpeg_version_info, "rows": [
        {"container": muxer, "codec": codec, "pixels": " ".join(names), **asdict(cell)}
        for (muxer, codec, cell), names in rows.items()]}


def main() -> None:
    """Make table.json anew."""
    made = _table()
    rows = ",\n".join("  " + json.dumps(row) for row in made["rows"])
    TABLE.write_text(f'{{"ffmpeg": "{made["ffmpeg"]}", "rows": [\n{rows}\n]}}\n', encoding="utf-8")


if __name__ == "__main__":
    main()
