"""Inputs that the system will not let be read: a SourceError each, so that the other inputs go on."""

from __future__ import annotations

import errno
import gc
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from streamseg.errors import DamagedInputError, SourceError
from streamseg.options import Options
from streamseg.source import open_source
from tests import clips, stills
from tests.media.source_tools import read

AS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0
DENIED = PermissionError(errno.EACCES, "Permission denied")
ENDLESS = "a" * 300


def raising(error: OSError) -> Any:
    def call(*_: Any, **__: Any) -> Any:
        raise error
    return call


@pytest.mark.parametrize("name", [f"{ENDLESS}.mp4", f"{ENDLESS}.jpg", f"{ENDLESS}/a.mp4",
                                  f"{ENDLESS}_%03d.png", f"{ENDLESS}/%03d.png"])
def test_a_name_that_the_system_refuses_is_no_defect(tmp_path: Path, name: str) -> None:
    with pytest.raises(SourceError, match=r"File name too long|as a pattern|no file is named as"):
        open_source(tmp_path / name)
    with pytest.raises(SourceError, match=r"File name too long|as a pattern|no file is named as"):
        open_source(f"file://{tmp_path}/{name}")


def test_a_picture_that_ffmpeg_only_recognises_is_refused_with_its_remedy(tmp_path: Path) -> None:
    drawing = tmp_path / "logo.svg"
    drawing.write_text('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="5"/></svg>')
    for spec in (drawing, f"file://{drawing}", drawing.read_bytes()):
        with pytest.raises(SourceError, match=r"no decoder for svg pictures; convert it to PNG"):
            open_source(spec)


def test_of_several_inputs_the_others_are_done(tmp_path: Path) -> None:
    good = stills.image(tmp_path / "good.png")
    command = [sys.executable, "-m", "streamseg", "run", str(tmp_path / f"{ENDLESS}.mp4"), str(good), "-o",
               f"{tmp_path}/out/", "--method", "threshold", "--threads", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "File name too long" in done.stderr
    assert "internal error" not in done.stderr
    assert [item.name for item in (tmp_path / "out").iterdir()] == ["good.png"]


@pytest.mark.skipif(AS_ROOT, reason="root may read everything")
@pytest.mark.parametrize("name", ["a.mp4", "a.png", "folder"])
def test_what_may_not_be_read_says_so(tmp_path: Path, name: str) -> None:
    path = {"a.mp4": clips.video, "a.png": stills.image, "folder": stills.folder}[name](tmp_path / name)
    path.chmod(0)
    try:
        with pytest.raises(SourceError, match=f"{name} cannot be read: permission denied"):
            open_source(path)
    finally:
        path.chmod(0o700)


def test_a_file_that_does_not_open_leaves_the_word_to_ffmpeg(tmp_path: Path,
                                                             monkeypatch: pytest.MonkeyPatch) -> None:
    """Python may not open it and FFmpeg may: nothing but a SourceError may come of such a thing."""
    path = stills.image(tmp_path / "a.png", 3)
    monkeypatch.setattr(Path, "open", raising(DENIED))
    _, (frame,) = read(path)
    assert clips.read_index(frame.rgb()) == 3


@pytest.mark.parametrize("spec", ["folder", "folder/%d.png"])
def test_a_folder_that_cannot_be_listed_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                spec: str) -> None:
    stills.folder(tmp_path / "folder", ["1.png"])
    monkeypatch.setattr(Path, "iterdir", raising(DENIED))
    with pytest.raises(SourceError, match=r"the folder .*folder cannot be read: Permission denied"):
        open_source(tmp_path / spec)


def test_one_unreadable_picture_of_a_folder_is_skipped_or_stops(tmp_path: Path,
                                                                monkeypatch: pytest.MonkeyPatch) -> None:
    path = stills.folder(tmp_path / "folder", ["a.png", "b.png"])
    access = os.access
    monkeypatch.setattr(os, "access", lambda item, mode: access(item, mode) and Path(item).name != "b.png")
    with pytest.raises(SourceError, match=r"b\.png cannot be read: permission denied; --on-error skip"):
        read(path)
    source, frames = read(path, on_error="skip")
    assert [frame.name for frame in frames] == ["a.png"]
    assert source.damaged == 1


# --- named pipes ---

def held(path: Path) -> int:
    """How many descriptors of this process are open on ``path``."""
    count = 0
    for item in os.listdir("/proc/self/fd"):
        try:
            count += os.readlink(f"/proc/self/fd/{item}") == str(path)
        except FileNotFoundError:  # the listing's own
            continue
    return count


def feed(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except BrokenPipeError:  # the reader has seen enough
        return


def writer(path: Path, data: bytes) -> threading.Thread:
    thread = threading.Thread(target=feed, args=(path, data))
    thread.start()
    return thread


needs_proc = pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts descriptors in /proc")


@needs_proc
@pytest.mark.parametrize("frames", [20, 2])
def test_a_named_pipe_is_closed_at_its_end_and_when_left_early(tmp_path: Path, frames: int) -> None:
    data = clips.video(tmp_path / "a.y4m", frames=20, size=(320, 240)).read_bytes()
    path = (tmp_path / "fifo.y4m").resolve()
    os.mkfifo(path)
    feeder = writer(path, data)
    source = open_source(path)
    found = [clips.read_index(frame.rgb()) for frame, _ in zip(source, range(frames), strict=False)]
    if frames == 20:
        assert next(iter(source), None) is None
        assert held(path) == 0  # whoever still holds the source
    source.close()
    del source
    gc.collect()
    feeder.join()
    assert found == list(range(frames))
    assert held(path) == 0


@needs_proc
@pytest.mark.parametrize("data", [b"", b"hello\n" * 3000, None])  # None: nobody writes
def test_a_named_pipe_with_nothing_of_use_is_closed(tmp_path: Path, data: bytes | None) -> None:
    path = (tmp_path / "fifo.mkv").resolve()
    os.mkfifo(path)
    feeder = None if data is None else writer(path, data)
    with pytest.raises(SourceError) as caught:
        open_source(path, Options(timeout=0.3 if data is None else 5))
    assert held(path) == 0, caught  # ``caught`` keeps all that the error refers to
    if feeder is not None:
        feeder.join()


def test_what_ffmpeg_does_not_read_yet_is_not_called_damaged(tmp_path: Path) -> None:
    Image.new("LAB", (32, 24), (120, 130, 140)).save(tmp_path / "lab.tif")
    with pytest.raises(SourceError, match=r"lab\.tif is written in a way that FFmpeg does not read yet") as caught:
        open_source(tmp_path / "lab.tif")
    assert not isinstance(caught.value, DamagedInputError)


def test_an_empty_folder_is_called_so(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="has no file in it"):
        open_source(tmp_path)
