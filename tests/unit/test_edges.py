"""The rim's alpha, guided by the picture's colours: against the formula on whole planes, and known truths."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from skimage.transform import resize

from streamseg.background import from_rgb
from streamseg.core.frames import Frame, Matte
from streamseg.core.pixel_formats import Colour
from streamseg.refine import AlphaTiles, Tiles, UnknownTiles, full_size
from streamseg.refine.windows import enlarged
from streamseg.tools.evaluation.metrics import boundary_f, iou, mad

from . import drawn

SUBJECT, WALL = (200, 120, 90), (40, 90, 160)


def photographed(alpha, format="yuv420p", *, subject=SUBJECT, wall=WALL, noise=2.0, texture=0.0):
    """A frame that shows ``subject`` by ``alpha`` (float (h, w)) before ``wall``, RGB colours."""
    random = np.random.default_rng(4)
    size = alpha.shape[::-1]
    blank = drawn.frame(format, size)
    forward = from_rgb(blank)
    rough = random.normal(0, noise, (*alpha.shape, 1)) + texture * random.normal(0, 1, (*alpha.shape, 1))
    rgb = alpha[..., None] * np.array(subject) + (1 - alpha[..., None]) * np.array(wall) + rough
    values = np.clip(rgb, 0, 255) / 255 @ forward[:, :3].T + forward[:, 3]
    planes = []
    for number in range(blank.pixel.planes):
        sx, sy = (blank.pixel.sx, blank.pixel.sy) if number else (1, 1)
        plane = np.clip(np.rint(drawn.block_means(values[..., number], sx, sy)), 0, blank.pixel.peak)
        planes.append(drawn.locked(plane.astype(blank.pixel.dtype)))
    return Frame(tuple(planes), format, Fraction(1, 25), 0, 0, Colour(1, 1, 1, 1))


def disc(size=(320, 192), radius=60.0, middle=(0, 0), soft=1.5):
    down, across = np.mgrid[0:size[1], 0:size[0]]
    away = np.hypot(down - size[1] / 2 - middle[1], across - size[0] / 2 - middle[0])
    return np.clip((radius - away) / soft + 0.5, 0, 1)


def strands(size=(320, 192)):
    """A disc with thin spokes, as hair stands out from a head."""
    alpha = disc(size, 45.0)
    down, across = np.mgrid[0:size[1], 0:size[0]]
    angle = np.arctan2(down - size[1] / 2, across - size[0] / 2)
    away = np.hypot(down - size[1] / 2, across - size[0] / 2)
    spokes = np.abs(np.sin(angle * 12)) * away / 12 < 1.3
    return np.maximum(alpha, (spokes & (away < 75)).astype(float))


def small(alpha, size=(48, 29)):
    """What a network at ``size`` gives at best: means over areas."""
    made = resize(alpha, size[::-1], order=1, anti_aliasing=True)
    return Matte(drawn.locked(np.clip(made, 0, 1).astype(np.float32)))


def guided(frame, matte):
    return full_size(matte, frame, guided=True) / frame.pixel.peak


@pytest.mark.parametrize("format", ["yuv420p", "yuv422p10le", "yuv444p12le", "gbrp", "gbrp16le", "gray"])
@pytest.mark.parametrize("size", [(320, 192), (161, 121), (120, 200)])
def test_tile_by_tile_is_the_formula_on_whole_planes(format, size):
    truth = disc(size, 0.3 * min(size))
    frame = photographed(truth, format if format != "gray" else "yuv420p", texture=8)
    if format == "gray":
        frame = Frame(frame.planes[:1], "gray", frame.time_base, 0)
    matte = small(disc(size, 0.3 * min(size), (3, -2)))
    peak, pixel = frame.pixel.peak, frame.pixel
    cover, mixture = AlphaTiles.of(frame, matte, guided=True), AlphaTiles.of(frame, matte).mixture
    guess = AlphaTiles.of(frame, matte).plane() / peak
    estimate = np.zeros(guess.shape)
    for number, plane in enumerate(frame.planes):
        sx, sy = (pixel.sx, pixel.sy) if number else (1, 1)
        gain, low = mixture.gains[number], mixture.gains[number] * mixture.behind[number]
        span = mixture.gains[number] * mixture.ahead[number] - low
        seen = drawn.spread(gain, frame, number) * plane / peak - drawn.spread(low, frame, number)
        whole = np.kron(seen, np.ones((sy, sx)))[:size[1], :size[0]]
        estimate += whole - guess * drawn.spread(span, frame, 0)
    trust = np.minimum(1, 8 * np.minimum(guess, 1 - guess))
    wanted = np.clip(1.25 * (guess + trust * estimate) - 0.125, 0, 1)
    made = cover.plane() / peak
    # the guess is rounded before: half a level, times 1.25 and what the estimate makes of it
    assert np.abs(made - wanted).max() <= 1.1 / peak + 2e-4
    assert np.abs(made - guess).max() > 0.2


@pytest.mark.parametrize("format", ["yuv420p", "yuv420p10le", "gbrp"])
@pytest.mark.parametrize("off", [(0, 0), (3, 0), (-2, 3)])
def test_an_edge_that_the_matte_blurs_and_misses_is_found(format, off):
    truth = disc()
    frame, matte = photographed(truth, format), small(disc(middle=off))
    plain = full_size(matte, frame) / frame.pixel.peak
    assert mad(guided(frame, matte), truth) < 0.5 * mad(plain, truth)


@pytest.mark.parametrize("format", ["yuv420p", "gbrp"])
def test_a_veil_far_from_the_subject_does_not_become_whole_where_it_has_his_colour(format):
    """The net was not sure of a white cat; the man's shirt was white."""
    truth = disc((320, 192), 40, (-90, 0))
    wall = np.maximum(truth, disc((320, 192), 30, (100, 0)))  # painted with the subject's colour
    frame = photographed(wall, format)
    unsure = np.maximum(truth, 0.45 * disc((320, 192), 36, (100, 0)))
    made = guided(frame, small(unsure))
    far = slice(60, 130), slice(220, 300)
    assert made[far].max() <= 0.47
    assert iou(made, truth) > 0.95


@pytest.mark.parametrize("format", ["yuv420p", "yuv444p10le"])
def test_strands_thinner_than_a_sample_of_the_matte_are_found(format):
    truth = strands()
    frame, matte = photographed(truth, format), small(truth)
    plain = full_size(matte, frame) / frame.pixel.peak
    assert boundary_f(guided(frame, matte), truth) > boundary_f(plain, truth) + 0.02
    assert mad(guided(frame, matte), truth) < 0.5 * mad(plain, truth)


def test_where_both_sides_look_alike_the_matte_stays():
    truth = disc()
    frame, matte = photographed(truth, subject=WALL, noise=4.0), small(truth)
    plain = full_size(matte, frame) / 255
    steeper = np.clip(1.25 * plain - 0.125, 0, 1)
    assert np.abs(guided(frame, matte) - steeper).mean() < 0.005
    assert np.abs(guided(frame, matte) - steeper).max() < 0.25


def test_a_strong_texture_does_not_leak_into_the_matte():
    truth = disc()
    faint, matte = tuple(value + 12 for value in WALL), small(truth)
    plain = full_size(matte, photographed(truth)) / 255
    rough = photographed(truth, subject=faint, texture=40.0)
    steeper = np.clip(1.25 * plain - 0.125, 0, 1)
    rim = (plain > 0.02) & (plain < 0.98)
    assert np.abs(guided(rough, matte) - steeper)[rim].mean() < 0.04
    clear = photographed(truth, subject=faint, noise=0.5)
    assert mad(guided(clear, matte), truth) < 0.6 * mad(plain, truth)


def test_camera_noise_does_not_make_the_edge_flicker():
    truth = disc()
    matte = small(truth)
    first, second = (guided(photographed(truth, noise=noise), matte) for noise in (2.0, 2.5))
    assert ((first > 0.5) != (second > 0.5)).mean() < 2e-4


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize(("tile", "zoom"), [((8, 16), (4, 4)), ((8, 16), (8, 8)), ((4, 8), (4, 4)),
                                            ((8, 8), (2, 1)), ((4, 8), (1, 1))])
def test_windows_are_tiles_of_the_enlarged_map(dtype, tile, zoom):
    shape = (6 * tile[0] // zoom[0], 5 * tile[1] // zoom[1])
    maps = [np.random.default_rng(seed).integers(0, 200, shape).astype(dtype) for seed in (1, 2)]
    where = UnknownTiles(np.array([0, 5, 2, 3]), np.array([0, 4, 3, 0]))
    made = enlarged(maps, where, tile, zoom)
    for item, strip in zip(maps, made, strict=True):
        whole = resize(item.astype(np.float32), (6 * tile[0], 5 * tile[1]), order=1, mode="edge",
                       anti_aliasing=False)
        assert np.abs(strip - Tiles(whole, *tile, where).take()).max() < 1e-3


def test_the_inputs_own_alpha_multiplies_the_guided_matte():
    truth = disc()
    frame, matte = photographed(truth), small(disc(middle=(3, 0)))
    own = np.full(truth.shape, 255.0)
    own[:, :160] = 102
    made = full_size(matte, drawn.with_alpha(frame, own), guided=True)
    for half, level in ((np.s_[:, :152], 102), (np.s_[:, 168:], 255)):
        alpha = guided(frame, matte)[half]
        assert np.abs(made[half] - level * alpha).mean() < 0.01 * level
        assert made[half].max() == level
        assert made[half].min() == 0
