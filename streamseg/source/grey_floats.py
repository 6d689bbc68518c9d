"""Grey pictures of half and float numbers (EXR, TIFF, PFM) as RGB, because swscale (FFmpeg 8.1) does not convert them
right: grey alone is moved as if its range were limited, and on float grey with alpha it ends the process."""

from __future__ import annotations

from typing import Any

import av
import numpy as np


def convertible(picture: av.VideoFrame) -> av.VideoFrame:
    """``picture``, or of grey half and float numbers the same in RGB."""
    name = picture.format.name
    if not name.startswith(("grayf", "yaf")):
        return picture
    parts = len(picture.format.components)  # 2 with alpha, which lie in turn
    kind = np.dtype((">" if name.endswith("be") else "<") + ("f2" if "f16" in name else "f4"))
    made = av.VideoFrame(picture.width, picture.height, "gbrapf32le" if parts == 2 else "gbrpf32le")
    source: Any = picture.planes[0]
    rows = np.frombuffer(memoryview(source), kind).reshape(picture.height, -1)
    for number, plane in enumerate(made.planes):
        goal = np.frombuffer(memoryview(plane), np.float32).reshape(picture.height, -1)
        goal[:, :picture.width] = rows[:, number // 3:parts * picture.width:parts]
    made.pts, made.time_base, made.color_range = picture.pts, picture.time_base, picture.color_range
    made.color_primaries, made.color_trc = picture.color_primaries, picture.color_trc
    return made
