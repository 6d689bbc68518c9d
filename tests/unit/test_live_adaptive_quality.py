"""Quality in steps: down under load, up again, without to and fro."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest

from streamseg.live.adaptive_quality import LADDER, SECONDS_LOW, AdaptiveQuality, Load

GOOD = Load(30, 0, 0.5, 0.3)
LOST = Load(30, 6, 1.2, 0.9)
LATE = Load(30, 0, 3.0, 0.9)


def places(adaptive: AdaptiveQuality, loads: list[Load]) -> list[int]:
    return [LADDER.index(adaptive.observe(load)) for load in loads]


@pytest.mark.parametrize("bad", [LOST, LATE], ids=["lost", "late"])
def test_two_bad_seconds_lower_the_quality_by_a_step_and_one_does_not(bad: Load) -> None:
    assert places(AdaptiveQuality(), [bad, GOOD, bad, GOOD]) == [0, 0, 0, 0]
    assert places(AdaptiveQuality(), [bad] * 6) == [0, 1, 1, 2, 2, 3]


def test_quality_goes_down_before_the_rate_does() -> None:
    every = [step.every for step in LADDER]
    divisors = [step.divisor for step in LADDER]
    assert divisors == sorted(divisors)
    assert every[:5] == [1, 2, 2, 3, 4]
    assert [step.reduced for step in LADDER[:5]] == [False, False, True, True, True]
    assert all(divisor == 1 for divisor in divisors[:5])
    assert places(AdaptiveQuality(), [LOST] * 40)[-1] == len(LADDER) - 1


def test_quality_comes_back_when_the_load_is_gone() -> None:
    adaptive = AdaptiveQuality()
    assert places(adaptive, [LOST] * 4)[-1] == 2
    assert places(adaptive, [GOOD] * 30)[-1] == 0


def simulated(machine: Callable[[int, int], Load], seconds: int, adaptive: AdaptiveQuality) -> list[int]:
    """The places of a machine whose load follows from the place and the second."""
    found, place = [], 0
    for second in range(seconds):
        place = LADDER.index(adaptive.observe(machine(place, second)))
        found.append(place)
    return found


def test_at_the_edge_of_what_the_machine_can_do_it_does_not_swing() -> None:
    """Step 1 is fine and step 0 is not: a adaptive without memory would go up and down every 7 seconds."""
    found = simulated(lambda place, second: GOOD if place >= 1 else LOST, 600, AdaptiveQuality())
    moves = sum(one != other for one, other in pairwise(found))
    assert found.count(1) > 540
    assert moves <= 24


def test_a_limit_of_the_cpu_is_held_and_used() -> None:
    def machine(place: int, second: int) -> Load:
        busy = 0.30 if second > 100 else 0.0  # another part of the work grows
        return Load(30, 0, 0.5, busy + 0.45 / LADDER[place].every / LADDER[place].divisor)

    found = simulated(machine, 300, AdaptiveQuality(max_cpu=0.5))
    assert set(found[20:95]) == {0}
    late = [machine(place, 200).cpu for place in found[110:]]
    assert sum(cpu > 0.5 for cpu in late) < 0.1 * len(late)
    assert max(found[110:]) <= 3


def test_without_a_limit_a_busy_machine_that_keeps_up_is_left_alone() -> None:
    assert places(AdaptiveQuality(), [Load(30, 0, 0.9, 1.0)] * 20) == [0] * 20


def advised(adaptive: AdaptiveQuality, loads: list[Load]) -> list[tuple[int, str]]:
    """(second, advice) wherever there is one."""
    found = []
    for second, load in enumerate(loads):
        adaptive.observe(load)
        if advice := adaptive.advice():
            found.append((second, advice))
    return found


def test_after_long_at_a_lower_quality_it_is_said_once_what_helps() -> None:
    told = advised(AdaptiveQuality(), [LOST] * 200)
    assert [second for second, _ in told] == [SECONDS_LOW + 1]  # two bad seconds come before
    assert "a smaller --size" in told[0][1]
    hot = advised(AdaptiveQuality(max_cpu=0.5), [Load(30, 0, 0.5, 0.8)] * 200)
    assert len(hot) == 1
    assert "--max-cpu 50%" in hot[0][1]
    assert "a smaller --size" in advised(AdaptiveQuality(max_cpu=0.95), [LOST] * 60)[0][1]


def test_a_short_time_at_a_lower_quality_is_not_spoken_of() -> None:
    spell = [LOST] * 4 + [GOOD] * 30  # lowered for some 14 seconds
    assert advised(AdaptiveQuality(), spell * 6) == []
    assert advised(AdaptiveQuality(), [GOOD] * 300) == []


def test_tries_of_full_quality_do_not_begin_the_count_anew() -> None:
    adaptive, found, place = AdaptiveQuality(), [], 0
    for _ in range(120):
        place = LADDER.index(adaptive.observe(GOOD if place >= 1 else LOST))
        found.append(adaptive.advice())
    assert sum(advice is not None for advice in found) == 1
