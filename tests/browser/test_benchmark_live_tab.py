"""The live tab's benchmark runs, and what it measures is there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow


def test_the_live_tab_is_measured(driver: Any, tmp_path: Path) -> None:
    """``driver`` skips where there is no browser."""
    pytest.importorskip("aiortc", reason="the extra [serve] is not installed")
    from benchmarks.live_tab import main

    driver.get("about:blank")
    main(["--quick", "--out", str(tmp_path)])
    result = json.loads((tmp_path / "live_tab.json").read_text())["live tab"]
    assert result["size"] == [320, 180]
    assert result["turns"] > 0
    assert result["fps"] > 0
    assert 0 < result["glass_to_glass_ms"]["p50"] <= result["glass_to_glass_ms"]["p95"]
    stages = result["stages_ms"]
    assert min(stages[name] for name in ("browser_encodes", "browser_buffers", "browser_decodes")) > 0
    assert stages["paced"] >= 0
    assert "ms" in stages["server"]
