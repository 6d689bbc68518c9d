"""The blend, kind by kind, against a float64 reference."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from streamseg.background import blend, sample_values
from streamseg.composite import Compositor
from streamseg.core.pixel_formats import FORMATS
from streamseg.errors import OptionError
from streamseg.options import Options
from streamseg.refine import AlphaTiles, full_size

from . import drawn

BLUE = (20, 60, 220)


def compositor(frame, *kinds, **options):
    return Compositor(drawn.info(frame), kinds, Options(**options))


def composite(frame, matte, **options):
    return compositor(frame, "composite", **options).finish(frame, matte)["composite"]


@pytest.mark.parametrize("format", drawn.COLOUR_FORMATS)
@pytest.mark.parametrize("size", drawn.SIZES)
@pytest.mark.parametrize("edges", ["guided", "bilinear"])
def test_the_rim_is_blended_from_the_subjects_own_colours_between_exact_ends(format, size, edges):
    frame, matte = drawn.frame(format, size), drawn.matte()
    made = composite(frame, matte, background="#143cdc", edges=edges)
    cover = AlphaTiles.of(frame, matte, guided=edges == "guided")
    alpha, peak = cover.plane(), frame.pixel.peak
    assert set(np.unique(alpha)) >= {0, peak}
    for number, (plane, source, value) in enumerate(zip(made.planes, frame.planes, sample_values(BLUE, frame),
                                                        strict=True)):
        sx, sy = (frame.pixel.sx, frame.pixel.sy) if number else (1, 1)
        share = drawn.block_means(alpha, sx, sy) / peak
        ahead, behind = (drawn.spread(maps[number], frame, number) * peak
                         for maps in (cover.mixture.ahead, cover.mixture.behind))
        own = ahead + share * (source - share * ahead - (1 - share) * behind)
        wanted = np.clip(share * own + (1 - share) * value, 0, peak)
        # for subsampled chroma alpha is rounded to whole values, and the blend has a slope of 3 peaks at most
        allowed = 0.51 + 1e-4 * peak + 1.5 * (sx * sy > 1)
        assert np.abs(plane - wanted).max() <= allowed
        assert np.array_equal(plane[share == 1], source[share == 1])
        assert (plane[share == 0] == value).all()


@pytest.mark.parametrize("format", ["yuv420p", "yuv420p10le", "gbrp"])
@pytest.mark.parametrize("size", drawn.SIZES)
def test_the_old_background_does_not_shine_through_the_rim(format, size):
    frame, matte, truth = mixed(format, size, (200, 120, 90), (30, 200, 60))
    made = composite(frame, matte, background="#143cdc", edges="bilinear")
    values = sample_values(BLUE, frame)
    for plane, source, (own, share), value in zip(made.planes, frame.planes, truth, values, strict=True):
        rim = (share > 0.02) & (share < 0.98)
        wanted = share * own + (1 - share) * value
        plain = share * source + (1 - share) * value
        assert np.abs(plane - wanted)[rim].mean() < 0.5 * np.abs(plain - wanted)[rim].mean()


@pytest.mark.parametrize("format", ["yuv420p", "yuv444p10le", "gbrp", "gray"])
@pytest.mark.parametrize("size", [(1, 1), (2, 2), (10, 10), (17, 3), (20, 20), (33, 31), (8, 3000)])
def test_the_smallest_and_the_narrowest_pictures_are_composited(format, size):
    if format == "yuv420p":
        size = size[0] + size[0] % 2, size[1] + size[1] % 2
    frame = drawn.frame(format, size)
    rest = drawn.matte((13, 7))
    for options in ({"edges": "guided"}, {"erode": -1.5, "feather": 2.0}, {"light_wrap": 0.5}):
        made = compositor(frame, "composite", "cutout", "foreground", background="#143cdc", **options)
        assert [picture.planes[0].shape for picture in made.finish(frame, rest).values()] == [size[::-1]] * 3
        whole = made.finish(frame, drawn.uniform(1.0))
        if "light_wrap" not in options:
            assert all(np.array_equal(*pair) for kind in ("composite", "foreground")
                       for pair in zip(whole[kind].planes, frame.planes, strict=True))


@pytest.mark.parametrize("depth", [8, 10, 12, 16])
def test_blend_does_not_overflow_at_the_ends_of_the_range(depth):
    peak, dtype = (1 << depth) - 1, np.uint8 if depth == 8 else np.uint16
    alpha = np.linspace(0, peak, 512).round().astype(dtype)[None]
    for front, back in [(0, peak), (peak, 0), (peak, peak), (0, 0)]:
        made = blend(np.full_like(alpha, front), np.full_like(alpha, back), alpha, peak)
        wanted = (alpha.astype(float) * front + (peak - alpha.astype(float)) * back) / peak
        assert np.abs(made - wanted).max() <= 1.0
        assert made[0, 0] == back
        assert made[0, -1] == front


@pytest.mark.parametrize("size", drawn.SIZES)
@pytest.mark.parametrize("format", ["yuv420p", "yuv422p10le", "gbrp"])
def test_the_inputs_own_alpha_multiplies_in_every_kind(size, format):
    plain, matte = drawn.frame(format, size), drawn.uniform(1.0)
    own = np.zeros((size[1], size[0]))
    own[:, size[0] // 2:] = plain.pixel.peak
    frame = drawn.with_alpha(plain, own)
    made = compositor(frame, "composite", "cutout", "matte", background="#143cdc").finish(frame, matte)
    assert np.array_equal(made["matte"].planes[0], own)
    assert np.array_equal(made["cutout"].alpha, own)
    assert (made["composite"].planes[0][:, :60] == sample_values(BLUE, frame)[0]).all()
    assert np.array_equal(made["composite"].planes[0][:, 100:], frame.planes[0][:, 100:])


@pytest.mark.parametrize("format", ["yuv420p", "yuv420p10le", "yuv444p12le", "gbrp16le"])
@pytest.mark.parametrize("size", drawn.SIZES)
def test_the_matte_is_gray_of_the_pictures_size_and_depth(format, size):
    frame, matte = drawn.frame(format, size), drawn.matte()
    made = compositor(frame, "matte").finish(frame, matte)["matte"]
    depth = FORMATS[format].depth
    assert made.format == ("gray" if depth == 8 else f"gray{depth}le")
    assert made.colour.full_range
    assert np.array_equal(made.planes[0], full_size(matte, frame, guided=True))


@pytest.mark.parametrize("background", ["red", "blur", "original"])
def test_time_name_and_packets_are_carried(background):
    frame = drawn.frame("yuv420p", time_base=Fraction(1001, 30000))
    made = compositor(frame, "composite", "cutout", "matte", "foreground", background=background).finish(
        frame, drawn.matte())
    assert set(made) == {"composite", "cutout", "matte", "foreground"}
    for picture in made.values():
        assert (picture.pts, picture.time_base, picture.duration, picture.index, picture.name,
                picture.packets) == (120, Fraction(1001, 30000), 40, 3, "a.png", ("packet",))
    assert made["composite"].colour == made["cutout"].colour == frame.colour
    assert made["composite"].alpha is None
    assert made["foreground"].alpha is None


def test_the_picture_is_in_the_encoders_own_memory():
    frame = drawn.frame()
    made = composite(frame, drawn.matte(), background="red")
    picture = made.to_av()
    assert np.array_equal(picture.to_ndarray()[:120], made.planes[0])
    assert picture.pts == 120


def test_a_picture_handed_on_is_not_touched_again():
    frame, other = drawn.frame(), drawn.frame(seed=1)
    maker = compositor(frame, "composite", "cutout", "matte", background="blur")
    first = maker.finish(frame, drawn.matte())
    kept = {kind: [plane.copy() for plane in made.planes] for kind, made in first.items()}
    maker.finish(other, drawn.matte(soft=9))
    for kind, made in first.items():
        assert all(np.array_equal(*pair) for pair in zip(made.planes, kept[kind], strict=True))


def test_stills_of_changing_size_and_format_go_through_one_compositor():
    sizes = [("yuv420p", (160, 120)), ("gbrp", (97, 33)), ("yuv420p10le", (64, 200)), ("gray", (50, 50))]
    maker = compositor(drawn.frame(), "composite", "matte", "cutout", background="#143cdc")
    for format, size in sizes:
        frame = drawn.frame(format, size)
        made = maker.finish(frame, drawn.uniform(0.0))
        assert made["composite"].format == format
        for plane, value in zip(made["composite"].planes, sample_values(BLUE, frame), strict=True):
            assert (plane == value).all()


def test_original_is_the_frame_itself():
    frame = drawn.frame()
    made = composite(frame, drawn.matte(), background="original")
    assert all(one is other for one, other in zip(made.planes, frame.planes, strict=True))


@pytest.mark.parametrize("size", drawn.SIZES)
@pytest.mark.parametrize("format", ["yuv420p", "yuv422p10le", "gbrp"])
def test_show_matte_tints_the_subject_and_draws_his_edge(format, size):
    grey = sample_values((90, 90, 90), drawn.frame(format, size))
    frame = drawn.frame(format, size, values=grey)
    shown = composite(frame, drawn.matte(), show_matte=True, background="none").rgb().astype(int)
    red, green, blue = shown[size[1] // 2, size[0] // 2]
    assert blue > red + 60
    assert green > red + 40
    assert np.abs(shown[2, 2] - 90).max() <= 4
    edge = (shown.min(axis=2) > 180).sum()
    assert 100 < edge < 0.1 * size[0] * size[1]


def mixed(format, size, subject, behind):
    """A subject with stripes before a plain background, mixed by the full-size alpha."""
    blank = drawn.frame(format, size)
    matte = drawn.matte((40, 30), soft=8.0)
    alpha = full_size(matte, blank)
    planes, truth = [], []
    for number, shape in enumerate(plane.shape for plane in blank.planes):
        sx, sy = (blank.pixel.sx, blank.pixel.sy) if number else (1, 1)
        share = drawn.block_means(alpha, sx, sy) / blank.pixel.peak
        stripes = 1 + 0.02 * np.sin(np.arange(shape[1]) * sx / 5)
        own = np.broadcast_to(sample_values(subject, blank)[number] * stripes, shape)
        seen = share * own + (1 - share) * sample_values(behind, blank)[number]
        planes.append(drawn.locked(np.rint(seen).astype(blank.pixel.dtype)))
        truth.append((own, share))
    frame = drawn.frame(format, size)
    return type(frame)(tuple(planes), format, frame.time_base, 0, 0, frame.colour), matte, truth


@pytest.mark.parametrize("kind", ["cutout", "foreground"])
@pytest.mark.parametrize("format", ["yuv420p", "yuv444p10le", "gbrp"])
@pytest.mark.parametrize("size", drawn.SIZES)
def test_the_subjects_own_colours_are_found_in_the_rim(kind, format, size):
    frame, matte, truth = mixed(format, size, (200, 120, 90), (30, 200, 60))
    made = compositor(frame, kind, edges="bilinear").finish(frame, matte)[kind]
    for plane, source, (own, share) in zip(made.planes, frame.planes, truth, strict=True):
        rim = (share > 0.05) & (share < 0.95)
        assert np.abs(plane[rim] - own[rim]).mean() < 0.4 * np.abs(source[rim] - own[rim]).mean()
        assert np.array_equal(plane[share == 1], source[share == 1])


@pytest.mark.parametrize("format", ["yuv420p", "gbrp"])
def test_beyond_the_subject_the_foreground_goes_on_in_his_colours(format):
    frame, matte, truth = mixed(format, (160, 120), (200, 120, 90), (30, 200, 60))
    made = compositor(frame, "foreground").finish(frame, matte)["foreground"]
    for plane, source, (own, share) in zip(made.planes, frame.planes, truth, strict=True):
        outside = share == 0
        before, after = np.abs(source - own)[outside].mean(), np.abs(plane - own)[outside].mean()
        assert after < 0.25 * before


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_a_matte_without_an_edge_gives_finite_colours(value):
    frame = drawn.frame()
    made = compositor(frame, "cutout", "composite", background="blur").finish(frame, drawn.uniform(value))
    # of a matte of one half both sides' colours are guesses, the same but for rounding
    assert np.abs(made["cutout"].alpha.astype(int) - round(value * 255)).max() <= (4 if value == 0.5 else 0)
    if value == 1.0:
        for kind in made:
            assert np.array_equal(made[kind].planes[0], frame.planes[0])


@pytest.mark.parametrize("format", ["yuv420p", "yuv422p10le", "gbrp", "yuv444p12le"])
@pytest.mark.parametrize(("key", "seen", "wanted"), [
    ((0, 177, 64), (120, 160, 90), (120, 120, 90)),
    ((0, 177, 64), (120, 100, 90), (120, 100, 90)),
    ((0, 0, 255), (120, 100, 190), (120, 100, 120)),
    ((200, 0, 0), (220, 100, 150), (150, 100, 150)),
    ((250, 240, 0), (180, 170, 60), (70, 60, 60)),
])
def test_despill_limits_the_keys_hue(format, key, seen, wanted):
    blank = drawn.frame(format)
    frame = drawn.frame(format, values=sample_values(seen, blank))
    made = compositor(frame, "composite", background="black").finish(
        frame, replace(drawn.uniform(1.0), despill=key))["composite"]
    assert np.abs(made.rgb()[60, 80].astype(int) - wanted).max() <= 3


def test_despill_by_a_grey_key_changes_nothing():
    frame = drawn.frame()
    made = compositor(frame, "composite", background="red").finish(
        frame, replace(drawn.uniform(1.0), despill=(128, 128, 128)))["composite"]
    assert np.array_equal(made.planes[0], frame.planes[0])


def test_no_background_cannot_be_composited():
    with pytest.raises(OptionError, match=r"\.webm"):
        compositor(drawn.frame(), "composite", background="none")
    compositor(drawn.frame(), "cutout", background="none").close()


def test_an_unknown_kind_is_refused():
    with pytest.raises(OptionError, match="cutout"):
        compositor(drawn.frame(), "cutouts")
