"""What has been the subject for long does not vanish at once; who walks off leaves no trace."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest

from streamseg.core.frames import Matte
from streamseg.smooth.retention import LONGEST, retained
from tests.unit.test_smooth import disc, frame, picture

Array = npt.NDArray[np.float32]
FRAMES = 4
SUBJECT, TAIL = disc(90), disc(140, y=100, radius=14)
WHOLE = np.maximum(SUBJECT, TAIL)
BARE = np.where(TAIL > 0, 0, SUBJECT).astype(np.float32)


def kept(alphas: Sequence[Array], pictures: Sequence[Array] | None = None) -> list[Array]:
    shown = pictures or [picture(90)] * len(alphas)
    pairs = [(frame(rgb, index), Matte(alpha)) for index, (rgb, alpha) in enumerate(zip(shown, alphas, strict=True))]
    return [matte.alpha for _, matte in retained(iter(pairs), FRAMES)]


def share(alpha: Array, part: Array) -> float:
    return float((alpha * part).sum() / part.sum())


def test_what_was_there_for_long_stays_for_a_while_and_then_goes() -> None:
    found = [share(alpha, TAIL) for alpha in kept([WHOLE] * 40 + [BARE] * 40)]
    assert min(found[:40]) > 0.97
    full = (LONGEST - 2) * FRAMES  # until the age is twice FRAMES again
    assert min(found[40 : 40 + full - 1]) > 0.9
    assert found[40 + (LONGEST - 1) * FRAMES + 1] < 0.05
    assert found == sorted(found, reverse=True)


@pytest.mark.parametrize("lasted", [1, FRAMES])
def test_what_came_lately_goes_at_once(lasted: int) -> None:
    found = kept([BARE] * 10 + [WHOLE] * lasted + [BARE] * 3)
    assert share(found[9 + lasted], TAIL) > 0.97
    assert all(np.array_equal(alpha, BARE) for alpha in found[10 + lasted :])


def test_another_shot_keeps_nothing() -> None:
    other = picture(90, wall=7, subject=8)
    found = kept([WHOLE] * 20 + [BARE] * 3, [picture(90)] * 20 + [other] * 3)
    assert all(np.array_equal(alpha, BARE) for alpha in found[20:])


def test_who_walks_leaves_no_trace_and_an_outline_is_left_alone() -> None:
    places = [90 + 5 * index for index in range(30)]
    alphas = [disc(x) for x in places]
    for alpha, found in zip(alphas, kept(alphas, [picture(x) for x in places]), strict=True):
        assert float(np.abs(found - alpha).max()) < 0.02
    thinner = disc(90, radius=42)  # of 44: two pixels all around
    assert np.array_equal(kept([SUBJECT] * 20 + [thinner])[-1], thinner)


def test_what_walks_along_is_kept_where_it_is_now() -> None:
    """A piece of the subject is lost while all moves by 2 pixels a frame."""
    places = [60 + 2 * index for index in range(30)]
    piece = [disc(x, y=80, radius=14) for x in places]
    alphas = [disc(x) if index < 24 else np.where(piece[index] > 0, 0, disc(x)).astype(np.float32)
              for index, x in enumerate(places)]
    found = kept(alphas, [picture(x) for x in places])
    assert all(share(alpha, part) < 0.01 for alpha, part in zip(alphas[24:], piece[24:], strict=True))
    assert all(share(alpha, part) > 0.85 for alpha, part in zip(found[24:], piece[24:], strict=True))
