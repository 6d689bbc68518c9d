"""What the classical methods do with a mask that they found, on masks whose answers can be counted."""

from __future__ import annotations

import numpy as np
import pytest

from streamseg.segment.classical.base import softened, without_specks

LEAST = 20  # pixels: 0.2 % of 100 x 100


def blank(value: int = 0) -> np.ndarray:
    return np.full((100, 100), value, np.uint8)


@pytest.mark.parametrize("ground", [0, 255])
def test_islands_and_holes_go_below_two_thousandths_of_the_picture_and_stay_from_there(ground: int) -> None:
    other = 255 - ground
    mask, wanted = blank(ground), blank(ground)
    mask[10, 10 : 10 + LEAST - 1] = other
    for drawn in (mask, wanted):
        drawn[30, 10 : 10 + LEAST] = other
        drawn[60:90, 60:90] = other
        drawn[range(70, 70 + LEAST), range(10, 10 + LEAST)] = other  # pixels that meet at corners are one
    given = mask.copy()
    assert np.array_equal(without_specks(mask), wanted)
    assert np.array_equal(mask, given)


def test_the_share_of_a_speck_can_be_chosen_and_what_lies_in_a_speck_goes_with_it() -> None:
    mask = blank()
    mask[20:80, 20:80] = 255
    mask[40:50, 40:50] = 0
    mask[44:46, 44:46] = 255
    hollow = mask.copy()
    hollow[44:46, 44:46] = 0
    assert np.array_equal(without_specks(mask), hollow)
    filled = blank()
    filled[20:80, 20:80] = 255
    assert np.array_equal(without_specks(mask, share=0.011), filled)
    assert not without_specks(mask, share=0.37).any()


def test_a_step_of_a_mask_becomes_one_of_two_pixels() -> None:
    mask = np.zeros((9, 9), np.uint8)
    mask[4:, 4:] = 255
    found = softened(mask)
    assert found.dtype == np.float32
    step = [0, 0, 0, 1 / 4, 3 / 4, 1, 1, 1, 1]
    # a level is 1/255; the corner is a step in both directions
    np.testing.assert_allclose(found, np.outer(step, step), atol=1 / 255)
    assert softened(np.full((5, 5), 255, np.uint8)).min() == 1
