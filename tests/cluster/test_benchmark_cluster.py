"""The cluster's benchmark runs in its tiny form, and what it measures is there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]  # Ray starts five times


def test_batches_and_workers_are_measured(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="the extra [cluster] is not installed")
    from benchmarks.cluster import main

    main(["--quick", "--only", "ledger", "messages", "--out", str(tmp_path)])
    result = json.loads((tmp_path / "cluster.json").read_text())
    assert result["ledger"]["planned_a_second"] > 0
    assert result["messages"]["tasks_a_second"] > 0
    assert result["messages"]["bytes_of_a_task"] > 100


def test_overlap_workers_and_parts_are_measured_and_drawn(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="the extra [cluster] is not installed")
    from benchmarks.cluster import main, tables

    main(["--quick", "--only", "loop", "workers", "split", "--out", str(tmp_path)])
    result = json.loads((tmp_path / "cluster.json").read_text())
    rows = {about: (measured, must) for about, measured, must in tables(result)["cluster"].rows}
    assert rows["two workers against one, 2 short clips, each worker one thread"][1] == ">= 1.8"
    assert rows["`batch` against `run` in a loop, 3 pictures"][1] == ">= 1.5"
    assert rows["of which joining takes"][1] == "< 0.02"
    assert [about for about, (measured, _) in rows.items() if measured == "not measured"] == [
        "memory of the driver over 100,000 list rows, MiB", "rows planned a second", "ends written a second",
        "tasks through one driver a second"]
    assert result["split"]["parts"] == 8
    assert 0 < result["split"]["joining_share"]["median"] < 1
    with (tmp_path / "cluster.png").open("rb") as picture:
        assert picture.read(8) == b"\x89PNG\r\n\x1a\n"
