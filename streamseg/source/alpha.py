"""Alpha that is a stream of its own, as HEIC and AVIF have it, put together with the picture."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import av
import numpy as np
import numpy.typing as npt

from ..core.frames import plane_view
from ..core.matrices import kept
from ..core.opencv import cv2
from ..core.pixel_formats import FORMATS, FULL, LIMITED
from ..errors import DamagedInputError
from ..options import InputOptions
from .decode import Decoder
from .deinterlace import Timed
from .heif import content_of, streams_of
from .normalise import layout
from .open import open_container

Plane = npt.NDArray[Any]


class AlphaStream:
    """The pictures of an alpha stream, in step with those that they belong to. The file is opened a second time: how
    the packets of the two lie in it does not matter. ``close`` it."""

    def __init__(self, path: Path, index: int, options: InputOptions, *, multiplied: bool) -> None:
        self._container = open_container(str(path), options)
        try:
            self._decoder = Decoder(self._container, self._container.streams[index], f"{path} (its transparency)",
                                    options)
        except BaseException:
            self._container.close()
            raise
        self._multiplied = multiplied
        self._pictures = iter(self._decoder)
        self._next = next(self._pictures, None)
        self._last: av.VideoFrame | None = None

    @classmethod
    def beside(cls, stream: Any, path: Path, options: InputOptions) -> Self | None:
        """The alpha of ``stream``, which was opened from the file at ``path``; None if it has none."""
        content = content_of(path)
        if content is None:
            return None
        picture, alpha = streams_of(stream.container, content)
        if alpha is None or picture is not stream or alpha.codec_context is None:
            return None
        return cls(path, alpha.index, options, multiplied=content.multiplied)

    @property
    def damaged(self) -> int:
        """Damaged parts of it so far."""
        return self._decoder.damaged

    def close(self) -> None:
        """Close the file; may be called twice."""
        self._container.close()

    def over(self, pictures: Iterator[Timed]) -> Iterator[Timed]:
        """The pictures with their alpha. Raises DamagedInputError."""
        for picture, pts in pictures:
            yield self.put(picture), pts

    def put(self, picture: av.VideoFrame) -> av.VideoFrame:
        """One picture with the alpha of its time: that of the same pts, else the one before."""
        while self._next is not None and (self._last is None or self._next.pts is None or picture.pts is None
                                          or self._next.pts <= picture.pts):
            self._last, self._next = self._next, next(self._pictures, None)
            if picture.pts is None:
                break
        if self._last is None:
            raise DamagedInputError(f"{self._decoder.name}: no picture of it decodes")
        return joined(picture, self._last, multiplied=self._multiplied)


def joined(picture: av.VideoFrame, alpha: av.VideoFrame, *, multiplied: bool = False) -> av.VideoFrame:
    """A new picture, with all that belongs to ``picture``, in the format of the same kind that has alpha.

    ``multiplied``: the colours were multiplied by the alpha, which is undone; the result is RGB then.
    """
    own = layout(picture.format.name)
    rgb = own.format.startswith("gbrp") or multiplied
    depth = FORMATS[own.format].depth
    tail = "" if depth == 8 else f"{min(depth, 10) if own.format.startswith('yuv420p') else depth}le"
    target = "gbrap" + ("" if depth == 8 else f"{depth}le") if rgb else f"yuva{own.format[3:6]}p{tail}"
    span = FULL if own.full or picture.color_range == FULL else LIMITED
    made = picture.reformat(format=target, threads=1, src_color_range=span, dst_color_range=FULL if rgb else span,
                            **kept(int(picture.colorspace)))
    shape = layout(target)
    peak = FORMATS[shape.format].peak
    share = _share(alpha, (made.width, made.height))
    grey = FORMATS["gray" if peak == 255 else f"gray{FORMATS[shape.format].depth}le"]
    np.copyto(plane_view(made, 3, grey), np.rint(share * peak), casting="unsafe")
    if multiplied:
        for number in range(3):
            plane = plane_view(made, number, grey)
            np.copyto(plane, np.minimum(np.rint(plane / np.maximum(share, 1 / peak)), peak), casting="unsafe")
    return made


def _share(alpha: av.VideoFrame, size: tuple[int, int]) -> Plane:
    """float32 (h, w) in [0, 1] of the picture of an alpha: its luma, by its own range."""
    own = layout(alpha.format.name)
    pixel = FORMATS[own.format]
    grey = FORMATS["gray" if pixel.depth == 8 else f"gray{pixel.depth}le"]
    if alpha.format.name not in (grey.name, *FORMATS):
        alpha = alpha.reformat(format=grey.name, threads=1, src_color_range=FULL, dst_color_range=FULL,
                               **kept(int(alpha.colorspace)))
    values: Plane = plane_view(alpha, 0, grey).astype(np.float32)
    unit = 1 << (pixel.depth - 8)
    limited = alpha.color_range == LIMITED
    values = (values - 16 * unit) / (219 * unit) if limited else values / pixel.peak
    if values.shape != size[::-1]:
        values = cv2.resize(values, size, interpolation=cv2.INTER_LINEAR)
    return np.clip(values, 0.0, 1.0)
