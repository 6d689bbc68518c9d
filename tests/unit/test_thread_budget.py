"""One budget of threads for all pools."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import streamseg
from streamseg.core.thread_budget import Threads, cores


def test_each_pool_gets_its_share() -> None:
    assert Threads.of(8) == Threads(decode=4, net=4, opencv=2, encode=8)


def test_every_pool_has_a_thread_however_small_the_budget() -> None:
    assert Threads.of(1) == Threads(decode=1, net=1, opencv=1, encode=1)


def test_the_default_is_the_cores_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 3, 5, 6, 7, 9}, raising=False)
    assert cores() == 6
    assert Threads.of(None).encode == 6


@pytest.mark.parametrize(("budget", "said"), [(2, "1 thread"), (6, "3 threads")])
def test_the_report_says_what_the_model_runs_on(tmp_path: Path, budget: int, said: str) -> None:
    picture = np.full((96, 160, 3), 90, np.uint8)
    report = streamseg.run([picture], tmp_path / "x.mp4", threads=budget)
    assert report.runs_on == f"LiteRT (CPU, {said} for the net)"
