"""Sound, subtitles, chapters and metadata from input to output."""

from __future__ import annotations

import subprocess
from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from streamseg.core.opencv import cv2
from streamseg.errors import SinkError
from streamseg.options import Options
from streamseg.sink import open_sink
from streamseg.source import open_source
from tests import clips

from .sink_tools import payloads, probe, read, write


def _clip(path: Path, **extra: object) -> Path:
    return clips.video(path, frames=50, audio=["eng", "deu"], subtitles=["fra"], chapters=True,
                       metadata={"title": "A clip", "artist": "Nobody"}, **extra)  # type: ignore[arg-type]


def _fields(packet: av.Packet) -> tuple[object, ...]:
    return packet.pts, packet.dts, packet.time_base, packet.stream_index, bytes(packet)


@pytest.mark.parametrize(("source", "target"), [(".mp4", ".mp4"), (".mp4", ".mov"), (".mp4", ".mkv"),
                                                (".mkv", ".mkv"), (".mkv", ".mp4"), (".webm", ".webm"),
                                                (".webm", ".mkv")])
@pytest.mark.parametrize("offset", [0.0, 1.5])
def test_sound_is_copied_packet_by_packet_with_its_times(tmp_path: Path, source: str, target: str,
                                                         offset: float) -> None:
    info, frames = read(_clip(tmp_path / f"in{source}", start_offset=offset))
    out = tmp_path / f"out{target}"
    write(open_sink(out, info), frames)
    before, after = payloads(tmp_path / f"in{source}", "audio"), payloads(out, "audio")
    assert len(after) == 2
    for one, other in zip(before, after, strict=True):
        assert [item[1] for item in one] == [item[1] for item in other]
        assert np.allclose([item[0] for item in one], [item[0] for item in other], atol=0.0011)
    found = probe(out)
    assert [item["tags"]["language"] for item in found.of("audio")] == [
        "eng", "ger" if target == ".mov" else "deu"]  # QuickTime knows German by this code
    assert np.allclose(found.times(), [float(frame.time or 0) for frame in frames], atol=0.0011)


@pytest.mark.parametrize("target", [".mp4", ".mkv", ".webm"])
def test_chapters_and_metadata_are_kept(tmp_path: Path, target: str) -> None:
    info, frames = read(_clip(tmp_path / "in.mp4"))
    out = tmp_path / f"out{target}"
    write(open_sink(out, info), frames)
    found = probe(out)
    assert [item["tags"]["title"] for item in found.chapters] == ["One", "Two"]
    assert [float(item["start_time"]) for item in found.chapters] == [0.0, 1.0]
    tags = {key.lower(): value for key, value in found.tags.items()}
    assert (tags["title"], tags["artist"]) == ("A clip", "Nobody")


@pytest.mark.parametrize(("source", "target", "codec"), [
    (".mp4", ".mp4", "mov_text"), (".mkv", ".mkv", "subrip"), (".mkv", ".mp4", "mov_text"),
    (".mp4", ".mkv", "subrip"), (".mkv", ".webm", "webvtt"), (".webm", ".mkv", "webvtt")])
def test_subtitles_keep_text_times_and_language(tmp_path: Path, source: str, target: str, codec: str) -> None:
    info, frames = read(_clip(tmp_path / f"in{source}"))
    out = tmp_path / f"out{target}"
    sink = write(open_sink(out, info), frames)
    track = probe(out).of("subtitle")[0]
    assert (track["codec_name"], track["tags"]["language"]) == (codec, "fra")
    command = ["ffmpeg", "-v", "error", "-copyts", "-i", str(out), "-map", "0:s:0", "-f", "srt", "-"]
    told = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    assert "00:00:00,000 --> 00:00:00,900\nSecond 0" in told
    assert "00:00:01,000 --> 00:00:01,900\nSecond 1" in told
    changed = codec not in {".mp4": "mov_text", ".mkv": "subrip", ".webm": "webvtt"}[source]
    assert any("subtitle" in note and codec in note for note in sink.notes) == changed


@pytest.mark.parametrize(("target", "codec"), [(".webm", "opus"), (".avi", "mp3")])
def test_sound_that_the_container_cannot_hold_is_transcoded_and_said(tmp_path: Path, target: str,
                                                                     codec: str) -> None:
    source = ".mp4" if target == ".webm" else ".webm"
    info, frames = read(_clip(tmp_path / f"in{source}"))
    out = tmp_path / f"out{target}"
    sink = write(open_sink(out, info), frames)
    found = probe(out)
    assert [item["codec_name"] for item in found.of("audio")] == [codec, codec]
    assert sum("audio" in note and "became" in note for note in sink.notes) == 2
    for number, stream in enumerate(found.of("audio")):
        raw = subprocess.run(["ffmpeg", "-v", "error", "-i", str(out), "-map", f"0:a:{number}", "-ac", "1",
                              "-ar", "48000", "-f", "f32le", "-"], capture_output=True, check=True).stdout
        sound = np.frombuffer(raw, np.float32)
        spectrum = np.abs(np.fft.rfft(sound[4800:52800]))
        assert abs(int(spectrum.argmax()) - 440 * (number + 1)) <= 2  # bins of 1 Hz
        assert abs(len(sound) / 48000 - 2.0) < 0.06
        assert abs(found.times(stream["index"])[0]) < 0.03


def test_mpeg_ts_gets_no_track_as_data_that_nobody_can_read(tmp_path: Path) -> None:
    with_flac = tmp_path / "flac.mkv"
    clips.video(tmp_path / "in.mkv", frames=20, audio=True, subtitles=True)
    subprocess.run(["ffmpeg", "-v", "error", "-i", str(tmp_path / "in.mkv"), "-map", "0", "-c", "copy",
                    "-c:a", "flac", str(with_flac)], check=True)
    info, frames = read(with_flac)
    sink = open_sink(tmp_path / "out.ts", info)
    write(sink, frames)
    found = probe(tmp_path / "out.ts")
    assert [stream["codec_name"] for stream in found.of("audio")] == ["aac"]
    assert found.of("data") == found.of("subtitle") == []
    flac, text = sink.notes
    assert "audio track 1 (flac, eng) became aac" in flac
    assert "subtitle track 2 (srt, eng) is left out" in text


def test_tracks_that_fit_nowhere_are_left_out_with_a_note(tmp_path: Path) -> None:
    info, frames = read(_clip(tmp_path / "in.mkv"))
    sink = write(open_sink(tmp_path / "out.avi", info), frames)
    assert [item["codec_type"] for item in probe(tmp_path / "out.avi").streams] == ["video", "audio", "audio"]
    assert any("subtitle track" in note and "left out" in note for note in sink.notes)


@pytest.mark.parametrize(("kind", "audio", "count"), [("composite", True, 4), ("composite", False, 1),
                                                      ("foreground", True, 1), ("matte", True, 1)])
def test_which_outputs_carry_tracks(tmp_path: Path, kind: str, audio: bool, count: int) -> None:
    info, frames = read(_clip(tmp_path / "in.mp4"))
    write(open_sink(tmp_path / "out.mkv", info, kind=kind, options=Options(audio=audio)), frames)
    assert len(probe(tmp_path / "out.mkv").streams) == count


def test_two_outputs_share_the_packets_and_change_none(tmp_path: Path) -> None:
    info, frames = read(_clip(tmp_path / "in.mp4"))
    packets = [packet for frame in frames for packet in frame.packets]
    before = [_fields(packet) for packet in packets]
    one, other = open_sink(tmp_path / "a.mp4", info), open_sink(tmp_path / "b.mkv", info)
    for frame in frames:
        one.write(frame)
        other.write(frame)
    one.close()
    other.close()
    assert before == [_fields(packet) for packet in packets]
    hashes = [[[item[1] for item in track] for track in payloads(tmp_path / name, "audio")]
              for name in ("in.mp4", "a.mp4", "b.mkv")]
    assert hashes[0] == hashes[1] == hashes[2]


def test_a_cutout_carries_the_sound(tmp_path: Path) -> None:
    info, frames = read(clips.video(tmp_path / "in.mov", codec="prores_ks", pix_fmt="yuv422p10le", audio=True,
                                    frames=5))
    alpha = np.full((120, 160), 500, np.uint16)
    whole = [type(frame)(frame.planes, frame.format, frame.time_base, frame.index, frame.pts, frame.colour,
                         frame.duration, alpha, None, frame.packets) for frame in frames]
    write(open_sink(tmp_path / "out.mov", info, kind="cutout"), whole)
    before, after = payloads(tmp_path / "in.mov", "audio"), payloads(tmp_path / "out.mov", "audio")
    assert before == after
    assert before[0]


def test_surround_pcm_becomes_aac_or_stays_as_the_container_can(tmp_path: Path) -> None:
    source = tmp_path / "in.mkv"
    with av.open(str(source), "w") as out:
        video = out.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 160, 120, "yuv420p"
        sound = out.add_stream("pcm_s16le", rate=44100, layout="stereo")
        sound.disposition = av.stream.Disposition.forced
        for index in range(10):
            frame = clips.as_frame(clips.picture(index), (160, 120), "yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            out.mux(video.encode(frame))
        samples = (np.sin(np.arange(17640 * 2) / 20) * 9000).astype(np.int16)[None]
        part = av.AudioFrame.from_ndarray(samples, format="s16", layout="stereo")
        part.sample_rate, part.pts, part.time_base = 44100, 0, Fraction(1, 44100)
        out.mux(sound.encode(part))
        out.mux(video.encode(None))
    info, frames = read(source)
    kept = write(open_sink(tmp_path / "out.mkv", info), frames)
    changed = write(open_sink(tmp_path / "out.webm", info), frames)
    assert payloads(source, "audio") == payloads(tmp_path / "out.mkv", "audio")
    assert not kept.notes
    assert probe(tmp_path / "out.mkv").of("audio")[0]["disposition"]["forced"] == 1
    assert probe(tmp_path / "out.webm").of("audio")[0]["codec_name"] == "opus"
    assert any("libopus" in note for note in changed.notes)


@pytest.mark.parametrize("target", [".mp4", ".webm"])  # copied; decoded and encoded again
def test_the_source_may_be_closed_once_the_first_frame_is_written(tmp_path: Path, target: str) -> None:
    source = open_source(_clip(tmp_path / "in.mp4"))
    frames = list(source)
    sink = open_sink(tmp_path / f"out{target}", source.info)
    sink.write(frames[0])
    source.close()
    for frame in frames[1:]:
        sink.write(frame)
    sink.close()
    sounds = payloads(tmp_path / f"out{target}", "audio")
    assert len(sounds) == 2
    assert all(sound[-1][0] > 1.9 for sound in sounds)  # seconds; the picture lasts two


def test_tracks_of_a_source_that_was_closed_before_are_an_error_that_says_so(tmp_path: Path) -> None:
    source = open_source(_clip(tmp_path / "in.mp4"))
    frames = list(source)
    sink = open_sink(tmp_path / "out.mp4", source.info)
    source.close()
    with pytest.raises(SinkError, match=r"the source was closed before its audio track 1 could be copied"):
        sink.write(frames[0])
    sink.abort()
    assert [item.name for item in tmp_path.iterdir()] == ["in.mp4"]


@pytest.mark.parametrize("target", [".mkv", ".mp4"])
def test_attached_fonts_are_kept_or_named(tmp_path: Path, target: str) -> None:
    font, plain, source = bytes(range(256)) * 40, clips.video(tmp_path / "plain.mkv"), tmp_path / "in.mkv"
    with av.open(str(plain)) as given, av.open(str(source), "w") as made:
        made.add_attachment("Own.ttf", "application/x-truetype-font", font)
        made.add_attachment("cover.png", "image/png", _png())
        film = made.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(given.streams.video[0]):
            if packet.dts is not None:
                packet.stream = film
                made.mux(packet)
    out = tmp_path / f"out{target}"
    with closing(open_source(source)) as opened:
        notes = write(open_sink(out, opened.info), list(opened)).notes
    kept = [item["tags"]["filename"] for item in clips.ffprobe(out, "-show_streams")["streams"]
            if item["codec_type"] == "attachment"]
    if target == ".mkv":
        assert kept == ["Own.ttf"]
        with av.open(str(out)) as opened:
            [own] = [stream for stream in opened.streams if stream.type == "attachment"]
            assert (own.data, own.mimetype) == (font, "application/x-truetype-font")
    else:
        assert kept == []
        assert "attachment Own.ttf is left out; .mkv holds it" in notes
    assert "cover picture cover.png is left out" in notes


def _with_timecode(path: Path) -> Path:
    plain = clips.video(path.with_name(f"plain{path.suffix}"), audio=True)
    subprocess.run(["ffmpeg", "-v", "error", "-i", str(plain), "-c", "copy", "-timecode", "01:02:03:04",
                    str(path)], check=True)
    return path


@pytest.mark.parametrize(("source", "target"), [(".mov", ".mov"), (".mov", ".mp4"), (".mp4", ".mov"),
                                                (".mov", ".mkv"), (".mov", ".webm")])
def test_a_time_code_track_is_kept(tmp_path: Path, source: str, target: str) -> None:
    out = tmp_path / f"out{target}"
    with closing(open_source(_with_timecode(tmp_path / f"in{source}"))) as opened:
        notes = write(open_sink(out, opened.info), list(opened)).notes
    found = probe(out)
    [picture] = found.of("video")
    assert {key.lower(): value for key, value in picture["tags"].items()}["timecode"] == "01:02:03:04"
    assert [item["codec_tag_string"] for item in found.of("data")] == (
        ["tmcd"] if target in (".mov", ".mp4") else [])
    assert not any("data track" in note for note in notes)


def test_a_cutout_of_a_film_with_a_time_code_is_written(tmp_path: Path) -> None:
    with closing(open_source(_with_timecode(tmp_path / "in.mov"))) as opened:
        whole = [replace(frame, alpha=np.full((120, 160), 100, np.uint8)) for frame in opened]
        write(open_sink(tmp_path / "out.mov", opened.info, kind="cutout"), whole)
    [track] = probe(tmp_path / "out.mov").of("data")
    assert track["tags"]["timecode"] == "01:02:03:04"


@pytest.mark.parametrize(("target", "options", "why"), [
    (".ts", Options(), "the container holds no time code"),
    (".mov", Options(start=0.2), "its time code 01:02:03:04 is that of the input's beginning")])
def test_a_time_code_that_cannot_be_kept_is_named(tmp_path: Path, target: str, options: Options,
                                                  why: str) -> None:
    with closing(open_source(_with_timecode(tmp_path / "in.mov"), options)) as opened:
        notes = write(open_sink(tmp_path / f"out{target}", opened.info, options=options), list(opened)).notes
    assert sum("data track" in note and why in note for note in notes) == 1
    assert probe(tmp_path / f"out{target}").of("data") == []


def _png() -> bytes:
    done, data = cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))
    assert done
    return bytes(data)
