"""What the tests of pictures share: a server, a photo of a person, and its cutout."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import streamseg
from tests import clips, serve_tools
from tests.serve_tools import Client, decoded, photo


@pytest.fixture(scope="package")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with serve_tools.running(tmp_path_factory.mktemp("serve")) as client:
        yield client


@pytest.fixture(scope="package")
def person(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return photo(tmp_path_factory.mktemp("photos") / "person.jpg")


@pytest.fixture(scope="package")
def truth(person: Path, tmp_path_factory: pytest.TempPathFactory) -> clips.Array:
    """What `run` makes of the photo: RGBA."""
    out = tmp_path_factory.mktemp("truth") / "cutout.png"
    streamseg.run(person, out)
    return decoded(out.read_bytes())
