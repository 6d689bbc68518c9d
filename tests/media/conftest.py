"""Clips that several modules only read, and so are written once; a module with other needs makes its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import clips


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half a second."""
    return clips.video(tmp_path_factory.mktemp("clips") / "clip.mp4", frames=12)


@pytest.fixture(scope="session")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A minute, so that a test that plays it in real time is over before it is."""
    return clips.video(tmp_path_factory.mktemp("clips") / "long.mp4", frames=1500)
