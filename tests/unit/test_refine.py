"""From a small matte to the alpha of every pixel."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from streamseg.core.frames import Matte
from streamseg.core.pixel_formats import FORMATS
from streamseg.refine import ROWS, AlphaTiles, Tiles, UnknownTiles, fill, full_size, padded

from . import drawn


@pytest.mark.parametrize("size", [(160, 120), (161, 121), (120, 160), (1366, 8), (640, 360), (7, 5)])
@pytest.mark.parametrize("format", ["yuv420p", "yuv420p10le", "gbrp16le"])
@pytest.mark.parametrize("small", [(40, 30), (80, 60), (160, 90), (200, 130)])
def test_full_size_is_bilinear(size, format, small):
    frame, matte = drawn.frame(format, size), drawn.matte(small)
    alpha = full_size(matte, frame)
    assert alpha.shape == frame.planes[0].shape
    assert alpha.dtype == frame.pixel.dtype
    if small[0] >= size[0] or small[1] >= size[1]:
        return  # shrunk by areas: only form and range are the same in all ways to do it
    grid = drawn.bilinear(matte.alpha, size)
    if AlphaTiles.of(frame, matte).zoom > 1:  # by way of a grid of 4 x 4 or 2 x 2 pixels
        zoom = AlphaTiles.of(frame, matte).zoom
        grid = drawn.bilinear(drawn.bilinear(matte.alpha, (size[0] // zoom, size[1] // zoom)), size)
    assert np.abs(alpha / frame.pixel.peak - grid).max() <= 2.1 / frame.pixel.peak + 1e-4
    assert 0.15 < alpha.mean() / frame.pixel.peak < 0.5 or min(size) < 10


@pytest.mark.parametrize("format", ["yuv420p", "yuv420p10le"])
def test_by_way_of_the_grid_alpha_stays_near_the_direct_way(format):
    frame, matte = drawn.frame(format, (320, 240)), drawn.matte((72, 54))
    direct = drawn.bilinear(matte.alpha, (320, 240))
    error = np.abs(full_size(matte, frame) / frame.pixel.peak - direct)
    assert error.mean() < 0.003
    assert error.max() < 0.06


@pytest.mark.parametrize("size", drawn.SIZES)
@pytest.mark.parametrize("format", ["yuv420p", "yuv422p12le", "gbrp16le"])
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_ends_are_exact(size, format, value):
    frame = drawn.frame(format, size)
    cover = AlphaTiles.of(frame, drawn.uniform(value))
    assert (cover.plane() == round(value * frame.pixel.peak)).all()
    assert not len(cover.rim)
    assert cover.inside.all() == bool(value)


@pytest.mark.parametrize("size", drawn.SIZES)
@pytest.mark.parametrize("format", ["yuv420p", "yuv420p10le"])
@pytest.mark.parametrize("small", [(40, 30), (80, 60), (90, 70)])
def test_tiles_are_classified_as_their_pixels_are(size, format, small):
    frame, matte = drawn.frame(format, size), drawn.matte(small)
    cover = AlphaTiles.of(frame, matte)
    alpha = padded(cover.plane(), ROWS, cover.columns)
    tiles = alpha.reshape(alpha.shape[0] // ROWS, ROWS, -1, cover.columns)
    rim = np.zeros_like(cover.inside)
    rim[cover.rim.down, cover.rim.across] = True
    low, high = tiles.min((1, 3)), tiles.max((1, 3))
    assert ((low == cover.peak) >= cover.inside).all()
    assert (~(rim | cover.inside) <= (high == 0)).all()
    assert 0 < rim.mean() < 0.6
    assert cover.inside.any()


@pytest.mark.parametrize("size", drawn.SIZES)
@pytest.mark.parametrize("format", ["yuv420p", "yuv420p10le"])
def test_tiles_that_the_picture_settles_are_no_rim(size, format):
    # two colours that say exactly where the subject is, though the matte's edge is wide
    where = drawn.matte((size[0] // 4, size[1] // 4)).alpha
    edge = cv2.resize(where, size) > 0.5
    plain = drawn.frame(format, size, values=(0, 0, 0))
    top = plain.pixel.peak
    luma = drawn.locked(np.where(edge, top * 0.8, top * 0.2).astype(plain.pixel.dtype))
    frame = replace(plain, planes=(luma, *plain.planes[1:]))
    wide = cv2.GaussianBlur(where, (0, 0), 2)
    cover = AlphaTiles.of(frame, Matte(drawn.locked(wide)), guided=True)
    settled = cover.settled
    assert 0 < len(settled.rim) < len(cover.rim)
    assert settled.inside.sum() > cover.inside.sum()
    assert np.array_equal(settled.plane(), cover.plane())
    tiles = settled.luma.reshape(ROWS, -1, settled.columns)
    assert tiles.max((0, 2)).all()
    assert (tiles.min((0, 2)) < cover.peak).all()


@pytest.mark.parametrize("stride", [160, 176, 161])
def test_alpha_goes_into_memory_with_padded_rows(stride):
    cover = AlphaTiles.of(drawn.frame(), drawn.matte())
    target = np.full((120, stride), 7, np.uint8)[:, :160]
    cover.put(target)
    assert np.array_equal(target, cover.plane())


@pytest.mark.parametrize("size", drawn.SIZES)
@pytest.mark.parametrize("format", ["yuv420p", "yuv420p12le"])
def test_the_inputs_own_alpha_multiplies_the_matte(size, format):
    plain = drawn.frame(format, size)
    own = np.random.default_rng(5).integers(0, plain.pixel.peak + 1, (size[1], size[0]))
    alpha = full_size(drawn.matte(), drawn.with_alpha(plain, own))
    wanted = drawn.bilinear(drawn.matte().alpha, size) * own
    assert np.abs(alpha - wanted).max() <= 2.1
    assert np.array_equal(full_size(drawn.uniform(1.0), drawn.with_alpha(plain, own)), own)


@pytest.mark.parametrize(("sx", "sy"), [(1, 1), (2, 1), (2, 2)])
def test_chroma_gets_the_mean_of_its_pixels(sx, sy):
    cover = AlphaTiles.of(drawn.frame(), drawn.matte())
    strip = cover.strip(sx, sy)
    plane = drawn.block_means(cover.plane(), sx, sy)
    rows, columns = ROWS // sy, cover.columns // sx
    for number, (down, across) in enumerate(zip(cover.rim.down, cover.rim.across, strict=True)):
        tile = plane[down * rows:(down + 1) * rows, across * columns:(across + 1) * columns]
        assert np.abs(strip[:, number * columns:(number + 1) * columns] - tile).max() <= 0.5


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("stride", [64, 80])
@pytest.mark.parametrize("wide", [4, 8, 16])
def test_tiles_are_taken_put_copied_and_filled(dtype, stride, wide):
    memory = np.random.default_rng(1).integers(0, 200, (32, stride)).astype(dtype)
    plane = memory[:, :64]
    where = UnknownTiles(np.array([0, 3, 2]), np.array([3, 0, 1]))
    tiles = Tiles(plane, 8, wide, where)
    expected = np.hstack([plane[d * 8:d * 8 + 8, a * wide:a * wide + wide]
                          for d, a in zip(where.down, where.across, strict=True)])
    assert np.array_equal(tiles.take(), expected)

    made = np.zeros_like(memory)
    Tiles(made[:, :64], 8, wide, where).put(expected)
    chosen = np.zeros((32, 64), bool)
    for down, across in zip(where.down, where.across, strict=True):
        chosen[down * 8:down * 8 + 8, across * wide:across * wide + wide] = True
    assert np.array_equal(made[:, :64], np.where(chosen, plane, 0))
    assert not made[:, 64:].any()

    mask = np.zeros((4, 64 // wide), bool)
    mask[1, 2] = mask[2, 1] = mask[2, 3] = True
    copied, filled = np.zeros_like(memory), np.zeros_like(memory)
    Tiles(copied[:, :64], 8, wide, where).copy(tiles, mask)
    Tiles(filled[:, :64], 8, wide, where).fill(7, mask)
    chosen = np.kron(mask, np.ones((8, wide), bool))
    assert np.array_equal(copied[:, :64], np.where(chosen, plane, 0))
    assert np.array_equal(filled[:, :64], np.where(chosen, 7, 0))
    assert not copied[:, 64:].any()
    assert not filled[:, 64:].any()


def test_a_plane_whose_rows_do_not_hold_whole_items_is_refused():
    with pytest.raises(ValueError, match="padded"):
        Tiles(np.zeros((8, 70), np.uint8)[:, :64], 8, 16, UnknownTiles(np.array([0]), np.array([0])))


@pytest.mark.parametrize("step", [1, 2])
def test_padding_repeats_the_edge(step):
    plane = np.arange(200, dtype=np.uint8).reshape(10, 20)[:, ::step]
    made = padded(plane, 8, 16)
    assert made.shape == (16, 32 if step == 1 else 16)
    assert np.array_equal(made, np.pad(plane, ((0, 6), (0, made.shape[1] - plane.shape[1])), "edge"))


def test_every_format_has_a_full_size_alpha():
    for format in FORMATS:
        assert full_size(drawn.uniform(0.5), drawn.frame(format)).mean() == pytest.approx(
            FORMATS[format].peak / 2, abs=1)


def test_fill_at_half_the_size_is_the_mean_of_what_is_known():
    random = np.random.default_rng(2)
    planes = [random.random((45, 70)).astype(np.float32) for _ in range(4)]
    weight = np.zeros((45, 70), np.float32)
    weight[:, :30] = 1
    for made, plane in zip(fill(planes, weight, halved=True), planes, strict=True):
        assert made.shape == (23, 35)
        assert np.allclose(made[:22, :15], drawn.block_means(plane[:44, :30], 2, 2), atol=1e-5)
        assert plane[:, :30].min() < made.min() < made.max() < plane[:, :30].max()
    assert not np.any(fill(planes[:1], np.zeros_like(weight)))
