"""Keys, settings files and their reloading, looks, figures."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamseg.errors import OptionError, SinkError
from streamseg.frames import Matte
from streamseg.live import config
from streamseg.live.desk import Desk, TerminalKeys, WindowScreen, figure_lines
from streamseg.live.figures import Figures, Output
from streamseg.live.follow import Follower, View, cropped, cropped_matte, wanted_view
from streamseg.live.looks import KEYS, backgrounds, changed, pressed
from streamseg.live.meter import Latencies, Usage, rss_mib
from streamseg.live.options import LiveOptions, cpu_share, picture_size
from streamseg.live.types import Control, Finished, Look
from streamseg.sink.window import Window
from tests.unit.live_fakes import FakeClock, Keeper, control, room_frame

CHOICES = ("a.jpg", "blur", "green")


@pytest.mark.parametrize(("keys", "what"), [
    ("n", {"background": "blur"}), ("nn", {"background": "green"}), ("nnn", {"background": "a.jpg"}),
    ("b", {"background": "green"}), ("nb", {"background": "a.jpg"}),
    ("+", {"blur": 0.6}), ("--", {"blur": 0.3}), ("-" * 9, {"blur": 0.0}), ("+" * 9, {"blur": 1.0}),
    ("m", {"mirror": True}), ("mm", {"mirror": False}), ("v", {"matte_view": True}), ("f", {"freeze": True}),
])
def test_a_key_changes_the_look(keys: str, what: dict[str, Any]) -> None:
    look = Look("a.jpg")
    for key in keys:
        look = pressed(look, key, CHOICES)
    assert look == Look(**{"background": "a.jpg", **what})


def test_a_key_without_meaning_leaves_the_very_look() -> None:
    look = Look("blur")
    assert pressed(look, "z", CHOICES) is look


def test_the_keys_go_through_the_chosen_background_and_those_listed() -> None:
    assert backgrounds("x.png", "a.jpg, blur,a.jpg") == ("x.png", "a.jpg", "blur")
    assert backgrounds("blur", None)[0] == "blur"
    assert len(backgrounds(None, None)) >= 2


def desk(keys: str = "", state: Control | None = None, clock: FakeClock | None = None, **extra: Any
         ) -> tuple[Desk, Control, list[str]]:
    waiting, told, state = iter(keys), [], state or control(background="a.jpg")
    made = Desk(state, clock or FakeClock(), told.append, keys=[lambda: next(waiting, "")], choices=CHOICES,
                **extra)
    return made, state, told


def test_keys_reach_control_and_q_ends() -> None:
    made, state, told = desk("n+p q")
    assert [made() for _ in range(5)] == [False, False, False, False, True]
    assert state.look.background == "blur"
    assert state.look.blur == 0.6
    assert not state.paused  # p, then the space bar, which is p too
    assert told == ["paused: the background alone goes out", "goes on"]


@pytest.mark.parametrize("key", ["q", "\x1b"])
def test_q_and_escape_end(key: str) -> None:
    assert desk(key)[0]() is True


def test_a_key_can_be_given_an_action() -> None:
    done: list[str] = []
    made, _, _ = desk("rr")
    made.on_key("r", lambda: done.append("r"))
    made()
    made()
    assert done == ["r", "r"]
    assert set(KEYS) >= {"n", "b", "+", "-", "v", "f", "m", "p", "r", "s", "q"}


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, Any]]:
    """(the user's end, ours, which is standard input)"""
    pty = pytest.importorskip("pty", reason="terminals are set by termios")
    user, ours = pty.openpty()
    with os.fdopen(ours) as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        yield user, stream
    with suppress(OSError):
        os.close(user)


@pytest.mark.parametrize(("sent", "pressed"), [
    (b"\x1b[C", ""), (b"\x1bOP", ""), (b"\x1b[1;5D", ""), (b"\x1b[15~", ""), (b"\x1b[I", ""), (b"\x1b[", ""),
    (b"\x1b[[A", ""), (b"\x1bq", ""), (b"\x1b", "\x1b"), (b"n\x1b[Cm", "nm"), (b"\x1b[A\x1b[Bn", "n"),
    ("né".encode(), "né"), (b"n" * 70, "n" * 70),
], ids=repr)
def test_what_an_arrow_key_sends_is_no_key_and_escape_alone_is(terminal: tuple[int, Any], sent: bytes,
                                                               pressed: str) -> None:
    with TerminalKeys() as keys:
        os.write(terminal[0], sent)
        assert "".join(keys() for _ in range(80)) == pressed


def test_an_arrow_key_whose_bytes_come_in_two_parts_does_not_end_the_call(terminal: tuple[int, Any],
                                                                          monkeypatch: pytest.MonkeyPatch
                                                                          ) -> None:
    sizes, read = iter([1, 64]), os.read
    with TerminalKeys() as keys:
        os.write(terminal[0], b"\x1b[C")
        monkeypatch.setattr(os, "read", lambda descriptor, size: read(descriptor, next(sizes)))
        assert keys() == ""
        assert list(sizes) == []


def test_in_the_background_of_a_shell_the_terminal_is_left_alone(terminal: tuple[int, Any],
                                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    """Who sets or reads it there is stopped: SIGTTOU, SIGTTIN."""
    import termios
    descriptor, group = terminal[1].fileno(), os.getpgrp()
    before = termios.tcgetattr(descriptor)
    monkeypatch.setattr(os, "tcgetpgrp", lambda fd: group + 1)
    with TerminalKeys() as keys:
        assert not keys.there
        assert termios.tcgetattr(descriptor) == before
    monkeypatch.setattr(os, "tcgetpgrp", lambda fd: group)
    with TerminalKeys() as keys:
        during = termios.tcgetattr(descriptor)
        os.write(terminal[0], b"n")
        monkeypatch.setattr(os, "tcgetpgrp", lambda fd: group + 1)  # Ctrl-Z and bg
        assert keys() == ""
    assert termios.tcgetattr(descriptor) == during != before


def test_a_terminal_that_was_closed_is_no_failure(terminal: tuple[int, Any]) -> None:
    with TerminalKeys() as keys:
        os.close(terminal[0])
        assert keys() == ""


@pytest.mark.skipif(os.name != "posix", reason="terminals are set by termios")
def test_keys_of_the_terminal_come_one_by_one_and_it_is_as_before_afterwards(monkeypatch: pytest.MonkeyPatch
                                                                            ) -> None:
    import pty
    import termios
    ours, theirs = pty.openpty()
    with os.fdopen(theirs) as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        before = termios.tcgetattr(terminal.fileno())
        with TerminalKeys() as keys:
            assert keys.there
            assert keys() == ""
            os.write(ours, b"bq")
            assert [keys(), keys(), keys()] == ["b", "q", ""]
        assert termios.tcgetattr(terminal.fileno()) == before
    os.close(ours)


def test_without_a_terminal_there_are_no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    with open(os.devnull) as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        with TerminalKeys() as keys:
            assert not keys.there
            assert keys() == ""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Qt's X11 libraries are Linux's")
def test_a_window_that_would_hang_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":no-such-display")
    names = list(sys.modules)
    if names.index("av") > names.index("cv2"):
        pytest.skip("here OpenCV was loaded before PyAV, as it should be")
    with pytest.raises(SinkError, match="PyAV was imported before OpenCV"):
        Window()


# --- settings file -------------------------------------------------------------------------------

def touched(path: Path, text: str) -> None:
    """Write a file so that it counts as changed whatever the file system's clock does."""
    before = path.stat().st_mtime_ns if path.exists() else 0
    path.write_text(text)
    os.utime(path, ns=(before + 10 ** 9, before + 10 ** 9))


def ticking(made: Desk, clock: FakeClock) -> None:
    clock.time += 1.5
    made()


def test_a_changed_settings_file_is_read_again_and_a_broken_one_keeps_the_last_good(tmp_path: Path) -> None:
    path, clock = tmp_path / "live.toml", FakeClock()
    touched(path, 'background = "a.jpg"\nblur = 0.5\n')
    made, state, told = desk(clock=clock, settings=str(path))
    ticking(made, clock)
    assert told == []
    touched(path, 'background = "green"\nblur = 0.8\nmirror = true\n')
    ticking(made, clock)
    assert (state.look.background, state.look.blur, state.look.mirror) == ("green", 0.8, True)
    for broken in ('background = "b', "blur = 7", "colour = 1", 'mirror = "yes"', "background = 3",
                   "fit = true", 'follow = "no"', 'codec_set = "x"'):
        touched(path, broken)
        ticking(made, clock)
        assert (state.look.background, state.look.blur) == ("green", 0.8)
        assert told[-1].endswith("the settings before it stay")
    touched(path, 'background = "blur"\nmodel = "x.tflite"')
    ticking(made, clock)
    assert state.look.background == "blur"
    assert told[-1] == "live.toml is read again; from the next start: model"


def test_what_a_key_changed_stays_when_another_setting_is_edited(tmp_path: Path) -> None:
    path, clock = tmp_path / "live.toml", FakeClock()
    touched(path, 'background = "a.jpg"\n')
    made, state, _ = desk("n", clock=clock, settings=str(path))
    made()
    assert state.look.background == "blur"
    touched(path, 'background = "a.jpg"\nblur = 0.9\n')
    ticking(made, clock)
    assert (state.look.background, state.look.blur) == ("blur", 0.9)


def test_a_setting_that_is_taken_out_of_the_file_goes_back_to_what_holds_without_it(tmp_path: Path) -> None:
    """The blur was given on the command line, which goes before the file."""
    path, clock = tmp_path / "live.toml", FakeClock()
    touched(path, 'background = "a.jpg"\nblur = 0.9\nmirror = true\nmodel = "x.tflite"\n')
    made, state, told = desk(state=control(background="a.jpg", blur=0.3, mirror=True), clock=clock,
                             settings=str(path))
    touched(path, "follow = true\n")
    ticking(made, clock)
    assert state.look == Look("blur", blur=0.3, follow=True)
    assert told == ["live.toml is read again; from the next start: model"]
    touched(path, "\n")
    ticking(made, clock)
    assert state.look == Look("blur", blur=0.3)


def test_a_settings_file_that_is_away_for_a_moment_is_no_change(tmp_path: Path) -> None:
    path = tmp_path / "live.toml"
    path.write_text("blur = 0.5")
    watch = config.Watch(path)
    path.unlink()
    assert not watch.changed()
    touched(path, "blur = 0.6")
    assert watch.changed()
    assert not watch.changed()


def test_a_background_file_that_changes_is_read_again(tmp_path: Path) -> None:
    path, clock = tmp_path / "wall.png", FakeClock()
    touched(path, "one")
    made, state, told = desk(state=control(background=str(path)), clock=clock)
    ticking(made, clock)
    assert state.look.version == 0
    touched(path, "two")
    ticking(made, clock)
    assert state.look.version == 1
    assert "has changed and is read again" in told[0]


def test_saved_settings_are_read_back_as_they_were(tmp_path: Path) -> None:
    values = {"background": 'a "b" \\ c.jpg', "blur": 0.25, "mirror": True, "size": "1280x720",
              "rate": Fraction(30000, 1001), "set": {"key": "green"}, "to": ["virtual", "window"],
              "source": None, "threads": 2}
    path = tmp_path / "saved.toml"
    config.save(str(path), values, overwrite=False)
    read = config.read(path)
    assert read == {**{name: value for name, value in values.items() if value is not None},
                    "rate": "30000/1001"}
    assert LiveOptions.of({"rate": read["rate"]}).rate == Fraction(30000, 1001)
    with pytest.raises(SinkError, match="exists"):
        config.save(str(path), values, overwrite=False)


@pytest.mark.parametrize(("text", "message"), [
    ("blur = ", "are no TOML"), ("colour = 3", "setting of live.toml is 'colour'; allowed are: start"),
])
def test_wrong_settings_are_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "live.toml"
    path.write_text(text)
    with pytest.raises(OptionError, match=message):
        config.read(path)
    with pytest.raises(OptionError, match="cannot be read"):
        config.read(tmp_path / "not-there.toml")


@pytest.mark.parametrize(("text", "message"), [
    ("background = 5", "background is 5; it must be text"), ("size = 5", "size is 5; it must be text"),
    ("json_stats = 5", "json_stats is 5; it must be text"), ("source = 5", "source is 5; it must be text"),
    ('backgrounds = ["blur"]', r"backgrounds is \['blur'\]; it must be text"),
    ("max_cpu = true", "max_cpu is True; it must be text"), ("set = 3", "set is 3; it must be a table"),
    ('codec_set = "x"', "codec_set is 'x'; it must be a table"), ("to = 3", "to is 3; .* or a list of such"),
    ("to = [3]", r"to is \[3\]; .* or a list of such"), ('mirror = "no"', "mirror is 'no'; .* true or false"),
    ("adapt = 0", "adapt is 0; it must be true or false"), ("threads = 1.5", "threads is 1.5; .* whole "),
    ("rate = true", "rate is True; it must be a number, or text"), ("fit = 3", "fit is 3; .* cover, contain"),
    ("blur = true", "blur is True; it must be a number, 0 to 1"), ("blur = 7", "blur is 7; allowed is 0 to "),
])
def test_a_setting_of_the_wrong_type_is_named_with_what_is_allowed(tmp_path: Path, text: str, message: str
                                                                   ) -> None:
    path = tmp_path / "live.toml"
    path.write_text(text)
    with pytest.raises(OptionError, match=f"^live.toml: {message}"):
        config.read(path)


def test_every_field_has_a_kind_that_settings_are_checked_for() -> None:
    for name in config.FIELDS:
        with pytest.raises(OptionError, match=f"{name} is "):
            config.checked(name, [object()])


def test_changed_gives_the_very_look_when_nothing_changes() -> None:
    look = Look("blur")
    assert changed(look, {"background": "blur", "threads": 3}) is look


# --- options --------------------------------------------------------------------------------------

@pytest.mark.parametrize(("wrong", "message"), [
    ({"size": "720p"}, "width x height"), ({"max_cpu": "2%"}, "5% to 100%"), ({"max_cpu": "x"}, "5%"),
    ({"rate": "fast"}, "frames a second"), ({"backend": "gst"}, "allowed are: av, opencv"),
    ({"duration": -1}, "at least 0"), ({"nothing": 1}, "option is"),
])
def test_a_wrong_option_is_named_with_what_is_allowed(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        LiveOptions.of(wrong)


def test_sizes_and_shares() -> None:
    assert picture_size("1280x720") == (1280, 720)
    assert cpu_share("60%") == cpu_share("60") == 0.6
    assert cpu_share(None) is None


# --- figures --------------------------------------------------------------------------------------

def test_latencies_are_those_of_numpy_and_take_no_more_room_with_time() -> None:
    values = np.random.default_rng(1).gamma(4, 0.004, 5000)
    made = Latencies()
    for value in values:
        made.add(float(value))
    p50, p95 = np.percentile(values, (50, 95)) * 1e3
    assert made.overall()["p50"] == pytest.approx(p50, abs=0.15)
    assert made.overall()["p95"] == pytest.approx(p95, abs=0.15)
    assert made.overall()["max"] == pytest.approx(values.max() * 1e3, abs=0.06)
    recent = np.percentile(values[-300:], (50, 95)) * 1e3
    assert list(made.recent().values()) == pytest.approx(list(recent), abs=0.01)
    assert sum(count for _, count in made.histogram()) == 5000
    assert len(made._recent) == 300


def test_what_the_governor_is_told_is_of_the_last_second_alone() -> None:
    clock = FakeClock()
    output = Output("null", Keeper())
    figures = Figures(clock, control(), [output], cores=2)
    delays = []
    for second, latency in enumerate((0.2, 0.2, 0.01)):
        for _ in range(30):
            output.latencies.add(latency)
        clock.time += 1.0
        line, load = figures.second(30 * (second + 1), 0)
        delays.append(load.delay)
    assert delays == pytest.approx([6.0, 6.0, 0.3], rel=0.02)  # in frame intervals
    assert line["latency_ms"]["p50"] == 200.0  # what the user sees is of the last ten seconds
    assert line["fps"] == pytest.approx(30.0)


def test_before_the_first_picture_there_is_no_latency() -> None:
    assert Latencies().recent() == {"p50": None, "p95": None}
    assert Latencies().overall()["p95"] is None


def test_cpu_is_of_one_core_since_the_last_look() -> None:
    clock, spent = FakeClock(), [0.0]
    usage = Usage(clock, lambda: spent[0])
    clock.time, spent[0] = 102.0, 1.0
    assert usage.percent() == 50.0
    clock.time, spent[0] = 103.0, 3.0
    assert usage.percent() == 200.0
    assert usage.overall() == 100.0


def test_resident_memory_is_what_psutil_says() -> None:
    psutil = pytest.importorskip("psutil", reason="the oracle psutil is not installed")
    assert rss_mib() == pytest.approx(psutil.Process().memory_info().rss / 2 ** 20, rel=0.05)


def test_the_figures_in_words_and_in_the_window() -> None:
    line = {"fps": 29.97, "latency_ms": {"p50": 18.2, "p95": 24.0}, "dropped": 3, "cpu_percent": 61.2,
            "rss_mib": 180.4, "step": "full", "paused": False}
    words = figure_lines(line)
    assert words == ["30.0 fps  18 ms (95 %: 24)  3 dropped", "CPU 61 %  180 MiB  full"]
    shown: list[Any] = []

    class FakeWindow:
        closed = False

        def show(self, frame: Any, lines: Any) -> None:
            shown.append((frame, lines))

    screen = WindowScreen(FakeWindow(), True)  # type: ignore[arg-type]
    screen.figures(line)
    picture, view = room_frame(0), room_frame(1)
    screen.show(Finished(picture, 0.0))
    screen.toggle_figures()
    screen.show(Finished(picture, 0.0, view))
    assert shown == [(picture, words), (view, [])]


# --- follow ---------------------------------------------------------------------------------------

def head_at(x: float, y: float) -> Matte:
    """A head and shoulders whose head is centred on x, y (shares of the picture)."""
    rows, columns = np.mgrid[0:90, 0:160]
    head = ((columns / 160 - x) * 16 / 9) ** 2 + (rows / 90 - y) ** 2 < 0.1 ** 2
    body = (np.abs(columns / 160 - x) < 0.18) & (rows / 90 > y + 0.12)
    return Matte((head | body).astype(np.float32))


def seconds_of(follower: Follower, matte: Matte | None, start: float, count: int) -> Iterator[View]:
    for number in range(count):
        yield follower(matte, start + number / 30)


def test_the_view_goes_to_the_head_gently_and_stays_in_the_picture() -> None:
    follower = Follower()
    views = list(seconds_of(follower, head_at(0.7, 0.5), 0.0, 150))
    steps = np.abs(np.diff([view.x for view in views]))
    assert steps.max() < 0.02
    assert views[-1].x == pytest.approx(1 - views[-1].size / 2, abs=0.02)  # as far right as there is picture
    assert views[-1].size < 0.8
    assert all(view.size / 2 <= view.x <= 1 - view.size / 2 + 1e-9 for view in views)


def test_small_movements_are_not_followed_and_nobody_there_shows_all() -> None:
    follower = Follower()
    list(seconds_of(follower, head_at(0.5, 0.5), 0.0, 300))
    before = follower.view
    after = list(seconds_of(follower, head_at(0.51, 0.5), 10.0, 60))[-1]
    assert abs(after.x - before.x) < 0.003
    assert list(seconds_of(follower, None, 13.0, 300))[-1].size == pytest.approx(1.0, abs=0.01)


def test_the_cut_of_picture_and_matte_agree_with_the_truth() -> None:
    frame, view = room_frame(0, (64, 48)), View(0.55, 0.6, 0.5)
    cut = cropped(frame, view)
    assert (cut.width, cut.height) == (64, 48)
    left, top = round((0.55 - 0.25) * 64), round((0.6 - 0.25) * 48)
    truth = np.kron(frame.planes[0][top:top + 24, left:left + 32], np.ones((2, 2)))
    grey = np.abs(cut.planes[0].astype(int) - 120) <= 1
    assert (grey == (truth == 120)).mean() > 0.85
    matte = Matte((frame.planes[0] == 120).astype(np.float32))
    assert ((cropped_matte(matte, view).alpha > 0.5) == (truth == 120)).mean() > 0.9
    assert cropped(frame, View()) is frame
    assert cropped_matte(matte, View()) is matte
    assert wanted_view(Matte(np.zeros((9, 16), np.float32))) == View()
