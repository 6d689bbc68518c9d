"""Checks of values that users give: types, ranges, choices, names.

Each failure names the value, what is allowed and the remedy.

This module imports nothing heavy, so that ``streamseg --help`` starts fast.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence, Sized
from dataclasses import MISSING, fields
from fractions import Fraction
from numbers import Integral, Real
from os import PathLike
from typing import Any

from .errors import OptionError

MOST = 1e9  # what any number may be: more overflows in the libraries below, whose integers end at 2.1e9
_LONG = 200  # letters of a value in a message
SEGMENTER = ("segment", "reset", "close")  # the methods of what finds the subject
NUMBERS = ("every", "bitrate", "max_cpu", "camera")  # texts that may be a number: quotes are not wanted then


def choice(name: str, value: object, allowed: Iterable[object]) -> None:
    """Raise OptionError unless ``value`` is one of ``allowed``; the message lists them."""
    options = list(allowed)
    if is_array(value) or value not in options:  # an array compares element by element
        listed = ", ".join(str(option) for option in options)
        raise OptionError(f"{name} is {format_value(value)}; allowed are: {listed}")


def format_value(value: object) -> str:
    """A value for a message: as Python writes it, but an array by its shape and type, and what is long and no text by
    its type, for it would fill the screen."""
    if not is_array(value):
        written = repr(value)
        if isinstance(value, (str, PathLike)) or (len(written) <= _LONG and "\n" not in written):
            return written
        items = f" of {len(value)} items" if isinstance(value, Sized) else ""
        return f"a {type(value).__name__}{items}"
    shape, dtype = (getattr(value, name) for name in ("shape", "dtype"))
    return f"an array of shape {tuple(shape)} and type {dtype}"


def is_array(value: object) -> bool:
    """Whether ``value`` holds many numbers, as NumPy's, TensorFlow's and others' arrays do."""
    return hasattr(value, "dtype") and getattr(value, "shape", ()) != ()


def named(name: str, value: object, allowed: str = "a file, a folder/, - or null:") -> None:
    """Raise OptionError if ``value`` is an empty text: as a path that would be the current folder."""
    if value == "":
        raise OptionError(f"{name} is ''; it must be {allowed}; leave it out, or see whether a variable "
                          'that gives it, as in "$OUT", is set')


def worded(name: str, value: Any) -> Any:
    """A setting's value; a number as text where the field is a text that may be one."""
    number = isinstance(value, Real) and not isinstance(value, bool)
    return str(value) if name in NUMBERS and number else value


def default_of(item: Any) -> Any:
    """The default of a dataclass field, whether given as value or as factory."""
    return item.default if item.default is not MISSING else item.default_factory()


# What a field's annotation takes, and that in words. Annotations are texts here, not evaluated.
KINDS: dict[str, tuple[tuple[type, ...], str]] = {
    "bool": ((bool,), "true or false"), "int": ((Integral,), "a whole number"),
    "float": ((Real,), "a number"), "str": ((str, PathLike), "text in quotes"),
    "Fraction": ((Real, str), 'a number, or text as "30000/1001"'),
    "Mapping": ((Mapping,), "a table, as {name = 3}"),
}


def check_value(name: str, value: Any, rules: Mapping[str, Any], kind: str = "") -> None:
    """Raise OptionError unless ``value`` is among rules['choices'], within rules['low'..'high'] and of a type
    that the annotation ``kind`` takes; None passes where ``kind`` says so, or is not given."""
    if value is None and (not kind or kind.endswith("| None")):
        return
    if rules.get("choices"):
        choice(name, value, rules["choices"])
    types, words = KINDS.get(kind.partition(" | ")[0].partition("[")[0], ((object,), ""))
    fits = isinstance(value, types) and (bool in types or kind == "" or not isinstance(value, bool))
    low, high = rules.get("low"), rules.get("high")
    if low is None and high is None:
        if not fits:
            raise OptionError(f"{name} is {format_value(value)}; it must be {words}")
        return
    allowed = f"at least {low:g}" if high is None else f"{low:g} to {high:g}"
    if not fits or isinstance(value, bool) or not isinstance(value, Real):
        raise OptionError(f"{name} is {format_value(value)}; it must be {words or 'a number'}, {allowed}")
    if not (low is None or value >= low) or not value <= (MOST if high is None else high):
        limit = f", at most {MOST:g}" if high is None and not value <= MOST else ""
        raise OptionError(f"{name} is {_shown(value)}; allowed is {allowed}{limit}")


def interval(every: str) -> int | None:
    """``every``: a number, or None for auto. Raises OptionError."""
    if every == "auto":
        return None
    try:
        number = int(every)
    except ValueError:
        number = 0
    if not 1 <= number <= 100:
        raise OptionError(f"every is {every!r}; allowed is 1 to 100, or auto")
    return number


def area_lengths(text: str) -> tuple[tuple[float, bool], ...]:
    """x, y, width, height of '100,50,640,360' or '25%,0,50%,100%': the number of each, and whether it is per cent.
    Raises OptionError."""
    found = [re.fullmatch(r"\s*(\d{1,6}(?:\.\d+)?)\s*(%?)\s*", part) for part in text.split(",")]
    lengths = tuple((float(item[1]), item[2] == "%") for item in found if item is not None)
    if len(found) != 4 or len(lengths) != 4 or any(value > 100 for value, relative in lengths if relative) \
            or not (lengths[2][0] and lengths[3][0]):
        raise OptionError(f"roi is {text!r}; it must be x,y,width,height in pixels or per cent, as 100,50,640,360 or "
                          "25%,0,50%,100%")
    return lengths


def refuse_changed(options: Any, names: Sequence[str], of_what: str) -> None:
    """Raise OptionError for the first of these fields that has not its default: it says something ``of_what``."""
    for item in fields(options):
        value = getattr(options, item.name)
        if item.name in names and value != default_of(item):
            raise OptionError(f"{item.name} is {format_value(value)}, which says something {of_what}, or leave it out")


def places(text: str) -> list[tuple[bool, str | tuple[tuple[float, bool], tuple[float, bool]]]]:
    """What '+320,180 -10%,5% +red' adds to the subject (True) or takes from it: a colour's text, or x and y, the number
    of each and whether it is per cent. Raises OptionError."""
    made: list[tuple[bool, str | tuple[tuple[float, bool], tuple[float, bool]]]] = []
    for word in text.split():
        place = re.fullmatch(r"[+-](\d{1,6}(?:\.\d+)?)(%?),(\d{1,6}(?:\.\d+)?)(%?)", word)
        if place is not None:
            x, y = (float(place[1]), place[2] == "%"), (float(place[3]), place[4] == "%")
            if all(value <= 100 for value, relative in (x, y) if relative):
                made.append((word[0] == "+", (x, y)))
                continue
        if re.fullmatch(r"[+-](#[0-9a-fA-F]{3,6}|[a-zA-Z]+)", word) is None:
            made = []
            break
        made.append((word[0] == "+", word[1:]))
    if not made:
        raise OptionError(f"region is {text!r}; it must be places or colours to be added or taken away, as +320,180, "
                          "-10%,90%, +red or -#00b140; several with spaces between, as '+320,180 -red'")
    return made


def check_segmenter(name: str, found: object) -> None:
    """Raise OptionError unless a class, or an object, has the methods of a Segmenter."""
    missing = [part for part in SEGMENTER if not callable(getattr(found, part, None))]
    if missing:
        raise OptionError(f"method {name} has no {', '.join(missing)}(): a Segmenter has segment(frames), "
                          "reset() and close()")


def check_method(found: object) -> None:
    """Raise OptionError unless what is given as a method, and is no name, is a Segmenter."""
    if isinstance(found, type):
        raise OptionError(f"method is the class {found.__name__}; it must be an object of it, or its name as "
                          "package.module:Class")
    if not any(hasattr(found, part) for part in SEGMENTER):
        raise OptionError(f"method is {format_value(found)}; it must be a name, or an object with segment(frames), "
                          "reset() and close()")
    check_segmenter(repr(found), found)


def _shown(number: Real) -> str:
    try:
        shown = float(number)
        return f"{shown:.0f}" if shown.is_integer() and abs(shown) < MOST else f"{shown:g}"
    except OverflowError:
        return "a number of more than 300 digits"


def frames_per_second(name: str, value: object) -> Fraction:
    """A frame rate from 30, 29.97, '30000/1001' or a Fraction; 23.976, 29.97 and 59.94 mean n/1001."""
    try:
        # FFmpeg's fractions hold 31 bits; of a quotient as 1000 / 33 this gives the exact one back
        rate = Fraction(str(value)).limit_denominator(1_000_000)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if not Fraction(1, 86400) <= rate <= 1000:  # from one a day
        raise OptionError(f"{name} is {value!r}; it must be frames a second, as 25, 29.97 or 30000/1001, "
                          "from 1/86400 to 1000")
    ntsc = Fraction(round(rate * 1001 / 1000) * 1000, 1001)
    meant = ntsc > 0 and rate.denominator not in (1, 1001) and abs(ntsc - rate) < Fraction(1, 100)
    return ntsc if meant else rate
