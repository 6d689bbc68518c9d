"""Pictures in tiles: the whole picture, wherever it comes from, or an error."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, features

import streamseg
from streamseg.errors import MissingDependencyError, SourceError
from tests import clips, stills
from tests.tiles import tiled

from .source_tools import read

SIZE = (256, 192)  # in tiles of 128 x 96


def grid(path: Path, **more: Any) -> Path:
    if path.suffix == ".heic":
        pytest.importorskip("pi_heif", reason="libheif is not installed: pip install '.[heif]'")
    elif not features.check("avif"):
        pytest.skip("this Pillow reads no AVIF")
    return tiled(path, clips.picture(0, SIZE), 2, 2, **more)


@pytest.mark.parametrize("name", ["a.heic", "a.avif"])
def test_the_whole_picture_is_read(tmp_path: Path, name: str) -> None:
    source, (frame,) = read(grid(tmp_path / name))
    assert (source.info.width, source.info.height, source.info.stills) == (*SIZE, True)
    assert np.abs(frame.rgb().astype(int) - clips.picture(0, SIZE)).mean() < 6
    report = streamseg.run(tmp_path / name, tmp_path / "o.png", method="threshold")
    assert report.frames == 1
    with Image.open(tmp_path / "o.png") as out:
        assert out.size == SIZE


@pytest.mark.parametrize("name", ["a.heic", "a.avif"])
@pytest.mark.parametrize("turn", [0, 1, 2, 3])
def test_it_is_upright_whatever_lies_beside_it(tmp_path: Path, name: str, turn: int) -> None:
    """A telephone's picture: turned by 'irot', with a thumbnail that is no tile."""
    source, (frame,) = read(grid(tmp_path / name, turn=turn, thumbnail=True))
    upright = np.rot90(clips.picture(0, SIZE), turn)  # counter-clockwise, as ISO 23008-12, 6.5.10
    assert (source.info.stills, frame.rgb().shape, source.notes) == (True, upright.shape, [])
    assert np.abs(frame.rgb().astype(int) - upright).mean() < 6


def test_one_among_other_pictures_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    stills.image(tmp_path / "in" / "a.png")
    grid(tmp_path / "in" / "b.avif")
    _, frames = read(tmp_path / "in")
    assert [(frame.width, frame.height) for frame in frames] == [clips.SIZE, SIZE]


def test_without_a_decoder_the_error_says_what_to_install(tmp_path: Path, monkeypatch: Any) -> None:
    path = grid(tmp_path / "a.heic")
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    with pytest.raises(MissingDependencyError, match=r"needs libheif: pip install 'streamseg\[heif\]'"):
        read(path)


def test_a_file_object_is_refused_and_a_cut_one_is_damaged(tmp_path: Path) -> None:
    path = grid(tmp_path / "a.avif")
    with path.open("rb") as file, pytest.raises(SourceError, match="a picture in tiles: give it as a file"):
        read(file)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(SourceError, match=r"cut off|does not decode|cannot be read"):
        read(path)
