"""The cluster's benchmark runs in its tiny form, and what it measures is there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


def test_batches_and_workers_are_measured(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="the extra [cluster] is not installed")
    from benchmarks.cluster import main

    main(["--quick", "--only", "ledger", "messages", "--out", str(tmp_path)])
    result = json.loads((tmp_path / "cluster.json").read_text())
    assert result["ledger"]["planned_a_second"] > 0
    assert result["messages"]["tasks_a_second"] > 0
    assert result["messages"]["bytes_of_a_task"] > 100
