"""Inputs that are missing, damaged, silent or nothing at all: each says so, and none hangs."""

from __future__ import annotations

import io
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import pytest

from streamseg.errors import (
    DamagedInputError,
    OptionError,
    SourceError,
    SourceTimeoutError,
    StreamsegError,
)
from streamseg.options import Options
from streamseg.source import open as opening
from streamseg.source import open_source
from tests import clips, damage, stills
from tests.media.source_tools import read


def faststart(path: Path) -> Path:
    """The clip with its index first, so that a cut-off copy can be opened."""
    target = path.with_name("fast.mp4")
    with av.open(str(path)) as source, av.open(str(target), "w", options={"movflags": "faststart"}) as out:
        tracks = {stream.index: out.add_stream_from_template(stream) for stream in source.streams}
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = tracks[packet.stream_index]
                out.mux(packet)
    return target


# --- what is no input ---

@pytest.mark.parametrize(("make", "message"), [
    (lambda path: path / "none.mp4", r"none\.mp4 does not exist"),
    (lambda path: written(path / "empty.mp4", b""), r"empty\.mp4 is empty \(0 bytes\)"),
    (lambda path: written(path / "text.mp4", b"hello\n" * 300), "is not a video or a picture"),
    (lambda path: clips.sound_only(path / "sound.mka"), "has no picture; there is only audio in it"),
    (lambda path: clips.sound_only(path / "sound.mp3", cover=True), "only audio and a cover picture"),
    (lambda path: str(path / "a\0b"), "cannot be opened"),
    (lambda path: "", "it must be a path"),
    (lambda path: "nonsense://host/x", "nonsense is not an address that FFmpeg can read"),
])
def test_what_is_no_input_says_why(tmp_path: Path, make: Any, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        open_source(make(tmp_path))


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_a_stream_or_a_part_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = clips.video(tmp_path / "a.mkv")
    with pytest.raises(SourceError, match=r"stream is 2; .* has 1 video stream"):
        open_source(path, Options(stream=2))
    with pytest.raises(SourceError, match="has no picture in the requested part: start is 99 s; it ends"):
        open_source(path, Options(start=99))
    with pytest.raises(SourceError, match=r"start is 0 s, duration 0 s; it ends at 0\.\d"):
        open_source(path, Options(duration=0))


def test_hardware_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    path = clips.video(tmp_path / "a.mp4")
    with pytest.raises(OptionError, match="hwaccel is 'abacus'; this FFmpeg knows:"):
        open_source(path, Options(hwaccel="abacus"))
    with pytest.raises(SourceError, match="does not exist"):
        open_source(tmp_path / "none.mp4", Options(hwaccel="cuda"))


# --- damage ---

@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm", ".avi", ".flv", ".nut", ".y4m", ".ts"])
def test_a_cut_off_file_never_looks_whole(tmp_path: Path, suffix: str) -> None:
    whole = clips.video(tmp_path / f"a{suffix}", frames=30, b_frames=0)
    whole = faststart(whole) if suffix == ".mp4" else whole
    path = damage.truncated(whole, tmp_path / f"cut{suffix}", 0.7)
    with pytest.raises(DamagedInputError, match=r"--on-error skip"):
        read(path)
    source, frames = read(path, on_error="skip")
    assert 5 <= len(frames) < 30
    assert [clips.read_index(frame.rgb()) for frame in frames[:-2]] == list(range(len(frames) - 2))
    assert source.damaged >= 1


def test_an_mp4_that_lost_the_index_at_its_end_is_called_cut_off(tmp_path: Path) -> None:
    path = damage.truncated(clips.video(tmp_path / "a.mp4", frames=30), tmp_path / "cut.mp4", 0.5)
    with pytest.raises(DamagedInputError, match=r"is cut off \([\d,]+ of [\d,]+ bytes are missing\)"):
        open_source(path)


def test_what_is_asked_of_the_whole_part_of_a_cut_off_file_is_given(tmp_path: Path) -> None:
    path = damage.truncated(clips.video(tmp_path / "a.mkv", frames=30), tmp_path / "cut.mkv", 0.7)
    assert len(read(path, duration=0.4)[1]) == 10
    with pytest.raises(DamagedInputError, match="is cut off"):
        read(path, duration=5.0)


def test_damage_names_the_time_and_is_counted_when_skipped(tmp_path: Path) -> None:
    path = clips.video(tmp_path / "a.mov", frames=30, codec="png", pix_fmt="rgb24")
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle:middle + 40] = bytes(40)
    path.write_bytes(bytes(data))
    with pytest.raises(DamagedInputError, match=r"is damaged at 0\.[4-8]\d+ s: .*--on-error skip"):
        read(path)
    source, frames = read(path, on_error="skip")
    assert source.damaged >= 1
    assert len(frames) >= 28
    assert clips.read_index(frames[-1].rgb()) == 29


@pytest.mark.parametrize("on_error", ["stop", "skip"])
@pytest.mark.parametrize("seed", range(8))
def test_mutated_files_end_with_frames_or_an_error_of_ours(tmp_path: Path, seed: int, on_error: str) -> None:
    for name in ("a.mp4", "a.mkv", "a.webm"):
        whole = clips.video(tmp_path / name, frames=6, audio=name == "a.mp4")
        read_damaged(whole, seed, on_error)
    for name in ("a.gif", "a.webp", "a.apng"):
        read_damaged(stills.animation(tmp_path / name, frames=4, alpha=True), seed, on_error)
    for name in ("i.png", "i.jpg", "i.webp"):
        read_damaged(stills.image(tmp_path / name), seed, on_error)


def read_damaged(whole: Path, seed: int, on_error: str) -> None:
    for number, mutate in enumerate((damage.flipped, damage.swapped)):
        path = mutate(whole, whole.with_name(f"bad{number}{whole.suffix}"), seed=seed)
        try:
            _, frames = read(path, on_error=on_error)
        except StreamsegError:
            continue
        times = [frame.pts for frame in frames]
        assert times == sorted(set(times))


# --- pipes and the network ---

def test_a_notebooks_standard_input_is_no_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("typed"))
    with pytest.raises(SourceError, match=r"^- means standard input.*is no pipe: name a file"):
        read("-")


@contextmanager
def piped(monkeypatch: pytest.MonkeyPatch, data: bytes | None) -> Iterator[None]:
    """Standard input is a pipe with ``data``; None: it stays open and gives nothing."""
    reading, writing = os.pipe()
    feeder = threading.Thread(target=feed, args=(writing, data)) if data is not None else None
    with os.fdopen(reading, "rb") as file:
        monkeypatch.setattr("sys.stdin", file)
        if feeder is not None:
            feeder.start()
        yield
    if feeder is not None:
        feeder.join()
    else:
        os.close(writing)


def feed(descriptor: int, data: bytes) -> None:
    with os.fdopen(descriptor, "wb") as file:
        try:
            file.write(data)
        except BrokenPipeError:  # the reader has seen enough
            return


@pytest.mark.parametrize("name", ["a.y4m", "a.nut", "a.mkv", "a.ts", "a.webm"])
def test_standard_input_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    data = clips.video(tmp_path / name, frames=20).read_bytes()
    with piped(monkeypatch, data):
        _, frames = read("-")
    assert [clips.read_index(frame.rgb()) for frame in frames] == list(range(20))


def test_standard_input_that_is_a_file_can_be_searched(tmp_path: Path,
                                                       monkeypatch: pytest.MonkeyPatch) -> None:
    with clips.video(tmp_path / "a.mp4", frames=20).open("rb") as file:
        monkeypatch.setattr("sys.stdin", file)
        _, frames = read("-")
    assert len(frames) == 20


def test_start_works_on_a_pipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = clips.video(tmp_path / "a.mkv", frames=40).read_bytes()
    with piped(monkeypatch, data):
        _, frames = read("-", start=1.0, duration=0.2)
    assert [clips.read_index(frame.rgb()) for frame in frames] == [25, 26, 27, 28, 29]


def test_an_mp4_that_cannot_be_piped_says_what_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = clips.video(tmp_path / "a.mp4", codec="ffv1", size=(320, 240), frames=8,
                       content=lambda index: clips.noise("yuv420p", (320, 240), index)).read_bytes()
    with piped(monkeypatch, data), pytest.raises(SourceError, match="pipe Matroska, NUT or Y4M"):
        open_source("-")


def test_an_empty_pipe_says_that_nothing_came(monkeypatch: pytest.MonkeyPatch) -> None:
    with piped(monkeypatch, b""), pytest.raises(SourceError, match="standard input is empty: what should"):
        open_source("-")


def test_a_silent_pipe_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    began = time.monotonic()
    with piped(monkeypatch, None), pytest.raises(SourceTimeoutError, match="nothing came from standard"):
        open_source("-", Options(timeout=0.2))
    assert time.monotonic() - began >= 0.2


def test_a_pipe_that_falls_silent_in_mid_stream_times_out(tmp_path: Path,
                                                          monkeypatch: pytest.MonkeyPatch) -> None:
    data = clips.video(tmp_path / "a.y4m", frames=20).read_bytes()
    reading, writing = os.pipe()
    feeder = threading.Thread(target=os.write, args=(writing, data[:len(data) // 2]))
    feeder.start()
    with os.fdopen(reading, "rb") as file:
        monkeypatch.setattr("sys.stdin", file)
        with pytest.raises(SourceTimeoutError, match="--timeout waits longer"):
            read("-", timeout=0.3)
    feeder.join()
    os.close(writing)


def test_a_named_pipe_without_a_writer_times_out(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.y4m")
    with pytest.raises(SourceTimeoutError, match=r"fifo\.y4m"):
        open_source(tmp_path / "fifo.y4m", Options(timeout=0.2))


@contextmanager
def server(answer: bytes | None) -> Iterator[tuple[str, list[int]]]:
    """An HTTP address on this machine; None: it accepts and says nothing. Counts its visitors."""
    visits: list[int] = []
    listener = socket.create_server(("127.0.0.1", 0))
    held: list[socket.socket] = []

    def serve() -> None:
        while True:
            try:
                visitor, _ = listener.accept()
            except OSError:  # the listener was shut down: the test is over
                return
            visits.append(1)
            held.append(visitor)
            if answer is not None:
                visitor.recv(65536)
                visitor.sendall(answer)
                visitor.shutdown(socket.SHUT_WR)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/clip.mkv", visits
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
        for visitor in held:
            visitor.close()


def http(data: bytes, length: int | None = None) -> bytes:
    return b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % (length or len(data)) + data


def test_an_address_is_read(tmp_path: Path) -> None:
    data = clips.video(tmp_path / "a.mkv", frames=12).read_bytes()
    with server(http(data)) as (address, _):
        _, frames = read(address)
    assert [clips.read_index(frame.rgb()) for frame in frames] == list(range(12))


def test_an_address_that_says_nothing_times_out_after_its_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(opening.time, "sleep", waits.append)
    with server(None) as (address, visits), pytest.raises(SourceTimeoutError, match="nothing came from http"):
        open_source(address, Options(timeout=0.2, retry=2))
    assert waits == [1.0, 2.0]
    assert len(visits) >= 3


def test_a_connection_that_breaks_is_damage_and_no_end(tmp_path: Path) -> None:
    data = clips.video(tmp_path / "a.mkv", frames=40).read_bytes()
    with server(http(data[:len(data) // 2], len(data))) as (address, _), pytest.raises(SourceError):
        read(address, timeout=2)


def test_a_failed_open_leaves_no_file_open(tmp_path: Path) -> None:
    path = damage.truncated(clips.video(tmp_path / "a.mkv", frames=30), tmp_path / "cut.mkv", 0.7)
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    for _ in range(5):
        with pytest.raises(DamagedInputError):
            open_source(path)
    assert before == 0 or len(os.listdir("/proc/self/fd")) <= before
