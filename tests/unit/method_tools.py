"""The methods that are tested, a matte by one of them, and a file for ``plate``."""

from __future__ import annotations

from typing import Any

from streamseg.core.frames import Matte
from streamseg.core.opencv import cv2
from streamseg.segment import create_segmenter

from .scenes import frame

STILL = ("threshold", "adaptive", "kmeans", "meanshift", "region", "grabcut", "chroma")
MOVING = ("mog2", "knn", "plate")


def matte_of(name: str, rgb: Any, format: str = "yuv420p", **params: Any) -> Matte:
    method = create_segmenter(name, params)
    matte, = method.segment([frame(rgb, format=format)])
    method.close()
    return matte


def plate_file(tmp_path: Any, rgb: Any) -> str:
    path = str(tmp_path / "plate.png")
    assert cv2.imwrite(path, rgb[..., ::-1])
    return path
