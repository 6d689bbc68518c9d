"""--roi, --invert and --feather-out: what they do to pictures, for files, single pictures and live."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

import streamseg
from streamseg.cli import cli
from streamseg.composite import Compositor
from streamseg.core.area import Area, cut, whole
from streamseg.core.frames import Frame, Matte
from streamseg.core.geometry import Box
from streamseg.core.pixel_formats import Colour
from streamseg.errors import OptionError
from streamseg.live.composite_stage import CompositeStage
from streamseg.live.segment_stage import SegmentStage
from streamseg.live.types import Shot
from streamseg.options import Options
from streamseg.refine import full_size

from . import drawn, live_fakes, scenes

WIDE, HIGH = scenes.WIDTH, scenes.HEIGHT
ROI = Box(20, 64, 72, 128)  # cuts the figure's head and shoulders
TEXT = f"{ROI.left},{ROI.top},50%,50%"


def inside(box: Box = ROI, size: tuple[int, int] = (HIGH, WIDE)) -> Any:
    mask = np.zeros(size, bool)
    mask[box.top:box.top + box.height, box.left:box.left + box.width] = True
    return mask


class Truth:
    """Gives the figure's true matte of what it sees; keeps the sizes that it saw."""

    def __init__(self, shown: Box | None = None) -> None:
        self.sizes: set[tuple[int, int]] = set()
        self._shown = shown or Box(0, 0, HIGH, WIDE)

    def segment(self, frames: Sequence[Frame]) -> list[Matte]:
        box = self._shown
        mask = scenes.truth()[box.top:box.top + box.height, box.left:box.left + box.width]
        self.sizes |= {(frame.width, frame.height) for frame in frames}
        return [Matte(mask.astype(np.float32)) for _ in frames]

    def reset(self) -> None:
        pass

    def close(self) -> None:
        pass


@pytest.mark.parametrize("text", ["", "1,2,3", "1,2,3,4,5", "a,0,1,1", "-1,0,10,10", "0,0,101%,5", "0,0,0,5",
                                  "0;0;5;5"])
def test_what_is_no_area_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(OptionError, match=r"roi is .*25%,0,50%,100%"):
        Options(roi=text)


def test_an_area_in_pixels_and_per_cent_begins_and_ends_at_even_pixels() -> None:
    assert Area("25%,0,50%,100%").box(640, 360) == Box(0, 160, 360, 320)
    assert Area(" 11 , 3, 6, 33.4% ").box(100, 50) == Box(2, 10, 18, 8)
    assert Area("0,0,161,121").box(161, 121) == Box(0, 0, 121, 161)
    with pytest.raises(OptionError, match="which has 160 x 120 pixels"):
        Area("50%,0,60%,10").box(160, 120)


def test_the_part_has_the_colours_of_the_whole() -> None:
    """An untagged picture of 720 lines or more is BT.709, and so is a part of it with fewer lines."""
    given = drawn.frame(size=(1280, 720), colour=Colour())
    box = Box(100, 200, 80, 160)
    assert np.array_equal(cut(given, box).rgb(), given.rgb(part=box))
    assert np.shares_memory(cut(given, box).planes[0], given.planes[0])


@pytest.mark.parametrize("size", [(160, 120), (161, 121), (640, 360)])
@pytest.mark.parametrize("rows", [6, 40, 200])
def test_a_placed_matte_is_nothing_outside_and_itself_inside(size: tuple[int, int], rows: int) -> None:
    given = drawn.frame(size=size)
    box = Area("25%,25%,50%,50%").box(*size)
    made = whole(Matte(np.ones((rows, rows + 7), np.float32), area=box), given)
    for guided in (False, True):
        alpha = full_size(made, given, guided=guided)
        assert not alpha[~inside(box, size[::-1])].any()
        room = max(8, 5 * size[1] // (2 * rows))  # within the sides it falls off
        core = alpha[box.top + room:box.top + box.height - room, box.left + room:box.left + box.width - room]
        assert (core == 255).all()


def written(tmp_path: Path, name: str, **options: Any) -> Any:
    """(rgb, matte) of a run over a picture of the figure, lossless."""
    method = options.pop("method", Truth())
    streamseg.run([scenes.picture("screen")[0]] * 2, tmp_path / f"{name}.mkv", matte=tmp_path / f"{name}.matte.mkv",
                  method=method, smooth="none", codec="ffv1", **options)
    frames = [next(iter(streamseg.open_source(tmp_path / path))) for path in (f"{name}.mkv", f"{name}.matte.mkv")]
    return frames[0].rgb().astype(int), frames[1].planes[0].astype(int)


@pytest.mark.parametrize("background", ["#c02020", "blur", "original"])
def test_outside_the_area_there_is_the_background_and_no_work(tmp_path: Path, background: str) -> None:
    seen = Truth(ROI)
    rgb, alpha = written(tmp_path, "roi", method=seen, roi=TEXT, background=background)
    full, all_alpha = written(tmp_path, "all", background=background)
    assert seen.sizes == {(ROI.width, ROI.height)}
    assert not alpha[~inside()].any()
    assert np.abs(alpha - all_alpha)[inside()].max() <= 60  # at the rim the cut-off part changes its surroundings
    assert np.abs(alpha - all_alpha)[inside()].mean() < 1
    if background == "#c02020":
        assert np.abs(rgb - [192, 32, 32])[~inside()].max() <= 4
    if background == "original":
        assert np.array_equal(rgb, full)
    else:
        assert np.abs(rgb - full)[inside() & scenes.truth()].mean() < 2


@pytest.mark.parametrize("kind", ["cutout", "foreground"])
def test_outputs_that_need_colours_everywhere_end_at_the_area_too(kind: str) -> None:
    given, matte = drawn.frame(), replace(drawn.matte(), area=Box(40, 40, 40, 80))
    made = Compositor(drawn.info(given), [kind, "matte"], Options()).finish(given, matte)
    alpha = made["matte"].planes[0]
    assert not alpha[~inside(Box(40, 40, 40, 80), (120, 160))].any()
    assert alpha.max() == 255
    assert made[kind].planes[0].shape == (120, 160)


@pytest.mark.parametrize("edge", [{"erode": -20.0}, {"feather": 20.0}, {"feather_out": 20.0}], ids=str)
def test_what_is_done_to_the_edge_ends_at_the_area(tmp_path: Path, edge: dict[str, float]) -> None:
    for extra in ({}, {"cutout": tmp_path / "c.mkv"}):  # within the area alone, and everywhere
        _, alpha = written(tmp_path, "x", method=Truth(ROI), roi=TEXT, overwrite=True, **extra, **edge)
        assert not alpha[~inside()].any()
        assert (alpha > 0)[inside()].mean() > (scenes.truth()[inside()]).mean()


def test_an_area_outside_the_picture_is_an_error_before_anything_is_written(
        tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    streamseg.run([scenes.picture()[0]], tmp_path / "in.mkv", method=Truth(), background="original", codec="ffv1")
    assert cli(["run", str(tmp_path / "in.mkv"), "-o", str(tmp_path / "out.mp4"), "--roi", "200,0,100,50"]) == 2
    assert f"the picture, which has {WIDE} x {HIGH} pixels" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["in.mkv"]


def test_the_subjects_share_is_of_the_whole_picture(tmp_path: Path) -> None:
    report = streamseg.run([scenes.picture()[0]], tmp_path / "o.mkv", method=Truth(ROI), roi=TEXT, smooth="none")
    assert report.subject is not None
    assert report.subject.largest == pytest.approx((scenes.truth() & inside()).mean(), abs=1e-4)


def test_mattes_are_of_whole_frames() -> None:
    (frame, matte), = streamseg.mattes([scenes.picture()[0]], method=Truth(ROI), roi=TEXT, smooth="none")
    assert (frame.width, frame.height, matte.area) == (WIDE, HIGH, None)
    assert scenes.iou(matte.alpha, scenes.truth() & inside()) > 0.9  # its sides fall off


def test_a_single_picture_has_an_area_and_can_be_inverted() -> None:
    rgb, mask = scenes.picture()
    alpha = streamseg.remove(rgb, model=Truth(ROI), roi=TEXT)[..., 3]
    assert not alpha[~inside()].any()
    assert scenes.iou(alpha / np.float32(255), mask & inside()) > 0.9
    rest = streamseg.remove(rgb, model=Truth(ROI), roi=TEXT, invert=True)[..., 3]
    assert (rest[~inside()] == 255).all()
    assert np.abs(rest.astype(int) + alpha - 255).max() <= 2


def test_inverted_the_subject_goes_and_the_room_stays(tmp_path: Path) -> None:
    rgb, alpha = written(tmp_path, "kept", background="#c02020")
    other, rest = written(tmp_path, "rest", background="#c02020", invert=True)
    source = scenes.frame(scenes.picture("screen")[0]).rgb().astype(int)
    assert np.abs(alpha + rest - 255).mean() < 0.5
    sure = scenes.cv2.erode((alpha == 0).astype(np.uint8), np.ones((9, 9))) == 1  # beyond what chroma spreads
    solid = scenes.cv2.erode((alpha == 255).astype(np.uint8), np.ones((9, 9))) == 1
    assert np.abs(other - source)[sure].max() <= 12
    assert np.abs(other - [192, 32, 32])[solid].max() <= 6
    assert np.abs(rgb - [192, 32, 32])[sure].max() <= 6


@pytest.mark.parametrize("edge", [{"erode": 5.0}, {"erode": -5.0}, {"feather_out": 9.0}, {"threshold": 0.4}], ids=str)
def test_inverted_it_is_still_the_subjects_edge_that_is_changed(edge: dict[str, float]) -> None:
    given, matte = drawn.frame(), drawn.matte()

    def alpha(**options: Any) -> Any:
        chosen = Options(edges="bilinear", **options)
        return Compositor(drawn.info(given), ["matte"], chosen).finish(given, matte)["matte"].planes[0]

    assert np.abs(alpha(**edge).astype(int) + alpha(invert=True, **edge) - 255).max() <= 2
    assert np.abs(alpha(**edge).astype(int) - alpha()).max() > 50


@pytest.mark.parametrize("format", ["yuv420p", "yuv420p10le"])
def test_feathering_out_leaves_the_inside_and_fades_over_its_width(format: str) -> None:
    given, matte = drawn.frame(format), drawn.matte()
    peak = given.pixel.peak

    def made(**options: Any) -> Any:
        kinds = ["matte", "composite"]
        return Compositor(drawn.info(given), kinds, Options(background="#000000", **options)).finish(given, matte)

    before, after = made()["matte"].planes[0].astype(int), made(feather_out=12.0)["matte"].planes[0].astype(int)
    away = distance_transform_edt(before < (peak + 1) // 2)
    assert (after >= before).all()
    assert np.array_equal(after[before == peak], before[before == peak])
    assert not after[away > 13.5].any()
    assert (np.abs(after[(away > 6) & (away < 7)] / peak - 0.5) < 0.08).all()
    assert (after[(away > 0) & (away < 1.2)] / peak > 0.95).all()
    # what fades out is the picture as it is, not the subject's colour carried on
    shown = made(feather_out=12.0)["composite"].planes[0].astype(float)
    zone, black = (away > 2) & (away < 9), 16 * (peak + 1) // 256
    wanted = black + (given.planes[0].astype(float) - black) * (after / peak)
    assert np.abs(shown - wanted)[zone].max() <= 2 * (peak + 1) / 256


# --- live ---

SIZE = live_fakes.SIZE
LIVE = Box(12, 32, 24, 32)  # the right half of the person's upper part


def live(options: Options, frames: Sequence[Any], area: str | None = None) -> list[Frame]:
    state = live_fakes.control()
    stage = SegmentStage(live_fakes.PersonModel(), state, skip_still=False,
                         area=None if area is None else Area(area))
    shots = (Shot(frame, number / 30, seen=number != 1) for number, frame in enumerate(frames))
    return [item.picture for item in CompositeStage(live_fakes.INFO, options, state)(stage(shots))]


def test_live_the_area_bounds_what_is_shown() -> None:
    box = LIVE
    first, second, third = live(Options(edges="bilinear"), live_fakes.FRAMES[:3], area="32,12,32,24")
    person = live_fakes.person() & inside(box, SIZE[::-1])
    for picture in (first, third):
        luma = picture.planes[0].astype(int)
        assert np.abs(luma - 81)[~inside(box, SIZE[::-1])].max() <= 1
        assert (luma[person] == 120).mean() > 0.5
    assert np.abs(second.planes[0].astype(int) - 81).max() <= 1  # nothing was seen


def test_live_inverted_the_room_is_shown_only_where_the_person_is_known() -> None:
    pictures = live(Options(invert=True, edges="bilinear"), live_fakes.FRAMES[:3])
    person = live_fakes.person()
    for number in (0, 2):
        luma = pictures[number].planes[0].astype(int)
        assert np.abs(luma - 81)[person].mean() < 12
        assert (luma == live_fakes.FRAMES[number].planes[0])[~person].mean() > 0.9
    assert np.abs(pictures[1].planes[0].astype(int) - 81).max() <= 1


def test_live_takes_them_as_flags(tmp_path: Path) -> None:
    saved = tmp_path / "live.toml"
    assert cli(["live", "--roi", "10%,0,50%,100%", "--invert", "--feather-out", "8", "--save-config", str(saved)]) == 0
    text = saved.read_text()
    assert 'roi = "10%,0,50%,100%"' in text
    assert "invert = true" in text
    assert "feather_out = 8" in text
