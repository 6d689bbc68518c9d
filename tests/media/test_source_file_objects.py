"""File objects as input: opened by the caller, read here, and never closed."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import streamseg
from streamseg.errors import DamagedInputError, SourceError
from streamseg.source import open_source
from tests import clips, stills

from .source_tools import read


class OneWay:
    """A response or a socket: bytes come once, in pieces of at most ``most``."""

    def __init__(self, data: bytes, most: int = 1 << 20, fail_at: int | None = None) -> None:
        self._data, self._most, self._fail_at = io.BytesIO(data), most, fail_at
        self.closed = False

    def read(self, size: int = -1) -> bytes:
        if self._fail_at is not None and self._data.tell() >= self._fail_at:
            raise ConnectionResetError("the other side went away")
        return self._data.read(min(size, self._most) if size >= 0 else -1)

    def close(self) -> None:
        self.closed = True


def same_frames(one: Any, other: Any) -> bool:
    return len(one) == len(other) and all(
        (a.planes[0] == b.planes[0]).all() and a.time == b.time for a, b in zip(one, other, strict=True))


@pytest.fixture(scope="module")
def movie(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clips.video(tmp_path_factory.mktemp("films") / "a.mkv", frames=40, audio=True)


@pytest.mark.parametrize("kind", ["file", "BytesIO", "at its end", "one way", "one way in small pieces"])
def test_a_file_object_gives_the_frames_and_tracks_of_the_file(movie: Path, kind: str) -> None:
    data = movie.read_bytes()
    made: dict[str, Any] = {"BytesIO": io.BytesIO(data), "one way": OneWay(data),
                            "one way in small pieces": OneWay(data, 700), "at its end": io.BytesIO(data)}
    made["at its end"].seek(0, io.SEEK_END)
    file = movie.open("rb") if kind == "file" else made[kind]
    source, frames = read(file)
    expected, truth = read(movie)
    assert same_frames(frames, truth)
    assert source.notes == expected.notes
    assert [track.kind for track in source.info.tracks] == [track.kind for track in expected.info.tracks]
    assert sum(len(frame.packets) for frame in frames) == sum(len(frame.packets) for frame in truth) > 0
    assert source.info.name == (str(movie) if kind == "file" else "the file object")
    assert not file.closed
    file.close()


@pytest.mark.parametrize("kind", [io.BytesIO, OneWay])
def test_start_and_duration_hold_for_a_file_object(movie: Path, kind: Any) -> None:
    _, frames = read(kind(movie.read_bytes()), start=0.8, duration=0.4)
    assert same_frames(frames, read(movie, start=0.8, duration=0.4)[1])
    assert len(frames) == 10


def test_a_file_object_whose_index_does_not_help_is_read_from_its_beginning(tmp_path: Path) -> None:
    """Seeking fails in a raw stream: the object is opened again."""
    raw = clips.video(tmp_path / "a.h264", frames=40, format="h264")
    _, frames = read(io.BytesIO(raw.read_bytes()), start=0.8)
    assert same_frames(frames, read(raw, start=0.8)[1])
    assert frames


def test_run_takes_a_file_object(movie: Path, tmp_path: Path) -> None:
    with movie.open("rb") as file:
        report = streamseg.run(file, tmp_path / "o.mp4", method="threshold", background="green")
        assert not file.closed
    assert report.frames == 40
    assert report.input == str(movie)
    assert len(clips.probed_pts(tmp_path / "o.mp4")) == 40


def test_a_temporary_file_is_a_file_object(movie: Path) -> None:
    with tempfile.SpooledTemporaryFile() as file:
        file.write(movie.read_bytes())
        assert len(read(file)[1]) == 40


@pytest.mark.parametrize(("make", "words"), [
    (lambda data: io.BytesIO(), "the file object is empty"), (lambda data: OneWay(b""), "the file object is empty"),
    (lambda data: io.StringIO("text"), "gives text, not bytes: open the file in binary mode"),
    (lambda data: io.BytesIO(b"no video " * 500), "the file object is not a video or a picture"),
    (lambda data: OneWay(data, fail_at=0), "cannot be read: ConnectionResetError: the other side went away")],
    ids=["empty", "empty one way", "text", "rubbish", "breaks"])
def test_what_cannot_be_read_is_said(movie: Path, make: Any, words: str) -> None:
    with pytest.raises(SourceError, match=words):
        open_source(make(movie.read_bytes()))


def test_a_closed_or_a_write_only_file_is_said(movie: Path, tmp_path: Path) -> None:
    closed = io.BytesIO(movie.read_bytes())
    closed.close()
    with pytest.raises(SourceError, match=r"cannot be read: .*closed file"):
        open_source(closed)
    with (tmp_path / "w").open("wb") as file, pytest.raises(SourceError, match="cannot be read"):
        open_source(file)


def test_a_connection_that_breaks_ends_the_run_with_its_error(movie: Path, tmp_path: Path) -> None:
    data = movie.read_bytes()
    with pytest.raises(SourceError, match="went away"):
        streamseg.run(OneWay(data, 4096, fail_at=len(data) // 2), tmp_path / "o.mp4", method="threshold")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", [io.BytesIO, OneWay])
def test_a_truncated_file_object_is_noticed(movie: Path, kind: Any) -> None:
    data = movie.read_bytes()[:-300]
    with pytest.raises(DamagedInputError, match="cut off"):
        read(kind(data))
    source, frames = read(kind(data), on_error="skip")
    assert source.damaged > 0
    assert 0 < len(frames) <= 40


def test_a_keyboard_interrupt_in_a_read_stays_one(movie: Path) -> None:
    class Interrupted(OneWay):
        def read(self, size: int = -1) -> bytes:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        open_source(Interrupted(movie.read_bytes()))


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp"])
def test_a_picture_in_a_file_object_is_one_still(tmp_path: Path, name: str) -> None:
    path = stills.image(tmp_path / name)
    source, frames = read(io.BytesIO(path.read_bytes()))
    assert (len(frames), source.info.stills) == (1, True)
    report = streamseg.run(io.BytesIO(path.read_bytes()), tmp_path / "o.png", method="threshold")
    assert report.frames == 1
    with Image.open(tmp_path / "o.png") as out:
        assert out.size == clips.SIZE


def test_an_iterator_of_arrays_is_still_one(tmp_path: Path) -> None:
    def pictures() -> Iterator[Any]:
        yield clips.picture(0)

    assert len(read(pictures())[1]) == 1
