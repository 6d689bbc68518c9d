"""The blend: out = alpha x subject + (1 - alpha) x background (Porter and Duff 1984, 'Compositing digital
images', over), in the planes the picture came in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ..background import Background, VideoBackground, blend, open_background, sample_values, whole_numbers
from ..core.frames import Frame, Matte, VideoInfo
from ..core.opencv import cv2
from ..core.pixel_formats import Colour
from ..errors import OptionError
from ..options import CompositeOptions
from ..refine import AlphaTiles, ColorModel, Edge, Selection, Tiles, padded, tile_of
from ..validation import choice
from .despill import Despill
from .foreground import solved
from .wrap import Wrap

Array = npt.NDArray[Any]
KINDS = ("composite", "cutout", "matte", "foreground")
_TINT, _OUTLINE = (0, 200, 255), (255, 255, 255)


class Compositor:
    """Makes the pictures that a run was asked for from a frame and its matte.

    kinds     what ``finish`` makes: "composite" the subject over the background, opaque, in the frame's
              format; "cutout" the subject's own colours with ``alpha``; "matte" the alpha as gray, full
              range; "foreground" the subject's own colours, opaque, extended beyond the subject
    options   ``background``, ``fit``, ``blur``, ``show_matte``; ``edges``, ``subject``, ``clean``,
              ``threshold``, ``erode``, ``feather``, ``light_wrap``

    Raises OptionError for a kind or background that is not known, SourceError for a background that
    cannot be read.
    """

    def __init__(self, info: VideoInfo, kinds: Sequence[str], options: CompositeOptions) -> None:
        for kind in kinds:
            choice("kind", kind, KINDS)
        self.kinds = tuple(kinds)
        self._show_matte = options.show_matte
        self._guided, self._light_wrap = options.edges == "guided", options.light_wrap
        self._selection = Selection(options.subject, clean=options.clean, steady=not info.stills)
        self._edge = Edge(options)
        self._background: Background | None = None
        if "composite" in kinds and not options.show_matte:
            if (options.background or "").strip().lower() == "none":
                raise OptionError("background none leaves transparency, which an opaque picture cannot hold: "
                                  "write to .mov, .webm, .png or .apng, or choose another background")
            self._background = open_background(options, info)

    def finish(self, frame: Frame, matte: Matte) -> dict[str, Frame]:
        """kind -> picture, each with the frame's time, duration, index, name and packets."""
        cover = AlphaTiles.of(frame, self._selection(matte, frame), guided=self._guided)
        if self._edge.cuts or self._edge.feathers:
            cover = cover.reshaped(self._edge)
        key = matte.despill

        @cache
        def colours() -> ColorModel:
            if key is None:
                return cover.mixture
            return ColorModel.of(Despill(key)(frame), cover.alpha, cover.columns)

        made: dict[str, Frame] = {}
        for kind in self.kinds:
            if kind == "matte":
                made[kind] = _matte(frame, cover)
            elif kind == "composite":
                made[kind] = self._composite(frame, colours, cover)
            else:
                own = made.get("foreground") or made.get("cutout") or _foreground(colours(), cover)
                made[kind] = replace(own, alpha=cover.plane() if kind == "cutout" else None)
        return made

    @property
    def notes(self) -> list[str]:
        """Remarks for the user on the background."""
        return [] if self._background is None else list(self._background.notes)

    @property
    def background_moves(self) -> bool:
        """Whether the background is a film: the same frame and matte then make another picture later."""
        return isinstance(self._background, VideoBackground)

    def close(self) -> None:
        """Close the background's file, if there is one."""
        if self._background is not None:
            self._background.close()

    def _composite(self, frame: Frame, colours: Callable[[], ColorModel], cover: AlphaTiles) -> Frame:
        if self._show_matte:
            return _overlay(frame, cover)
        if self._background is None:
            return replace(frame, alpha=None)
        made = Frame.empty(frame)
        self._background.paint(made, frame, cover)
        wrap = Wrap(made, self._light_wrap) if self._light_wrap else None
        _over(made, colours(), cover)
        if wrap is not None:
            wrap.lay(made, cover)
        return made


def _over(made: Frame, colours: ColorModel, cover: AlphaTiles) -> None:
    """Lay the subject over the background that ``made`` holds, in place.

    Tiles outside the subject stay, tiles inside are copied, tiles of the rim are blended from the subject's own
    colours, because the frame's colours there contain the old background.
    """
    shares = _shares(cover, cover.strip)
    mixed_shares = shares if cover.unfeathered is None else _shares(cover, cover.mixed_strip)
    for number, plane in enumerate(made.planes):
        rows, columns = tile_of(made, number, cover.columns)
        target = padded(plane, rows, columns)
        tiles = Tiles(target, rows, columns, cover.rim)
        if len(cover.rim):
            back, share = tiles.take(), shares(number)
            mixed = solved(colours, number, cover, mixed_shares(number))
            mixed -= back
            mixed *= share
            mixed += back
            tiles.put(whole_numbers(mixed, cover.peak))
        tiles.copy(_tiles(colours.frame, number, cover), cover.inside)
        _settle(plane, target)


def _foreground(colours: ColorModel, cover: AlphaTiles) -> Frame:
    """The subject's own colours everywhere: estimated in the rim, extended beyond it."""
    made = Frame.empty(colours.frame)
    shares = _shares(cover, cover.mixed_strip)
    for number, plane in enumerate(made.planes):
        rows, columns = tile_of(made, number, cover.columns)
        smooth = whole_numbers(colours.ahead[number] * np.float32(cover.peak), cover.peak)
        target = padded(colours.everywhere(smooth, number), rows, columns)
        tiles = Tiles(target, rows, columns, cover.rim)
        if len(cover.rim):
            tiles.put(whole_numbers(solved(colours, number, cover, shares(number)), cover.peak))
        tiles.copy(_tiles(colours.frame, number, cover), cover.inside)
        np.copyto(plane, target[:plane.shape[0], :plane.shape[1]])
    return made


def _tiles(frame: Frame, number: int, cover: AlphaTiles) -> Tiles:
    rows, columns = tile_of(frame, number, cover.columns)
    return Tiles(padded(frame.planes[number], rows, columns), rows, columns, cover.rim)


def _shares(cover: AlphaTiles, strip: Callable[[int, int], Array]) -> Callable[[int], Array]:
    """plane -> alpha of the rim's tiles at its samples, float32 0..1, of ``cover``'s strips."""
    pixel = cover.frame.pixel

    @cache
    def share(sx: int, sy: int) -> Array:
        return strip(sx, sy) * np.float32(1 / cover.peak)

    return lambda number: share(pixel.sx, pixel.sy) if number else share(1, 1)


def _matte(frame: Frame, cover: AlphaTiles) -> Frame:
    depth = frame.pixel.depth
    made = Frame.empty(frame, "gray" if depth == 8 else f"gray{depth}le")
    np.copyto(made.planes[0], cover.plane())
    # alpha uses all values; the picture's matrix and transfer say nothing about it
    return replace(made, colour=Colour(range=2))


def _overlay(frame: Frame, cover: AlphaTiles) -> Frame:
    """The original with the subject tinted and its edge (alpha crosses one half) drawn as a line."""
    made = Frame.empty(frame)
    alpha = cover.plane()
    solid = (alpha > cover.peak // 2).astype(np.uint8)
    width = max(3, frame.height // 270 | 1)
    edge = cv2.morphologyEx(solid, cv2.MORPH_GRADIENT, np.ones((width, width), np.uint8))
    tinted: Array = (alpha * np.float32(0.45)).astype(alpha.dtype)
    tint, line = sample_values(_TINT, frame), sample_values(_OUTLINE, frame)
    for number, plane in enumerate(made.planes):
        size = (plane.shape[1], plane.shape[0])
        part = cv2.resize(tinted, size, interpolation=cv2.INTER_AREA)
        drawn = cv2.resize(edge * 255, size, interpolation=cv2.INTER_AREA) > 127
        source: Array = np.ascontiguousarray(frame.planes[number])
        mixed = blend(np.full_like(source, tint[number]), source, part, cover.peak)
        np.copyto(plane, np.where(drawn, source.dtype.type(line[number]), mixed))
    return made


def _settle(plane: Array, target: Array) -> None:
    if target is not plane:
        np.copyto(plane, target[:plane.shape[0], :plane.shape[1]])
