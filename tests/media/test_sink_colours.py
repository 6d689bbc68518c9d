"""One run, many outputs: the same colours in all of them, and nothing of the room where nothing is seen."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from streamseg.api import run
from streamseg.composite import Compositor
from streamseg.core.frames import Frame, Matte, VideoInfo
from streamseg.core.pixel_formats import Colour
from streamseg.options import Options
from streamseg.sink import open_sink

from .sink_tools import about, write
from .test_sink_capability import WEIGHTS, pictures, planes_of

PATCH = 64
COLOURS = np.array([(200, 40, 40), (40, 160, 60), (50, 60, 190), (128, 128, 128), (20, 20, 20), (235, 235, 235),
                    (230, 200, 60), (90, 200, 210)])
ROOM = (30, 200, 90)


class Shape:
    """A method: alpha is 1 in the left part of the picture."""

    def __init__(self, share: float = 0.75) -> None:
        self._share = share

    def segment(self, frames: Sequence[Frame]) -> list[Matte]:
        alpha = np.zeros((36, 64), np.float32)
        alpha[:, :round(64 * self._share)] = 1
        return [Matte(alpha) for _ in frames]

    def reset(self) -> None:
        """Nothing is kept."""

    def close(self) -> None:
        """Nothing is held."""


@pytest.fixture(scope="module")
def chart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four by two patches and a column of the room on their right; lossless, limited BT.709, tagged."""
    from .test_sink_capability import LIMITED_709, samples_of

    picture = np.zeros((2 * PATCH, 6 * PATCH, 3), int) + ROOM
    for number, colour in enumerate(COLOURS):
        row, column = divmod(number, 4)
        picture[row * PATCH:(row + 1) * PATCH, column * PATCH:(column + 1) * PATCH] = colour
    cells = {tuple(colour): samples_of(tuple(colour), LIMITED_709, 8, False) for colour in (*COLOURS.tolist(), ROOM)}
    planes = [np.array([[round(cells[tuple(pixel)][number]) for pixel in line] for line in picture[::step, ::step]],
                       np.uint8) for number, step in enumerate((1, 2, 2))]
    frames = [Frame(tuple(planes), "yuv420p", Fraction(1, 25), index, index, LIMITED_709) for index in range(2)]
    path = tmp_path_factory.mktemp("chart") / "chart.mkv"
    write(open_sink(path, about(frames), options=Options(codec="ffv1")), frames)
    return path


def shown(path: Path) -> npt.NDArray[np.float64]:
    """(h, w, 3 or 4) 0..255 of a file's first picture, by its tags."""
    if path.suffix in (".png", ".tiff", ".gif", ".webp"):
        with Image.open(path) as picture:
            return np.array(picture.convert("RGBA")).astype(float)
    if path.suffix == ".exr":
        import OpenEXR  # type: ignore[import-not-found]

        with OpenEXR.File(str(path), separate_channels=True) as file:
            return np.dstack([file.channels()[name].pixels for name in "RGBA"]).astype(float) * 255
    picture = pictures(path)[0]
    planes, name = planes_of(picture), picture.format.name
    depth = picture.format.components[0].bits
    if len(planes) == 1:
        order = {"rgba": [0, 1, 2, 3], "bgra": [2, 1, 0, 3]}[name]
        return planes[0][:, :, order] * (255 / ((1 << depth) - 1))
    kr, kb = WEIGHTS[int(picture.colorspace)]
    unit, size = 1 << (depth - 8), planes[0].shape
    luma = (planes[0] / unit - 16) / 219
    cb, cr = (plane.repeat(size[0] // plane.shape[0], 0).repeat(size[1] // plane.shape[1], 1) / unit / 224 - 128 / 224
              for plane in planes[1:3])
    red, blue = luma + (2 - 2 * kr) * cr, luma + (2 - 2 * kb) * cb
    rgb = [255 * plane for plane in (red, (luma - kr * red - kb * blue) / (1 - kr - kb), blue)]
    return np.dstack([*rgb, *(plane * (255 / ((1 << depth) - 1)) for plane in planes[3:])])


def patches(picture: npt.NDArray[np.float64], count: int) -> npt.NDArray[np.float64]:
    """The mean colour in the middle of each of the first ``count`` patches of both rows."""
    parts = [picture[row * PATCH + 24:row * PATCH + 40, column * PATCH + 24:column * PATCH + 40, :3].mean((0, 1))
             for row in range(2) for column in range(count)]
    return np.array(parts)


def test_a_colour_chart_is_the_same_in_every_output_of_one_run(chart: Path, tmp_path: Path) -> None:
    names = ["o.mp4", "o.mkv", "o.avi", "o.ts", "o.nut", "o.webm", "c.mov", "c.mkv", "c.webm", "c.nut", "c.apng",
             "p_%d.png", "p_%d.tiff", "o.gif", "o.webp"]
    exr = ["p_%d.exr"] if _has_exr() else []
    targets = [str(tmp_path / name) for name in names if not name.startswith("c.")]
    run(chart, targets, method=Shape(), smooth="none", quality=100, background="original", clean=False)
    cutouts = [str(tmp_path / name) for name in [name for name in names if name.startswith("c.")]]
    run(chart, cutouts, method=Shape(), smooth="none", quality=100, background="none", clean=False)
    if exr:
        run(chart, str(tmp_path / exr[0]), method=Shape(), smooth="none", background="none",
            codec_set={"light": "encoded", "alpha": "straight", "type": "float"})
    found = {name: patches(shown(Path(str(tmp_path / name).replace("%d", "1"))), 4) for name in (*names, *exr)}
    for name, colours in found.items():
        assert np.abs(colours - COLOURS).max() <= (3 if name.startswith(("o.gif", "o.webp")) else 1.6), name
    whole = np.stack([colours for name, colours in found.items() if name not in ("o.gif", "o.webp")])
    assert (whole.max(0) - whole.min(0)).max() <= 1.01


def _has_exr() -> bool:
    from importlib.util import find_spec

    return find_spec("OpenEXR") is not None


@pytest.mark.parametrize("name", ["c.mov", "c.mkv", "c.webm", "c.nut", "c.apng", "p_%d.png", "p_%d.tiff"])
def test_nothing_of_the_room_lies_under_alpha_0(chart: Path, tmp_path: Path, name: str) -> None:
    run(chart, str(tmp_path / name), method=Shape(4 / 6), smooth="none", background="none")
    picture = shown(Path(str(tmp_path / name).replace("%d", "1")))
    assert picture.shape[2] == 4
    hidden = picture[:, 5 * PATCH:]
    assert hidden[..., 3].max() <= 1
    assert np.abs(hidden[..., :3] - ROOM).max(-1).min() > 40
    # the last column's colours are carried on: white above... of this chart grey, below light blue
    assert np.abs(hidden[8:40, :, :3].mean((0, 1)) - COLOURS[3]).max() < 40


@pytest.mark.parametrize("alpha", [0.0, 0.25])
def test_without_a_sure_subject_the_room_is_not_carried_on(alpha: float) -> None:
    """Nobody was found, or only a faint spot: black, or the spot's colour."""
    luma, chroma = np.full((64, 96), 180, np.uint8), np.full((32, 48), 90, np.uint8)
    luma[20:40, 20:40], chroma[10:20, 10:20] = 60, 170
    frame = Frame((luma, chroma, chroma.copy()), "yuv420p", Fraction(1, 25), 0, 0, Colour(1, 1, 1, 1))
    found = np.zeros((64, 96), np.float32)
    found[22:38, 22:38] = alpha
    options = Options(clean=False, edges="bilinear")
    made = Compositor(VideoInfo(96, 64, "yuv420p", Fraction(1, 25)), ["cutout"], options).finish(frame, Matte(found))
    cutout = made["cutout"]
    assert cutout.alpha is not None
    away = cutout.planes[1][:, 34:]
    assert not cutout.alpha[:, 68:].any()
    assert np.abs(away.astype(int) - 90).min() > 25


@pytest.mark.parametrize("method", ["threshold", "adaptive", "kmeans", "meanshift", "region", "grabcut", "mog2", "knn",
                                    "chroma", "person"])
def test_no_method_leaves_the_room_under_alpha_0(tmp_path: Path, method: str) -> None:
    """A dark red disc that moves before a green room. What a method takes for the subject is its own affair; what is
    hidden has no colour that the subject has not."""
    for number in range(6):
        y, x = np.mgrid[:64, :96]
        picture = np.zeros((64, 96, 3), np.uint8) + np.array((60, 200, 60), np.uint8)
        picture[(y - 32) ** 2 + (x - 34 - 5 * number) ** 2 < 400] = (130, 20, 30)
        Image.fromarray(picture).save(tmp_path / f"i_{number}.png")
    run(str(tmp_path / "i_%d.png"), str(tmp_path / "o_%d.png"), method=method, background="none")
    last = np.array(Image.open(tmp_path / "o_5.png")).astype(int)
    hidden, seen = last[last[..., 3] == 0][:, :3], last[last[..., 3] > 127][:, :3]
    if method not in ("person", "mog2", "knn"):
        assert np.abs(np.median(seen, 0) - (130, 20, 30)).max() < 20
    if len(seen):
        assert (hidden >= seen.min(0) - 6).all()
        assert (hidden <= seen.max(0) + 6).all()
    else:
        assert (hidden < 6).all()
