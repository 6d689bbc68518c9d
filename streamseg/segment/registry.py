"""The methods: how the subject is found. One module a family; ``METHODS`` names them all.

A method is a class with ``segment``, ``reset`` and ``close`` (the Segmenter protocol). The registered ones derive from
ParameterSegmenter: dataclasses whose fields, made by ``param``, are the method's parameters; ``streamseg methods``
prints them. To add one: write the class, add a line to METHODS.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import inspect
import os
from collections.abc import Mapping
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from ..errors import OptionError, SegmentError, StreamsegError
from ..validation import check_segmenter, check_value, choice, default_of, format_value
from .api import BaseSegmenter, Segmenter, adapt

METHODS: dict[str, str] = {
    "person": "person:Person",
    "threshold": "classical.threshold:Threshold",
    "adaptive": "classical.threshold:Adaptive",
    "kmeans": "classical.clustering:KMeans",
    "meanshift": "classical.clustering:MeanShift",
    "region": "classical.region:RegionGrowing",
    "grabcut": "classical.region:GrabCut",
    "mog2": "classical.subtraction:Mog2",
    "knn": "classical.subtraction:Knn",
    "plate": "classical.plate:Plate",
    "chroma": "classical.chroma:Chroma",
    "greenscreen": "greenscreen:GreenScreen",
}
DEFAULT = "person"
REQUIRED = inspect.Parameter.empty  # the default of a parameter that has none
# What is for a network alone, and what of it is true without one, too.
NETWORK: dict[str, tuple[str, ...]] = {"model": (), "model_spec": (), "classes": (),
                                       "device": ("auto", "cpu"), "runtime": ("auto",)}
READING = ("stream", "deinterlace", "on_error")  # of Options: how a run reads its clip
SCALARS: dict[type, str] = {str: "text", bool: "true or false", int: "a whole number", float: "a number"}
BOOLS = {"true": True, "yes": True, "1": True, "on": True,
         "false": False, "no": False, "0": False, "off": False}


def method_class(name: str) -> type[Any]:
    """The class of a registered name or of 'package.module:Class'. Raises OptionError."""
    if name == "default":
        name = DEFAULT
    if ":" not in name:
        choice("method", name, [*METHODS, "package.module:Class"])
        module, _, attribute = METHODS[name].partition(":")
        return getattr(importlib.import_module("." + module, __package__), attribute)
    found = _imported(name)
    if not isinstance(found, type):
        raise OptionError(f"method {name!r} is no class: give package.module:Class")
    check_segmenter(repr(name), found)
    return found


def _imported(name: str) -> Any:
    module, _, attribute = name.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except StreamsegError:
        raise
    except (Exception, SystemExit) as error:  # a module that is loaded may do anything
        raise OptionError(f"method {name!r} cannot be loaded ({type(error).__name__}: {error}): give "
                          "package.module:Class of something importable from here (PYTHONPATH), or a name "
                          "from `streamseg methods`") from error


def create_segmenter(name: str | Segmenter, params: Mapping[str, Any] | None = None, **context: Any) -> BaseSegmenter:
    """Make the method ``name`` with ``params`` (values may be strings, as from the command line).

    ``context`` (clip and, how it is read, READING; threads, stills; model, model_spec, classes, device,
    runtime, which are for networks) goes to those of its names that the class has as parameters and that
    ``params`` leaves out; READING goes only with the clip. Raises OptionError on an unknown parameter or a
    value that is not allowed, with those that are, and SegmentError where a third party's class fails.

    ``name`` may be an object, which takes no ``params`` and nothing that is for networks: it is given back
    as Borrowed, whose ``close`` leaves it open.
    """
    if not isinstance(name, str):
        return _borrowed(name, params or {}, context)
    name = method_name(name)
    cls = method_class(name)
    given = dict(params or {})
    accepted = parameters(cls)
    for key in given:
        choice(f"parameter of {name}", key, accepted or ["(none)"])
    values = {key: _parse(key, value, accepted[key]) for key, value in given.items()}
    takes_clip = "clip" in accepted and "clip" not in given
    for key, value in context.items():
        if value is None or (key in READING and not takes_clip):
            continue
        if key in accepted:
            values.setdefault(key, value)
        elif _for_networks(key, value):
            raise OptionError(f"{key} is {value!r}, but method {name} runs no model: leave --method out, or "
                              f"--{key.replace('_', '-')}")
    lacking = [key for key, rules in accepted.items() if rules["default"] is REQUIRED and key not in values]
    if lacking:
        raise OptionError(f"method {name} needs {', '.join(lacking)}: give --set {lacking[0]}=VALUE")
    return adapt(cls(**values) if ":" not in name else _made(name, cls, values), owned=True)


def _for_networks(key: str, value: Any) -> bool:
    """Whether what is known of a run asks for a network; the rest is for any method."""
    return key in NETWORK and value is not None and value not in NETWORK[key]


def _borrowed(method: Segmenter, params: Mapping[str, Any], context: Mapping[str, Any]) -> BaseSegmenter:
    told = [*(f"parameter {key}" for key in params),
            *(f"{key} {value!r}" for key, value in context.items() if _for_networks(key, value))]
    if told:
        raise OptionError(f"{told[0]} is not for method {method_name(method)}, which is an object: leave it out, "
                          "and make the object with what it needs")
    return adapt(method, stills=bool(context.get("stills")))


def method_name(method: str | Segmenter) -> str:
    """A method's name: that of DEFAULT for it; of an object what it calls itself, else its class."""
    if not isinstance(method, str):
        return method.name if isinstance(method, BaseSegmenter) else type(method).__name__
    return DEFAULT if method == "default" else method


def _made(name: str, cls: type[Any], values: Mapping[str, Any]) -> Any:
    """An object of a third party's class, which may raise anything."""
    try:
        return cls(**values)
    except StreamsegError:
        raise
    except Exception as error:
        raise SegmentError(f"method {name} cannot be made: {type(error).__name__}: {error}. --verbose shows "
                           "where") from error


def is_network(name: str) -> bool:
    """Whether the method ``name`` runs on a device. Raises OptionError."""
    return "device" in parameters(method_class(name))


def parameters(cls: type[Any]) -> dict[str, dict[str, Any]]:
    """name -> {type, default, help, choices, low, high, odd} of a method's parameters.

    Of a class that is no dataclass, the constructor's arguments. ``type`` and ``default`` are REQUIRED where
    there is none.
    """
    if not dataclasses.is_dataclass(cls):
        hints = _hints(cls.__init__)
        return {item.name: {"type": hints.get(item.name, item.annotation), "default": item.default}
                for item in inspect.signature(cls).parameters.values()
                if item.kind in (item.POSITIONAL_OR_KEYWORD, item.KEYWORD_ONLY)}
    hints = _hints(cls)
    return {item.name: {"type": hints.get(item.name, item.type), "default": _default(item), **item.metadata}
            for item in dataclasses.fields(cls) if item.init}


def _hints(annotated: Any) -> dict[str, Any]:
    """Annotations as types; none where one names what only a type checker imports."""
    try:
        return get_type_hints(annotated)
    except Exception:
        return {}


def _default(item: dataclasses.Field[Any]) -> Any:
    none = item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING
    return REQUIRED if none else default_of(item)


def _parse(name: str, value: Any, rules: Mapping[str, Any]) -> Any:
    """A value turned into what the parameter takes, and checked."""
    kinds = _kinds(rules)
    value = _converted(value, kinds)
    if not _fits(value, kinds) and (value is not None or rules.get("default") is not None):
        number = f"{value:g}" if isinstance(value, float) else format_value(value)
        raise OptionError(f"{name} is {number}; it must be {_words(kinds, rules)}")
    check_value(name, value, rules)
    if rules.get("odd") and isinstance(value, int) and value % 2 == 0:
        raise OptionError(f"{name} is {value}; it must be odd: {value - 1} or {value + 1}")
    return value


def _kinds(rules: Mapping[str, Any]) -> set[Any]:
    """The types that a parameter takes: those of its annotation; where that says nothing of SCALARS, what
    its default is, and any other (object)."""
    kind, default = rules.get("type"), rules.get("default")
    kinds: set[Any] = set(get_args(kind)) if get_origin(kind) in (Union, UnionType) else {kind}
    if kinds <= {*SCALARS, NoneType}:
        return kinds
    kinds = kinds & SCALARS.keys() or {type(default)} & SCALARS.keys()
    return {*kinds, object} | ({float} if int in kinds else set())


def _converted(value: Any, kinds: set[Any]) -> Any:
    """Text as what it says, a path as text, a whole number as int; all else as it is."""
    if str in kinds:
        value = os.fspath(value) if isinstance(value, os.PathLike) else value
    elif bool in kinds:
        value = BOOLS.get(str(value).lower(), value)
    if isinstance(value, str) and str not in kinds and kinds & {int, float}:
        with contextlib.suppress(ValueError):
            value = float(value)
    whole = not isinstance(value, bool) and isinstance(value, Real) and value % 1 == 0
    return int(value) if whole and int in kinds else value


def _fits(value: Any, kinds: set[Any]) -> bool:
    if isinstance(value, str):  # by now it is a number where that is what it says
        return str in kinds or kinds == {object}
    taken = {NoneType: value is None, bool: isinstance(value, bool), object: True,
             int: isinstance(value, Integral) and not isinstance(value, bool),
             float: isinstance(value, Real) and not isinstance(value, bool)}
    return any(taken.get(kind, False) for kind in kinds)


def _words(kinds: set[Any], rules: Mapping[str, Any]) -> str:
    """What is allowed, with an example of a text."""
    named = kinds - {int} if float in kinds else kinds
    words = " or ".join(word for kind, word in SCALARS.items() if kind in named)
    if str not in kinds:
        return words
    if isinstance(rules["default"], str) and rules["default"]:
        return f"{words}, as {rules['default']!r}"
    return f"{words}: {rules['help']}" if rules.get("help") else words
