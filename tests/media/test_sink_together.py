"""Outputs that appear together or not at all, and outputs that are file objects or os.PathLike."""

from __future__ import annotations

import io
import os
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import pytest
from PIL import Image

import streamseg
from streamseg.core.frames import Frame
from streamseg.errors import OptionError, SinkError, StreamsegError
from streamseg.sink import BaseSink, commit_together
from streamseg.sink.commit import Placement, place
from streamseg.sink.video import VideoSink
from tests import clips, stills

FRAMES = 12
OLD = b"what was there before"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clips.video(tmp_path_factory.mktemp("together") / "clip.mp4", frames=FRAMES, size=(64, 48))


def run(clip: object, sink: Any, **options: Any) -> streamseg.Report:
    return streamseg.run(clip, sink, method="threshold", smooth="none", **options)


def frames_in(file: Any) -> int:
    with av.open(file) as container:
        return sum(1 for _ in container.decode(video=0))


class Broken(BaseSink):
    """An output that fails at one of its steps."""

    def __init__(self, step: str) -> None:
        super().__init__()
        self._step = step

    def _do(self, step: str) -> None:
        if step == self._step:
            raise SinkError(f"{step} fails")

    def write(self, frame: Frame) -> None:
        self._do("write")

    def finish(self) -> None:
        self._do("finish")

    def commit(self) -> None:
        self._do("commit")


class Plain:
    """Somebody's object, which only has write, close and abort."""

    def __init__(self, fails: bool = False) -> None:
        self.frames, self.state, self._fails = 0, "open", fails

    def write(self, frame: Frame) -> None:
        self.frames += 1

    def close(self) -> None:
        if self._fails:
            raise SinkError("close fails")
        self.state = "closed"

    def abort(self) -> None:
        self.state = "aborted" if self.state == "open" else self.state


@pytest.mark.parametrize("broken", [lambda: Broken("write"), lambda: Broken("finish"), lambda: Broken("commit"),
                                    lambda: Plain(fails=True)], ids=["write", "finish", "commit", "close"])
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("name", ["old.mp4", "old_%02d.png", "new/"])
def test_if_one_output_fails_the_old_files_of_the_others_are_untouched(
        clip: Path, tmp_path: Path, broken: Callable[[], Any], first: bool, name: str) -> None:
    there = {"old.mp4": OLD, "old_01.png": OLD}
    for file, content in there.items():
        (tmp_path / file).write_bytes(content)
    outputs = [str(tmp_path) + "/" + name, broken()]
    with pytest.raises(SinkError, match="fails"):
        run(clip, outputs[::-1] if first else outputs, overwrite=True)
    assert {item.name: item.read_bytes() for item in tmp_path.iterdir()} == there


def test_what_was_renamed_already_is_taken_back_when_a_later_file_cannot_be(tmp_path: Path) -> None:
    """Nothing is left of the files that were renamed before the one that fails, links or no links."""
    made = tmp_path / "made"
    made.mkdir()
    for name in "abc":
        (made / name).write_bytes(b"new " + name.encode())
    (tmp_path / "a").write_bytes(OLD)
    (tmp_path / "c").mkdir()  # a file cannot take a folder's place
    placements = [Placement(made / name, path, name, True) for name, path in
                  (("a", tmp_path / "a"), ("b", tmp_path / "new folder" / "b"), ("c", tmp_path / "c"))]
    with pytest.raises(SinkError, match="c cannot be written"):
        place(placements)
    assert (tmp_path / "a").read_bytes() == OLD
    assert sorted(item.name for item in tmp_path.iterdir()) == ["a", "c", "made"]
    assert sorted(item.name for item in made.iterdir()) == ["a", "b", "c"]


def test_without_hard_links_the_old_file_comes_back_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    test_what_was_renamed_already_is_taken_back_when_a_later_file_cannot_be(tmp_path)


def test_an_output_of_which_a_file_appears_meanwhile_stops_all(clip: Path, tmp_path: Path) -> None:
    """Without overwrite what somebody else puts there stays."""
    def progress(step: Any) -> None:
        if step.frames == FRAMES:
            (tmp_path / "b.mp4").write_bytes(OLD)

    with pytest.raises(SinkError, match="exists"):
        run(clip, [tmp_path / "a.mp4", tmp_path / "b.mp4"], progress=progress)
    assert [item.name for item in tmp_path.iterdir()] == ["b.mp4"]
    assert (tmp_path / "b.mp4").read_bytes() == OLD


def test_all_outputs_appear_and_no_other_file_stays(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(OLD)
    plain = Plain()
    report = run(clip, [tmp_path / "a.mp4", f"{tmp_path}/pictures/", plain], matte=str(tmp_path / "m.mkv"),
                 overwrite=True)
    assert sorted(item.name for item in tmp_path.iterdir()) == ["a.mp4", "m.mkv", "pictures"]
    assert frames_in(str(tmp_path / "a.mp4")) == frames_in(str(tmp_path / "m.mkv")) == FRAMES
    assert len(list((tmp_path / "pictures").iterdir())) == plain.frames == FRAMES
    assert plain.state == "closed"
    assert [(output.kind, output.bytes) for output in report.outputs] == [
        ("composite", (tmp_path / "a.mp4").stat().st_size),
        ("cutout", sum(item.stat().st_size for item in (tmp_path / "pictures").iterdir())),
        ("composite", None), ("matte", (tmp_path / "m.mkv").stat().st_size)]
    assert report.outputs[2].path == "Plain"


def test_finished_outputs_are_kept_as_partial_ones_when_another_fails(clip: Path, tmp_path: Path) -> None:
    with pytest.raises(SinkError) as caught:
        run(clip, [tmp_path / "a.mp4", Plain(fails=True)], keep_partial=True)
    assert [item.name for item in tmp_path.iterdir()] == ["a.partial.mp4"]
    assert caught.value.__notes__ == [f"what was written until then is kept as {tmp_path / 'a.partial.mp4'}"]
    assert frames_in(str(tmp_path / "a.partial.mp4")) == FRAMES


def test_commit_together_closes_plain_objects_before_anything_is_renamed(clip: Path, tmp_path: Path) -> None:
    seen: list[list[str]] = []

    class Looks(Plain):
        def close(self) -> None:
            seen.append(sorted(item.name for item in tmp_path.iterdir() if not item.name.startswith(".")))

    run(clip, [tmp_path / "a.mp4", Looks()])
    assert seen == [[]]
    commit_together([])  # nothing to do


# --- file objects and os.PathLike ---

class Pathlike:
    def __init__(self, path: str | bytes) -> None:
        self.path = path

    def __fspath__(self) -> str | bytes:
        return self.path


@pytest.mark.parametrize("format", ["mp4", "mkv", "matroska", ".WEBM", "gif", "ts"])
def test_a_film_goes_into_a_bytesio(clip: Path, format: str) -> None:
    file = io.BytesIO(b"head")
    file.seek(4)
    report = run(clip, file, format=format)
    data = file.getvalue()
    assert data[:4] == b"head"
    assert frames_in(io.BytesIO(data[4:])) == FRAMES
    assert not file.closed
    output, = report.outputs
    assert (output.path, output.bytes) == ("a file object (BytesIO)", len(data) - 4)


def test_a_picture_goes_into_a_bytesio_with_its_transparency(tmp_path: Path) -> None:
    picture = stills.image(tmp_path / "picture.png", 1)
    file = io.BytesIO()
    assert run(picture, file, format="PNG").outputs[0].kind == "cutout"
    assert Image.open(file).mode == "RGBA"


def test_the_format_of_an_open_file_is_that_of_its_name(clip: Path, tmp_path: Path) -> None:
    with open(tmp_path / "named.mkv", "wb") as file, open(tmp_path / "raw.bin", "wb", buffering=0) as raw:
        run(clip, [file, tmp_path / "other.mp4"])
        run(clip, raw, format="mp4")
    assert frames_in(str(tmp_path / "named.mkv")) == frames_in(str(tmp_path / "other.mp4")) == FRAMES
    assert frames_in(str(tmp_path / "raw.bin")) == FRAMES


def test_a_stream_that_cannot_be_gone_back_in_gets_an_mp4_too(clip: Path) -> None:
    class Stream:
        data = b""

        def write(self, data: bytes) -> int:
            taken = data[:1000]  # as an unbuffered pipe may
            self.data += taken
            return len(taken)

    stream = Stream()
    run(clip, stream, format="mp4")
    assert frames_in(io.BytesIO(stream.data)) == FRAMES


@pytest.mark.parametrize("fails", ["before", "while copying"])
def test_a_run_that_fails_leaves_a_file_object_as_it_was(clip: Path, tmp_path: Path, fails: str,
                                                         monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    full = fails == "while copying"

    class Full(io.BytesIO):
        def write(self, data: Any, /) -> int:
            if full and len(data) > 100:
                super().write(data[:100])
                raise OSError(28, "No space left on device")
            return super().write(data)

    file = Full(OLD)
    file.seek(len(OLD))
    with pytest.raises(SinkError):
        run(clip, [file] if full else [file, Broken("write")], format="mkv")
    assert file.getvalue() == OLD
    assert list(tmp_path.iterdir()) == []


def test_keep_partial_puts_what_was_written_into_the_file_object(
        clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written, write = threading.Event(), VideoSink.write

    def counted(sink: VideoSink, frame: Frame) -> None:
        write(sink, frame)
        if sink.frames == FRAMES:
            written.set()

    class Late(Broken):
        """Fails when the other output has taken every picture."""

        def finish(self) -> None:
            assert written.wait(60)
            super().finish()

    monkeypatch.setattr(VideoSink, "write", counted)
    file = io.BytesIO()
    with pytest.raises(StreamsegError):
        run(clip, [file, Late("finish")], format="mkv", keep_partial=True)
    assert frames_in(io.BytesIO(file.getvalue())) == FRAMES


def test_a_pathlike_is_as_good_as_text(clip: Path, tmp_path: Path) -> None:
    run(Pathlike(str(clip)), Pathlike(str(tmp_path / "out.mp4")))
    assert frames_in(str(tmp_path / "out.mp4")) == FRAMES


@pytest.mark.parametrize(("sink", "format", "message"), [
    (b"out.mp4", None, r"output is b'out.mp4'.*os\.fsdecode"),
    (Pathlike(b"out.mp4"), None, r"a path of bytes: os\.fsdecode"),
    (io.BytesIO(), None, "without a name that says what it is to hold: give format"),
    (io.BytesIO(), "docx", "format is 'docx'; allowed is: mp4 "),
    (io.StringIO(), "mp4", r"file object \(StringIO\), takes no bytes"),
    (3, None, "output is 3; it must be a path"),
    (object(), "mp4", "it must be a path"),
    ("", None, "output is")], ids=range(8))
def test_what_is_no_output_is_refused_before_anything_is_computed(clip: Path, sink: Any, format: str | None,
                                                                  message: str) -> None:
    with pytest.raises(OptionError, match=message):
        run(clip, [sink], format=format)


def test_a_file_opened_for_reading_is_refused(clip: Path) -> None:
    with clip.open("rb") as file, pytest.raises(OptionError, match="takes no bytes"):
        run(clip, file, format="mp4")


def test_a_file_object_goes_in_and_another_comes_out(clip: Path) -> None:
    file = io.BytesIO()
    report = run(io.BytesIO(clip.read_bytes()), file, format="mkv")
    assert report.frames == frames_in(io.BytesIO(file.getvalue())) == FRAMES


def test_a_method_that_reads_the_whole_clip_takes_a_pathlike(clip: Path) -> None:
    assert streamseg.run(Pathlike(str(clip)), "null:", method="plate").frames == FRAMES
