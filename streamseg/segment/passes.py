"""Several passes of a net over one picture, and what it takes to compare them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..core.frames import Frame
from ..core.geometry import Box, Size, resize, unletterbox

Alpha = npt.NDArray[np.float32]


def agreed(passes: Sequence[Alpha]) -> Alpha:
    """One matte (h, w) of several of the same picture, at the size of the last: their mean; of three or more the mean
    without each pixel's highest and lowest value. With a plain mean, one pass that misses a person would leave the
    person so faint that postprocessing takes the rest away too."""
    if len(passes) == 1:
        return np.ascontiguousarray(passes[0])  # every frame of a video: nothing to add up
    size = passes[-1].shape[0], passes[-1].shape[1]
    alphas = [resize(np.ascontiguousarray(alpha), size) for alpha in passes]
    total, count = sum(alphas), len(alphas)
    if count > 2:
        count -= 2
        total = total - np.minimum.reduce(alphas) - np.maximum.reduce(alphas)
    return np.asarray(total / np.float32(count))


def groups_of_one_size(frames: Sequence[Frame]) -> list[list[Frame]]:
    """Consecutive frames of one size together: single pictures in a batch may differ."""
    groups: list[list[Frame]] = []
    for frame in frames:
        if groups and (groups[-1][0].width, groups[-1][0].height) == (frame.width, frame.height):
            groups[-1].append(frame)
        else:
            groups.append([frame])
    return groups


def inside(alpha: Alpha, box: Box | None, size: Size) -> Alpha:
    """The part of a matte that the picture covers, in memory of its own. ``box``: where the picture lies in the net's
    input of ``size``, None: everywhere."""
    if box is not None:
        rows, columns = alpha.shape[0] / size[0], alpha.shape[1] / size[1]
        # A model may give another size than it takes.
        top, left = round(box.top * rows), round(box.left * columns)
        scaled = Box(top, left, max(1, min(round(box.height * rows), alpha.shape[0] - top)),
                     max(1, min(round(box.width * columns), alpha.shape[1] - left)))
        alpha = unletterbox(alpha, scaled)
    return np.ascontiguousarray(alpha, dtype=np.float32)
