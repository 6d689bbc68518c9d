"""Where a net is in doubt another is asked, seldom, and what both agree on is kept through the shot."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pytest

from streamseg.core.frames import Frame, Matte
from streamseg.errors import OptionError
from streamseg.live.run import model_of
from streamseg.options import Options
from streamseg.segment import create_segmenter
from streamseg.segment.built_in import built_in
from streamseg.segment.person import Person
from streamseg.segment.second_look import GAP, SecondLook
from streamseg.source.arrays import frame_of
from tests.unit.model_tools import frames as pictures_of
from tests.unit.test_persistence import SUBJECT, blob, shown

Array = npt.NDArray[np.float32]
GREY = blob(230, radius=30, alpha=0.7)  # wide and undecided


class Asked:
    """Another model: ``answer`` for every frame; which frames it was asked about."""

    def __init__(self, answer: Array) -> None:
        self.answer, self.frames = answer, list[int]()

    def __call__(self, frame: Frame) -> Array:
        self.frames.append(frame.index)
        return self.answer


def corrected(asked: Callable[[Frame], Array], alphas: Sequence[Array], cut: int | None = None) -> list[Array]:
    look = SecondLook(asked)
    return [look(frame, Matte(alpha)).alpha for frame, alpha in zip(shown(len(alphas), cut), alphas, strict=True)]


def share(alpha: Array, part: Array) -> float:
    """Of ``part``, how much a matte has, its rim left out."""
    inner = part > 0.99 * part.max()
    return float(alpha[inner].mean())


def test_what_the_other_does_not_see_goes_and_stays_away_until_it_is_asked_again() -> None:
    asked = Asked(SUBJECT)
    found = corrected(asked, [np.maximum(SUBJECT, GREY)] * (GAP + 4))
    assert asked.frames == [0, GAP]
    assert max(share(alpha, GREY) for alpha in found) < 0.05
    assert min(share(alpha, SUBJECT) for alpha in found) > 0.99


def test_what_the_other_sees_too_stays() -> None:
    both = np.maximum(SUBJECT, GREY)
    found = corrected(Asked(np.maximum(SUBJECT, blob(230, radius=30))), [both] * 6)
    assert min(share(alpha, GREY) for alpha in found) > 0.69


def test_a_hole_in_the_subject_that_only_the_other_fills_is_filled() -> None:
    hole = SUBJECT - blob(90, radius=8, alpha=0.6)
    found = corrected(Asked(SUBJECT), [hole] * 3)
    assert share(hole, blob(90, radius=6)) < 0.5
    assert min(share(alpha, blob(90, radius=6)) for alpha in found) > 0.9


@pytest.mark.parametrize(("asked", "filled"), [(SUBJECT, True), (SUBJECT - blob(90, radius=14), False)])
def test_a_hole_of_which_the_model_is_sure_is_the_other_ones_to_judge(asked: Array, filled: bool) -> None:
    hole = np.clip(SUBJECT - blob(90, radius=12), 0, 1)
    found = corrected(Asked(np.clip(asked, 0, 1)), [hole] * 3)
    assert share(hole, blob(90, radius=8)) < 0.05
    assert all((share(alpha, blob(90, radius=8)) > 0.9) == filled for alpha in found)


def test_the_film_s_frames_count_and_not_those_that_the_model_sees() -> None:
    asked = Asked(SUBJECT)
    look = SecondLook(asked)
    for frame in shown(3 * GAP)[::8]:
        look(frame, Matte(np.maximum(SUBJECT, GREY)))
    assert asked.frames == [0, GAP, 2 * GAP]


def test_where_nothing_is_doubtful_nobody_is_asked_and_the_mattes_are_the_same() -> None:
    asked, look = Asked(np.zeros_like(SUBJECT)), SecondLook(lambda frame: asked(frame))
    for frame in shown(GAP + 2):
        matte = Matte(SUBJECT)
        assert look(frame, matte) is matte
    assert asked.frames == []


def test_after_a_cut_the_other_is_asked_anew() -> None:
    asked = Asked(SUBJECT)
    corrected(asked, [np.maximum(SUBJECT, GREY)] * 8, cut=5)
    assert asked.frames == [0, 5]


def test_another_size_of_matte_begins_afresh() -> None:
    asked, look = Asked(SUBJECT), SecondLook(lambda frame: asked(frame))
    first, second = shown(2)
    both = np.maximum(SUBJECT, GREY)
    look(first, Matte(both))
    smaller = look(second, Matte(np.ascontiguousarray(both[:, :240])))
    assert smaller.alpha.shape == both[:, :240].shape
    assert asked.frames == [0, 1]


def test_the_person_model_asks_the_large_one(monkeypatch: pytest.MonkeyPatch) -> None:
    person = Person(threads=1, second_look=True, roi=False)
    asked: list[int] = []
    monkeypatch.setattr(person, "_alphas", lambda frames, part=None: [np.full((192, 352), 0.5, "f")] * len(frames))
    large = person._by_large
    person._second = SecondLook(lambda frame: (asked.append(frame.index), large(frame))[1])
    picture = pictures_of(1, 90, 160)[0]
    [matte] = person.segment([frame_of(picture, 0, 1)])
    person.close()
    assert asked == [0]
    assert 0 <= matte.alpha.min() <= matte.alpha.max() <= 1
    assert matte.alpha.mean() < 0.5  # the large one finds nobody in the picture


@pytest.mark.parametrize("model", ["large", str(built_in(name="large"))])
def test_only_medium_has_a_larger_one_to_ask(model: str) -> None:
    with pytest.raises(OptionError, match="second_look"):
        Person(second_look=True, model=model)


@pytest.mark.parametrize(("given", "asked"), [
    ({}, True), ({"model": "medium", "detail": "medium"}, True), ({"detail": "low", "second_look": True}, True),
    ({"second_look": False}, False), ({"stills": True}, False), ({"detail": "low"}, False), ({"model": "large"}, False),
    ({"model": "small"}, False), ({"model": "both"}, False), ({"model": str(built_in(name="medium"))}, False),
])
def test_a_film_has_a_second_look_where_medium_sees_all_it_can(given: dict[str, object], asked: bool) -> None:
    person = create_segmenter("person", given, threads=1)
    assert isinstance(person, Person)
    assert (person._second is not None) == asked
    assert (person.session(stills=False)._second is not None) == (asked or "stills" in given)
    person.close()


def test_live_the_large_one_is_asked_too_but_not_while_the_net_is_reduced(monkeypatch: pytest.MonkeyPatch) -> None:
    person = model_of(Options())
    assert isinstance(person, Person)
    asked: list[int] = []
    monkeypatch.setattr(person, "_alphas", lambda frames, part=None: [GREY] * len(frames))
    person._second = SecondLook(lambda frame: (asked.append(frame.index), GREY)[1])
    for reduced in (True, False):
        person.reduce(reduced)
        person.segment(shown(3))
    person.close()
    assert asked == [0]
