"""RGB of 16 bits a pixel: 5 or 6 bits of a colour reach from 0 to 255, in pictures and in films."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from streamseg.source import open_source

BITS = {"rgb555le": (5, 5, 5), "bgr565le": (5, 6, 5), "rgb444le": (4, 4, 4)}  # of red, green and blue


def ramp(format: str) -> tuple[av.VideoFrame, np.ndarray]:
    """Every level of each colour, packed by hand, and what is meant in 0..255."""
    bits = BITS[format]
    columns = np.arange(64)
    levels = [columns % (1 << count) for count in bits]
    red, green, blue = levels if format.startswith("rgb") else levels[::-1]
    packed = (red << (bits[1] + bits[2])) | (green << bits[2]) | blue
    frame = av.VideoFrame(64, 16, format)
    rows = np.zeros((16, frame.planes[0].line_size // 2), "<u2")
    rows[:, :64] = packed
    frame.planes[0].update(rows.tobytes())
    meant = [np.rint(level * 255 / ((1 << count) - 1)) for level, count in zip(levels, bits, strict=True)]
    return frame, np.broadcast_to(np.stack(meant, axis=1), (16, 64, 3))


@pytest.mark.parametrize(("format", "name", "codec"), [
    ("rgb555le", "a.bmp", "bmp"), ("rgb444le", "a.bmp", "bmp"), ("rgb555le", "a.tga", "targa"),
    ("bgr565le", "a.nut", "rawvideo"), ("rgb555le", "a.nut", "rawvideo")])
def test_the_brightest_is_white_and_the_steps_are_even(tmp_path: Path, format: str, name: str, codec: str) -> None:
    frame, meant = ramp(format)
    path = tmp_path / name
    with av.open(str(path), "w", format="nut" if name.endswith("nut") else "image2") as out:
        stream = out.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 16, format
        frame.pts = 0
        out.mux([*stream.encode(frame), *stream.encode(None)])
    found = next(iter(open_source(path)))
    assert np.abs(found.rgb().astype(int) - meant).max() <= 1
    assert found.rgb().max() == 255
