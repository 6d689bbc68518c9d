"""What the encoder's settings make of the pictures, and what it refuses."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import pytest

from streamseg.errors import OptionError, SinkError
from streamseg.options import Options
from streamseg.sink import open_sink

from .sink_tools import about, made, probe, write


@pytest.mark.parametrize(("codec", "name"), [
    ("prores_ks", "o.mov"), ("mpeg4", "o.mkv"), ("mjpeg", "o.mkv"), ("mpeg2video", "o.mkv"),
    ("mpeg4", "o.avi")])
def test_quality_is_taken_by_the_encoders_with_a_quantiser(tmp_path: Path, codec: str, name: str) -> None:
    frames = made("yuv420p", 6, pts=range(6), time_base=Fraction(1, 30))
    sizes = [write(open_sink(tmp_path / f"{quality}{name}", about(frames),
                             options=Options(codec=codec, quality=quality)), frames).size
             for quality in (0, 50, 100)]
    assert sizes[0] < sizes[1] < sizes[2]
    assert sizes[2] > 1.2 * sizes[0]


@pytest.mark.parametrize(("name", "codec", "near", "not_near"), [
    ("o.mp4", "h265", "libx265", "near it: .*(prores|h263)"), ("o.webm", "vp9x", "libvpx", "x265"),
    ("o.mp4", "nope", "the usual one here is libx264", "near it"),  # yop and ape are decoders
    ("o.webm", "h265", "the usual one here is libvpx-vp9", "near it")])
def test_an_unknown_codec_names_encoders_that_the_container_takes(tmp_path: Path, name: str, codec: str,
                                                                  near: str, not_near: str) -> None:
    with pytest.raises(OptionError, match=f"codec is '{codec}'.*{near}") as told:
        open_sink(tmp_path / name, about(made()), options=Options(codec=codec))
    assert not re.search(not_near, str(told.value))


@pytest.mark.parametrize(("key", "value", "message"), [
    ("prest", "fast", "has no option prest; near it: preset"), ("zzz", "1", "has no option zzz"),
    ("preset", "quick", r"does not take .* with .*preset=quick.* \([^']*\)")])
def test_a_wrong_encoder_option_says_where_the_right_ones_are_listed(tmp_path: Path, key: str, value: str,
                                                                     message: str) -> None:
    with pytest.raises(OptionError, match=message + ".*`ffmpeg -h encoder=libx264` lists"):
        open_sink(tmp_path / "o.mp4", about(made()), options=Options(codec_set={key: value}))


@pytest.mark.parametrize("codec", ["mpeg4", "mpeg2video"])
@pytest.mark.parametrize("name", ["o.mkv", "o.mp4"])
def test_encoders_that_count_frames_take_a_regular_film_of_fine_ticks(tmp_path: Path, codec: str,
                                                                      name: str) -> None:
    frames = made(pts=[100_000 + number * 3000 for number in range(12)], time_base=Fraction(1, 90000))
    out = write(open_sink(tmp_path / name, about(frames), options=Options(codec=codec)), frames)
    times = probe(out.path).times()
    assert [time - times[0] for time in times] == pytest.approx([number / 30 for number in range(12)],
                                                                abs=0.001)


@pytest.mark.parametrize(("codec", "why"), [("mpeg4", "65535 moments a second, not the input's 90000"),
                                            ("mpeg2video", "count frames")])
def test_what_no_grid_holds_is_refused_with_the_remedy(tmp_path: Path, codec: str, why: str) -> None:
    frames = made(pts=[0, 3000, 4000], count=3, time_base=Fraction(1, 90000))
    options = Options(codec=codec)
    with pytest.raises(OptionError, match=f"{why}.* variable frame rate; give --cfr RATE, or another"):
        open_sink(tmp_path / "o.mkv", about(frames, variable_rate=True), options=options)
    sink = open_sink(tmp_path / "o.mkv", about(frames), options=options)
    with pytest.raises(SinkError, match=f"falls between .*{why}.*give --cfr"):
        write(sink, frames)
    sink.abort()
    write(open_sink(tmp_path / "o.mkv", about(frames, variable_rate=True),
                    options=Options(codec=codec, cfr=Fraction(30))), frames)


def test_mpeg4_keeps_variable_times_that_it_can_count(tmp_path: Path) -> None:
    frames = made(pts=[0, 33, 90], count=3, time_base=Fraction(1, 1000))
    out = write(open_sink(tmp_path / "o.mkv", about(frames, variable_rate=True),
                          options=Options(codec="mpeg4")), frames)
    assert probe(out.path).times() == pytest.approx([0, 0.033, 0.09])


def test_svt_av1_prints_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str],
                                monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SVT_LOG", raising=False)
    frames = made(count=3)
    write(open_sink(tmp_path / "o.mp4", about(frames), options=Options(codec="libsvtav1")), frames)
    assert capfd.readouterr().err == ""
