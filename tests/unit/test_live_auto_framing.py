"""The view that follows the head, and the cut of picture and matte that it asks for."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from streamseg.core.frames import Matte
from streamseg.live.auto_framing import AutoFraming, View, cropped, cropped_matte, view_of
from tests.unit.live_fakes import room_frame


def head_at(x: float, y: float) -> Matte:
    """A head and shoulders whose head is centred on x, y (shares of the picture)."""
    rows, columns = np.mgrid[0:90, 0:160]
    head = ((columns / 160 - x) * 16 / 9) ** 2 + (rows / 90 - y) ** 2 < 0.1 ** 2
    body = (np.abs(columns / 160 - x) < 0.18) & (rows / 90 > y + 0.12)
    return Matte((head | body).astype(np.float32))


def seconds_of(follower: AutoFraming, matte: Matte | None, start: float, count: int) -> Iterator[View]:
    for number in range(count):
        yield follower(matte, start + number / 30)


def test_the_view_goes_to_the_head_gently_and_stays_in_the_picture() -> None:
    follower = AutoFraming()
    views = list(seconds_of(follower, head_at(0.7, 0.5), 0.0, 150))
    steps = np.abs(np.diff([view.x for view in views]))
    assert steps.max() < 0.02
    assert views[-1].x == pytest.approx(1 - views[-1].size / 2, abs=0.02)  # as far right as there is picture
    assert views[-1].size < 0.8
    assert all(view.size / 2 <= view.x <= 1 - view.size / 2 + 1e-9 for view in views)


def test_small_movements_are_not_followed_and_nobody_there_shows_all() -> None:
    follower = AutoFraming()
    list(seconds_of(follower, head_at(0.5, 0.5), 0.0, 300))
    before = follower.view
    after = list(seconds_of(follower, head_at(0.51, 0.5), 10.0, 60))[-1]
    assert abs(after.x - before.x) < 0.003
    assert list(seconds_of(follower, None, 13.0, 300))[-1].size == pytest.approx(1.0, abs=0.01)


def test_the_cut_of_picture_and_matte_agree_with_the_truth() -> None:
    frame, view = room_frame(0, (64, 48)), View(0.55, 0.6, 0.5)
    cut = cropped(frame, view)
    assert (cut.width, cut.height) == (64, 48)
    left, top = round((0.55 - 0.25) * 64), round((0.6 - 0.25) * 48)
    truth = np.kron(frame.planes[0][top:top + 24, left:left + 32], np.ones((2, 2)))
    grey = np.abs(cut.planes[0].astype(int) - 120) <= 1
    assert (grey == (truth == 120)).mean() > 0.85
    matte = Matte((frame.planes[0] == 120).astype(np.float32))
    assert ((cropped_matte(matte, view).alpha > 0.5) == (truth == 120)).mean() > 0.9
    assert cropped(frame, View()) is frame
    assert cropped_matte(matte, View()) is matte
    assert view_of(Matte(np.zeros((9, 16), np.float32))) == View()
