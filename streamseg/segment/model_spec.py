"""ModelSpec: what a foreign model wants to be given, and what its output means."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import OptionError, SegmentError
from ..validation import check, choice
from . import class_lists as names

LARGEST_SIDE = 16384  # no net is larger: a slip of the pen shall not ask for terabytes
LARGEST_NUMBER = float(np.finfo(np.float32).max)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """The fields of a --model-spec JSON file; each may be left out.

    size         [height, width] of the input; default: what the file says, or near the picture's aspect
    range        [low, high] that the RGB values 0..255 are brought to; default [0, 1]
    channel      the output channel that is the subject, or a list of them (added up); default: the only one
    fit          squeeze (default) or letterbox: how a picture comes to ``size``
    activation   none (default: the output is a probability), sigmoid, or softmax (over channels)
    layout       nhwc or nchw; default: told by where the input's 3 is
    tail         0 to 0.45: alpha up to this is 0, from 1 less this it is 1, and stretched between; default
                 0.04. A sigmoid never reaches its ends: a veil over the background, holes in the subject,
                 and every pixel one that must be blended
    classes      names of the output's channels, in order, for --classes: a list, "voc21" or "camvid11"
    """

    size: tuple[int, int] | None = None
    range: tuple[float, float] = (0.0, 1.0)
    channel: tuple[int, ...] | None = None
    fit: str = "squeeze"
    activation: str = "none"
    layout: str | None = None
    tail: float = 0.04
    classes: tuple[str, ...] | None = None

    @classmethod
    def read(cls, path: Path) -> ModelSpec:
        """From a JSON file. Raises OptionError that names the field and what is allowed."""
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
        return cls.of(values)

    @classmethod
    def of(cls, values: dict[str, Any]) -> ModelSpec:
        """From plain values, checked."""
        made = dict(values)
        for key, checked in (("size", _size), ("channel", _channels)):
            if made.get(key) is not None:  # null: what is said of them where they are left out
                made[key] = checked(made[key])
        if "range" in made:
            made["range"] = _range(made["range"])
        if made.get("classes") is not None:
            made["classes"] = names.class_list(made["classes"])
        choice("fit", made.get("fit", "squeeze"), ("squeeze", "letterbox"))
        choice("activation", made.get("activation", "none"), ("none", "sigmoid", "softmax"))
        choice("layout", made.get("layout"), (None, "nhwc", "nchw"))
        if "tail" in made:
            check("tail", made["tail"], {"low": 0.0, "high": 0.45}, "float")
        return cls(**made)

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
            raise OptionError(f"the model gives {count} channels, but its model spec names "
                              f"{len(self.classes)} classes: they must be as many")
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
    channels = value if isinstance(value, list) else [value]
    if not channels or not all(isinstance(item, int) and not isinstance(item, bool) and item >= 0
                               for item in channels):
        raise OptionError(f"channel is {value!r}; it must be a number from 0, or a list of them")
    return tuple(channels)


def _pair(name: str, value: Any) -> tuple[float, float]:
    """Two numbers, finite in float32: JSON as Python reads it may say NaN and 1e999."""
    if (not isinstance(value, (list, tuple)) or len(value) != 2
            or not all(isinstance(item, (int, float)) and not isinstance(item, bool)
                       and abs(item) <= LARGEST_NUMBER for item in value)):
        raise OptionError(f"{name} is {value!r}; it must be a list of two numbers, both finite")
    return float(value[0]), float(value[1])
