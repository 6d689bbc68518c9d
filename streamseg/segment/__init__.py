"""The methods: how the subject is found. One module a family; ``METHODS`` names them all.

A method is a class with ``segment``, ``reset`` and ``close`` (the Segmenter protocol). Ours are
dataclasses whose fields, made by ``param``, are the method's parameters; ``streamseg methods`` prints
them. To add one: write the class, add a line to METHODS.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, get_type_hints, runtime_checkable

from ..errors import OptionError, StreamsegError, choice
from ..frames import Frame, Matte
from ..options import check, default_of

METHODS: dict[str, str] = {
    "person": "unet:Person",
    "threshold": "threshold:Threshold",
    "adaptive": "threshold:Adaptive",
    "kmeans": "clustering:KMeans",
    "meanshift": "clustering:MeanShift",
    "region": "region:RegionGrowing",
    "grabcut": "region:GrabCut",
    "mog2": "motion:Mog2",
    "knn": "motion:Knn",
    "plate": "plate:Plate",
    "chroma": "chroma:Chroma",
}
DEFAULT = "person"


@runtime_checkable
class Segmenter(Protocol):
    """What a method is. Not shared between threads: one thread makes, calls and closes it."""

    def segment(self, frames: Sequence[Frame]) -> list[Matte]:
        """One matte a frame, in order. The frames follow on those of the call before."""

    def reset(self) -> None:
        """Forget all earlier frames: what comes next is another scene or another picture."""

    def close(self) -> None:
        """Free what is held; the object is not used again."""


def param(default: Any, help: str, *, choices: tuple[str, ...] | None = None,
          low: float | None = None, high: float | None = None, odd: bool = False) -> Any:
    """A dataclass field that is a parameter of a method: default, help, and what it may be."""
    rules = {"help": help, "choices": choices, "low": low, "high": high, "odd": odd}
    return dataclasses.field(default=default, metadata=rules)


def method_class(name: str) -> type[Any]:
    """The class of a registered name or of 'package.module:Class'. Raises OptionError."""
    if name == "default":
        name = DEFAULT
    if ":" not in name:
        choice("method", name, [*METHODS, "package.module:Class"])
        module, _, attribute = METHODS[name].partition(":")
        return getattr(importlib.import_module("." + module, __name__), attribute)
    module, _, attribute = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except StreamsegError:
        raise
    except (ImportError, AttributeError, ValueError) as error:
        raise OptionError(f"method {name!r} cannot be loaded ({error}): give package.module:Class of "
                          "something importable from here (PYTHONPATH), or a name from "
                          "`streamseg methods`") from error
    missing = [part for part in ("segment", "reset", "close") if not callable(getattr(found, part, None))]
    if missing:
        raise OptionError(f"method {name!r} has no {', '.join(missing)}(): a Segmenter has segment(frames), "
                          "reset() and close()")
    return found


def create(name: str, params: Mapping[str, Any] | None = None, **context: Any) -> Segmenter:
    """Make the method ``name`` with ``params`` (values may be strings, as from the command line).

    ``context`` (clip, threads, device, runtime, model, model_spec) goes to those of its names that the
    class has as parameters and that ``params`` leaves out. Raises OptionError on an unknown parameter
    or a value that is not allowed, with those that are.
    """
    cls = method_class(name)
    given = dict(params or {})
    accepted = parameters(cls)
    for key in given:
        choice(f"parameter of {name}", key, accepted or ["(none)"])
    values = {key: _parse(key, value, accepted[key]) for key, value in given.items()}
    for key, value in context.items():
        if value is None:
            continue
        if key in accepted:
            values.setdefault(key, value)
        elif key in ("model", "model_spec", "classes"):  # the others have defaults, or are for any method
            raise OptionError(f"{key} is {value!r}, but method {name} runs no model: leave --method out, or "
                              f"--{key.replace('_', '-')}")
    return cls(**values)


def parameters(cls: type[Any]) -> dict[str, dict[str, Any]]:
    """name -> {type, default, help, choices, low, high, odd} of a method's parameters.

    Of a class that is no dataclass, the constructor's arguments.
    """
    if not dataclasses.is_dataclass(cls):
        signature = inspect.signature(cls)
        return {item.name: {"type": item.annotation, "default": item.default}
                for item in signature.parameters.values()
                if item.kind in (item.POSITIONAL_OR_KEYWORD, item.KEYWORD_ONLY)}
    hints = get_type_hints(cls)
    return {item.name: {"type": hints[item.name], "default": default_of(item), **item.metadata}
            for item in dataclasses.fields(cls) if item.init}


def _parse(name: str, value: Any, rules: Mapping[str, Any]) -> Any:
    """A string turned into what the parameter's default is, and checked."""
    default, kind = rules.get("default"), str(rules.get("type"))
    if isinstance(value, str) and "str" not in kind:
        try:
            if isinstance(default, bool) or kind == "<class 'bool'>":
                value = {"true": True, "yes": True, "1": True, "on": True,
                         "false": False, "no": False, "0": False, "off": False}[value.lower()]
            else:
                number = float(value)
                value = int(number) if "float" not in kind and number == int(number) else number
        except (KeyError, ValueError, OverflowError):
            wanted = "true or false" if isinstance(default, bool) else "a number"
            raise OptionError(f"{name} is {value!r}; it must be {wanted}") from None
    if isinstance(value, float) and "int" in kind and "float" not in kind:
        raise OptionError(f"{name} is {value:g}; it must be a whole number")
    check(name, value, rules)
    if rules.get("odd") and isinstance(value, int) and value % 2 == 0:
        raise OptionError(f"{name} is {value}; it must be odd: {value - 1} or {value + 1}")
    return value
