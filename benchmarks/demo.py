"""The demo's film against a truth drawn by hand: python -m benchmarks.demo [--quick]

The film is `streamseg demo`'s: a photo with a flag beside a person in a white cap, filmed by a moving camera. For each
frame it tells the largest blob that the matte has outside the person and the share of the hat that it keeps. The
person and the hat were outlined by hand in the photo; the outlines move as the camera does. Only matplotlib's photo has
them; figures are of the picture's area.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.common import Bench, Table, start
from streamseg import Frame, mattes
from streamseg.core.opencv import cv2
from streamseg.source.arrays import frame_of
from streamseg.tools import demo

Array = npt.NDArray[Any]
SIZE = (640, 360)
# From the brim's left end over the cap and down its right side, in pixels of the photo
_CAP = [(154, 160), (152, 140), (153, 115), (158, 100), (166, 90), (174, 85), (175, 78), (178, 70), (184, 60),
        (192, 52), (205, 44), (217, 40), (222, 30), (230, 27), (240, 24), (255, 22), (270, 24), (283, 28), (293, 34),
        (299, 40), (310, 43), (322, 48), (333, 55), (342, 63), (348, 72), (352, 82), (354, 87), (360, 86), (365, 90),
        (369, 100), (370, 120), (372, 140), (371, 170)]
HAT = [*_CAP, (357, 152), (345, 143), (330, 134), (300, 129), (265, 129), (225, 131), (205, 135), (188, 143),
       (175, 153)]
PERSON = [*_CAP, (373, 185), (376, 195), (374, 210), (370, 235), (366, 255), (362, 275), (357, 290), (350, 300),
          (340, 307), (332, 306), (331, 315), (335, 322), (350, 333), (360, 341), (380, 349), (400, 357), (425, 367),
          (460, 380), (512, 420), (0, 420), (25, 385), (70, 370), (90, 366), (120, 359), (131, 353), (150, 349),
          (165, 343), (180, 334), (190, 325), (198, 316), (200, 305), (199, 298), (185, 290), (170, 282), (163, 272),
          (160, 262), (163, 248), (163, 235), (155, 220), (153, 205), (152, 195), (155, 188), (158, 180), (156, 170)]
RIM = 1 / 60  # of the picture's height: how far from the outline a matte may be soft, and the hand may err
SEEN = 0.5    # alpha from which on a blob is one
MOST = 0.002  # of the picture: a larger blob is one too many
WAYS: dict[str, dict[str, Any]] = {
    "as the net gives it": {"smooth": "none", "set": {"second_look": False}}, "default": {},
    "no second look": {"set": {"second_look": False}}, "large": {"model": "large"}}


@dataclass(frozen=True, slots=True)
class Seen:
    """Of one frame. ``blob``: the largest one outside the person, of the picture's area; ``faint``: the same for alpha
    from 0.1 on; ``hat``: mean alpha in the hat."""

    blob: float
    faint: float
    hat: float


def outline(corners: Iterable[tuple[int, int]], index: int, size: tuple[int, int], photo: demo.Photo) -> Array:
    """uint8 (h, w), 1 inside: an outline of the photo where frame ``index`` of the film of ``size`` has it."""
    move = demo.camera(photo, size, index)
    points = np.array(list(corners)) @ move[:, :2].T + move[:, 2]
    mask = np.zeros(size[::-1], np.uint8)
    cv2.fillPoly(mask, [np.rint(points * 16).astype(np.int32)], 1, shift=4)
    return mask


def judged(alpha: Array, index: int, photo: demo.Photo) -> Seen:
    """What the matte of frame ``index``, float32 (h, w) in 0..1, does right and wrong."""
    rows, columns = alpha.shape
    reach = 2 * max(1, round(RIM * rows)) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
    person = cv2.dilate(outline(PERSON, index, (columns, rows), photo), disc)
    hat = cv2.erode(outline(HAT, index, (columns, rows), photo), disc[::2, ::2]) > 0
    return Seen(_largest((alpha >= SEEN) & (person == 0)), _largest((alpha >= 0.1) & (person == 0)),
                float(alpha[hat].mean()))


def _largest(mask: Array) -> float:
    count, _, about, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    return float(about[1:count, cv2.CC_STAT_AREA].max(initial=0) / mask.size)


def pictures(photo: demo.Photo, frames: int) -> Iterator[Frame]:
    """The film's frames, without an encoder between."""
    for index, picture in enumerate(demo.film(photo, SIZE, frames)):
        yield frame_of(picture, index, Fraction(1, demo.RATE))


def measured(name: str, photo: demo.Photo, frames: int) -> dict[str, float]:
    """The film's figures with the matte options of WAYS[name]: the worst frame and the mean."""
    found = [judged(matte.alpha, frame.index, photo)
             for frame, matte in mattes(pictures(photo, frames), **WAYS[name])]
    return {"blob_most": max(one.blob for one in found), "blob_mean": float(np.mean([one.blob for one in found])),
            "faint_most": max(one.faint for one in found), "hat_least": min(one.hat for one in found),
            "hat_mean": float(np.mean([one.hat for one in found])),
            "frames_with_a_blob": sum(one.blob > MOST for one in found) / len(found)}


def tables(result: Mapping[str, Any]) -> dict[str, Table]:
    """The result as a table."""
    head = ("", "largest blob", "in the mean frame", f"frames with one over {MOST:.1%}", "faint", "hat, worst", "mean")
    return {"demo": Table(head, [
        (name, f"{row['blob_most']:.2%}", f"{row['blob_mean']:.2%}", f"{row['frames_with_a_blob']:.0%}",
         f"{row['faint_most']:.2%}", f"{row['hat_least']:.3f}", f"{row['hat_mean']:.3f}")
        for name, row in result["ways"].items()])}


def main(words: Sequence[str] | None = None) -> None:
    bench = Bench("demo", __doc__, repeats=1)
    chosen = bench.parse(words)
    photo, frames = demo.photo(), 8 if chosen.quick else demo.RATE * demo.SECONDS
    result = {"frames": frames, "ways": {name: measured(name, photo, frames) for name in WAYS}}
    for table in tables(result).values():
        print(table.markdown(), end="\n\n")
    bench.save(result, chosen.out)


if __name__ == "__main__":
    start(main)
