"""An encoder leaves threads as the system scheduled them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from streamseg import api
from streamseg.core.scheduling import real_time_threads, scheduling_kept
from streamseg.sink.capability.trial import trial
from streamseg.tools.doctor import software
from tests import clips

FRAMES = 60
pytestmark = pytest.mark.skipif(not hasattr(os, "sched_setscheduler") or os.geteuid() != 0,
                                reason="only root may have a real-time thread, and Linux tell of it")


def test_av1_makes_no_real_time_thread(tmp_path: Path) -> None:
    """Not of the thread that opens it, nor of its own."""
    seen: list[set[int]] = []

    def pictures() -> Iterator[np.ndarray]:
        for number in range(FRAMES):  # more than the queues hold: the encoder is open before the last
            seen.append(real_time_threads())
            yield clips.picture(number)

    api.run(pictures(), tmp_path / "out.mkv", codec="libsvtav1", method="threshold", background="blue")
    assert len(seen) == FRAMES
    assert seen[-1] == real_time_threads() == set()


@pytest.mark.parametrize("use", [lambda: trial("matroska", "libsvtav1", "yuv420p"),
                                 lambda: software._round_trip("libsvtav1", "yuv420p")], ids=["capability", "doctor"])
def test_trials_of_av1_make_none(use: Callable[[], object]) -> None:
    use()
    assert real_time_threads() == set()


def test_a_policy_that_a_block_changes_is_given_back() -> None:
    with scheduling_kept():
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(3))
        assert len(real_time_threads()) == 1
    assert real_time_threads() == set()
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


def test_a_real_time_thread_of_the_programs_own_stays_one() -> None:
    os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(3))
    try:
        with scheduling_kept():
            pass
        assert os.sched_getscheduler(0) == os.SCHED_RR
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
