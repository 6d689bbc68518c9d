"""Strokes: their JSON, how they go with the motion both ways until a cut, and what they do to a matte."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamseg.core.frames import Frame, Matte
from streamseg.errors import OptionError
from streamseg.source.arrays import frame_of
from streamseg.strokes import Stroke, carried_through, strokes_of

SIZE = (180, 320)  # rows, columns
SIDE, STEP = 48, 4  # of the thing that moves, and how far it goes each frame
RATE = Fraction(1, 25)
KEEP = Stroke("keep", ((0.5, 0.5),), 0.06, time=0.4)  # frame 10


def texture(seed: int, size: tuple[int, int]) -> np.ndarray:
    """Soft noise: something for the flow to hold on to."""
    small = np.random.default_rng(seed).integers(60, 200, (size[0] // 6 + 1, size[1] // 6 + 1, 3))
    return np.kron(small, np.ones((6, 6, 1)))[:size[0], :size[1]].astype(np.uint8)


THING = texture(1, (SIDE, SIDE))
THING[..., 0] = 250  # red


def place(index: int) -> tuple[int, int]:
    """Top and left of the thing in a frame: in the middle in frame 10."""
    return (SIZE[0] - SIDE) // 2, (SIZE[1] - SIDE) // 2 + STEP * (index - 10)


def shot(index: int, seed: int = 2) -> np.ndarray:
    picture = texture(seed, SIZE)
    picture[..., 0] //= 3
    top, left = place(index)
    picture[top:top + SIDE, left:left + SIDE] = THING
    return picture


def frames(count: int, content: Callable[[int], np.ndarray] = shot) -> list[Frame]:
    return [frame_of(content(index), index, RATE) for index in range(count)]


def centre(alpha: np.ndarray) -> tuple[float, float]:
    """Column and row of the middle of a matte, as shares."""
    rows, columns = np.indices(alpha.shape)
    weight = alpha.sum()
    return (float(((columns + 0.5) * alpha).sum() / weight / alpha.shape[1]),
            float(((rows + 0.5) * alpha).sum() / weight / alpha.shape[0]))


def mattes(shown: list[Frame], strokes: list[Stroke], value: float = 0.0) -> list[np.ndarray]:
    empty = [(frame, Matte(np.full((90, 160), value, np.float32))) for frame in shown]
    return [matte.alpha for _, matte in carried_through(shown, strokes).painted(empty)]


def test_a_stroke_goes_with_what_it_was_drawn_on_both_ways() -> None:
    found = mattes(frames(21), [KEEP])
    for index, alpha in enumerate(found):
        left = place(index)[1]
        x, y = centre(alpha)
        assert abs(x * SIZE[1] - (left + SIDE / 2)) < 6, index
        assert abs(y - 0.5) < 0.03
        assert alpha.max() == 1
    assert place(20)[1] - place(0)[1] == 80  # which a stroke that stays would miss by far


def test_a_stroke_stays_where_nothing_moves() -> None:
    found = mattes(frames(5, lambda index: shot(10)), [Stroke("keep", ((0.2, 0.3),), 0.05, time=0.08)])
    assert all(np.allclose(alpha, found[2], atol=1e-3) for alpha in found)


def test_a_stroke_ends_at_the_cuts_on_both_sides() -> None:
    def film(index: int) -> np.ndarray:
        return shot(index, seed=2) if 6 <= index < 14 else np.full((*SIZE, 3), 255 - 20 * (index > 9), np.uint8)

    found = mattes(frames(20, film), [KEEP])
    assert [bool(alpha.any()) for alpha in found] == [6 <= index < 14 for index in range(20)]


def test_a_stroke_ends_where_it_leaves_the_picture() -> None:
    def pan(index: int) -> np.ndarray:
        return texture(5, (SIZE[0], 600))[:, 5 * index:5 * index + SIZE[1]]

    found = mattes(frames(45, pan), [Stroke("keep", ((0.5, 0.5),), 0.03)])
    assert abs(centre(found[25])[0] * SIZE[1] - 35) < 6
    assert not found[42].any()


def test_that_takes_away_and_the_last_stroke_holds() -> None:
    drop = Stroke("drop", ((0.5, 0.5),), 0.05, time=0.4)
    shown = frames(12)
    assert mattes(shown, [drop], 1.0)[10][45, 80] == 0
    assert mattes(shown, [drop], 1.0)[10][5, 5] == 1
    assert mattes(shown, [KEEP, drop])[10][45, 80] == 0
    assert mattes(shown, [drop, KEEP])[10][45, 80] == 1


def test_with_edges_a_stroke_takes_the_colours_that_it_went_over() -> None:
    """A brush far larger than the thing takes the thing alone, in frames that it was not drawn on too."""
    def plain(index: int) -> np.ndarray:
        picture = np.full((*SIZE, 3), (20, 60, 40), np.uint8)
        top, left = place(index)
        picture[top:top + SIDE, left:left + SIDE] = (220, 40, 40)
        return picture

    thick = Stroke("keep", ((0.5, 0.5), (0.51, 0.5)), 0.2, time=0.4, edges=True)
    core = 0.35 * 0.2 * SIZE[1]  # what the pointer went over, always
    assert core < SIDE / 2
    for index in (8, 10, 12):
        alpha = mattes(frames(14, plain), [thick])[index]
        top, left = (side // 2 for side in place(index))
        inside = np.zeros(alpha.shape, bool)
        inside[top:top + SIDE // 2, left:left + SIDE // 2] = True
        assert (alpha[inside] > 0.5).mean() > 0.95
        assert (alpha[~inside] > 0.5).mean() < 0.02


def test_with_a_start_the_strokes_times_are_still_the_films() -> None:
    shown = frames(21)
    carried = carried_through(shown, [KEEP])
    later = [frame_of(shot(index), index - 15, RATE) for index in range(15, 21)]
    pairs = [(frame, Matte(np.zeros((90, 160), np.float32))) for frame in later]
    for index, (_, matte) in enumerate(carried.painted(pairs, Fraction(15, 25)), 15):
        assert abs(centre(matte.alpha)[0] * SIZE[1] - (place(index)[1] + SIDE / 2)) < 6


def test_no_more_is_read_than_concerns_a_stroke() -> None:
    seen = []

    def reading() -> Any:
        for frame in frames(20, lambda index: shot(index) if index < 14 else np.full((*SIZE, 3), 255, np.uint8)):
            seen.append(frame)
            yield frame

    carried_through(reading(), [KEEP])
    assert len(seen) == 15


def test_a_stroke_behind_the_end_is_an_error_that_says_where_the_end_is() -> None:
    with pytest.raises(OptionError, match=r"time 9, and the film's last frame is at 0\.16 s"):
        carried_through(frames(5), [Stroke("keep", ((0.5, 0.5),), 0.05, time=9)])


GOOD = {"kind": "drop", "points": [[0.1, 0.2], [0.3, 0.4]], "radius": 0.02, "time": 1.5, "edges": True}


def test_json_says_the_same_as_text_and_as_a_file(tmp_path: Path) -> None:
    wanted = (Stroke("drop", ((0.1, 0.2), (0.3, 0.4)), 0.02, 1.5, True),)
    assert strokes_of(json.dumps([GOOD])) == wanted
    path = tmp_path / "strokes.json"
    path.write_text(json.dumps([GOOD]))
    assert strokes_of(str(path)) == wanted


@pytest.mark.parametrize(("change", "told"), [
    ({"kind": "add"}, "kind is 'add'"), ({"points": []}, "points must be"), ({"points": [[0.1, 2]]}, "points must be"),
    ({"points": [[0.1]]}, "points must be"), ({"points": [[True, 0]]}, "points must be"),
    ({"radius": 0}, "radius is 0"), ({"radius": "x"}, "radius is"), ({"radius": float("nan")}, "radius is"),
    ({"time": -1}, "time is -1"), ({"edges": 1}, "edges is 1"), ({"colour": 1}, "nothing else")], ids=str)
def test_what_is_no_stroke_is_refused_by_name(change: dict[str, Any], told: str) -> None:
    with pytest.raises(OptionError, match="number 2") as caught:
        strokes_of(json.dumps([GOOD, {**GOOD, **change}]))
    assert told in str(caught.value)


@pytest.mark.parametrize("text", ["[", "[]", "[1]", "[{}]", "[[]]", "/nothing/there.json", "", "{}", "[" * 100_000,
                                  json.dumps([GOOD] * 51), "a\0b"])
def test_what_is_no_list_of_strokes_is_refused(text: str) -> None:
    with pytest.raises(OptionError):
        strokes_of(text)
