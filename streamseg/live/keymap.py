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


def pressed(scene: Scene, key: str, choices: Sequence[str]) -> Scene:
    """The scene after a key; the same object for a key that does nothing to it."""
    if key in ("n", "b") and choices:
        place = choices.index(scene.background) if scene.background in choices else -(key == "n")
        return replace(scene, background=choices[(place + (1 if key == "n" else -1)) % len(choices)])
    if key in ("+", "-"):
        blur = scene.blur + (BLUR_STEP if key == "+" else -BLUR_STEP)
        return replace(scene, blur=round(min(1.0, max(0.0, blur)), 3))
    if key == "m":
        return replace(scene, mirror=not scene.mirror)
    if key == "v":
        return replace(scene, matte_view=not scene.matte_view)
    return replace(scene, freeze=not scene.freeze) if key == "f" else scene


def changed(scene: Scene, settings: Mapping[str, Any]) -> Scene:
    """The scene with what ``settings`` say of it, which config.read has checked."""
    made = replace(scene, **{name: value for name, value in settings.items() if name in CHANGEABLE})
    return scene if made == scene else made
