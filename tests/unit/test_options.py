"""options.py: every bad value is named with what is allowed."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamseg.errors import OptionError
from streamseg.live.options import LiveOptions
from streamseg.options import Options


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
    ({"cfr": "fast"}, "cfr is 'fast'; it must be frames a second"),
    ({"rate": 0}, "rate is 0; it must be frames a second"),
])
def test_a_bad_value_is_named_with_what_is_allowed(options: dict[str, Any], message: str):
    with pytest.raises(OptionError) as caught:
        Options(**options)
    assert message in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(("given", "rate"), [
    (25, Fraction(25)), ("30", Fraction(30)), (29.97, Fraction(30000, 1001)),
    ("23.976", Fraction(24000, 1001)), ("30000/1001", Fraction(30000, 1001)), (59.94, Fraction(60000, 1001)),
    (12.5, Fraction(25, 2))])
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
    (Options, {"set": "closer=false"}, "set is 'closer=false'; it must be a table"),
    (LiveOptions, {"mirror": "no"}, "mirror is 'no'; it must be true or false"),
    (LiveOptions, {"duration": "3"}, "duration is '3'; it must be a number, at least 0"),
    (LiveOptions, {"camera": True}, "camera is True; it must be text"),
])
def test_a_value_of_the_wrong_type_is_refused(cls: type[Any], options: dict[str, Any], message: str):
    with pytest.raises(OptionError, match=message):
        cls.of(options)


def test_numbers_of_numpy_and_paths_are_taken():
    made = Options.of({"threads": np.int64(2), "blur": np.float32(0.5), "background": Path("office.jpg"),
                       "rate": np.float64(25)})
    assert (made.threads, made.blur, made.rate) == (2, 0.5, 25)


def test_a_camera_and_a_share_of_the_processor_may_be_numbers():
    made = LiveOptions(camera=0, max_cpu=60)  # type: ignore[arg-type]
    assert (made.camera, made.max_cpu) == ("0", "60")
