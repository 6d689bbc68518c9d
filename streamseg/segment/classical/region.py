"""Region growing and graph cuts: neighbouring pixels of similar colour belong together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from ...core.frames import Frame
from ...core.opencv import cv2
from ...errors import OptionError
from ..api import param
from ..elapsed import ElapsedFrames
from .base import SIZE_HELP, Alpha, Classical, Grey, Picture, lab_picture, softened, without_specks
from .clustering import squared_distances, starting_centres

# A picture whose colours spread less than this is one colour: there is nothing to cut, and the graph,
# all of whose edges weigh the same, would take seconds.
LEAST_SPREAD = 1.0


@dataclass(kw_only=True)
class RegionGrowing(Classical):
    """Areas grow from seeds over all neighbours whose L*a*b* colour is within ``tolerance`` of the seed's.

    Without ``seeds`` the background grows from the border: from those of its pixels whose colour a good
    part of the border shares, so that a subject on the edge gives no seed. What is not reached is the
    subject. Given seeds lie on the subject (or on the background, if ``polarity`` says so).
    """

    tolerance: float = param(16.0, "Largest difference between a pixel and its seed, in levels of 255 in each channel.",
                             low=0, high=255)
    seeds: str = param("", "Where growing starts: 'x,y;x,y' in pixels of the frame, or, with a decimal point, as "
                       "shares of its size: '0.5,0.4'. Empty: from the border.")
    polarity: str = param("auto", "What grows: auto (background from the border, subject from given seeds), "
                          "background or subject.", choices=("auto", "background", "subject"))
    _points: list[tuple[str, str]] = field(default_factory=list, init=False, repr=False)

    summary: ClassVar[str] = "Grows the background from the border, or the subject from given points."
    source: ClassVar[str] = ("cv2.floodFill, fixed range; Adams and Bischof 1994, 'Seeded region growing'.")
    good_for: ClassVar[str] = "An object in front of an even backdrop; holes in the subject stay part of it."
    bad_for: ClassVar[str] = "Textured backgrounds; strong gradients; subjects that fade into the background."

    def __post_init__(self) -> None:
        self._points = _parse_seeds(self.seeds)
        if self.polarity == "subject" and not self._points:
            raise OptionError("polarity is 'subject', but no seeds are given: the border is no place to grow "
                              "the subject from; add seeds='x,y;x,y'")

    def _alpha(self, frame: Frame) -> Alpha:
        picture = lab_picture(frame, self.size, self.blur)
        if self._points:
            grown = self._grow(picture, [_place(point, frame, picture) for point in self._points])
        else:
            grown = self._grow(picture, border_seeds(picture, self.tolerance))
        subject = bool(self._points) if self.polarity == "auto" else self.polarity == "subject"
        return softened(without_specks(grown if subject else cv2.bitwise_not(grown)))

    def _grow(self, picture: Picture, seeds: list[tuple[int, int]]) -> Grey:
        """uint8 (h, w), 255 on all that the seeds, (x, y) in the working picture, reach."""
        height, width = picture.shape[:2]
        reached = np.zeros((height + 2, width + 2), np.uint8)
        step = (self.tolerance,) * 3
        flags = 4 | (255 << 8) | cv2.FLOODFILL_MASK_ONLY | cv2.FLOODFILL_FIXED_RANGE
        for x, y in seeds:
            if not reached[y + 1, x + 1]:
                cv2.floodFill(picture, reached, (x, y), (0, 0, 0), step, step, flags)
        grown = reached[1:-1, 1:-1]
        # A blurred edge stops the growth before the true one, about a quarter of a kernel.
        return cv2.dilate(grown, np.ones((self.blur // 4 * 2 + 1,) * 2, np.uint8))


def _parse_seeds(text: str) -> list[tuple[str, str]]:
    """The coordinates as written; what they mean depends on the frame."""
    points = []
    for item in filter(None, (part.strip() for part in text.split(";"))):
        x, comma, y = (part.strip() for part in item.partition(","))
        try:
            good = bool(comma) and float(x) >= 0 and float(y) >= 0
            good = good and all("." not in value or float(value) <= 1 for value in (x, y))
        except ValueError:
            good = False
        if not good:
            raise OptionError(f"seeds holds {item!r}; a seed is 'x,y': whole pixels as 640,360 or shares of "
                              "the frame from 0.0 to 1.0 as 0.5,0.5; several are divided by ';'")
        points.append((x, y))
    return points


def _place(point: tuple[str, str], frame: Frame, picture: Picture) -> tuple[int, int]:
    """(x, y) of a seed in the working picture. Raises OptionError if it lies outside the frame."""
    height, width = picture.shape[:2]
    x, y = (float(value) * (1 if "." in value else 1 / side)
            for value, side in zip(point, (frame.width, frame.height), strict=True))
    if x > 1 or y > 1:
        raise OptionError(f"seeds holds '{point[0]},{point[1]}', outside the frame of "
                          f"{frame.width} x {frame.height}")
    return min(width - 1, int(x * width)), min(height - 1, int(y * height))


def border_seeds(picture: Picture, tolerance: float) -> list[tuple[int, int]]:
    """(x, y) of every fourth border pixel whose colour, to the tolerance, at least 15 % of them share.

    15 %: a plain wall with a person before it holds far more, a sleeve on the edge far less. If no
    colour is that common, all of them are seeds.
    """
    height, width = picture.shape[:2]
    across, down = range(0, width, 4), range(0, height, 4)
    places = [(x, y) for y in (0, height - 1) for x in across]
    places += [(x, y) for x in (0, width - 1) for y in down]
    colours = np.array([picture[y, x] for x, y in places], np.int16)
    alike = (np.abs(colours[:, None] - colours[None]) <= max(tolerance, 1)).all(axis=2).mean(axis=1)
    common = [place for place, share in zip(places, alike, strict=True) if share >= 0.15]
    return common or places


@dataclass(kw_only=True)
class GrabCut(Classical):
    """Graph cut between two colour models, carried from frame to frame.

    First frame: what lies outside ``rect`` is background, inside the subject is sought from its middle
    outwards. Later frames start from the last matte and colour models and need one iteration.
    Deterministic: the first models come from an own k-means, not from OpenCV's global random state.
    """

    rect: str = param("0.05,0.03,0.9,0.97", "Where the subject is on the first frame: x,y,width,height as "
                      "shares of the frame, 0 to 1.")
    start: int = param(5, "Iterations on the first frame.", low=1, high=50)
    iterations: int = param(1, "Iterations on later frames.", low=1, high=20)
    reach: float = param(0.1, "How far the subject may move or grow from one frame to the next, as a share of the "
                         "picture's long side.", low=0.0, high=1.0)
    size: int = param(160, SIZE_HELP, low=16, high=4096)
    _box: tuple[float, ...] = field(default=(), init=False, repr=False)
    _mask: Grey | None = field(default=None, init=False, repr=False)
    _models: tuple[np.ndarray, np.ndarray] | None = field(default=None, init=False, repr=False)
    _elapsed: ElapsedFrames = field(default_factory=ElapsedFrames, init=False, repr=False)

    summary: ClassVar[str] = "Graph cut between the colours inside and outside a rectangle."
    source: ClassVar[str] = "cv2.grabCut; Rother, Kolmogorov and Blake 2004, 'GrabCut'."
    good_for: ClassVar[str] = "A textured subject in the middle of the picture, in front of most backgrounds."
    bad_for: ClassVar[str] = "Speed; subjects in the colours of the background; several subjects far apart."

    def __post_init__(self) -> None:
        self._box = _parse_rect(self.rect)

    def _alpha(self, frame: Frame) -> Alpha:
        elapsed = self._elapsed.since_last(frame)
        picture = lab_picture(frame, self.size, self.blur)
        if picture.reshape(-1, 3).std(axis=0).max() < LEAST_SPREAD:
            self.reset()
            return np.zeros(picture.shape[:2], np.float32)
        if self._mask is None or self._models is None or self._mask.shape != picture.shape[:2]:
            found = self._cut(picture, *self._begin(picture), self.start)
        else:
            found = self._cut(picture, self._follow(self._mask, elapsed), self._models, self.iterations)
        return softened(without_specks(found))

    def _begin(self, picture: Picture) -> tuple[Grey, tuple[np.ndarray, np.ndarray]]:
        """The first mask and colour models."""
        height, width = picture.shape[:2]
        mask = np.full((height, width), cv2.GC_BGD, np.uint8)
        left, top, wide, high = self._box
        rows = slice(round(top * height), max(round(top * height) + 1, round((top + high) * height)))
        columns = slice(round(left * width), max(round(left * width) + 1, round((left + wide) * width)))
        mask[rows, columns] = cv2.GC_PR_BGD
        _draw_prior(mask, rows, columns)
        sides = [picture[(mask == cv2.GC_PR_FGD) == side].astype(np.float32) for side in (False, True)]
        return mask, (colour_model(sides[0]), colour_model(sides[1]))

    def _follow(self, last: Grey, elapsed: int) -> Grey:
        """The mask that this frame starts from: far away from the last subject is background. ``elapsed``: frames of
        the film since then."""
        reach = max(1, round(min(1.0, self.reach * elapsed) * max(last.shape)))
        near = cv2.dilate(last, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
        mask = np.where(near > 0, np.uint8(cv2.GC_PR_BGD), np.uint8(cv2.GC_BGD))
        mask[last > 0] = cv2.GC_PR_FGD
        return mask

    def _cut(self, picture: Picture, mask: Grey, models: tuple[np.ndarray, np.ndarray],
             iterations: int) -> Grey:
        """uint8 (h, w), 255 on the subject; what was learnt is kept for the next frame."""
        background, subject = (model.copy() for model in models)
        if (mask & 1).any() and not (mask & 1).all():
            mask, background, subject = cv2.grabCut(picture, mask, (0, 0, 1, 1), background, subject,
                                                    iterations, cv2.GC_EVAL)
        found = np.where(mask & 1, np.uint8(255), np.uint8(0))
        # An empty or full cut has no second colour model: the next frame begins anew.
        usable = 0.002 < cv2.countNonZero(found) / found.size < 0.998
        self._mask, self._models = (found, (background, subject)) if usable else (None, None)
        return found

    def reset(self) -> None:
        """Forget the subject and the colours."""
        self._mask = self._models = None
        self._elapsed.reset()


def _parse_rect(text: str) -> tuple[float, ...]:
    try:
        box = tuple(float(part) for part in text.split(","))
    except ValueError:
        box = ()
    good = len(box) == 4 and all(0 <= value <= 1 for value in box) and box[2] > 0 and box[3] > 0
    if not good or box[0] + box[2] > 1.0001 or box[1] + box[3] > 1.0001:
        raise OptionError(f"rect is {text!r}; it must be x,y,width,height as shares of the frame between 0 "
                          "and 1 that stay within it, as 0.1,0.1,0.8,0.9")
    return box


def _draw_prior(mask: Grey, rows: slice, columns: slice) -> None:
    """Mark a head above shoulders within the rectangle as probable subject.

    Chosen on six clips of people: mean IoU 0.91 with a teacher's mattes over the first 12 frames, 0.86
    from one ellipse; on clips it was not chosen on the gain may be smaller.
    """
    wide, high = columns.stop - columns.start, rows.stop - rows.start
    middle = (columns.start + columns.stop) // 2
    shape = np.zeros_like(mask)
    for centre, axes in (((middle, rows.start + high * 2 // 5), (max(1, wide // 6), max(1, high * 3 // 10))),
                         ((middle, rows.stop), (max(1, wide // 3), max(1, high * 2 // 5)))):
        cv2.ellipse(shape, centre, axes, 0, 0, 360, 1, -1)
    mask[(shape > 0) & (mask == cv2.GC_PR_BGD)] = cv2.GC_PR_FGD


def colour_model(points: np.ndarray) -> np.ndarray:
    """float64 (1, 65): five Gaussians as cv2.grabCut keeps them: weights, means (3 each), covariances (9)."""
    if not len(points):
        return np.zeros((1, 65))
    centres = starting_centres(points, 5)
    labels = squared_distances(points, centres).argmin(axis=1)
    weights, means, spreads = np.zeros(5), np.zeros((5, 3)), np.zeros((5, 3, 3))
    for number in range(5):
        own = points[labels == number].astype(np.float64)
        means[number] = own.mean(axis=0) if len(own) else centres[number]
        weights[number] = len(own) / len(points)
        # 0.01: the variance that OpenCV itself adds where a group has no extent.
        spreads[number] = (np.cov(own.T, bias=True) if len(own) else 0) + 0.01 * np.eye(3)
    return np.concatenate([weights, means.ravel(), spreads.ravel()])[None]
