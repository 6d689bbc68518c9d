"""What `streamseg methods` prints: every method with its parameters, source and fitness."""

from __future__ import annotations

from dataclasses import dataclass
from inspect import getdoc
from typing import Any

from . import METHODS, REQUIRED, method_class, parameters


@dataclass(frozen=True, slots=True)
class ParameterInfo:
    """One parameter: ``type`` as written ('int', 'str', ...; '' where it is not), ``allowed`` in words ('' if
    anything)."""

    name: str
    type: str
    default: Any
    allowed: str
    help: str


@dataclass(frozen=True, slots=True)
class MethodInfo:
    """A method: its texts ('' where a third party's class has none) and its parameters, sorted by name."""

    name: str
    summary: str
    source: str
    good_for: str
    bad_for: str
    parameters: tuple[ParameterInfo, ...]


# What is to come out, and what to take for it: method names and flags.
CHOICES: tuple[tuple[str, str], ...] = (
    ("people before any background", "person"),
    ("people before a green or blue screen", "greenscreen"),
    ("anything before a screen of one colour", "chroma"),
    ("pets and products before a plain background", "region, kmeans, or --region +x,y"),
    ("an object in the middle of a picture, of several colours", "grabcut"),
    ("drawings, text and shapes that are darker or lighter than the paper", "threshold"),
    ("what moves before a camera that stands still", "mog2, or plate with a picture of the empty scene"),
    ("what the method leaves out, or takes wrongly", "--region +x,y, -x,y, +red, -red"),
    ("anything, from one picture that you have cut out by hand", "--matte-in FIRST.png"),
)


def describe(name: str) -> MethodInfo:
    """What there is to know of a method. Raises OptionError if ``name`` is none."""
    cls = method_class(name)
    first_line = (getdoc(cls) or "").partition("\n")[0]
    found = tuple(_parameter(key, rules) for key, rules in sorted(parameters(cls).items()))
    return MethodInfo(name, getattr(cls, "summary", first_line), getattr(cls, "source", ""),
                      getattr(cls, "good_for", ""), getattr(cls, "bad_for", ""), found)


def describe_all() -> list[MethodInfo]:
    """``describe`` of every registered method, in METHODS's order."""
    return [describe(name) for name in METHODS]


def _parameter(name: str, rules: dict[str, Any]) -> ParameterInfo:
    kind, default = rules["type"], rules["default"]
    written = kind.__name__ if isinstance(kind, type) else str(kind).replace("typing.", "")
    return ParameterInfo(name, "" if kind is REQUIRED else written, None if default is REQUIRED else default,
                         _allowed(rules), str(rules.get("help") or ""))


def _allowed(rules: dict[str, Any]) -> str:
    if rules.get("choices"):
        return ", ".join(str(item) for item in rules["choices"])
    low, high = rules.get("low"), rules.get("high")
    parts = ["must be given"] if rules["default"] is REQUIRED else []
    if low is not None or high is not None:
        parts.append(f"at least {low:g}" if high is None else f"at most {high:g}" if low is None
                     else f"{low:g} to {high:g}")
    if rules.get("odd"):
        parts.append("odd")
    return ", ".join(parts)
