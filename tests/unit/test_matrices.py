"""Matrices between RGB and YUV, against the integers of H.273 and published weights."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from streamseg.core import matrices
from streamseg.core.pixel_formats import FULL, Colour, yuv_from_rgb
from streamseg.source.probe import as_filmed

COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (200, 40, 90), (17, 130, 251)]


def samples(colour: Colour, rgb: tuple[int, int, int], depth: int = 8, rgb_depth: int = 8) -> list[float]:
    forward = yuv_from_rgb(colour, 1080, depth)
    return list(forward @ [*(value / ((1 << rgb_depth) - 1) for value in rgb), 1.0])


@pytest.mark.parametrize("rgb", COLOURS)
def test_ycgco_is_what_its_equations_give(rgb: tuple[int, int, int]):
    red, green, blue = rgb
    wanted = [green / 2 + (red + blue) / 4, 128 + green / 2 - (red + blue) / 4, 128 + (red - blue) / 2]
    assert samples(Colour(8, FULL), rgb) == pytest.approx(wanted, abs=0.6)


@pytest.mark.parametrize(("matrix", "more"), [(16, 2), (17, 1)])
@pytest.mark.parametrize("rgb", COLOURS)
def test_lossless_ycgco_is_what_its_steps_give(matrix: int, more: int, rgb: tuple[int, int, int]):
    """Integers, from R'G'B' of fewer bits."""
    red, green, blue = rgb
    depth = 8 + more
    co = red - blue
    step = blue + (co >> 1)
    cg = green - step
    wanted = [step + (cg >> 1), cg + (1 << (depth - 1)), co + (1 << (depth - 1))]
    assert samples(Colour(matrix, FULL), rgb, depth) == pytest.approx(wanted, abs=2.0)


@pytest.mark.parametrize(("primaries", "weights"), [(1, (0.2126, 0.0722)), (9, (0.2627, 0.0593)), (6, (0.2124, 0.0866)),
                                                    (12, (0.2290, 0.0793))])
def test_chromaticity_derived_weights(primaries: int, weights: tuple[float, float]):
    luma = matrices.rows(12, primaries, 1, 1080)[0]
    assert (luma[0], luma[2]) == pytest.approx(weights, abs=1e-4)


@pytest.mark.parametrize("matrix", [*range(8), 8, 9, 10, 12, 13, 14, 15, 200])
def test_greys_have_no_chroma_and_every_matrix_can_be_undone(matrix: int):
    rows = matrices.rows(matrix, 9, 16, 1080)
    assert rows @ [1.0, 1.0, 1.0] == pytest.approx([1.0, 0.0, 0.0], abs=1e-3)
    assert abs(np.linalg.det(rows)) > 0.01


def test_ictcp_of_hlg_is_not_that_of_pq():
    assert not np.allclose(matrices.rows(14, 9, 16, 1080), matrices.rows(14, 9, 18, 1080))


@pytest.mark.parametrize("count", [24000, 30000, 48000, 60000, 120000, 240000])
def test_rates_that_matroska_rounds_come_back(count: int):
    rate = Fraction(count, 1001)
    stored = Fraction(10**9, round(10**9 / rate)).limit_denominator(400)
    assert as_filmed(stored) == rate


@pytest.mark.parametrize("rate", [Fraction(25), Fraction(2997, 100), Fraction(5994, 100), Fraction(23976, 1000),
                                  Fraction(15, 2), Fraction(999, 10), Fraction(60000, 1001), Fraction(1, 10)])
def test_other_rates_stay(rate: Fraction):
    assert as_filmed(rate) == rate


def test_no_rate_stays_none():
    assert as_filmed(None) is None
