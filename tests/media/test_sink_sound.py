"""Sound encoded again: what decodes it, its channels, its damage; and constant rates from any start."""

from __future__ import annotations

import io
import subprocess
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest

from streamseg.core.frames import Track
from streamseg.errors import DamagedInputError, SinkError
from streamseg.options import Options
from streamseg.sink import open_sink
from streamseg.sink.tracks import name_of
from streamseg.source import open_source
from tests import clips

from .sink_tools import probe, write

Wave = npt.NDArray[np.float64]
RATE = 48000
BEFORE, AFTER = 500, 1500  # Hz


def _tone(pitch: float, seconds: float = 2.0) -> Wave:
    return 0.3 * np.sin(2 * np.pi * pitch * np.arange(int(seconds * RATE)) / RATE)


def _film(path: Path, codec: str, waves: list[Wave], layout: str, picture: str = "mpeg4",
          starts: int = 0) -> Path:
    """A clip at 25 a second whose picture begins at frame ``starts`` and whose sound, at 0, has a wave a
    channel."""
    with av.open(str(path), "w") as out:
        video: Any = out.add_stream(picture, rate=25)
        video.width, video.height, video.pix_fmt = 160, 120, "yuv420p"
        track: Any = out.add_stream(codec, rate=RATE, layout=layout, bit_rate=128_000)
        out.start_encoding()
        samples = np.stack(waves, axis=1).reshape(1, -1).astype(np.float32)
        sound = av.AudioFrame.from_ndarray(samples, format="flt", layout=layout)
        sound.sample_rate, sound.pts, sound.time_base = RATE, 0, Fraction(1, RATE)
        context = track.codec_context
        to_codec = av.AudioResampler(context.format, context.layout, RATE, context.frame_size or 1024)
        packets = [packet for part in [*to_codec.resample(sound), *to_codec.resample(None)]
                   for packet in track.encode(part)] + track.encode(None)
        for index in range(int(len(waves[0]) / RATE * 25) - starts):
            frame = clips.as_frame(clips.picture(index), (160, 120), "yuv420p")
            frame.pts, frame.time_base = starts + index, Fraction(1, 25)
            packets += video.encode(frame)
        packets += video.encode(None)
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            out.mux(packet)
    return path


def _written(source: Path, *targets: Path, **options: Any) -> list[list[str]]:
    """Write all ``targets`` at once from one reading; the notes of each."""
    opened = open_source(source, Options(**options))
    sinks = [open_sink(target, opened.info, options=Options(**options)) for target in targets]
    try:
        for frame in opened:
            for sink in sinks:
                sink.write(frame)
        for sink in sinks:
            sink.close()
    finally:
        opened.close()
        for sink in sinks:
            sink.abort()
    return [sink.notes for sink in sinks]


def _heard(path: Path) -> npt.NDArray[np.float32]:
    """(samples, channels) at 48 kHz, decoded by the ffmpeg program; gaps between times are silence."""
    channels = probe(path).of("audio")[0]["channels"]
    raw = subprocess.run(["ffmpeg", "-v", "error", "-i", str(path), "-map", "0:a:0", "-af",
                          f"aresample={RATE}:async=1:first_pts=0:min_hard_comp=0.01", "-f", "f32le", "-"],
                         capture_output=True, check=True).stdout
    return np.frombuffer(raw, np.float32).reshape(-1, channels)


def _pitch(wave: npt.NDArray[np.float32]) -> float:
    return float(np.abs(np.fft.rfft(wave)).argmax() * RATE / len(wave))


@pytest.mark.parametrize(("name", "codec", "picture"), [("in.wmv", "wmav2", "wmv2"),
                                                        ("in.avi", "adpcm_ms", "mpeg4")])
@pytest.mark.parametrize(("layout", "count"), [("mono", 1), ("stereo", 2)])
def test_sound_with_a_block_size_and_unnamed_channels_is_transcoded(tmp_path: Path, name: str, codec: str,
                                                                    picture: str, layout: str,
                                                                    count: int) -> None:
    pitches = [440, 880][:count]
    source = _film(tmp_path / name, codec, [_tone(pitch) for pitch in pitches], layout, picture)
    targets = [tmp_path / "out.mp4", tmp_path / "out.webm"]
    for target, notes, to in zip(targets, _written(source, *targets), ("aac", "opus"), strict=True):
        track = probe(target).of("audio")[0]
        assert (track["codec_name"], track["channels"], track["channel_layout"]) == (to, count, layout)
        assert [note for note in notes if "mixed" in note] == []
        sound = _heard(target)
        assert [_pitch(sound[24000:72000, channel]) for channel in range(count)] == pytest.approx(pitches,
                                                                                                  abs=2)
        assert abs(len(sound) / RATE - 2) < 0.1  # WMA's frames and ADPCM's blocks are some 45 ms


@pytest.mark.parametrize(("codec", "layout", "named", "pitches"), [
    ("flac", "5.1", "5.1", [300, 500, 700, 60, 900, 1100]),
    ("ac3", "5.1(side)", "5.1", [300, 500, 700, 60, 900, 1100]),  # what DVDs and television have
    ("flac", "7.1", "7.1", [300, 500, 700, 60, 900, 1100, 1300, 1500])])
def test_surround_sound_stays_so_in_opus_channel_by_channel(tmp_path: Path, codec: str, layout: str,
                                                            named: str, pitches: list[int]) -> None:
    source = _film(tmp_path / "in.mkv", codec, [_tone(pitch) for pitch in pitches], layout)
    notes, = _written(source, tmp_path / "out.webm")
    track = probe(tmp_path / "out.webm").of("audio")[0]
    assert (track["codec_name"], track["channels"], track["channel_layout"]) == ("opus", len(pitches), named)
    sound = _heard(tmp_path / "out.webm")
    assert [_pitch(sound[24000:72000, channel]) for channel in range(len(pitches))] == pytest.approx(pitches,
                                                                                                     abs=3)
    assert [note for note in notes if "audio" in note] == [
        f"audio track 1 ({codec}) became libopus: the container cannot hold it as it is"]


@pytest.mark.parametrize(("layout", "named", "pitches"), [
    ("5.1(side)", "5.1", [300, 500, 700, 60, 900, 1100]),
    ("5.0(side)", "5.0", [300, 500, 700, 900, 1100]),
    ("6.1", "7.1", [300, 500, 700, 60, 900, 900, 1100, 1300])])  # the centre at the back on both sides
def test_surround_sound_in_aac_names_its_speakers(tmp_path: Path, layout: str, named: str, pitches: list[int]) -> None:
    given = pitches if layout != "6.1" else [*pitches[:5], *pitches[6:]]
    source = _film(tmp_path / "in.mkv", "flac", [_tone(pitch) for pitch in given], layout)
    notes, = _written(source, tmp_path / "out.mov")
    track = probe(tmp_path / "out.mov").of("audio")[0]
    assert (track["codec_name"], track["channels"], track.get("channel_layout")) == ("aac", len(pitches), named)
    sound = _heard(tmp_path / "out.mov")
    assert [_pitch(sound[24000:72000, channel]) for channel in range(len(pitches))] == pytest.approx(pitches, abs=3)
    assert [note for note in notes if "mixed" in note] == []


@pytest.mark.parametrize(("name", "codec", "layout"), [
    ("in.avi", "pcm_s16le", "stereo"), ("in.mkv", "pcm_s16le", "stereo"), ("in.mkv", "pcm_s16le", "5.1")])
def test_pcm_whose_channels_are_only_counted_is_copied_to_mp4(tmp_path: Path, name: str, codec: str,
                                                              layout: str) -> None:
    pitches = [300, 500, 700, 900, 1100, 1300][:av.AudioLayout(layout).nb_channels]
    source = _film(tmp_path / name, codec, [_tone(pitch) for pitch in pitches], layout)
    assert probe(source).of("audio")[0].get("channel_layout") is None
    notes, = _written(source, tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as written:
        assert (written.streams.audio[0].codec_context.name, written.streams.audio[0].layout.name) == (codec, layout)
    sound = _heard(tmp_path / "out.mp4")
    assert [_pitch(sound[24000:72000, channel]) for channel in range(len(pitches))] == pytest.approx(pitches, abs=2)
    assert [note for note in notes if "audio" in note] == []


def test_sound_that_a_container_refuses_late_is_told_of_with_a_remedy(tmp_path: Path) -> None:
    source = _film(tmp_path / "in.nut", "eac3", [_tone(440)], "mono")  # NUT does not say what MP4's head of it wants
    with pytest.raises(SinkError, match=r"out\.mp4 cannot be written: Invalid argument; .*--no-audio leaves them out"):
        _written(source, tmp_path / "out.mp4")
    assert [path.name for path in tmp_path.iterdir()] == ["in.nut"]


def test_aac_of_an_avi_becomes_opus(tmp_path: Path) -> None:
    source = _film(tmp_path / "in.avi", "aac", [_tone(440)], "mono")  # its tag 0xff is no text, which PyAV takes it for
    _written(source, tmp_path / "out.webm")
    assert probe(tmp_path / "out.webm").of("audio")[0]["codec_name"] == "opus"
    assert _pitch(_heard(tmp_path / "out.webm")[24000:72000, 0]) == pytest.approx(440, abs=2)


def test_what_is_mixed_down_to_stereo_is_said_so(tmp_path: Path) -> None:
    source = _film(tmp_path / "in.mkv", "libopus", [_tone(300 + 200 * number) for number in range(6)], "5.1")
    notes, = _written(source, tmp_path / "out.avi")
    track = probe(tmp_path / "out.avi").of("audio")[0]
    assert (track["codec_name"], track["channels"]) == ("mp3", 2)
    assert any("became libmp3lame, mixed down to stereo: the container" in note for note in notes)


def _damaged(tmp_path: Path, count: int = 3) -> tuple[Path, list[float]]:
    """A clip whose pitch changes at 2 s, ``count`` packets of its ALAC around 1 s without sense, and the
    times between which those lie."""
    wave = np.concatenate([_tone(BEFORE), _tone(AFTER, 1.0)])
    source = _film(tmp_path / "whole.mkv", "alac", [wave], "mono")
    data, times = bytearray(source.read_bytes()), []
    with av.open(str(source)) as container:
        found = [packet for packet in container.demux(container.streams.audio[0])
                 if packet.size and packet.pts * packet.time_base > 1][:count]
        for packet in found:
            begins = data.index(bytes(packet), packet.pos)  # a steady tone makes equal packets
            data[begins:begins + packet.size] = b"\x55" * packet.size
            times += [float(packet.pts * packet.time_base),
                      float((packet.pts + packet.duration) * packet.time_base)]
    (tmp_path / "in.mkv").write_bytes(data)
    return tmp_path / "in.mkv", [min(times), max(times)]


@pytest.mark.parametrize("target", ["out.webm", "out.avi"])  # AVI stores no times: a gap would close there
def test_damaged_sound_is_silent_counted_and_moves_nothing(tmp_path: Path, target: str) -> None:
    source, (begins, ends) = _damaged(tmp_path)
    notes, = _written(source, tmp_path / target, on_error="skip")
    assert "3 parts of audio track 1 (alac) did not decode and are silent" in notes
    sound = _heard(tmp_path / target)[:, 0]
    margin = 0.03  # seconds: an encoder's frame
    hole = sound[int((begins + margin) * RATE):int((ends - margin) * RATE)]
    assert np.abs(hole).max() < 0.02
    for first, last, pitch in ((0.1, begins - margin, BEFORE), (ends + margin, 1.97, BEFORE),
                               (2.05, 2.9, AFTER)):
        part = sound[int(first * RATE):int(last * RATE)]
        assert abs(_pitch(part) - pitch) < 4
        assert np.abs(part).max() > 0.2
    assert abs(len(sound) / RATE - 3) < 0.06


def test_damaged_sound_stops_the_run_and_names_the_input(tmp_path: Path) -> None:
    source, (begins, _) = _damaged(tmp_path, 1)
    with pytest.raises(DamagedInputError, match=rf"in\.mkv is damaged at {begins:.3f} s: its audio track 1 "
                                                r"\(alac\) does not decode .*--on-error skip"):
        _written(source, tmp_path / "out.webm")
    assert not (tmp_path / "out.webm").exists()


NTSC = Fraction(24000, 1001)


def _broadcast(path: Path, audio: bool) -> Path:
    """24 frames at 23.976 a second from 1.4 s on, which is 33.57 frames."""
    return clips.video(path, rate=NTSC, frames=24, time_base=Fraction(1, 90000), audio=audio,
                       pts=[round(index * 90000 / NTSC) for index in range(24)], start_offset=1.4)


@pytest.mark.parametrize("audio", [False, True])
@pytest.mark.parametrize("cfr", [None, NTSC])
def test_a_constant_rate_from_any_start_is_one_in_avi(tmp_path: Path, audio: bool,
                                                      cfr: Fraction | None) -> None:
    source = _broadcast(tmp_path / "in.ts", audio)
    _written(source, tmp_path / "out.avi", cfr=cfr)
    found = probe(tmp_path / "out.avi")
    # not held at the start either, where FFmpeg would fill an offset that AVI cannot hold with empty frames
    assert found.times() == pytest.approx([float(index / NTSC) for index in range(24)], abs=1e-5)
    assert int(found.video["nb_frames"]) == 24
    for track in found.of("audio"):
        assert found.times(track["index"])[0] == 0
        assert abs(float(track["duration"]) - 1.0) < 0.1


def test_a_picture_that_begins_after_the_sound_does_so_in_avi(tmp_path: Path) -> None:
    source = _film(tmp_path / "in.mkv", "libmp3lame", [_tone(440)], "mono", starts=15)
    _written(source, tmp_path / "out.avi")
    found = probe(tmp_path / "out.avi")
    given = probe(source)
    zero = given.times(given.of("audio")[0]["index"])[0]
    # the first picture is held: all behind it have their own times, to half a frame
    assert found.times()[1:] == pytest.approx([time - zero for time in given.times()[1:]], abs=0.0201)


def test_a_constant_rate_from_any_start_is_one_on_standard_output(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = _broadcast(tmp_path / "in.ts", False)
    written = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(written))
    opened = open_source(source, Options())
    write(open_sink("-", opened.info, options=Options()), list(opened))
    opened.close()
    (tmp_path / "out.y4m").write_bytes(written.getvalue())
    monkeypatch.undo()
    assert len(probe(tmp_path / "out.y4m").times()) == 24


def test_frames_half_a_frame_off_the_grid_are_neither_repeated_nor_left_out(tmp_path: Path) -> None:
    source = clips.video(tmp_path / "in.mkv", pts=[20 + 40 * index for index in range(12)], frames=12)
    notes, = _written(source, tmp_path / "out.mkv", cfr=Fraction(25))
    assert [note for note in notes if "repeated" in note] == []
    times = probe(tmp_path / "out.mkv").times()
    assert np.allclose(np.diff(times), 0.04)
    assert len(times) == 12
    assert abs(times[0] - 0.02) <= 0.0201  # the container keeps the start, to half a frame


@pytest.mark.parametrize(("codec", "kept"), [
    ("mp2", "mp2"), ("aac", "aac"), ("ac3", "ac3"), ("pcm_s16le", "pcm_s16le"), ("pcm_f32le", "pcm_f32le"),
    ("flac", "mp3"), ("eac3", "mp3"), ("adpcm_ms", "mp3"), ("adpcm_ima_wav", "mp3"), ("vorbis", "mp3")])
def test_avi_gets_a_copy_of_sound_only_where_that_keeps_its_times(tmp_path: Path, codec: str,
                                                                  kept: str) -> None:
    source, out = tmp_path / "in.mkv", tmp_path / "out.avi"
    subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=s=160x120:r=25:d=1", "-f", "lavfi",
                    "-i", "sine=d=1:r=44100", "-ac", "2", "-c:a", codec, "-strict", "-2", str(source)],
                   check=True)
    with closing(open_source(source)) as opened:
        notes = write(open_sink(out, opened.info, options=Options(cfr=Fraction(25))), list(opened)).notes
    found = probe(out)
    [sound] = found.of("audio")
    assert sound["codec_name"] == kept
    assert any("became libmp3lame" in note for note in notes) == (kept != codec)
    command = ["ffmpeg", "-v", "error", "-i", str(out), "-map", "0:a", "-f", "s16le", "-"]
    heard = subprocess.run(command, capture_output=True, check=True).stdout
    assert abs(len(heard) / 4 / 44100 - 1.0) < 0.08
    assert abs(found.times(sound["index"])[-1] - 1.0) < 0.08


@pytest.mark.parametrize(("language", "named"), [(None, "aac"), ("und", "aac"), ("eng", "aac, eng")])
def test_a_track_is_named_with_its_language_where_it_has_one(language: str | None, named: str) -> None:
    assert name_of(Track(1, "audio", "aac", language)) == f"audio track 1 ({named})"
