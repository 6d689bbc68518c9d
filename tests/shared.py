"""Where the pictures and models lie that are not part of the project: STREAMSEG_SHARED, else ../shared."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def shared_folder(*parts: str) -> Path:
    """A folder or file of the shared material; the test is skipped, with the reason, where it is absent."""
    place = Path(os.environ.get("STREAMSEG_SHARED") or ROOT.parent / "shared").joinpath(*parts)
    if not place.exists():
        pytest.skip(f"the shared material has no {'/'.join(parts)}: set STREAMSEG_SHARED to its folder")
    return place
