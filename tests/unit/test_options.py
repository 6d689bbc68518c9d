"""options.py: every bad value is named with what is allowed."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamseg.errors import OptionError
from streamseg.live.options import LiveOptions
from streamseg.options import Options
from streamseg.segment import create_segmenter
from streamseg.validation import interval


@pytest.mark.parametrize(("options", "message"), [
    ({"fit": "zoom"}, "fit is 'zoom'; allowed are: cover, contain, stretch, tile"),
    ({"blur": 1.5}, "blur is 1.5; allowed is 0 to 1"),
    ({"blur": float("nan")}, "blur is nan; allowed is 0 to 1"),
    ({"start": -1}, "start is -1; allowed is at least 0"),
    ({"preview": float("inf")}, "preview is inf; allowed is at least 0"),
    ({"quality": "high"}, "quality is 'high'; it must be a whole number, 0 to 100"),
    ({"blur": "much"}, "blur is 'much'; it must be a number, 0 to 1"),
    ({"batch": 2.5}, "batch is 2.5; it must be a whole number, 1 to 256"),
    ({"batch": 2.0}, "batch is 2.0; it must be a whole number, 1 to 256"),
    ({"batch": 0}, "batch is 0; allowed is 1 to 256"),
    ({"threads": 100_000}, "threads is 100000; allowed is 1 to 1024"),
    ({"cfr": "fast"}, "cfr is 'fast'; it must be frames a second"),
    ({"rate": 0}, "rate is 0; it must be frames a second"),
    ({"rate": "1/86401"}, "as 25, 29.97 or 30000/1001, from 1/86400 to 1000"),
    ({"retry": 10 ** 400}, "retry is a number of more than 300 digits; allowed is at least 0, at most 1e+09"),
    ({"lookahead": 10 ** 400}, "lookahead is a number of more than 300 digits; allowed is 1 to 32"),
    ({"erode": -10 ** 400}, "erode is a number of more than 300 digits; allowed is -100 to 100"),
    ({"feather": 1e6}, "feather is 1000000; allowed is 0 to 200"),
    ({"blur": 1.25}, "blur is 1.25; allowed is 0 to 1"),
    ({"stall_timeout": 1e300}, "stall_timeout is 1e+300; allowed is at least 0.1, at most 1e+09"),
    ({"matte": ""}, "matte is ''; it must be a file, a folder/, - or null:; leave it out"),
    ({"cutout": ""}, "cutout is ''; it must be a file"), ({"foreground": ""}, "foreground is ''; it must be"),
    ({"codec": ""}, "codec is ''; it must be an encoder's name, as libx265; leave it out"),
    ({"start": Fraction(-1, 2)}, "start is -0.5; allowed is at least 0"),
])
def test_a_bad_value_is_named_with_what_is_allowed(options: dict[str, Any], message: str):
    with pytest.raises(OptionError) as caught:
        Options(**options)
    assert message in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(("given", "rate"), [
    (25, Fraction(25)), ("30", Fraction(30)), (29.97, Fraction(30000, 1001)),
    ("23.976", Fraction(24000, 1001)), ("30000/1001", Fraction(30000, 1001)), (59.94, Fraction(60000, 1001)),
    (12.5, Fraction(25, 2)), ("0.005", Fraction(1, 200)), ("1/250", Fraction(1, 250)),
    (0.004, Fraction(1, 250)), ("1/86400", Fraction(1, 86400)), (0.5, Fraction(1, 2)),
    (1000 / 33, Fraction(1000, 33))])
def test_rates_are_exact(given: Any, rate: Fraction):
    assert Options(rate=given).rate == rate
    assert Options(cfr=given).cfr == rate


def test_defaults_are_valid_and_every_field_has_help():
    from dataclasses import fields

    Options()
    for item in fields(Options):
        assert item.metadata["help"].endswith("."), item.name
        assert item.metadata["group"] in {"Input", "Method", "Matte", "Background", "Output"}


def test_every_whole_number_refuses_a_fraction():
    from dataclasses import fields
    from typing import get_type_hints

    hints = get_type_hints(Options)
    whole = [item.name for item in fields(Options) if hints[item.name] in (int, int | None)]
    assert {"batch", "threads", "quality", "lookahead", "retry", "stream"} <= set(whole)
    for name in whole:
        Options(**{name: 2})
        with pytest.raises(OptionError, match=f"{name} is 2.5; it must be a whole number"):
            Options(**{name: 2.5})


@pytest.mark.parametrize(("cls", "options", "message"), [
    (Options, {"clean": "no"}, "clean is 'no'; it must be true or false"),
    (Options, {"background": 3}, "background is 3; it must be text"),
    (Options, {"blur": True}, "blur is True; it must be a number, 0 to 1"),
    (Options, {"set": "roi=false"}, "set is 'roi=false'; it must be a table"),
    (LiveOptions, {"mirror": "no"}, "mirror is 'no'; it must be true or false"),
    (LiveOptions, {"duration": "3"}, "duration is '3'; it must be a number, at least 0"),
    (LiveOptions, {"camera": True}, "camera is True; it must be text"),
])
def test_a_value_of_the_wrong_type_is_refused(cls: type[Any], options: dict[str, Any], message: str):
    with pytest.raises(OptionError, match=message):
        cls.of(options)


@pytest.mark.parametrize(("name", "allowed"), [
    ("background", "text in quotes"), ("blur", "a number, 0 to 1"), ("rate", "a number, or text as"),
    ("clean", "true or false"), ("fit", "cover, contain"), ("method", "a name, or an object with segment")])
def test_an_array_that_is_no_value_is_told_by_its_shape(name: str, allowed: str):
    with pytest.raises(OptionError) as caught:
        Options.of({name: np.zeros((48, 64, 3), np.uint8)})
    assert str(caught.value).startswith(f"{name} is an array of shape (48, 64, 3) and type uint8; ")
    assert allowed in str(caught.value)


def test_an_array_of_a_methods_parameter_is_told_by_its_shape():
    with pytest.raises(OptionError, match=r"^matte_in is a list of 2 items; it must be"):
        Options.of({"matte_in": [np.zeros((48, 64))] * 2})
    with pytest.raises(OptionError, match=r"value is an array of shape \(5,\) and type float64; it must be"):
        create_segmenter("threshold", {"value": np.zeros(5)})


def test_numbers_of_numpy_and_paths_are_taken():
    made = Options.of({"threads": np.int64(2), "blur": np.float32(0.5), "background": Path("office.jpg"),
                       "rate": np.float64(25)})
    assert (made.threads, made.blur, made.rate) == (2, 0.5, 25)


def test_none_is_taken_where_a_field_may_be_none_alone():
    from dataclasses import fields

    for item in fields(Options):
        if str(item.type).endswith("| None"):
            assert getattr(Options(**{item.name: None}), item.name) is None
        else:
            with pytest.raises(OptionError, match=f"{item.name} is None; (it must be|allowed are)"):
                Options(**{item.name: None})


CHECKED = {"every": "3", "roi": "0,0,8,8", "region": "+8,8"}  # texts whose value is checked at once


def test_paths_are_kept_as_texts(tmp_path: Path):
    from dataclasses import fields

    texts = [item.name for item in fields(Options)
             if str(item.type).startswith("str") and not item.metadata["choices"]]
    assert {"background", "matte", "model", "method", "every"} <= set(texts)
    for name in texts:
        place = Path(CHECKED[name]) if name in CHECKED else tmp_path / "a"
        assert getattr(Options(**{name: place}), name) == str(place)
    with pytest.raises(OptionError, match="it must be a number"):
        Options(blur=tmp_path)  # type: ignore[arg-type]


@pytest.mark.parametrize(("given", "kept"), [
    ("NONE", "none"), (" None ", "none"), ("none", "none"), ("Blur", "Blur"), (" a.PNG", " a.PNG")])
def test_a_background_of_none_has_one_spelling(given: str, kept: str):
    assert Options(background=given).background == kept


def test_how_often_and_the_bit_rate_may_be_numbers():
    made = Options.of({"every": 3, "bitrate": np.int64(4_000_000)})
    assert (made.every, made.bitrate) == ("3", "4000000")
    assert interval(made.every) == 3
    with pytest.raises(OptionError, match=r"every is '2\.5'; allowed is 1 to 100, or auto"):
        interval(Options.of({"every": 2.5}).every)
    with pytest.raises(OptionError, match="every is True; it must be text in quotes"):
        Options.of({"every": True})


def test_a_camera_and_a_share_of_the_processor_may_be_numbers():
    made = LiveOptions(camera=0, max_cpu=60)  # type: ignore[arg-type]
    assert (made.camera, made.max_cpu) == ("0", "60")
