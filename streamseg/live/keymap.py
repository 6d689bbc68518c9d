"""How keys and the settings file change a Scene."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from .types import Scene

KEYS = {
    "n": "next background", "b": "previous background", "+": "more blur", "-": "less blur", "m": "mirror",
    "v": "matte in the window", "f": "freeze", "p": "pause: only the background", "r": "start or stop recording",
    "s": "statistics in the window", "q": "quit",
}
ALIKE = {"=": "+", "_": "-", " ": "p", "\x1b": "q"}
BLUR_STEP = 0.1
COMMON = ("blur", "#202830", "green")
# Settings of the file that take effect while running; the others do at the next start
CHANGEABLE = ("background", "fit", "blur", "mirror", "follow")


def backgrounds(current: str | None, listed: str | None) -> tuple[str, ...]:
    """The backgrounds of the keys n and b: the current one, then those listed, or else some common ones."""
    names = [name.strip() for name in (listed or "").split(",") if name.strip()]
    first = [] if current is None else [current]
    return tuple(dict.fromkeys([*first, *(names or COMMON)]))


def pressed(scene: Scene, key: str, choices: Sequence[str]) -> Scene:
    """The scene after a key; the same object if the key does not change it."""
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
    """The scene with ``settings``, which config.read has checked."""
    made = replace(scene, **{name: value for name, value in settings.items() if name in CHANGEABLE})
    return scene if made == scene else made
