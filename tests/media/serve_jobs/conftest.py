"""What the tests of jobs share: a server, and a film."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import clips, serve_tools
from tests.serve_tools import Client


@pytest.fixture(scope="package")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with serve_tools.running(tmp_path_factory.mktemp("serve"), ready=False) as client:
        yield client


@pytest.fixture(scope="package")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clips.video(tmp_path_factory.mktemp("films") / "film.mp4", frames=12)
