"""The one place that imports OpenCV, so that a missing system library is explained once.

opencv-python's wheel links against libGL and glib, which slim machines and containers lack;
``import cv2`` then fails with an ImportError that names a file nobody has heard of.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..errors import MissingDependencyError

try:
    import cv2
except ImportError as error:
    raise MissingDependencyError(
        f"OpenCV does not load ({error}): install the system libraries it needs "
        "(Debian, Ubuntu: apt-get install libgl1 libglib2.0-0; Fedora: dnf install mesa-libGL glib2), "
        "or put the wheel that needs none in its place: "
        "pip uninstall -y opencv-python && pip install opencv-python-headless"
    ) from error

__all__ = ["cv2", "disc", "opencv_threads", "pyav_came_first"]


def pyav_came_first() -> bool:
    """Whether PyAV was imported before OpenCV. Both wheels carry X11's libraries: then OpenCV's windows hang (seen with
    av 18.1, opencv-python 5.0). The other way round FFmpeg's screen capture fails: see source/screen.py."""
    loaded = list(sys.modules)
    return "av" in loaded and loaded.index("av") < loaded.index("cv2")


@contextmanager
def opencv_threads(count: int) -> Iterator[None]:
    """Give each OpenCV call ``count`` threads for the block.

    The number is the whole process's. So it is for the command line alone, which owns its process: a run in
    somebody's program leaves it as it finds it.
    """
    before = cv2.getNumThreads()
    cv2.setNumThreads(count)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def disc(across: int) -> Any:
    """uint8 (across, across): the structuring element of a disc, for erosions and what is made of them."""
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (across, across))
