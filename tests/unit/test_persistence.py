"""Parts of a matte must last before they are the subject's; people who come in, walk off or blink lose nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pytest

from streamseg import smooth
from streamseg.core.frames import Frame, Matte
from streamseg.errors import OptionError
from streamseg.options import Options
from streamseg.smooth import Pair
from streamseg.smooth.persistence import persistent
from tests.unit.test_smooth import SIZE, disc, frame, picture

Array = npt.NDArray[np.float32]
SUBJECT = disc(90)  # radius 44: a large part, which stands still
FRAMES = 8


def blob(x: float, y: float = 80.0, radius: float = 12.0, alpha: float = 1.0) -> Array:
    return np.float32(alpha) * disc(x, y=y, radius=radius)


def shown(count: int, cut: int | None = None) -> list[Frame]:
    """A picture that stands still; from ``cut`` on another."""
    still, other = picture(90), picture(90, wall=7, subject=8)
    return [frame(still if cut is None or index < cut else other, index) for index in range(count)]


def kept(alphas: Sequence[Array], *, ahead: int = 4, frames: int = FRAMES, cut: int | None = None) -> list[Array]:
    """What persistence alone makes of mattes before a picture that stands still."""
    pairs = [(item, Matte(alpha)) for item, alpha in zip(shown(len(alphas), cut), alphas, strict=True)]
    return [matte.alpha for _, matte in persistent(iter(pairs), frames, ahead)]


def seen(alphas: Sequence[Array], part: Array) -> list[bool]:
    """Whether ``part`` is in each matte: True or False for most of it, else the test fails."""
    shares = [float((alpha * part).sum() / part.sum()) for alpha in alphas]
    assert all(share < 0.1 or share > 0.9 for share in shares), shares
    return [share > 0.5 for share in shares]


def during(times: range, count: int, part: Array, base: Array = SUBJECT) -> list[Array]:
    return [np.maximum(base, part) if index in times else base for index in range(count)]


@pytest.mark.parametrize("ahead", [0, 4])
@pytest.mark.parametrize("lasts", [1, 4, FRAMES - 1])
def test_what_appears_in_the_middle_for_too_few_frames_is_left_out(ahead: int, lasts: int) -> None:
    part = blob(230)
    found = kept(during(range(5, 5 + lasts), 20, part), ahead=ahead)
    assert not any(seen(found, part))
    assert all(seen(found, SUBJECT))


@pytest.mark.parametrize(("ahead", "late"), [(0, FRAMES - 1), (4, FRAMES - 5), (FRAMES - 1, 0)])
def test_what_lasts_is_kept_from_when_it_is_known(ahead: int, late: int) -> None:
    part = blob(230)
    found = seen(kept(during(range(5, 40), 40, part), ahead=ahead), part)
    assert found == [index >= 5 + late for index in range(40)]


def test_nobody_comes_late_who_comes_in_at_the_border() -> None:
    """A disc walks in from the right, 8 pixels a frame, alone in the picture: with look-ahead and without."""
    places = [330.0 - 8 * index for index in range(20)]
    alphas = [disc(x, radius=40) for x in places]
    for ahead in (0, 4):
        steady = smooth.create_smoother("lookahead" if ahead else "flow", strength=0, hysteresis=0, persistence=FRAMES)
        pairs = [(frame(picture(x), index), Matte(alpha)) for index, (x, alpha) in
                 enumerate(zip(places, alphas, strict=True))]
        for alpha, (_, matte) in zip(alphas, steady(iter(pairs)), strict=True):
            assert float((alpha - matte.alpha).max()) < 0.05


@pytest.mark.parametrize("others", [1, 2])
def test_people_who_come_to_touch_while_both_are_doubted_were_there_before(others: int) -> None:
    """In the third frame of a shot; each is of the size of the subject."""
    people = [blob(90, radius=30), blob(230, radius=30), blob(160, y=20, radius=15)][:others + 1]
    apart = np.maximum.reduce(people)
    bridge = np.zeros_like(apart)
    bridge[72:88, 90:230] = 1
    bridge[20:80, 152:168] = others > 1
    found = kept([apart, apart, *[np.maximum(apart, bridge)] * 10])
    for person in people:
        assert all(seen(found, person))


def test_what_is_not_sure_and_comes_to_touch_was_nobody_before() -> None:
    """As a flag whose matte is grey for a few frames before it joins the person's."""
    person, flag = blob(90, radius=34), blob(200, radius=28, alpha=0.7)
    apart, joined = np.maximum(person, flag), np.maximum(person, blob(200, radius=28))
    joined[72:88, 90:200] = 1
    found = kept([apart, apart, *[joined] * 10])
    assert all(seen(found, person))
    assert max(float(alpha[flag > 0].max()) for alpha in found[:2]) < 0.05



def test_a_burst_at_the_border_is_left_out_where_later_frames_tell() -> None:
    part = blob(282, radius=10)
    found = kept(during(range(5, 8), 20, part))
    assert not any(seen(found, part))


@pytest.mark.parametrize("ahead", [0, 4])
def test_all_that_is_there_when_a_shot_begins_is_kept(ahead: int) -> None:
    part = blob(230)
    assert all(seen(kept([np.maximum(SUBJECT, part)] * 12, ahead=ahead), part))
    # and after a cut
    alphas = [SUBJECT] * 6 + [np.maximum(SUBJECT, part)] * 8
    assert seen(kept(alphas, ahead=ahead, cut=6), part) == [index >= 6 for index in range(14)]


@pytest.mark.parametrize("ahead", [0, 4, 12])
@pytest.mark.parametrize("count", [1, 3, 7])
def test_a_shot_shorter_than_what_must_last_keeps_who_is_there_from_its_first_frame_on(count: int, ahead: int) -> None:
    flag, part = blob(230, radius=20, alpha=0.7), blob(230)
    found = kept([np.maximum(SUBJECT, flag)] * count, ahead=ahead)
    assert seen(found, SUBJECT) == [True] * count
    assert not any(seen(found, flag))
    assert all(seen(kept([SUBJECT] * 4 + [part] * count, ahead=ahead, cut=4)[4:], part))  # after a cut


def test_a_short_shot_keeps_who_is_unsure_in_one_of_three_frames() -> None:
    for found in kept([SUBJECT, np.float32(0.8) * SUBJECT, SUBJECT]):
        assert float((found * SUBJECT).sum() / SUBJECT.sum()) > 0.7


@pytest.mark.parametrize("ahead", [0, 4])
def test_who_walks_off_from_another_stays(ahead: int) -> None:
    """Two discs that were one part come apart."""
    alphas = [np.maximum(SUBJECT, blob(140 + 4 * index, radius=20)) for index in range(20)]
    found = kept(alphas, ahead=ahead)
    for alpha, wanted in zip(found, alphas, strict=True):
        assert float(np.abs(alpha - wanted).max()) < 0.05


@pytest.mark.parametrize("away", [1, 5])
def test_whom_the_method_loses_for_a_few_frames_is_there_again_at_once(away: int) -> None:
    part, gone = blob(230, radius=20), range(10, 10 + away)
    alphas = [SUBJECT if index in gone else np.maximum(SUBJECT, part) for index in range(20)]
    assert seen(kept(alphas, ahead=0), part) == [index not in gone for index in range(20)]


def test_a_small_part_beside_the_subject_is_the_subjects() -> None:
    hand = blob(150, radius=6)
    assert seen(kept(during(range(5, 6), 12, hand), ahead=0), hand) == [index == 5 for index in range(12)]


def test_what_is_doubtful_beside_somebody_who_is_sure_needs_longer() -> None:
    flag = blob(230, radius=20, alpha=0.7)
    assert not any(seen(kept(during(range(5, 30), 40, flag)), flag))


def test_a_method_that_is_never_sure_keeps_its_subject() -> None:
    soft = np.float32(0.8) * SUBJECT
    for alpha in kept([soft] * 10):
        np.testing.assert_allclose(alpha, soft, atol=1e-5)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_each_frame_comes_out_once_in_order_and_untouched(count: int) -> None:
    pairs: list[Pair] = [(item, Matte(SUBJECT)) for item in shown(count)]
    for _, matte in pairs:
        matte.alpha.setflags(write=False)
    found = list(smooth.create_smoother("none", persistence=FRAMES)(iter(pairs)))
    assert [id(item) for item, _ in found] == [id(item) for item, _ in pairs]
    assert all(matte is given for (_, matte), (_, given) in zip(found, pairs, strict=True))


def test_no_more_frames_are_held_than_both_look_ahead() -> None:
    taken = 0

    def source() -> object:
        nonlocal taken
        for item in shown(20):
            taken += 1
            yield item, Matte(SUBJECT)

    steady: Callable[..., object] = smooth.create_smoother("lookahead", window=3, persistence=FRAMES)
    for given, _ in enumerate(steady(source()), start=1):  # type: ignore[arg-type, var-annotated]
        assert taken - given <= 6


def test_a_tiny_matte_is_no_trouble() -> None:
    pairs = [(item, Matte(np.full((9, 16), 0.9, np.float32))) for item in shown(6)]
    found = list(smooth.create_smoother("lookahead", persistence=FRAMES)(iter(pairs)))
    assert [matte.alpha.shape for _, matte in found] == [(9, 16)] * 6


@pytest.mark.parametrize(("options", "network", "wanted"), [
    ({}, True, smooth.PERSISTENCE), ({}, False, 0), ({"smooth": "none"}, True, 0), ({"persistence": 0}, True, 0),
    ({"persistence": 3}, False, 3), ({"smooth": "none", "persistence": 3}, False, 3)])
def test_how_long_things_must_last_goes_by_the_options_and_the_method(
        options: dict[str, object], network: bool, wanted: int) -> None:
    assert smooth.frames_to_last(Options(**options), network=network) == wanted  # type: ignore[arg-type]


def test_a_negative_number_of_frames_is_refused() -> None:
    with pytest.raises(OptionError, match="persistence is -1; allowed is at least 0"):
        smooth.create_smoother("flow", persistence=-1)


def test_the_size_of_the_test_mattes_is_that_of_the_pictures() -> None:
    assert SUBJECT.shape == SIZE
