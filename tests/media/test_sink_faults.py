"""Outputs appear whole or not at all: every failure leaves the folder as it was."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

import streamseg
from streamseg.errors import SinkError, SourceError
from streamseg.options import Options
from streamseg.sink import open_sink, verify
from streamseg.watch.watcher import Watcher

from .sink_tools import about, made, probe, write

TARGETS = [("o.mp4", "composite"), ("o.mkv", "matte"), ("o.webm", "cutout"), ("o.gif", "cutout"),
           ("o.webp", "composite"), ("f_%03d.png", "composite"), ("new/", "matte")]


def _frames(kind: str, count: int = 6) -> list[Any]:
    return made("gray" if kind == "matte" else "yuv420p", count, alpha=kind == "cutout")


def _content(folder: Path) -> dict[str, bytes | None]:
    return {str(item.relative_to(folder)): item.read_bytes() if item.is_file() else None
            for item in sorted(folder.rglob("*"))}


@pytest.mark.parametrize("name", ["loop.mp4", "loop.mp4/f_%03d.png", "~nobody-of-this-name/o.mp4",
                                  "~nobody-of-this-name/f_%03d.png"])
@pytest.mark.parametrize("further", [False, True])
def test_links_in_a_circle_and_unknown_home_folders_are_named(tmp_path: Path, name: str, further: bool,
                                                              monkeypatch: pytest.MonkeyPatch) -> None:
    """Path's own methods raise RuntimeError for both, which was called a defect of streamseg."""
    monkeypatch.chdir(tmp_path)
    Path("loop.mp4").symlink_to("loop.mp4")
    frames = [np.full((16, 24, 3), 90, np.uint8)] * 2
    outputs: dict[str, Any] = {"matte": name} if further else {}
    with pytest.raises(SinkError, match=r"Too many levels|does not exist; make it first"):
        streamseg.run(frames, "a.mkv" if further else name, method="threshold", overwrite=True, **outputs)
    with pytest.raises(SourceError, match=r"Too many levels"):
        streamseg.run("loop.mp4", "loop.mp4", method="threshold", overwrite=True)
    assert [item.name for item in tmp_path.iterdir()] == ["loop.mp4"]


def test_a_watched_folder_of_links_in_a_circle_is_named(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "in").mkdir()
    with pytest.raises(SourceError, match="Too many levels"):
        Watcher(tmp_path / "loop", tmp_path / "out")
    with pytest.raises(SinkError, match="Too many levels"):
        Watcher(tmp_path / "in", tmp_path / "loop")


@pytest.mark.parametrize(("target", "kind"), TARGETS)
@pytest.mark.parametrize("written", [0, 1, 3, 6])
def test_abort_at_any_moment_leaves_the_folder_as_it_was(tmp_path: Path, target: str, kind: str,
                                                         written: int) -> None:
    frames = _frames(kind)
    (tmp_path / "other.txt").write_text("untouched")
    if "." in target and "%" not in target:
        (tmp_path / target).write_bytes(b"the old one")
    before = _content(tmp_path)
    sink = open_sink(f"{tmp_path}/{target}", about(frames), kind=kind, options=Options(overwrite=True))
    for frame in frames[:written]:
        sink.write(frame)
    sink.abort()
    sink.abort()
    assert _content(tmp_path) == before


@pytest.mark.parametrize(("target", "kind"), TARGETS)
def test_nothing_lies_there_under_its_name_before_close(tmp_path: Path, target: str, kind: str) -> None:
    frames = _frames(kind)
    sink = open_sink(f"{tmp_path}/{target}", about(frames), kind=kind)
    for frame in frames:
        sink.write(frame)
    assert all(item.name.startswith(".") for item in tmp_path.iterdir())
    sink.close()
    assert not any(item.name.startswith(".") for item in tmp_path.rglob("*"))
    sink.close()
    sink.abort()
    assert any(tmp_path.iterdir())


@pytest.mark.parametrize(("target", "kind"), TARGETS)
def test_no_frame_at_all_is_an_error_and_leaves_nothing(tmp_path: Path, target: str, kind: str) -> None:
    sink = open_sink(f"{tmp_path}/{target}", about(_frames(kind)), kind=kind)
    with pytest.raises(SinkError, match="no frames"):
        sink.close()
    assert list(tmp_path.iterdir()) == []


def test_an_existing_target_is_refused_at_once_and_replaced_when_asked(tmp_path: Path) -> None:
    frames, target = _frames("composite"), tmp_path / "o.mp4"
    target.write_bytes(b"the old one")
    with pytest.raises(SinkError, match=r"o\.mp4 exists.*--overwrite"):
        open_sink(target, about(frames))
    assert target.read_bytes() == b"the old one"
    write(open_sink(target, about(frames), options=Options(overwrite=True)), frames)
    assert len(probe(target).packets[0]) == 6
    assert list(tmp_path.iterdir()) == [target]


def test_a_target_that_appears_in_the_meantime_is_not_replaced(tmp_path: Path) -> None:
    frames, target = _frames("composite"), tmp_path / "o.mp4"
    sink = open_sink(target, about(frames))
    target.write_bytes(b"somebody else's")
    with pytest.raises(SinkError, match="--overwrite"):
        write(sink, frames)
    assert _content(tmp_path) == {"o.mp4": b"somebody else's"}


@pytest.mark.parametrize(("target", "message"), [
    ("missing/o.mp4", "folder .*missing does not exist.*mkdir"), ("missing/o_%03d.png", "mkdir"),
    ("missing/new/", "mkdir"), ("pipe.mp4", "no ordinary file")])
def test_targets_that_cannot_be_made_are_refused_at_once(tmp_path: Path, target: str, message: str) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(SinkError, match=message):
        open_sink(f"{tmp_path}/{target}", about(_frames("composite")), options=Options(overwrite=True))


def test_a_link_is_followed_and_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "o.mp4").symlink_to(tmp_path / "real" / "video.mp4")
    frames = _frames("composite")
    write(open_sink(tmp_path / "o.mp4", about(frames)), frames)
    assert (tmp_path / "o.mp4").is_symlink()
    assert len(probe(tmp_path / "real" / "video.mp4").packets[0]) == 6


@pytest.mark.parametrize("moment", ["mux_one", "close"])
def test_no_space_from_the_muxer_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                          moment: str) -> None:
    real = av.open

    class Full:
        """An output container whose disk is full at ``moment``."""

        def __init__(self, container: Any) -> None:
            self._container = container

        def __getattr__(self, name: str) -> Any:
            if name == moment:
                raise av.error.OSError(errno.ENOSPC, "No space left on device")
            return getattr(self._container, name)

    monkeypatch.setattr("streamseg.sink.video.av.open", lambda *a, **k: Full(real(*a, **k))
                        if ".part" in str(a[0]) and len(a) > 1 else real(*a, **k))
    frames = _frames("composite", 60)
    with pytest.raises(SinkError, match="no space left"):
        write(sink := open_sink(tmp_path / "o.mp4", about(frames)), frames)
    sink.abort()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("target", "kind"), [
    ("o.mp4", "composite"), ("o.mkv", "matte"), ("o.webm", "cutout"), ("o.gif", "cutout"),
    ("o.webp", "composite"), ("o.apng", "cutout")])
@pytest.mark.parametrize("damage", ["cut", "empty", "other"])
def test_a_file_that_does_not_hold_what_was_written_is_thrown_away(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str, kind: str, damage: str) -> None:
    frames = _frames(kind)
    (tmp_path / "other").mkdir()
    shorter = write(open_sink(tmp_path / "other" / target, about(frames), kind=kind), frames[:4]).path

    def behind_its_back(path: Path, *rest: Any) -> None:
        data = path.read_bytes()
        path.write_bytes({"cut": data[:len(data) // 2], "empty": b"", "other": shorter.read_bytes()}[damage])
        verify.verify(path, *rest)

    monkeypatch.setattr("streamseg.sink.video.verify", behind_its_back)
    with pytest.raises(SinkError, match="read"):
        write(open_sink(tmp_path / target, about(frames), kind=kind), frames)
    assert [item.name for item in tmp_path.iterdir()] == ["other"]


def test_lost_transparency_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = _frames("cutout")
    sink = open_sink(tmp_path / "opaque.mkv", about(frames), options=Options(codec="ffv1"))
    opaque = write(sink, frames).path

    def behind_its_back(path: Path, *rest: Any) -> None:
        shutil.copy(opaque, path)
        verify.verify(path, *rest)

    monkeypatch.setattr("streamseg.sink.video.verify", behind_its_back)
    with pytest.raises(SinkError, match="transparency was lost"):
        write(open_sink(tmp_path / "o.mkv", about(frames), kind="cutout"), frames)
    assert [item.name for item in tmp_path.iterdir()] == ["opaque.mkv"]


@pytest.mark.parametrize("target", ["o.mp4", "o.mov", "o.mkv", "o.webm", "o.avi"])
def test_keep_partial_leaves_a_file_that_plays(tmp_path: Path, target: str) -> None:
    frames = _frames("composite", 20)
    sink = open_sink(tmp_path / target, about(frames), options=Options(keep_partial=True))
    for frame in frames[:12]:
        sink.write(frame)
    sink.abort()
    kept = tmp_path / target.replace(".", ".partial.")
    assert list(tmp_path.iterdir()) == [kept]
    assert len(probe(kept).packets[0]) == 12
    assert getattr(sink, "kept", None) == kept


def test_with_keep_partial_a_run_that_succeeds_gives_an_ordinary_file(tmp_path: Path) -> None:
    frames = _frames("composite", 12)
    write(open_sink(tmp_path / "o.mp4", about(frames), options=Options(keep_partial=True)), frames)
    data, boxes, place = (tmp_path / "o.mp4").read_bytes(), [], 0
    while place < len(data):
        boxes.append(data[place + 4:place + 8])
        place += int.from_bytes(data[place:place + 4], "big") or len(data)
    assert b"moov" in boxes
    assert b"moof" not in boxes
    assert probe(tmp_path / "o.mp4").times() == pytest.approx([index / 30 for index in range(12)], abs=1e-6)


def test_pictures_written_until_a_failure_are_kept_when_asked(tmp_path: Path) -> None:
    frames = _frames("composite", 5)
    sink = open_sink(tmp_path / "f_%02d.png", about(frames), options=Options(keep_partial=True))
    for frame in frames[:3]:
        sink.write(frame)
    sink.abort()
    assert sorted(item.name for item in tmp_path.rglob("*.png")) == ["f_01.png", "f_02.png", "f_03.png"]
    assert [item.name for item in tmp_path.iterdir()] == ["f.partial"]


@pytest.mark.parametrize(("pixels", "alpha", "variable", "format"), [
    ("yuv420p", False, False, "yuv4mpegpipe"), ("yuv420p", False, True, "nut"),
    ("yuv420p", True, False, "nut"), ("yuv420p10le", False, False, "nut"), ("gbrp", True, False, "nut")])
def test_standard_output_is_y4m_or_nut(tmp_path: Path, pixels: str, alpha: bool, variable: bool,
                                       format: str) -> None:
    script = (f"from tests.media.sink_tools import *; from streamseg.sink import open_sink;"
              f"f = made({pixels!r}, 5, alpha={alpha});"
              f"write(open_sink('-', about(f, variable_rate={variable}), "
              f"kind={'cutout' if alpha else 'composite'!r}), f)")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    (tmp_path / "out").write_bytes(done.stdout)
    with av.open(str(tmp_path / "out")) as container:
        assert container.format.name == format
        back = list(container.decode(video=0))
    assert len(back) == 5
    wanted = made(pixels, 5, alpha=alpha)
    for frame in back:  # raw video carries no tags
        frame.colorspace = 1
    rgb = back[4].reformat(format="rgba", src_colorspace=1).to_ndarray().astype(int)
    assert abs(rgb[..., :3] - wanted[4].rgb().astype(int)).mean() < 6
    if alpha:
        assert abs(rgb[..., 3] - wanted[4].alpha).max() <= 1  # type: ignore[operator]
    times = [frame.pts * frame.time_base for frame in back]
    assert times == [frame.time for frame in wanted]


def test_standard_output_with_a_codec_is_nut(tmp_path: Path) -> None:
    script = ("from tests.media.sink_tools import *; from streamseg.sink import open_sink;"
              "from streamseg.options import Options; f = made(count=5);"
              "write(open_sink('-', about(f), options=Options(codec='libx264')), f)")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    (tmp_path / "out").write_bytes(done.stdout)
    with av.open(str(tmp_path / "out")) as container:
        assert (container.format.name, container.streams.video[0].codec_context.name) == ("nut", "h264")
        assert len(list(container.decode(video=0))) == 5


def test_a_reader_that_goes_away_ends_the_run_with_a_message() -> None:
    script = ("from tests.media.sink_tools import *; from streamseg.sink import open_sink; import sys;"
              "from streamseg.errors import SinkError; f = made(count=60)\n"
              "s = open_sink('-', about(f))\n"
              "try: write(s, f)\n"
              "except SinkError as e: print(e, file=sys.stderr); s.abort()")
    reader = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert reader.stdout is not None
    assert reader.stderr is not None
    reader.stdout.read(100)
    reader.stdout.close()
    told = reader.stderr.read().decode()
    reader.wait()
    reader.stderr.close()
    assert "reader of the pipe has closed it" in told
    assert "Traceback" not in told


def test_no_temporary_name_is_shared_by_two_outputs(tmp_path: Path) -> None:
    frames = _frames("composite")
    sinks = [open_sink(tmp_path / name, about(frames)) for name in ("a.mp4", "a.mkv", "a.mp4")]
    assert len(list(tmp_path.iterdir())) == 3
    for sink in sinks:
        with contextlib.suppress(SinkError):
            sink.abort()
    assert list(tmp_path.iterdir()) == []
