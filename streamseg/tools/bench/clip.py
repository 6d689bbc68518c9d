"""A clip to measure with, for those who have none: persons who sway, a moving camera, camera noise, sound."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...core.opencv import cv2
from ...errors import MissingDependencyError
from ..demo import Photo, film, photo, write_film

Picture = npt.NDArray[Any]  # uint8 (h, w, 3) RGB
SIZE, RATE = (1920, 1080), 30
NOISE = 2.0  # levels of 255, a webcam's by day: without noise an encoder has an easier life than it will have


def make_clip(path: Path, *, size: tuple[int, int] = SIZE, seconds: float = 6.0, rate: int = RATE,
              persons: int = 1) -> Path:
    """Write H.264 with AAC sound: ``persons`` photos of a person side by side, each filmed by a camera that
    sways. ``size``: (width, height), both even. The same arguments give the same pictures.

    Raises MissingDependencyError where no package with a photo is installed.
    """
    try:
        shown = _mirrored(photo())
    except MissingDependencyError as error:
        raise MissingDependencyError(
            "the clip to measure with shows a photo that comes with matplotlib, which is not installed: "
            "pip install 'streamseg[bench]', or give a clip of your own: streamseg bench CLIP") from error
    pictures = _beside(shown, size, round(seconds * rate), persons)
    write_film(path, _noisy(pictures, size), rate=rate, overwrite=True)
    return path


def _mirrored(shown: Photo) -> Photo:
    """The photo's right half and its mirror image. Beside the person there is then a backdrop as plain as
    most; the whole photo shows a flag, which the model half takes for clothes: 35 % of the picture would lie
    in the matte's rim, where real clips have 10 to 22 %, and blending it would be most of the work."""
    middle = round(shown.centre[0])
    right = shown.rgb[:, middle:]
    return Photo(np.hstack([right[:, ::-1], right]), (right.shape[1], shown.centre[1]), shown.height)


def _beside(shown: Photo, size: tuple[int, int], frames: int, persons: int) -> Iterator[Picture]:
    edges = [round(size[0] * number / persons) for number in range(persons + 1)]
    films = [film(shown, (right - left, size[1]), frames) for left, right in pairwise(edges)]
    for parts in zip(*films, strict=True):
        yield np.hstack(parts)


def _noisy(pictures: Iterator[Picture], size: tuple[int, int]) -> Iterator[Picture]:
    random = np.random.default_rng(7)
    grey = [random.normal(0, NOISE, size[::-1]).round().astype(np.int8) for _ in range(4)]
    noise = cycle([cv2.merge([level] * 3) for level in grey])
    for picture in pictures:
        yield cv2.add(picture, next(noise), dtype=cv2.CV_8U)
