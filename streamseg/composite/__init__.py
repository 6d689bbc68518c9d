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

from ..background import Background, Blur, VideoBackground, blend, open_background, sample_values, whole_numbers
from ..core.area import cut, whole
from ..core.frames import Frame, Matte, VideoInfo
from ..core.geometry import Box
from ..core.opencv import cv2
from ..core.pixel_formats import Colour
from ..errors import OptionError
from ..options import CompositeOptions
from ..refine import AlphaTiles, ColorModel, Edge, LastingColors, Selection, Tiles, padded, tile_of
from ..validation import choice
from .despill import Despill
from .foreground import solved
from .stages_view import stages_view
from .wrap import Wrap

Array = npt.NDArray[Any]
KINDS = ("composite", "cutout", "matte", "foreground", "layers")
_TINT, _OUTLINE = (0, 200, 255), (255, 255, 255)


class Compositor:
    """Makes the pictures that a run was asked for from a frame and its matte.

    kinds     what ``finish`` makes: "composite" the subject over the background, opaque, in the frame's
              format; "cutout" the subject's own colours with ``alpha``; "matte" the alpha as gray, full
              range; "foreground" the subject's own colours, opaque, extended beyond the subject; "layers" a
              cut-out with its ``composite``, where there is a background other than none
    options   ``background``, ``fit``, ``blur``, ``show_matte``; ``edges``, ``subject``, ``clean``, ``invert``,
              ``threshold``, ``erode``, ``feather``, ``feather_out``, ``light_wrap``; ``roi``: what these do to the
              edge ends there

    Raises OptionError for a kind or background that is not known, SourceError for a background that
    cannot be read.
    """

    def __init__(self, info: VideoInfo, kinds: Sequence[str], options: CompositeOptions) -> None:
        for kind in kinds:
            choice("kind", kind, KINDS)
        self.kinds = tuple(kinds)
        self._show_matte, self._show_stages = options.show_matte, options.show_stages
        self._guided, self._light_wrap = options.edges == "guided", options.light_wrap
        self._colours = LastingColors() if info.live else None
        self._selection = Selection(options.subject, clean=options.clean, steady=not info.stills)
        self._edge, self._invert = Edge(options), options.invert
        self._free_edge = Edge(replace(options, roi=None))  # within the roi: it ends there anyway
        # Whether work outside a matte's area can be left out; what else is made needs colours everywhere
        everywhere = options.show_matte or options.show_stages or options.invert
        self._may_leave_out = set(kinds) <= {"composite", "matte"} and not everywhere
        self._background: Background | None = None
        named = (options.background or "none").strip().lower() != "none"
        if ("composite" in kinds or ("layers" in kinds and named)) and not options.show_matte:
            if options.background and not named:
                raise OptionError("background none leaves transparency, which an opaque picture cannot hold: "
                                  "write to .mov, .webm, .png or .apng, or choose another background")
            self._background = open_background(options, info)
        self._layered = named and self._background is not None

    def finish(self, frame: Frame, matte: Matte, *, late: bool = False) -> dict[str, Frame]:
        """kind -> picture, each with the frame's time, duration, index, name and packets.

        A ``matte`` of an ``area``: outside it there is the background alone.
        ``late``: of a live picture, that it has waited long for its matte. Then the colours around the rim, and the
        blurred room, are those that were made for the frame before, if the picture has hardly changed since.
        """
        if self._colours is not None:
            self._colours.repeats.late = late
            if isinstance(self._background, Blur):
                self._background.repeats.late = late
        if matte.area is not None and self._may_leave_out:
            return self._within(frame, matte, matte.area)
        matte = whole(matte, frame)
        cover, colours = self._covered(frame, matte, self._edge)
        made: dict[str, Frame] = {}
        for kind in self.kinds:
            if kind == "matte":
                made[kind] = _matte(frame, cover)
            elif kind == "composite":
                made[kind] = self._composite(frame, colours, cover)
                if self._show_stages:
                    raw, steadied = matte.alpha if matte.raw is None else matte.raw, matte.alpha
                    refined = cover.plane().astype(np.float32) / np.float32(cover.peak)
                    made[kind] = stages_view(frame, (raw, steadied, refined), made[kind])
            else:
                own = made.get("foreground") or made.get("cutout") or _foreground(colours(), cover)
                made[kind] = replace(own, alpha=None if kind == "foreground" else cover.plane())
                if kind == "layers" and self._layered:
                    over = made.get("composite") or self._composite(frame, colours, cover)
                    made[kind] = replace(made[kind], composite=over)
        return made

    def _covered(self, frame: Frame, matte: Matte, edge: Edge) -> tuple[AlphaTiles, Callable[[], ColorModel]]:
        """Where the subject is, and the colours around the rim, which are found when they are asked for."""
        matte = self._selection(matte, frame)
        if self._invert:
            matte = Matte(1 - matte.alpha)  # what is kept is the screen itself: nothing of its colour is taken out
        opaque, own = frame if frame.alpha is None else replace(frame, alpha=None), frame.alpha
        cover = AlphaTiles.of(opaque, matte, guided=self._guided, fine=own is not None,
                              colours=self._colours or ColorModel.of)
        if edge.cuts or edge.feathers or edge.widens:
            cover = cover.reshaped(edge)
        mixed = cover.alpha
        if own is not None:  # behind the edge's options, which are the matte's: what is not there stays so
            cover = cover.times(own)
        key = matte.despill

        @cache
        def colours() -> ColorModel:
            if key is None:
                return cover.mixture
            return ColorModel.of(Despill(key)(opaque), mixed, cover.columns)

        return cover, colours

    def _within(self, frame: Frame, matte: Matte, box: Box) -> dict[str, Frame]:
        """``finish`` where all work but the background's is done within ``box``."""
        part = cut(frame, box)
        cover, colours = self._covered(part, replace(matte, area=None), self._free_edge)
        made: dict[str, Frame] = {}
        for kind in self.kinds:
            if kind == "matte":
                made[kind] = _matte(frame, cover, box)
            elif self._background is None:
                made[kind] = replace(frame, alpha=None)
            else:
                picture = Frame.empty(frame)
                everywhere = AlphaTiles.of(frame, whole(matte, frame)) if self._background.sees_the_subject else cover
                self._background.paint(picture, frame, everywhere)
                self._lay(replace(picture, planes=picture.part(box), owner=None), colours(), cover)
                made[kind] = picture
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
        self._lay(made, colours(), cover)
        return made

    def _lay(self, made: Frame, colours: ColorModel, cover: AlphaTiles) -> None:
        """Lay the subject over the background that ``made`` holds, in place."""
        wrap = Wrap(made, self._light_wrap) if self._light_wrap else None
        _over(made, colours, cover)
        if wrap is not None:
            wrap.lay(made, cover)


def _over(made: Frame, colours: ColorModel, cover: AlphaTiles) -> None:
    """Lay the subject over the background that ``made`` holds, in place.

    Tiles outside the subject stay, tiles inside are copied, tiles of the rim are blended from the subject's own
    colours, because the frame's colours there contain the old background.
    """
    cover = cover.settled
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
            tiles.put(_sum(mixed, back, cover.peak))
        tiles.copy(_tiles(colours.frame, number, cover), cover.inside)
        _settle(plane, target)


def _sum(values: Array, samples: Array, peak: int) -> Array:
    """float32 ``values`` and ``samples`` added, rounded, within 0..``peak``."""
    return cv2.add(values, samples, dtype=cv2.CV_8U) if peak == 255 else whole_numbers(values + samples, peak)


def _foreground(colours: ColorModel, cover: AlphaTiles) -> Frame:
    """The subject's own colours everywhere: estimated in the rim, extended beyond it; black where there is none."""
    made = Frame.empty(colours.frame)
    if not len(cover.rim) and not cover.inside.any():  # all that the model knows is the room
        for plane, value in zip(made.planes, sample_values((0, 0, 0), made), strict=True):
            plane.fill(value)
        return made
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


def _matte(frame: Frame, cover: AlphaTiles, box: Box | None = None) -> Frame:
    """Alpha as a picture; ``box``: where in the frame ``cover`` lies, None: everywhere."""
    depth = frame.pixel.depth
    made = Frame.empty(frame, "gray" if depth == 8 else f"gray{depth}le")
    target = made.planes[0]
    if box is not None:
        target.fill(0)
        target = target[box.top:box.top + box.height, box.left:box.left + box.width]
    cover.put(target)
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
