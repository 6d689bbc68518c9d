"""An encoder leaves the thread that opens it as the system scheduled it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from streamseg import api
from streamseg.core.scheduling import scheduling_kept
from tests import clips

pytestmark = pytest.mark.skipif(not hasattr(os, "sched_setscheduler") or os.geteuid() != 0,
                                reason="only root may have a real-time thread, and Linux tell of it")


def test_av1_leaves_no_real_time_thread_behind(tmp_path: Path) -> None:
    before = os.sched_getscheduler(0)
    clips.video(tmp_path / "in.mp4", frames=8)
    api.run(tmp_path / "in.mp4", tmp_path / "out.mkv", codec="libsvtav1", method="threshold", background="blue")
    assert os.sched_getscheduler(0) == before


def test_a_policy_that_a_block_changes_is_given_back() -> None:
    before = os.sched_getscheduler(0)
    with scheduling_kept():
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        assert os.sched_getscheduler(0) == os.SCHED_BATCH
    assert os.sched_getscheduler(0) == before
