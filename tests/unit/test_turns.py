"""Which way up a picture is, by what two nets see of it."""

from __future__ import annotations

import numpy as np
import pytest

from streamseg.core.geometry import Box
from streamseg.segment import turns


def seen(share: float, *, value: float = 1.0, size: tuple[int, int] = (60, 40), start: float = 0.0) -> np.ndarray:
    """float32 (h, w): ``value`` in the rows of ``share`` of the height, from ``start`` on."""
    alpha = np.zeros(size, np.float32)
    first = round(start * size[0])
    alpha[first:first + round(share * size[0])] = value
    return alpha


CLEAR = [seen(0.5), seen(0.5, size=(90, 60))]
ELSEWHERE = [seen(0.3), seen(0.3, size=(90, 60), start=0.6)]


@pytest.mark.parametrize(("passes", "wanted"), [
    (CLEAR, False),
    (ELSEWHERE, True),
    ([seen(0.02), seen(0.02, start=0.5)], False),  # too little to judge by
    ([seen(0.5, value=0.3), seen(0.5)], True)], ids=["same", "elsewhere", "little", "faint"])
def test_two_nets_that_do_not_agree_are_doubtful(passes: list[np.ndarray], wanted: bool) -> None:
    assert turns.doubtful(passes) is wanted


@pytest.mark.parametrize("way", [1, 2, 3])
def test_the_way_in_which_both_see_the_same_is_taken(way: int) -> None:
    assert turns.clearest([CLEAR if turn == way else ELSEWHERE for turn in range(4)]) == way


@pytest.mark.parametrize("other", [
    CLEAR,                                         # not clearer than the picture as it is
    ELSEWHERE,
    [seen(0.05), seen(0.05)],                      # hardly anybody
    [seen(0.5, value=0.6), seen(0.5, value=0.6)],  # sure of nothing
    [seen(0.5), seen(0.4)]], ids=["as clear", "elsewhere", "hardly anybody", "grey", "a fifth apart"])
def test_the_picture_stays_where_no_other_way_is_clear(other: list[np.ndarray]) -> None:
    as_it_is = CLEAR if other is CLEAR else ELSEWHERE
    assert turns.clearest([as_it_is, ELSEWHERE, other, ELSEWHERE]) == 0


def test_a_quarter_turn_exchanges_height_and_width() -> None:
    box = Box(3, 4, 20, 30)
    assert [(turned.height, turned.width) for turned in (turns.shown_as(box, turn) for turn in range(4))] == \
        [(20, 30), (30, 20), (20, 30), (30, 20)]
