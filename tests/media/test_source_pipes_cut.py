"""Pipes whose writer was killed: what they lack is told, as far as it can be known."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from streamseg.errors import DamagedInputError
from streamseg.source.integrity import StreamCheck
from tests import clips, damage
from tests.media.source_tools import read
from tests.media.test_source_errors import piped


class Unseekable:
    """A file as a program writes it into a pipe: no size is filled in afterwards."""

    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes) -> int:
        self.data += data
        return len(data)


def streamed(path: Path, format: str) -> bytes:
    """The clip as a stream, copied packet by packet."""
    pipe = Unseekable()
    with av.open(str(path)) as source, av.open(pipe, "w", format=format) as out:
        track = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = track
                out.mux(packet)
    return pipe.data


@pytest.mark.parametrize("keep", [0.7, 0.71])
@pytest.mark.parametrize("name", ["a.mkv", "a.webm", "a.ts", "a.y4m", "stream.mkv", "stream.ts"])
def test_a_pipe_that_is_cut_off_never_looks_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str,
                                                  keep: float) -> None:
    whole = clips.video(tmp_path / name, frames=30, b_frames=0)
    data = whole.read_bytes()
    if name.startswith("stream"):
        data = streamed(whole, {".mkv": "matroska", ".ts": "mpegts"}[whole.suffix])
    with piped(monkeypatch, data):
        assert len(read("-")[1]) == 30
    data = data[:int(len(data) * keep) | 1]  # an odd number: packets and frames have an even one
    with piped(monkeypatch, data), pytest.raises(DamagedInputError, match=r"--on-error skip"):
        read("-")
    with piped(monkeypatch, data):
        source, frames = read("-", on_error="skip")
    assert 5 <= len(frames) < 30
    assert source.damaged >= 1


def test_a_part_that_came_whole_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = clips.video(tmp_path / "a.mkv", frames=30).read_bytes()
    with piped(monkeypatch, data[:int(len(data) * 0.7)]):
        assert len(read("-", duration=0.4)[1]) == 10


@pytest.mark.parametrize("suffix", [".mkv", ".ts"])
def test_a_file_as_standard_input_is_cut_off_as_the_file_is(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    whole = clips.video(tmp_path / f"a{suffix}", frames=30, b_frames=0)
    cut = damage.truncated(whole, tmp_path / f"cut{suffix}", 0.7)
    with pytest.raises(DamagedInputError, match=r"cut off"):
        read(cut)
    with cut.open("rb") as file:
        monkeypatch.setattr("sys.stdin", file)
        with pytest.raises(DamagedInputError, match=r"is cut off.*--on-error skip"):
            read("-")


EBML = bytes.fromhex("1a45dfa3 81 00")
SEGMENT, CLUSTER = bytes.fromhex("18538067 01ffffffffffffff"), bytes.fromhex("1f43b675 01ffffffffffffff")
BLOCK = bytes.fromhex("a3 4003") + b"abc"


@pytest.mark.parametrize(("data", "missing"), [
    (EBML + SEGMENT + CLUSTER + BLOCK + CLUSTER + BLOCK, None),
    (EBML + SEGMENT + CLUSTER + BLOCK[:-1], "1 bytes"), (EBML + SEGMENT + CLUSTER + BLOCK[:2], "some bytes"),
    (EBML + SEGMENT + CLUSTER[:-1], "some bytes"), (EBML + bytes.fromhex("18538067 84") + b"abc", "1 bytes"),
    (EBML + SEGMENT + b"\0" + BLOCK[:-1], None),
])
@pytest.mark.parametrize("step", [1, 5, 1000])
def test_elements_of_unknown_size_are_gone_into(data: bytes, missing: str | None, step: int) -> None:
    flow = StreamCheck()
    for at in range(0, len(data), step):
        flow.feed(data[at:at + step])
    assert flow.missing() is None  # there may be more to come
    flow.feed(b"")
    told = flow.missing()
    assert told is None if missing is None else missing in (told or "")
