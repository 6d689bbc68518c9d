"""What the classical methods share: each works on a small copy of the frame, the working picture.

So the cost hardly depends on the video's size, and the edge is refined at full size later in any case. ``size`` is
the long side of the working picture in pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ...core.frames import Frame, Matte
from ...core.opencv import cv2
from ...core.resampling import shrink
from ..api import ParameterSegmenter, param

# OpenCV's stubs know no dtypes, so these say them to the reader only.
Alpha = npt.NDArray[Any]  # float32 (h, w) in [0, 1]
Grey = npt.NDArray[Any]  # uint8 (h, w); masks hold 0 and 255
Picture = npt.NDArray[Any]  # uint8 (h, w, 3)

POLARITY_HELP = "Which side is the subject: light, dark, or auto (the side that fills less of the picture's border)."
SIZE_HELP = "The method works on a small copy of the frame: its long side in pixels."
BLUR_HELP = "Size of the box blur that comes first, in pixels of the small copy; odd; 1: no blur."


@dataclass(kw_only=True)
class Classical(ParameterSegmenter):
    """Base of the classical methods: one matte a frame from ``_alpha``, in the order of the frames.

    The class variables say what `streamseg methods` prints of a method.
    """

    size: int = param(320, SIZE_HELP, low=16, high=4096)
    blur: int = param(1, BLUR_HELP, low=1, high=99, odd=True)

    summary: ClassVar[str]
    source: ClassVar[str]
    good_for: ClassVar[str]
    bad_for: ClassVar[str]

    def segment(self, frames: Sequence[Frame]) -> list[Matte]:
        """One matte a frame, each of the working picture's size."""
        return [Matte(self._alpha(frame)) for frame in frames]

    def _alpha(self, frame: Frame) -> Alpha:
        """The frame's matte: float32 (h, w) in [0, 1] at the working size."""
        raise NotImplementedError

    def reset(self) -> None:
        """Forget all earlier frames."""

    def close(self) -> None:
        """Free what is held."""
        self.reset()


def working_size(frame: Frame, long_side: int) -> tuple[int, int]:
    """(width, height) with the frame's shape and ``long_side``; never larger than the frame."""
    scale = min(1.0, long_side / max(frame.width, frame.height))
    return max(1, round(frame.width * scale)), max(1, round(frame.height * scale))


def grey_picture(frame: Frame, size: int, blur: int) -> Grey:
    """uint8 (h, w): brightness at the working size, blurred."""
    return blurred(_seen(frame.luma(working_size(frame, size)), frame), blur)


def rgb_picture(frame: Frame, size: int, blur: int) -> Picture:
    """uint8 (h, w, 3): RGB at the working size, blurred."""
    return blurred(_seen(frame.rgb(working_size(frame, size)), frame), blur)


def lab_picture(frame: Frame, size: int, blur: int) -> Picture:
    """uint8 (h, w, 3): CIE L*a*b* (L stretched to 0..255), where distances are about as eyes see them."""
    return cv2.cvtColor(rgb_picture(frame, size, blur), cv2.COLOR_RGB2LAB)


def _seen(picture: npt.NDArray[Any], frame: Frame) -> npt.NDArray[Any]:
    """The picture where the frame's own alpha lets it be seen, elsewhere the nearest colour that is seen: programs
    leave black, white or anything beneath what is wholly transparent, and it was taken for the screen."""
    if frame.alpha is None or frame.alpha.all():
        return picture
    high, wide = picture.shape[:2]
    hidden = (shrink(np.where(frame.alpha, np.uint8(255), np.uint8(0)), (wide, high)) < 255).astype(np.uint8)
    if hidden.all():
        return picture
    nearest = cv2.distanceTransformWithLabels(hidden, cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL)[1]
    colours = np.zeros((int(nearest.max()) + 1, *picture.shape[2:]), picture.dtype)
    colours[nearest[hidden == 0]] = picture[hidden == 0]
    return colours[nearest]


def blurred(picture: npt.NDArray[Any], kernel: int) -> npt.NDArray[Any]:
    """A box blur of ``kernel`` x ``kernel``; 1 gives the picture itself."""
    return picture if kernel <= 1 else cv2.blur(picture, (kernel, kernel))


def softened(mask: Grey) -> Alpha:
    """A mask of 0 and 255 as a matte whose edge is a ramp of about two pixels: a hard step would show the small
    copy's pixels as stairs at full size."""
    return np.multiply(cv2.GaussianBlur(mask, (3, 3), 0), np.float32(1 / 255), dtype=np.float32)


def without_specks(mask: Grey, share: float = 0.002) -> Grey:
    """The mask (0 and 255) without islands, and with holes filled, smaller than ``share`` of the picture."""
    least = share * mask.size
    return 255 - _keep_large(255 - _keep_large(mask, least), least)


def _keep_large(mask: Grey, least: float) -> Grey:
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    keep = stats[:count, cv2.CC_STAT_AREA] >= least
    keep[0] = False  # label 0 is what the mask leaves out
    return np.where(keep, np.uint8(255), np.uint8(0))[labels]
