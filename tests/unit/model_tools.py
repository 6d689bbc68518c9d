"""What the tests of models share: pictures, and the mattes that a model gives of them."""

from __future__ import annotations

from typing import Any

import numpy as np

import streamseg


def frames(count: int, height: int, width: int) -> list[Any]:
    """Grey-level ramps with a bright block that moves."""
    made = []
    for i in range(count):
        picture = np.linspace(20, 120, width, dtype=np.float32)[None, :, None].repeat(height, 0).repeat(3, 2)
        picture[height // 4 : height // 2, 8 * i : 8 * i + width // 4] = (250, 180, 150)
        made.append(picture.astype(np.uint8))
    return made


def mattes(pictures: list[Any], **options: Any) -> list[np.ndarray]:
    return [matte.alpha for _, matte in streamseg.mattes(pictures, smooth="none", **options)]
