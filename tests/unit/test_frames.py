"""Frame, Matte, PixelFormat: contracts, colours, and that nothing is copied where nothing need be."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest

from streamseg.core.frames import Frame, Matte, VideoInfo, plane_view
from streamseg.core.geometry import Box
from streamseg.core.pixel_formats import FORMATS, Colour, yuv_from_rgb
from streamseg.core.resampling import halve, shrink
from tests import clips
from tests.unit import drawn

BASE = Fraction(1, 25)
SPACES = {1: "ITU709", 6: "SMPTE170M"}
RGB_TAGS = {"src_color_range": 2, "dst_color_range": 2}


def planes_of(name: str, width: int = 8, height: int = 6) -> tuple[np.ndarray, ...]:
    pixel = FORMATS[name]
    return tuple(np.zeros(pixel.shape(number, width, height), pixel.dtype) for number in range(pixel.planes))


def smooth(size: tuple[int, int] = (64, 48)) -> np.ndarray:
    """A picture without sharp edges, so that chroma sampling is not what is measured."""
    x, y = np.meshgrid(np.linspace(0, 1, size[0]), np.linspace(0, 1, size[1]))
    return np.rint(np.dstack([255 * x, 255 * y, 255 * (1 - x * y)])).astype(np.uint8)


@pytest.mark.parametrize("span", [1, 2])
@pytest.mark.parametrize("matrix", [1, 6])
@pytest.mark.parametrize("name", ["yuv420p", "yuv444p", "yuv420p10le", "yuv444p12le"])
def test_rgb_agrees_with_swscale(name: str, matrix: int, span: int) -> None:
    rgb = smooth()
    picture = av.VideoFrame.from_ndarray(rgb, "rgb24").reformat(
        format=name, dst_colorspace=SPACES[matrix], src_color_range=2, dst_color_range=span)
    picture.colorspace, picture.color_range = matrix, span
    found = Frame.from_av(picture, 0, time_base=BASE).rgb().astype(int)
    other = picture.reformat(format="rgb24", src_colorspace=SPACES[matrix], src_color_range=span,
                             dst_color_range=2).to_ndarray().astype(int)
    error = np.abs(found - rgb).mean()
    assert error < max(1.0, np.abs(other - rgb).mean() + 0.5)
    assert np.abs(found - other).mean() < 2.5
    wrong = Frame.from_av(picture, 0, time_base=BASE, colour=Colour(7 - matrix, span)).rgb().astype(int)
    assert np.abs(wrong - rgb).mean() > 2 * error


@pytest.mark.parametrize(("name", "source"), [("gbrp", "rgb24"), ("gbrp16le", "rgb48le")])
def test_rgb_of_planar_rgb_is_the_picture_itself(name: str, source: str) -> None:
    rgb = clips.picture(3)
    made = rgb if source == "rgb24" else rgb.astype(np.uint16) * 257
    picture = av.VideoFrame.from_ndarray(made, source).reformat(format=name, **RGB_TAGS)
    assert np.abs(Frame.from_av(picture, 0, time_base=BASE).rgb().astype(int) - rgb).max() <= 1


def test_rgb_of_a_wanted_size_covers_the_whole_picture() -> None:
    picture = clips.as_frame(clips.picture(5, (320, 240)), (320, 240), "yuv420p")
    small = Frame.from_av(picture, 0, time_base=BASE).rgb((80, 60))
    assert small.shape == (60, 80, 3)
    wanted = clips.picture(5, (320, 240)).reshape(60, 4, 80, 4, 3).mean((1, 3))
    assert np.abs(small - wanted).mean() < 4


@pytest.mark.parametrize("name", ["yuv420p", "yuv420p10le", "gbrp"])
def test_luma_is_the_brightness(name: str) -> None:
    rgb = smooth()
    picture = clips.as_frame(rgb, (64, 48), name, None, {"range": 2})
    picture.color_range = 2
    wanted = rgb @ np.array([0.299, 0.587, 0.114])
    assert np.abs(Frame.from_av(picture, 0, time_base=BASE).luma() - wanted).mean() < 2


@pytest.mark.parametrize(("matrix", "kr", "kb"), [(1, 0.2126, 0.0722), (6, 0.299, 0.114),
                                                  (9, 0.2627, 0.0593)])
def test_matrices_give_the_standards_values(matrix: int, kr: float, kb: float) -> None:
    affine = yuv_from_rgb(Colour(matrix, 1), 480, 8)
    assert affine @ [1, 1, 1, 1] == pytest.approx([235, 128, 128])
    assert affine @ [0, 0, 0, 1] == pytest.approx([16, 128, 128])
    assert (affine @ [1, 0, 0, 1])[0] == pytest.approx(16 + 219 * kr)
    assert (affine @ [1, 0, 0, 1])[2] == pytest.approx(240)
    assert (affine @ [0, 0, 1, 1])[:2] == pytest.approx([16 + 219 * kb, 240])


def test_untagged_pictures_count_as_601_when_small_and_709_when_large() -> None:
    assert Colour().weights(576) == (0.299, 0.114)
    assert Colour().weights(720) == (0.2126, 0.0722)


@pytest.mark.parametrize("name", sorted(FORMATS))
@pytest.mark.parametrize("size", [(8, 6), (7, 5)])
def test_shapes_are_ffmpegs(name: str, size: tuple[int, int]) -> None:
    picture = av.VideoFrame(*size, name)
    pixel = FORMATS[name]
    for number in range(pixel.planes):
        plane = picture.planes[number]
        assert pixel.shape(number, *size) == (plane.height, plane.width)
    assert pixel.peak == (1 << pixel.depth) - 1


def test_from_av_and_empty_share_memory_with_the_picture() -> None:
    picture = clips.noise("yuv420p")
    frame = Frame.from_av(picture, 0, time_base=BASE)
    assert all(np.array_equal(plane, wanted)
               for plane, wanted in zip(frame.planes, clips.samples(picture), strict=True))
    frame.planes[0][3, 5] ^= 255
    assert clips.samples(picture)[0][3, 5] == frame.planes[0][3, 5]
    assert frame.to_av() is picture
    made = Frame.empty(frame, "gbrp")
    for number, plane in enumerate(made.planes):
        plane[:] = 10 * number + 1
    assert made.to_av() is made.owner
    assert [plane.max() for plane in clips.samples(made.to_av())] == [1, 11, 21]


def test_to_av_carries_time_and_colour_of_frames_of_arrays() -> None:
    planes = tuple(np.full_like(plane, 40 + number) for number, plane in enumerate(planes_of("yuv422p")))
    frame = Frame(planes, "yuv422p", Fraction(1, 1000), 4, 123, Colour(1, 2, 1, 1), 40)
    picture = frame.to_av()
    assert (picture.pts, picture.time_base, picture.duration) == (123, Fraction(1, 1000), 40)
    assert (picture.colorspace, picture.color_range) == (1, 2)
    assert (picture.color_primaries, picture.color_trc) == (1, 1)
    assert [int(plane.min()) for plane in clips.samples(picture)] == [40, 41, 42]
    assert frame.time == Fraction(123, 1000)


def test_empty_keeps_what_belongs_to_the_moment() -> None:
    like = Frame(planes_of("yuv420p"), "yuv420p", BASE, 7, 99, Colour(9, 1, 9, 16), 2, name="a.png")
    made = Frame.empty(like)
    kept = ("format", "time_base", "index", "pts", "colour", "duration", "name", "width", "height")
    assert [getattr(made, name) for name in kept] == [getattr(like, name) for name in kept]


@pytest.mark.parametrize(("changes", "message"), [
    ({"format": "nv12"}, "not a working format"),
    ({"planes": planes_of("yuv420p")[:2]}, "has 3 planes, not 2"),
    ({"planes": planes_of("yuv444p")}, "plane 1 of yuv420p must be uint8"),
    ({"planes": planes_of("yuv420p10le")}, "plane 0 of yuv420p must be uint8"),
    ({"alpha": np.zeros((3, 4), np.uint8)}, "alpha must be uint8"),
    ({"alpha": np.zeros((6, 8), np.float32)}, "alpha must be uint8"),
])
def test_frames_that_break_the_contract_are_refused(changes: dict, message: str) -> None:
    right = {"planes": planes_of("yuv420p"), "format": "yuv420p", "time_base": BASE, "index": 0}
    Frame(**right)
    with pytest.raises(ValueError, match=message):
        Frame(**{**right, **changes})


@pytest.mark.parametrize(("alpha", "message"), [
    (np.zeros((4, 4), np.float64), "must be float32"),
    (np.zeros((4, 4, 1), np.float32), "must be float32"),
    (np.zeros((0, 4), np.float32), "must be float32"),
    (np.full((4, 4), 1.5, np.float32), r"must lie in \[0, 1\]"),
    (np.full((4, 4), -0.1, np.float32), r"must lie in \[0, 1\]"),
    (np.full((4, 4), np.nan, np.float32), r"must lie in \[0, 1\]"),
])
def test_mattes_that_break_the_contract_are_refused(alpha: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Matte(alpha)


@pytest.mark.parametrize(("frames", "duration", "rate", "expected"), [
    (100, 4.0, 25, 100), (None, 4.0, 25, 100), (None, 0.28, 25, 7), (None, 0.29, 25, 8),
    (None, 2.0, Fraction(30000, 1001), 60), (None, None, 25, None), (None, 4.0, None, None)])
def test_the_number_of_frames_to_expect(frames: int | None, duration: float | None, rate: Fraction | None,
                                        expected: int | None) -> None:
    info = VideoInfo(8, 6, "yuv420p", BASE, None if rate is None else Fraction(rate), duration, frames)
    assert info.expected_frames == expected


@pytest.mark.parametrize("name", ["yuv420p", "gbrp10le", "gray"])
def test_a_plane_view_is_the_pictures_memory_without_its_padding(name: str) -> None:
    picture = av.VideoFrame(37, 11, name)
    pixel = FORMATS[name]
    for number in range(pixel.planes):
        view = plane_view(picture, number, pixel)
        assert view.shape == pixel.shape(number, 37, 11)
        view[:] = 7 + number
        assert plane_view(picture, number, pixel)[-1, -1] == 7 + number
        stored = np.frombuffer(picture.planes[number], pixel.dtype)
        assert stored[0] == stored[view.shape[1] - 1] == 7 + number


@pytest.mark.parametrize("size", [(160, 120), (80, 60), (57, 43), (31, 20), (200, 150)])
def test_shrink_keeps_the_mean_and_the_place(size: tuple[int, int]) -> None:
    plane = clips.truth(0).astype(np.uint8) * 200
    small = shrink(plane, size)
    assert small.shape == size[::-1]
    assert small.mean() == pytest.approx(plane.mean(), rel=0.02)
    assert clips.iou(small > 100, clips.truth(0, size)) > 0.95


@pytest.mark.parametrize(("shape", "size"), [
    ((176, 96), (32, 18)), ((270, 480), (128, 72)), ((480, 270), (128, 72)), ((400, 100), (128, 72)),
    ((33, 90), (40, 16)),
])
def test_shrink_leaves_no_row_and_no_column_out(shape: tuple[int, int], size: tuple[int, int]) -> None:
    dark = np.zeros(shape, np.uint8)
    for axis in (0, 1):
        for place in range(shape[axis]):
            lit = dark.copy()
            lit.swapaxes(0, axis)[place] = 255
            assert shrink(lit, size).max() > 0


@pytest.mark.parametrize("sizes", [[(40, 30), (160, 120), (100, 90)], [(320, 240), (40, 30), (21, 33)]])
@pytest.mark.parametrize("name", ["yuv420p", "gbrp", "gray10le"])
def test_small_pictures_do_not_depend_on_those_made_before(name: str, sizes: list[tuple[int, int]]) -> None:
    given = drawn.frame(name, (640, 480), colour=Colour())
    for size in sizes:
        fresh = drawn.frame(name, (640, 480), colour=Colour())
        np.testing.assert_array_equal(given.luma(size), fresh.luma(size))
        np.testing.assert_array_equal(given.rgb(size), fresh.rgb(size))


def test_a_picture_is_halved_once_for_all_who_look_at_it(monkeypatch: pytest.MonkeyPatch) -> None:
    halved = []
    monkeypatch.setattr("streamseg.core.resampling.halve",
                        lambda plane: halved.append(plane.shape) or halve(plane))
    given = drawn.frame("gray", (640, 480))
    given.luma((160, 120))
    given.luma((80, 60))
    given.luma((150, 100))
    assert halved == [(480, 640), (240, 320), (120, 160)]


@pytest.mark.parametrize("name", ["yuv420p", "yuv422p10le", "yuv444p", "gbrp", "gray"])
def test_rgb_of_a_part_is_that_part_of_the_whole(name: str) -> None:
    given = drawn.frame(name, (160, 120), colour=Colour())
    box = Box(20, 32, 50, 64)
    part = given.rgb(part=box)
    assert part.shape == (50, 64, 3)
    whole = given.rgb()[20:70, 32:96]
    inner = slice(2, -2)  # chroma is interpolated: at the edges from what lies outside
    assert np.abs(part[inner, inner].astype(int) - whole[inner, inner]).max() <= 1
    assert given.rgb((32, 25), box).shape == (25, 32, 3)


@pytest.mark.parametrize("box", [Box(1, 0, 50, 64), Box(0, 3, 50, 64), Box(-2, 0, 50, 64),
                                 Box(80, 0, 50, 64)])
def test_what_is_no_part_of_a_picture_is_refused(box: Box) -> None:
    with pytest.raises(ValueError, match="is no part of a yuv420p picture of 160 x 120"):
        drawn.frame("yuv420p", (160, 120)).part(box)
