"""Live runs of real files: what ends them, their lines of figures, what they refuse, and streams."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from streamseg.errors import DamagedInputError, SinkError
from streamseg.live.options import LiveOptions
from streamseg.live.run import run
from streamseg.options import Options
from streamseg.source import open_source
from tests import clips
from tests.media.live_tools import METHOD, ROOT, lines_of, live, started
from tests.unit.live_fakes import alive


def test_the_person_model_runs_live(clip: Path) -> None:
    report = live(clip, "null", method="person", set={}, background="blur")
    assert report.frames > 0
    assert report.inferred > 0
    assert report.latency_ms["p95"] is not None


def test_a_source_of_ones_own_is_taken_as_it_is(clip: Path) -> None:
    source = open_source(clip, Options(audio=False))
    report = run(source, ["null"], options=Options(**METHOD), live=LiveOptions(realtime=True))  # type: ignore
    assert report.frames + report.dropped == 13


def test_a_duration_ends_it(long_clip: Path) -> None:
    report = live(long_clip, "null", duration=0.5)
    assert 0.5 <= report.seconds < 30
    assert alive() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_in_order(long_clip: Path, tmp_path: Path, number: int) -> None:
    target = tmp_path / "talk.mkv"
    process = started(str(long_clip), "--realtime", "--no-adapt", "--to", str(target), "--to", "null")
    lines = lines_of(process, 2)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    probed = clips.ffprobe(target)
    assert float(probed["format"]["duration"]) > 1.0  # in the header: the file was finished
    assert int(probed["streams"][0]["nb_read_frames"]) >= lines[-1]["sinks"][0]["frames"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_in_order_while_the_source_is_waited_for(tmp_path: Path, number: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        address = f"udp://127.0.0.1:{free.getsockname()[1]}"
    process = started(address, "--reconnect", "--timeout", "0.5", "--to", str(tmp_path / "talk.mkv"), "--to", "null")
    assert process.stderr is not None
    said = process.stderr.readline()
    assert "next try" in said
    assert "live: --reconnect" in said   # it named --retry alone, which live has not
    process.send_signal(number)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert "streamseg: 0 frames" in errors
    assert output == ""
    assert list(tmp_path.iterdir()) == []


def test_the_lines_of_figures_are_whole(long_clip: Path) -> None:
    process = started(str(long_clip), "--realtime", "--to", "null", "--duration", "2.5")
    first, second = lines_of(process, 2)
    process.communicate(timeout=60)
    assert process.returncode == 0
    for line in (first, second):
        assert set(line) == {"time", "fps", "latency_ms", "dropped", "cpu_percent", "rss_mib", "step",
                             "paused", "sinks"}
        assert line["cpu_percent"] > 0
    assert second["time"] > first["time"]
    assert 0 < second["latency_ms"]["p50"] <= second["latency_ms"]["p95"]
    assert max(first["fps"], second["fps"]) > 0


def test_when_the_reader_of_the_figures_goes_away_the_run_ends_in_order(long_clip: Path,
                                                                        tmp_path: Path) -> None:
    target = tmp_path / "talk.mkv"
    process = started(str(long_clip), "--realtime", "--no-adapt", "--to", str(target), "--to", "null")
    lines = lines_of(process, 2)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    errors = process.stderr.read()
    assert process.wait(60) == 1
    assert errors == ""  # as of `run -o -`
    probed = clips.ffprobe(target)
    assert float(probed["format"]["duration"]) > 1.0  # in the header: the file was finished
    assert int(probed["streams"][0]["nb_read_frames"]) >= lines[-1]["sinks"][0]["frames"]


def test_damage_ends_a_run_with_a_remedy_that_live_has(clip: Path, tmp_path: Path) -> None:
    """The rest of the film comes, and what was skipped is counted; of a background's film too."""
    whole = clips.video(tmp_path / "whole.mkv", frames=13).read_bytes()
    damaged = tmp_path / "cut.mkv"
    damaged.write_bytes(whole[:len(whole) * 2 // 3])
    with pytest.raises(DamagedInputError, match="--on-error skip takes what is there"):
        live(damaged, "null")
    report = live(damaged, "null", on_error="skip")
    assert report.frames > 0
    assert report.damaged > 0
    assert live(clip, "null").damaged == 0
    with pytest.raises(DamagedInputError, match="--on-error skip takes what is there"):
        live(clip, "null", background=str(damaged))
    assert live(clip, "null", background=str(damaged), on_error="skip").frames > 0


def test_figures_of_a_run_without_its_source_leave_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    path.write_text("precious")
    words = [sys.executable, "-m", "streamseg", "live", str(tmp_path / "none.mp4"), "--realtime", "--to",
             "null", "--method", "threshold", "--overwrite", "--json-stats", str(path)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60,
                          env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 1, done.stderr
    assert "none.mp4" in done.stderr
    assert path.read_text() == "precious"


def test_several_wrong_things_are_one_line_each() -> None:
    for words, message in ((["--camera", "/dev/none", "--to", "null"], "/dev/none"),
                           (["clip.mp4", "--to", "null"], "--realtime")):
        process = started(*words)
        out, errors = process.communicate(timeout=60)
        assert process.returncode in (1, 2)
        assert out == ""
        line, = errors.splitlines()
        assert line.startswith("streamseg: error: ")
        assert message in line


# --- streams --------------------------------------------------------------------------------------------

def test_a_udp_stream_is_mpegts_that_plays(clip: Path, tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2 ** 22)
        receiver.bind(("127.0.0.1", 0))
        port = receiver.getsockname()[1]
        report = live(clip, f"udp://127.0.0.1:{port}?pkt_size=1316")
        receiver.setblocking(False)
        received = b""
        while True:
            try:
                received += receiver.recv(65536)
            except BlockingIOError:
                break
    target = tmp_path / "received.ts"
    target.write_bytes(received)
    probed = clips.ffprobe(target)
    assert probed["format"]["format_name"] == "mpegts"
    assert int(probed["streams"][0]["nb_read_frames"]) == report.frames > 0


def test_an_address_that_nobody_listens_at_is_one_clear_error(clip: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # not listening: refused
        address = f"rtmp://127.0.0.1:{taken.getsockname()[1]}/live/secret-key"
        with pytest.raises(SinkError) as caught:
            live(clip, address)
    assert "rtmp://127.0.0.1" in str(caught.value)
    assert "secret-key" not in str(caught.value)
