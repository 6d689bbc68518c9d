"""The cluster's benchmark runs in its tiny form, and what it measures and counts is there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray", reason="the extra [cluster] is not installed")
from benchmarks.cluster import ROWS, main, tables

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]  # Ray starts seven times


def measured(folder: Path, *rows: str) -> dict[str, Any]:
    main(["--quick", "--only", *rows, "--out", str(folder)])
    found: dict[str, Any] = json.loads((folder / "cluster.json").read_text())
    return found


def test_rows_are_measured_one_by_one_and_put_together(tmp_path: Path) -> None:
    measured(tmp_path, "messages")
    result = measured(tmp_path, "ledger", "memory")
    rows = result["rows"]
    assert list(rows) == ["ledger", "messages", "memory"]
    assert "--only messages" in rows["messages"]["command"]
    assert rows["ledger"]["planned_a_second"] > 0
    assert rows["messages"]["tasks_a_second"] > 0
    assert rows["messages"]["bytes_of_a_task"] > 100
    assert rows["memory"]["peak_rss_mib"] > 20
    lines = {about: (told, wanted) for about, told, wanted, _ in tables(result)["cluster"].rows}
    assert lines["memory of the driver over 2,000 list rows, MiB"][1] == "<= 300 yes"
    assert {about for about, (told, _) in lines.items() if not told} == {
        f"{name}: not measured" for name in ROWS.keys() - rows.keys()}


def test_overlap_workers_and_parts_are_measured_and_drawn(tmp_path: Path) -> None:
    result = measured(tmp_path, "loop", "inside", "workers", "split")
    wanted = {about: wanted for about, _, wanted, _ in tables(result)["cluster"].rows}
    assert ">= 1.8" in wanted["two workers against one, 2 short clips, each worker one thread and held to a core: "
                              "times as fast"]
    assert ">= 1.5" in wanted["`batch` against `run` in a loop, 3 pictures: times as fast"]
    assert "<= 0.02" in wanted["of which joining takes"]
    assert result["rows"]["split"]["parts"] == 8
    assert result["rows"]["split"]["twice"] > 0
    assert all(point["cores"]["max"] < 1.1 * point["workers"] for point in result["rows"]["workers"]["points"])
    assert 0 < result["rows"]["split"]["joining_share"]["median"] < 1
    with (tmp_path / "cluster.png").open("rb") as picture:
        assert picture.read(8) == b"\x89PNG\r\n\x1a\n"


def test_what_is_lost_is_counted(tmp_path: Path) -> None:
    rows = measured(tmp_path, "kills", "driver", "broken")["rows"]
    assert (rows["kills"]["killed"], rows["kills"]["nodes_taken"]) == (2, 1)
    assert rows["kills"]["deaths"] >= 2
    assert rows["driver"]["killed_at"]["done"] == rows["driver"]["known"] >= 2
    assert rows["broken"]["counts"] == {"waiting": 0, "done": 19, "failed": 1}
    assert rows["broken"]["exit_code"] == 1
    assert [rows[name][count] for name, count in (
        ("kills", "not_once"), ("driver", "not_as_wanted"), ("driver", "done_again"), ("broken", "not_as_wanted"),
        ("broken", "done_again"), ("kills", "left"), ("driver", "left"), ("broken", "left"))] == 8 * [0]
