"""The settings file: reading, saving, reading again while it runs; and what settings may be."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from streamseg.errors import OptionError, SinkError
from streamseg.live import config
from streamseg.live.controls import Controls
from streamseg.live.options import LiveOptions, cpu_share, picture_size
from streamseg.live.types import Scene
from tests.unit.live_fakes import FakeClock, control, desk


def touched(path: Path, text: str) -> None:
    """Write a file so that it counts as changed whatever the file system's clock does."""
    before = path.stat().st_mtime_ns if path.exists() else 0
    path.write_text(text)
    os.utime(path, ns=(before + 10 ** 9, before + 10 ** 9))


def ticking(made: Controls, clock: FakeClock) -> None:
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
    assert (state.scene.background, state.scene.blur, state.scene.mirror) == ("green", 0.8, True)
    for broken in ('background = "b', "blur = 7", "colour = 1", 'mirror = "yes"', "background = 3",
                   "fit = true", 'follow = "no"', 'codec_set = "x"'):
        touched(path, broken)
        ticking(made, clock)
        assert (state.scene.background, state.scene.blur) == ("green", 0.8)
        assert told[-1].endswith("the previous settings stay")
    touched(path, 'background = "blur"\nmodel = "x.tflite"')
    ticking(made, clock)
    assert state.scene.background == "blur"
    assert told[-1] == "live.toml was read again; these take effect at the next start: model"


def test_what_a_key_changed_stays_when_another_setting_is_edited(tmp_path: Path) -> None:
    path, clock = tmp_path / "live.toml", FakeClock()
    touched(path, 'background = "a.jpg"\n')
    made, state, _ = desk("n", clock=clock, settings=str(path))
    made()
    assert state.scene.background == "blur"
    touched(path, 'background = "a.jpg"\nblur = 0.9\n')
    ticking(made, clock)
    assert (state.scene.background, state.scene.blur) == ("blur", 0.9)


def test_a_setting_that_is_taken_out_of_the_file_goes_back_to_what_holds_without_it(tmp_path: Path) -> None:
    """The blur was given on the command line, which goes before the file."""
    path, clock = tmp_path / "live.toml", FakeClock()
    touched(path, 'background = "a.jpg"\nblur = 0.9\nmirror = true\nmodel = "x.tflite"\n')
    made, state, told = desk(state=control(background="a.jpg", blur=0.3, mirror=True), clock=clock,
                             settings=str(path))
    touched(path, "follow = true\n")
    ticking(made, clock)
    assert state.scene == Scene("blur", blur=0.3, follow=True)
    assert told == ["live.toml was read again; these take effect at the next start: model"]
    touched(path, "\n")
    ticking(made, clock)
    assert state.scene == Scene("blur", blur=0.3)


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
    assert state.scene.version == 0
    touched(path, "two")
    ticking(made, clock)
    assert state.scene.version == 1
    assert "has changed and was read again" in told[0]


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
