"""What keys and the settings file do to a Scene."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from .types import Scene

KEYS = {
    "n": "next background", "b": "background before", "+": "blur more", "-": "blur less", "m": "mirror",
    "v": "matte in the window", "f": "freeze", "p": "pause: the background alone", "r": "record, or stop",
    "s": "figures in the window", "q": "quit",
}
ALIKE = {"=": "+", "_": "-", " ": "p", "\x1b": "q"}
BLUR_STEP = 0.1
USUAL = ("blur", "#202830", "green")
# What the settings file may change while all runs; the rest holds from the next start
CHANGEABLE = ("background", "fit", "blur", "mirror", "follow")


def backgrounds(chosen: str | None, listed: str | None) -> tuple[str, ...]:
    """What the keys n and b go through: the one chosen, then those listed, or else some usual ones."""
    names = [name.strip() for name in (listed or "").split(",") if name.strip()]
    first = [] if chosen is None else [chosen]
    return tuple(dict.fromkeys([*first, *(names or USUAL)]))


def pressed(look: Scene, key: str, choices: Sequence[str]) -> Scene:
    """The look after a key; the same object for a key that does nothing to it."""
    if key in ("n", "b") and choices:
        place = choices.index(look.background) if look.background in choices else -(key == "n")
        return replace(look, background=choices[(place + (1 if key == "n" else -1)) % len(choices)])
    if key in ("+", "-"):
        blur = look.blur + (BLUR_STEP if key == "+" else -BLUR_STEP)
        return replace(look, blur=round(min(1.0, max(0.0, blur)), 3))
    if key == "m":
        return replace(look, mirror=not look.mirror)
    if key == "v":
        return replace(look, matte_view=not look.matte_view)
    return replace(look, freeze=not look.freeze) if key == "f" else look


def changed(look: Scene, settings: Mapping[str, Any]) -> Scene:
    """The look with what ``settings`` say of it, which config.read has checked."""
    made = replace(look, **{name: value for name, value in settings.items() if name in CHANGEABLE})
    return look if made == look else made
