"""ModelSpec: what a model wants to be given, and what its output means. README.md here explains each field."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..core.words import counted
from ..errors import OptionError, SegmentError
from ..validation import check_value, choice
from . import class_lists as names

LARGEST_SIDE = 16384  # no net is larger: a slip of the pen shall not ask for terabytes
LARGEST_NUMBER = float(np.finfo(np.float32).max)
FOREIGN, PERSON = "foreign", "streamseg-person"
KINDS = (FOREIGN, PERSON)
Triple = tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """The fields of a --model-spec JSON file and of the metadata in a model file; each may be left out.

    size         [height, width] of the input; default: what the file says, or near the picture's aspect
    range        [low, high] that the RGB values 0..255 are brought to; default [0, 1]
    channel      the output channel that is the subject, or a list of them (added up); default: the only one
    fit          squeeze (default) or letterbox: how a picture comes to ``size``
    activation   none (default: the output is a probability), sigmoid, or softmax (over channels)
    layout       nhwc or nchw; default: told by where the input's 3 is
    tail         0 to 0.45: alpha up to this is 0, from 1 less this it is 1, and stretched between; default
                 0.04. A sigmoid never reaches its ends: a veil over the background, holes in the subject,
                 and every pixel one that must be blended
    mean, std    three numbers each, red, green, blue: what goes in is (value - mean) / std, the value being in
                 ``range``; default [0, 0, 0] and [1, 1, 1]
    pixels       how many pixels (height x width) a net sees that takes any size; default: by --detail
    input        name of the input that takes the picture; default: the only one that could
    output       name of the output that is the matte; default: the first
    states       pairs [input, output] of a net that remembers: what comes out goes in with the next frame.
                 The first frame gets zeros, whose sides are 1 where the file leaves them open
    constants    {input: number} for the inputs that are neither picture nor state
    classes      names of the output's channels, in order, for --classes: a list, "voc21" or "camvid11"
    kind         foreign (default), or streamseg-person: one of the person nets that training.export writes,
                 which take pictures at true aspect, and with a region of interest where people are small
    name         what the net is called, for people
    licence      the licence of its weights, for people
    """

    size: tuple[int, int] | None = None
    range: tuple[float, float] = (0.0, 1.0)
    channel: tuple[int, ...] | None = None
    fit: str = "squeeze"
    activation: str = "none"
    layout: str | None = None
    tail: float = 0.04
    mean: Triple = (0.0, 0.0, 0.0)
    std: Triple = (1.0, 1.0, 1.0)
    pixels: int | None = None
    input: str | None = None
    output: str | None = None
    states: tuple[tuple[str, str], ...] = ()
    constants: tuple[tuple[str, float], ...] = ()
    classes: tuple[str, ...] | None = None
    kind: str = FOREIGN
    name: str | None = None
    licence: str | None = None

    @classmethod
    def read(cls, path: Path, base: ModelSpec | None = None) -> ModelSpec:
        """From a JSON file; what it leaves out is as in ``base``, by default as said above. Raises OptionError
        that names the field and what is allowed."""
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise OptionError(f"model spec {str(path)!r} cannot be read ({error}): it must be a JSON object "
                              f"with any of {', '.join(item.name for item in fields(cls))}") from error
        if not isinstance(values, dict):
            raise OptionError(f"model spec {str(path)!r} must hold a JSON object, not {values!r}")
        known = [item.name for item in fields(cls)]
        for key in values:
            choice(f"field of {path.name}", key, known)
        return cls.of(values, base)

    @classmethod
    def of(cls, values: Mapping[str, Any], base: ModelSpec | None = None) -> ModelSpec:
        """From plain values, checked; the other fields are those of ``base``."""
        # null: what is said of them where they are left out
        made = {key: value for key, value in values.items() if value is not None or key not in _NULLABLE}
        for key, checked in _CHECKED.items():
            if key in made:
                made[key] = checked(made[key])
        choice("fit", made.get("fit", "squeeze"), ("squeeze", "letterbox"))
        choice("activation", made.get("activation", "none"), ("none", "sigmoid", "softmax"))
        choice("layout", made.get("layout"), (None, "nhwc", "nchw"))
        choice("kind", made.get("kind", FOREIGN), KINDS)
        if "tail" in made:
            check_value("tail", made["tail"], {"low": 0.0, "high": 0.45}, "float")
        if "pixels" in made:
            check_value("pixels", made["pixels"], {"low": 1024, "high": LARGEST_SIDE ** 2}, "int")
        return replace(base or cls(), **made)

    def values(self) -> dict[str, Any]:
        """What is not as said above, as JSON writes it: ``ModelSpec.of(spec.values()) == spec``."""
        plain = {item.name: getattr(self, item.name) for item in fields(self)
                 if getattr(self, item.name) != item.default}
        if "constants" in plain:
            plain["constants"] = dict(plain["constants"])
        found: dict[str, Any] = json.loads(json.dumps(plain))  # tuples become lists
        return found

    @property
    def own(self) -> bool:
        """Whether the net is one of streamseg's own person nets."""
        return self.kind == PERSON

    def normalised(self, picture: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """float32 (h, w, 3) as the net takes it, of RGB (h, w, 3), 0..255 in uint8 or float32.

        The same arithmetic for every picture. rembg divides each by its own largest value first; on a video
        that makes the matte flicker whenever something bright comes or goes, so it is not done here.
        """
        low, high = self.range
        values = picture.astype(np.float32)
        if (low, high) != (0.0, 255.0):
            values = values * np.float32((high - low) / 255.0) + np.float32(low)
        if any(self.mean) or self.std != (1.0, 1.0, 1.0):
            mean, std = np.asarray(self.mean, np.float32), np.asarray(self.std, np.float32)
            values = np.asarray((values - mean) / std, np.float32)
        return values

    def of_classes(self, wanted: str) -> ModelSpec:
        """This spec with the classes that ``wanted`` names ('person,bicyclist') for the subject."""
        if self.classes is None:
            raise OptionError(f"classes is {wanted!r}, but nothing names the model's: give a model spec "
                              f"with \"classes\": {' or '.join(names.LISTS)}, or a list of names")
        return replace(self, channel=names.channels(wanted, self.classes))

    def alpha(self, output: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """float32 (n, h, w) in [0, 1] from a model's output (n, h, w, c), ``tail`` and all."""
        return self.stretched(self.probability(output))

    def stretched(self, probability: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Alpha of a probability: ``tail`` at either end is cut off."""
        tail = np.float32(self.tail)
        return np.clip((probability - tail) / (1 - 2 * tail), 0.0, 1.0)

    def probability(self, output: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The subject's probability, float32 (n, h, w), from a model's output (n, h, w, c).

        Raises OptionError where the spec does not fit it, SegmentError where it is no probability.
        """
        output = output.astype(np.float32, copy=False)
        if self.activation == "softmax":
            powers = np.exp(output - output.max(axis=-1, keepdims=True))
            output = powers / powers.sum(axis=-1, keepdims=True)
        elif self.activation == "sigmoid":
            output = np.reciprocal(1 + np.exp(-np.clip(output, -60, 60)), dtype=np.float32)
        count = output.shape[-1]
        if self.classes and len(self.classes) != count:
            raise OptionError(f"the model gives {counted(count, 'channel')}, but its model spec names "
                              f"{counted(len(self.classes), 'class', 'classes')}: they must be as many")
        channels = self.channel or ((0,) if count == 1 else ())
        if not channels or max(channels) >= count:
            named = f", or give --classes, of {', '.join(self.classes)}" if self.classes else ""
            raise OptionError(f"the model gives {count} channels: say in the model spec which is the "
                              f"subject, as {{\"channel\": {count - 1}}}{named}")
        alpha = output[..., channels[0]] if len(channels) == 1 else output[..., list(channels)].sum(axis=-1)
        low, high = float(alpha.min()), float(alpha.max())
        # Rounding may lead a little past the ends; more means that these are no probabilities.
        if not (low >= -0.05 and high <= 1.05):
            raise SegmentError(f"the model gives values from {low:.3g} to {high:.3g}, not alpha from 0 to 1: "
                               "name its activation in the model spec (sigmoid or softmax)")
        return alpha


def _size(value: Any) -> tuple[int, int]:
    height, width = _pair("size", value)
    if not all(1 <= side <= LARGEST_SIDE and side == int(side) for side in (height, width)):
        raise OptionError(f"size is {value!r}; it must be [height, width] in pixels, each 1 to "
                          f"{LARGEST_SIDE}")
    return int(height), int(width)


def _range(value: Any) -> tuple[float, float]:
    low, high = _pair("range", value)
    if low == high:
        raise OptionError(f"range is {value!r}; it must be two different numbers, as [0, 1]")
    return low, high


def _channels(value: Any) -> tuple[int, ...]:
    channels = value if isinstance(value, (list, tuple)) else [value]
    if not channels or not all(isinstance(item, int) and not isinstance(item, bool) and item >= 0
                               for item in channels):
        raise OptionError(f"channel is {value!r}; it must be a number from 0, or a list of them")
    return tuple(channels)


def _pair(name: str, value: Any) -> tuple[float, float]:
    if not isinstance(value, (list, tuple)) or len(value) != 2 or not all(_finite(item) for item in value):
        raise OptionError(f"{name} is {value!r}; it must be a list of two numbers, both finite")
    return float(value[0]), float(value[1])


def _triple(name: str, value: Any) -> Triple:
    if (not isinstance(value, (list, tuple)) or len(value) != 3
            or not all(_finite(item) for item in value)):
        raise OptionError(f"{name} is {value!r}; it must be a list of three numbers, for red, green and blue, all "
                          "finite")
    red, green, blue = (float(item) for item in value)
    return red, green, blue


def _std(value: Any) -> Triple:
    std = _triple("std", value)
    if min(std) <= 0:
        raise OptionError(f"std is {value!r}; its numbers must be more than 0: values are divided by them")
    return std


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise OptionError(f"{name} is {value!r}; it must be text in quotes")
    return value


def _states(value: Any) -> tuple[tuple[str, str], ...]:
    pairs = value if isinstance(value, (list, tuple)) else ()
    if not all(isinstance(pair, (list, tuple)) and len(pair) == 2 and all(isinstance(name, str) and name
                                                                        for name in pair)
               for pair in pairs) or pairs != value:
        raise OptionError(f"states is {value!r}; it must be a list of pairs [name of the input, name of the output], "
                          'as [["r1i", "r1o"]]')
    for side, names_of in zip(("input", "output"), zip(*pairs, strict=True), strict=False):
        if len(set(names_of)) != len(names_of):
            raise OptionError(f"states is {value!r}; it names an {side} twice")
    return tuple((str(given), str(taken)) for given, taken in pairs)


def _constants(value: Any) -> tuple[tuple[str, float], ...]:
    if not isinstance(value, dict) or not all(isinstance(key, str) and key and _finite(number)
                                              for key, number in value.items()):
        raise OptionError(f"constants is {value!r}; it must be an object of finite numbers by the input's name, "
                          'as {"downsample_ratio": 1}')
    return tuple((key, float(number)) for key, number in value.items())


def _finite(value: Any) -> bool:
    """Whether it is a number, finite in float32: JSON as Python reads it may say NaN and 1e999."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= LARGEST_NUMBER


_CHECKED: dict[str, Callable[[Any], Any]] = {
    "size": _size, "range": _range, "channel": _channels, "mean": partial(_triple, "mean"), "std": _std,
    "input": partial(_text, "input"), "output": partial(_text, "output"), "states": _states,
    "constants": _constants, "classes": names.class_list, "name": partial(_text, "name"),
    "licence": partial(_text, "licence")}
_NULLABLE = {"size", "channel", "layout", "classes", "pixels", "input", "output", "name", "licence"}
