"""Sources and outputs by name: what is refused before anything is touched, and what a recording leaves."""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from streamseg.errors import OptionError, SinkError
from streamseg.live import run as live_run
from streamseg.live.capture import Capture
from streamseg.live.consumers import consumers_of
from streamseg.live.endpoints import Opener, Reader, unused_settings
from streamseg.live.keymap import backgrounds, pressed
from streamseg.live.options import WHIP_VARIABLE, LiveOptions, bearer_token
from streamseg.live.stats import LiveOutput
from streamseg.live.types import Control, Scene
from streamseg.options import Options
from streamseg.sink import NullSink
from streamseg.sink.live.network import shown
from streamseg.sink.live.preview import PreviewWindow
from streamseg.sink.live.recording import LiveEncoder, RecordingSink
from tests.unit.live_fakes import INFO, FakeClock, Keeper, ScriptedCamera, room_frame

# --- the same file twice --------------------------------------------------------------------------


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a film (by three names), another, settings and a model."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("film.mkv", "room.mkv", "live.toml", "model.tflite"):
        (tmp_path / name).write_text("")
    (tmp_path / "sub").mkdir()
    (tmp_path / "link.mkv").symlink_to("film.mkv")
    (tmp_path / "hard.mkv").hardlink_to("film.mkv")
    return tmp_path


def checked(source: Any, *to: Any, save_config: str | None = None, **given: Any) -> None:
    of = {name: given.pop(name) for name in list(given) if name in LiveOptions.__dataclass_fields__}
    live_run.check_settings(source, to, Options(**given), LiveOptions(realtime=source == "film.mkv", **of),
                   save_config=save_config)


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize(("words", "given", "message"), [
    (["film.mkv", "null", "film.mkv"], {}, "--to film.mkv and the source film.mkv are the same file"),
    (["film.mkv", "./film.mkv"], {}, "--to ./film.mkv and the source"),
    (["film.mkv", "sub/../film.mkv"], {}, "the source"), (["film.mkv", "~/film.mkv"], {}, "the source"),
    (["film.mkv", "link.mkv"], {}, "the source"), (["film.mkv", "hard.mkv"], {}, "the source"),
    (["film.mkv", "null"], {"json_stats": "film.mkv"}, "--json-stats film.mkv and the source"),
    ([None, "room.mkv"], {"background": "./room.mkv"}, "--to room.mkv and --background ./room.mkv"),
    ([None, "room.mkv"], {"backgrounds": "blur, room.mkv"}, "--to room.mkv and --backgrounds room.mkv"),
    ([None, "null"], {"config": "live.toml", "json_stats": "./live.toml"}, "--config live.toml"),
    ([None, "null"], {"model": "model.tflite", "json_stats": "model.tflite"}, "--model model.tflite"),
    ([None, "t.mkv", "./t.mkv"], {}, "--to ./t.mkv and --to t.mkv are the same file"),
    ([None, "d.mkv"], {"json_stats": "sub/../d.mkv"}, "--json-stats sub/../d.mkv and --to d.mkv"),
    (["film.mkv", "null"], {"save_config": "film.mkv"}, "--save-config film.mkv and the source"),
])
def test_what_is_written_is_neither_read_nor_written_twice(
        here: Path, words: list[Any], given: dict[str, Any], message: str, overwrite: bool) -> None:
    with pytest.raises(OptionError) as caught:
        checked(*words, **given, overwrite=overwrite)
    assert message in str(caught.value)
    assert str(here) in str(caught.value)
    assert "another name" in str(caught.value)


def test_different_files_and_what_is_no_file_pass(here: Path) -> None:
    checked("film.mkv", "null:")  # as run writes it
    checked("film.mkv", "null", "window", "virtual:x", "pipewire:x", "new.mkv", "udp://film.mkv", background="room.mkv",
            backgrounds="blur,room.mkv", json_stats="-", config="live.toml")
    checked(None, "virtual", config="live.toml", save_config="live.toml")  # brings it up to date


@pytest.mark.parametrize(("target", "message"), [
    ("vitual", "--to is 'vitual'; it must be virtual"), ("talk.avi", r"live recordings are \.mkv or \.mp4"),
    ("out/", "--to is 'out/'"), ("rtmp://host:port/x", "is not a valid address"),
])
def test_an_output_that_is_none_is_refused_before_a_camera_is_looked_for(target: str, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        checked(None, "null", target)


# --- settings without effect -------------------------------------------------------------------------

CAMERAS = {"camera": "7", "size": "9999x99", "rate": Fraction(5), "format": "yuyv422", "backend": "opencv"}


@pytest.mark.parametrize(("source", "to", "unused"), [
    ("film.mkv", ["null"], {*CAMERAS, "reconnect", "on_demand"}),
    ("film.mkv", ["null", "rtmp://host/x"], {*CAMERAS, "on_demand"}),  # the stream is reconnected
    ("film.mkv", ["null", "pipewire"], {*CAMERAS, "on_demand"}),  # as is PipeWire
    ("rtsp://host/x", ["null"], {*CAMERAS}), ("http://host/x", ["null"], {*CAMERAS}),
    ("screen", ["null"], {"camera", "format", "backend", "realtime", "start", "stream"}),
    ("/dev/video3", ["null"], {"camera", "realtime", "start", "stream"}), (None, ["null"], set()),
    (ScriptedCamera([]), ["null"], set()),
])
def test_beside_a_source_some_settings_do_nothing(source: Any, to: list[str], unused: set[str]) -> None:
    values = {**CAMERAS, "reconnect": True, "on_demand": True, "realtime": True, "start": 2.0, "stream": 1}
    assert set(unused_settings(values, source, to)) == unused
    for name in unused:
        assert unused_settings({name: values[name]}, source, to) == [name]
    assert unused_settings({"backend": "av", "reconnect": False, "realtime": False, "start": 0.0}, source, to) == []


def test_what_does_nothing_is_refused_by_flag_and_source(here: Path) -> None:
    with pytest.raises(OptionError, match="--camera 7, --rate 5, --reconnect: no effect with the source "
                                          r"film\.mkv, which is a file"):
        checked("film.mkv", "null", camera="7", rate=5, reconnect=True, adapt=False, max_cpu="5%")
    with pytest.raises(OptionError, match=r"--max-cpu 5% needs the adaptive quality, which --no-adapt switches off"):
        checked(None, "null", adapt=False, max_cpu="5%")
    checked(None, "null", max_cpu="5%", **CAMERAS)
    checked(None, "null", adapt=False)


# --- sources -------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("source", "reconnect", "lasting", "again"), [
    ("http://host/a.mp4", False, False, False), ("https://host/a.m3u8", True, True, True),
    ("rtsp://host/x", False, True, False), ("rtsp://host/x", True, True, True),
    (None, True, True, True), ("screen", False, True, False),
])
def test_an_address_is_a_source_and_what_may_end_lasts_only_with_reconnect(
        source: str | None, reconnect: bool, lasting: bool, again: bool) -> None:
    reader = Reader(source, Options(), LiveOptions(reconnect=reconnect), FakeClock())
    assert (reader.lasting, reader.again is not None) == (lasting, again)


@pytest.mark.parametrize("source", ["a.mp4", "file:///a.mp4", "-"])
def test_a_file_is_played_only_with_realtime(source: str) -> None:
    with pytest.raises(OptionError, match="--realtime plays it"):
        Reader(source, Options(), LiveOptions(), FakeClock())
    reader = Reader(source, Options(), LiveOptions(realtime=True), FakeClock())
    assert (reader.lasting, reader.again) == (False, None)


# --- addresses -----------------------------------------------------------------------------------------

@pytest.mark.parametrize(("address", "text"), [
    ("udp://:1234", "udp://:1234"), ("srt://?mode=listener", "srt://"), ("udp://[::1]:5000", "udp://[::1]:5000"),
    ("rtmp://user:secret@host:1935/app/key", "rtmp://host:1935"), ("udp://[::1:5000", "udp://[::1:5000"),
    ("srt://host:9000?streamid=secret@x", "srt://host:9000"),
])
def test_an_address_is_shown_by_kind_host_and_port(address: str, text: str) -> None:
    assert shown(address) == text


@pytest.mark.parametrize("reconnect", [False, True])
@pytest.mark.parametrize("address", ["udp://[::1:5000/key", "udp://host:99999/key", "rtmp://host:port/key"])
def test_what_is_no_address_is_refused_without_its_key(address: str, reconnect: bool) -> None:
    opener = Opener(INFO, Options(), None, FakeClock(), reconnect)
    with pytest.raises(OptionError, match="which is not a valid address") as caught:
        opener(address)
    assert shown(address) in str(caught.value)
    assert str(caught.value).count("key") == 1  # that of the example


# --- whether a program uses the output ---

@pytest.mark.parametrize("looked_at", [False, True])
def test_on_demand_a_camera_that_nobody_looks_at_is_not_wanted_from_the_start(
        monkeypatch: pytest.MonkeyPatch, looked_at: bool) -> None:
    wanted: list[bool] = []

    class Engine:
        def __init__(self, capture: Capture, *rest: Any, control: Control, **more: Any) -> None:
            self.run = lambda: wanted.append(control.has_consumers)

    monkeypatch.setattr(live_run, "LiveSession", Engine)
    monkeypatch.setattr(live_run, "consumers_of", lambda outputs, window: lambda: looked_at)
    monkeypatch.setattr(Reader, "open", lambda reader: ScriptedCamera([room_frame(0)]))
    live_run.run(None, [Keeper()], options=Options(method="threshold"), live=LiveOptions(on_demand=True))
    assert wanted == [looked_at]


def test_whether_anybody_looks_is_known_of_virtual_cameras_only() -> None:
    with pytest.raises(OptionError, match=r"whether a program uses the output: .*leave --on-demand out"):
        consumers_of([LiveOutput("null", NullSink())], False)


# --- the window ----------------------------------------------------------------------------------------

@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Qt's X11 libraries are Linux's")
def test_a_window_that_would_hang_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":no-such-display")
    names = list(sys.modules)
    if names.index("av") > names.index("cv2"):
        pytest.skip("here OpenCV was loaded before PyAV, as it should be")
    with pytest.raises(SinkError, match="PyAV was imported before OpenCV"):
        PreviewWindow()


def test_a_window_is_closed_when_the_run_cannot_start(monkeypatch: pytest.MonkeyPatch) -> None:
    window = Keeper()
    monkeypatch.setattr(live_run, "PreviewWindow", lambda: window)
    monkeypatch.setattr(Reader, "open", lambda reader: ScriptedCamera([room_frame(0)]))
    with pytest.raises(OptionError, match=r"whether a program uses the output: .*leave --on-demand out"):
        live_run.run(None, ["window", Keeper()], options=Options(method="threshold"),
                     live=LiveOptions(on_demand=True))
    assert window.state == "closed"


# --- the keys n and b ------------------------------------------------------------------------------------

def keyed(background: str, keys: str, choices: tuple[str, ...]) -> list[str | None]:
    look, seen = Scene(background), []
    for key in keys:
        look = pressed(look, key, choices)
        seen.append(look.background)
    return seen


def test_the_blur_that_a_run_began_with_is_among_the_backgrounds(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}

    class Controls:
        def __init__(self, *rest: Any, **more: Any) -> None:
            given.update(more)
            raise OptionError("enough")

    monkeypatch.setattr(live_run, "Controls", Controls)
    monkeypatch.setattr(Reader, "open", lambda reader: ScriptedCamera([room_frame(0)]))
    with pytest.raises(OptionError, match="enough"):
        live_run.run(None, [Keeper()], options=Options(method="threshold"),
                     live=LiveOptions(backgrounds="red,white"))
    assert given["choices"] == ("blur", "red", "white")
    assert keyed("blur", "nnn", given["choices"]) == ["red", "white", "blur"]


def test_from_a_background_that_is_not_listed_n_goes_to_the_first_and_b_to_the_last() -> None:
    choices = backgrounds("a.jpg", "b.jpg,c.jpg")
    assert keyed("of the settings.jpg", "n", choices) == ["a.jpg"]
    assert keyed("of the settings.jpg", "b", choices) == ["c.jpg"]


# --- recordings ------------------------------------------------------------------------------------------

def test_a_recording_is_made_by_its_first_frame_and_an_empty_one_is_not_kept(tmp_path: Path) -> None:
    target = tmp_path / "talk.mkv"
    target.write_text("precious")
    sink = RecordingSink(str(target), INFO, Options(overwrite=True))
    sink.close()
    sink.abort()
    assert target.read_text() == "precious"
    sink = RecordingSink(str(target), INFO, Options(overwrite=True))
    sink.write(room_frame(0))
    assert target.read_bytes()[:4] == b"\x1aE\xdf\xa3"  # Matroska's
    sink.close()
    sink.abort()
    with av.open(str(target)) as container:
        assert len(list(container.decode(video=0))) == 1


def test_a_file_that_was_put_there_meanwhile_is_neither_replaced_nor_taken_away(tmp_path: Path) -> None:
    target = tmp_path / "talk.mkv"
    sink = RecordingSink(str(target), INFO, Options())
    target.write_text("precious")
    with pytest.raises(SinkError, match="File exists"):
        sink.write(room_frame(0))
    sink.abort()
    assert target.read_text() == "precious"


def test_a_first_frame_that_cannot_be_encoded_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch
                                                             ) -> None:
    def fail(encoder: LiveEncoder, frame: Any) -> None:
        raise SinkError("no space left on the disk")

    monkeypatch.setattr(LiveEncoder, "write", fail)
    sink = RecordingSink(str(tmp_path / "talk.mkv"), INFO, Options())
    with pytest.raises(SinkError, match="no space"):
        sink.write(room_frame(0))
    sink.abort()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="/proc, where nobody can make files, is Linux's")
def test_a_folder_that_takes_no_files_is_refused_before_the_first_frame() -> None:
    with pytest.raises(SinkError, match="cannot be written"):
        RecordingSink("/proc/talk.mkv", INFO, Options())


def test_a_name_that_is_too_long_is_an_error_and_no_defect(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match="name too long"):
        RecordingSink(str(tmp_path / ("x" * 300 + ".mkv")), INFO, Options())


# --- WHIP ------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("address", "message"), [
    ("whip:", "no address of a WHIP endpoint"), ("whip:ftp://host/secret", "no address of a WHIP endpoint"),
    ("whip:host/secret", "no address of a WHIP endpoint"), ("whip:https:///secret", "no address of a WHIP endpoint"),
    ("whip:https://host:99999/secret", "is not a valid address"),
    ("whip:https://host/a secret", "no address of a WHIP endpoint"),
    ("whip:https://me:secret@host/x", "with a user's name: WHIP wants a token"),
])
def test_what_is_no_whip_endpoint_is_refused_without_its_path(address: str, message: str) -> None:
    with pytest.raises(OptionError, match=message) as caught:
        checked(None, "null", address)
    assert "secret" not in str(caught.value).replace(address.partition("://")[0], "")
    checked(None, "whip:https://host/x", reconnect=True)


def test_a_token_is_one_word_and_shown_in_no_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(WHIP_VARIABLE, raising=False)
    assert bearer_token(None) is None
    for bad in ("two words", "", "with\r\nHeader: x", "größe"):
        with pytest.raises(OptionError, match=r"whip_token is no bearer token \(not shown here\)") as caught:
            LiveOptions(whip_token=bad)
        assert not bad or bad not in str(caught.value)
    monkeypatch.setenv(WHIP_VARIABLE, "of-the-environment")
    assert bearer_token(None) == "of-the-environment"
    assert bearer_token("own") == "own"
