"""Backgrounds: colours against swscale, blur without the subject, names and their errors."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace

from streamseg.background import Blur, Solid, fill, open_background, sample_values
from streamseg.background.colours import NAMES, parse
from streamseg.composite import Compositor
from streamseg.core.frames import Frame
from streamseg.core.pixel_formats import Colour
from streamseg.errors import OptionError
from streamseg.options import Options
from streamseg.refine import AlphaTiles

from . import drawn

MATRICES = {1: Colorspace.ITU709, 5: Colorspace.ITU601}
RANGES = {1: ColorRange.MPEG, 2: ColorRange.JPEG}


def painted(background, frame, matte=None):
    made = Frame.empty(frame)
    background.paint(made, frame, AlphaTiles.of(frame, matte or drawn.uniform(0.0)))
    return made


@pytest.mark.parametrize("format", ["yuv420p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p12le"])
@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("span", RANGES)
@pytest.mark.parametrize("rgb", [(0, 177, 64), (255, 0, 0), (20, 60, 220), (255, 255, 255), (0, 0, 0)])
def test_a_colour_is_what_swscale_makes_of_it(format, matrix, span, rgb):
    frame = drawn.frame(format, (32, 32), colour=Colour(matrix, span))
    picture = av.VideoFrame.from_ndarray(np.full((32, 32, 3), rgb, np.uint8), format="rgb24")
    oracle = Frame.from_av(picture.reformat(
        format=format, src_colorspace=Colorspace.DEFAULT, dst_colorspace=MATRICES[matrix],
        src_color_range=ColorRange.JPEG, dst_color_range=RANGES[span]), 0)
    made = painted(Solid(rgb), frame)
    unit = 1 << (frame.pixel.depth - 8)
    for plane, wanted in zip(made.planes, oracle.planes, strict=True):
        assert len(np.unique(plane)) == 1
        assert abs(int(plane[0, 0]) - float(wanted[8:24, 8:24].mean() if wanted.shape[1] == 32
                                             else wanted[4:12, 4:12].mean())) <= 1.5 * unit


@pytest.mark.parametrize(("matrix", "span", "wanted"), [
    (1, 1, (63, 102, 240)), (5, 1, (82, 90, 240)), (1, 2, (54, 99, 255)), (5, 2, (76, 85, 255))])
def test_red_in_both_matrices_and_ranges(matrix, span, wanted):
    # ITU-R BT.601-7 and BT.709-6: Y = 16 + 219 Kr, Cb = 128 - 224 Kr / (2 - 2 Kb), Cr = 128 + 112
    frame = drawn.frame("yuv444p", colour=Colour(matrix, span))
    assert np.abs(np.array(sample_values((255, 0, 0), frame)) - wanted).max() <= 1


# (transfer, sRGB): Y, Cb, Cr of BT.2020 at 10 bits, limited, by zimg 3.0.4: FFmpeg's filter zscale=
# tin=iec61966-2-1:pin=709:min=gbr:rin=full:p=2020:m=2020_ncl:r=limited:npl=203:agamma=false with
# t=smpte2084 and t=arib-std-b67. ITU-R BT.2408: diffuse white is 58 % of PQ and 75 % of HLG.
PQ, HLG = 16, 18
BRIGHT = {(PQ, (255, 255, 255)): (573, 512, 512), (HLG, (255, 255, 255)): (721, 512, 512),
          (PQ, (0, 0, 0)): (64, 512, 512), (HLG, (0, 0, 0)): (64, 512, 512),
          (PQ, (118, 118, 118)): (424, 512, 512), (HLG, (118, 118, 118)): (447, 512, 512),
          (PQ, (255, 0, 0)): (392, 438, 608), (HLG, (255, 0, 0)): (392, 395, 715),
          (PQ, (0, 177, 64)): (462, 459, 474), (HLG, (0, 177, 64)): (523, 398, 422),
          (PQ, (20, 60, 220)): (340, 617, 504), (HLG, (20, 60, 220)): (305, 736, 494),
          (PQ, (16, 32, 48)): (244, 536, 499), (HLG, (16, 32, 48)): (193, 543, 497)}


@pytest.mark.parametrize(("transfer", "rgb"), BRIGHT)
@pytest.mark.parametrize("primaries", [9, 2])
def test_a_colour_in_hdr_is_as_bright_as_zimg_makes_it(transfer, rgb, primaries):
    frame = drawn.frame("yuv420p10le", (32, 32), colour=Colour(9, 1, primaries, transfer))
    values = [int(plane[0, 0]) for plane in painted(Solid(rgb), frame).planes]
    assert np.abs(np.subtract(values, BRIGHT[transfer, rgb])).max() <= (len(set(rgb)) > 1)  # greys: exact


def test_hdr_of_bt709_primaries_keeps_them():
    frame = drawn.frame("gbrp10le", colour=Colour(0, 2, 1, PQ))
    green, blue, red = sample_values((255, 0, 0), frame)
    assert (green, blue) == (0, 0)
    assert red == round(0.5807 * 1023)  # 203 cd/m2 in PQ


@pytest.mark.parametrize(("format", "peak"), [("gbrp", 255), ("gbrp16le", 65535)])
def test_rgb_planes_are_in_the_order_green_blue_red(format, peak):
    made = painted(Solid((255, 0, 51)), drawn.frame(format))
    assert [int(plane[0, 0]) for plane in made.planes] == [0, peak // 5, peak]


@pytest.mark.parametrize(("text", "rgb"), [
    ("red", (255, 0, 0)), ("RebeccaPurple", (102, 51, 153)), ("#fff", (255, 255, 255)),
    ("#1aF", (17, 170, 255)), ("#102030", (16, 32, 48)), ("green", (0, 177, 64)),
    ("lightgoldenrodyellow", (250, 250, 210)),
    ("#12345", None), ("redd", None), ("", None)])
def test_colours_by_name_and_number(text, rgb):
    assert parse(text) == rgb


def test_all_names_of_css_are_known():
    assert len(NAMES) == 148


@pytest.mark.parametrize(("wanted", "kind"), [
    (None, Solid), ("blur", Blur), ("#123", Solid), ("navy", Solid)])
def test_words_make_backgrounds(wanted, kind):
    made = open_background(Options(background=wanted), drawn.info(drawn.frame()))
    assert isinstance(made, kind)
    made.close()
    if wanted is None:
        assert made.rgb == (0, 177, 64)


def test_the_original_is_no_background():
    assert open_background(Options(background=" Original"), drawn.info(drawn.frame())) is None


@pytest.mark.parametrize(("wanted", "hint"), [
    ("bluur", "blur"), ("tomatoe", "tomato"), ("missing.png", "nor a file that exists"), ("#12", "#rrggbb")])
def test_an_unknown_background_names_what_is_near(wanted, hint):
    with pytest.raises(OptionError, match=hint) as caught:
        open_background(Options(background=wanted), drawn.info(drawn.frame()))
    assert repr(wanted) in str(caught.value)


def test_a_mistyped_file_name_is_told_the_right_one(tmp_path):
    (tmp_path / "beach.png").write_bytes(b"")
    with pytest.raises(OptionError, match=r"did you mean .*beach\.png"):
        open_background(Options(background=str(tmp_path / "beech.png")), drawn.info(drawn.frame()))
    with pytest.raises(OptionError, match="folder"):
        open_background(Options(background=str(tmp_path)), drawn.info(drawn.frame()))


@pytest.mark.parametrize("wanted", ["x" * 300, "folder/" + "x" * 300, "x" * 300 + "/wall.png", "wall\0.png",
                                    "wall\0/wall.png", ""])
def test_what_cannot_be_a_files_name_is_an_unknown_background(wanted):
    with pytest.raises(OptionError, match="nor a file that exists"):
        open_background(Options(background=wanted), drawn.info(drawn.frame()))


@pytest.mark.parametrize("asked", ["stat", "iterdir"])
def test_a_closed_folder_holds_no_background(tmp_path, monkeypatch, asked):
    def closed(*given, **more):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, asked, closed)
    with pytest.raises(OptionError, match="nor a file that exists"):
        open_background(Options(background=str(tmp_path / "wall.png")), drawn.info(drawn.frame()))


def red_on_grey(format, size):
    """A saturated red disc with a soft edge on grey noise, and its matte."""
    blank = drawn.frame(format, size)
    matte = drawn.matte((size[0] // 4, size[1] // 4), soft=3.0)
    alpha = drawn.bilinear(matte.alpha, size)
    texture = np.random.default_rng(3).normal(0, 6, (size[1], size[0]))
    planes = []
    colours = zip(sample_values((230, 0, 0), blank), sample_values((128,) * 3, blank), strict=True)
    for number, (red, grey) in enumerate(colours):
        sx, sy = (blank.pixel.sx, blank.pixel.sy) if number else (1, 1)
        share = drawn.block_means(alpha, sx, sy)
        rough = drawn.block_means(texture, sx, sy) if blank.pixel.rgb or not number else 0
        seen = share * red + (1 - share) * (grey + rough * (1 << (blank.pixel.depth - 8)))
        planes.append(drawn.locked(np.clip(np.rint(seen), 0, blank.pixel.peak).astype(blank.pixel.dtype)))
    return Frame(tuple(planes), format, blank.time_base, 0, 0, blank.colour), matte


@pytest.mark.parametrize("format", ["yuv420p", "yuv444p10le", "gbrp"])
@pytest.mark.parametrize("size", [(320, 240), (321, 241)])
@pytest.mark.parametrize("strength", [0.1, 0.5, 1.0])
def test_blur_shows_no_ghost_of_the_subject(format, size, strength):
    frame, matte = red_on_grey(format, size)
    rgb = painted(Blur(strength), frame, matte).rgb().astype(int)
    assert np.abs(rgb - 128).max() <= 12
    redness = rgb[:, :, 0] - rgb[:, :, 1]
    assert redness.max() <= 5


@pytest.mark.parametrize("format", ["yuv420p", "yuv420p12le"])
def test_blur_grows_with_its_strength(format):
    frame = drawn.frame(format, (320, 240))
    spread = [painted(Blur(strength), frame).planes[0].astype(float).std() for strength in (0, 0.05, 0.3, 1)]
    assert spread[0] > 2 * spread[1] > 4 * spread[2] > 6 * spread[3] * 0.9
    assert np.array_equal(painted(Blur(0.0), frame).planes[0], frame.planes[0])


@pytest.mark.parametrize("strength", [0.2, 0.5, 1.0])
def test_blur_is_a_gaussian_of_the_stated_width(strength):
    edge = np.zeros((240, 320), np.uint8)
    edge[:, 160:] = 200
    frame = drawn.frame("gray", (320, 240))
    frame = Frame((drawn.locked(edge),), "gray", frame.time_base, 0)
    row = painted(Blur(strength), frame).planes[0][120].astype(float)
    slope = np.diff(row) / 200  # the blur of a step is the Gaussian's integral
    at = np.arange(319) + 0.5
    sigma = np.sqrt((slope * (at - 159.5) ** 2).sum())
    assert sigma == pytest.approx(0.05 * 240 * strength, rel=0.25)


def test_blur_keeps_the_subject_sharp():
    frame, matte = red_on_grey("yuv420p", (320, 240))
    made = Compositor(drawn.info(frame), ["composite"], Options(background="blur")).finish(frame, matte)
    inside = np.s_[100:140, 140:180]
    assert np.array_equal(made["composite"].planes[0][inside], frame.planes[0][inside])
    assert made["composite"].planes[0][:20, :20].std() < 0.5 * frame.planes[0][:20, :20].std()


def test_fill_keeps_the_known_and_extends_it():
    down, across = np.mgrid[0:45, 0:70].astype(np.float32)
    planes = [across, 3 * down]
    weight = np.ones((45, 70), np.float32)
    weight[10:30, 20:50] = 0
    spoilt = [np.where(weight > 0, plane, 1e4).astype(np.float32) for plane in planes]
    for made, plane in zip(fill(spoilt, weight), planes, strict=True):
        assert np.allclose(made[weight == 1], plane[weight == 1])
        hole = weight == 0
        assert made[hole].max() < plane.max()
        assert np.abs(made[hole] - plane[hole]).mean() < 0.1 * (plane.max() - plane.min())
