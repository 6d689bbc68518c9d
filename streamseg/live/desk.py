"""Where the user's hand meets the run: keys, the settings file, the window, the figures on it."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from ..errors import OptionError
from ..sink.window import Window
from . import config
from .clock import Clock
from .looks import ALIKE, CHANGEABLE, changed, pressed
from .types import Control, Finished, Tell

LOOK_SECONDS = 1.0  # between two looks at the files


class Desk:
    """Call it again and again: it reads the keys, watches the files, and changes ``control``. -> quit?

    keys      callables that give the key pressed since the last call, '' for none
    choices   the backgrounds that keys go through
    settings  the file that is watched, None for none
    demand    tells whether anybody looks at an output; None: somebody always does
    """

    def __init__(self, control: Control, clock: Clock, tell: Tell, *, keys: Sequence[Callable[[], str]] = (),
                 choices: Sequence[str] = (), settings: str | None = None,
                 demand: Callable[[], bool] | None = None) -> None:
        self._control, self._clock, self._tell = control, clock, tell
        self._keys, self._choices, self._demand = keys, choices, demand
        self._settings = None if settings is None else config.Watch(settings)
        self._known: Mapping[str, Any] = {} if settings is None else config.read(settings)
        self._background = _watched(control.look.background)
        self._actions: dict[str, Callable[[], None]] = {"p": self._pause}
        self._looked = clock.now()

    def on_key(self, key: str, action: Callable[[], None]) -> None:
        """Have ``key`` do something that is not the look's."""
        self._actions[key] = action

    def __call__(self) -> bool:
        """Once around. True when the user wants to end."""
        for key in filter(None, [ask() for ask in self._keys]):
            key = ALIKE.get(key, key)
            if key == "q":
                return True
            if key in self._actions:
                self._actions[key]()
            else:
                self._control.look = pressed(self._control.look, key, self._choices)
        if self._clock.now() - self._looked >= LOOK_SECONDS:
            self._looked = self._clock.now()
            self._look_at_files()
            if self._demand is not None:
                self._control.wanted = self._demand()
        return False

    def _pause(self) -> None:
        paused = not self._control.paused
        self._control.paused = paused
        self._tell("paused: the background alone goes out" if paused else "goes on")

    def _look_at_files(self) -> None:
        if self._settings is not None and self._settings.changed():
            self._read_settings(self._settings.path)
        look = self._control.look
        watched = self._background
        if watched is None or str(watched.path) != look.background:
            self._background = _watched(look.background)
        elif watched.changed():
            self._control.look = replace(look, version=look.version + 1)
            self._tell(f"background {look.background} has changed and is read again")

    def _read_settings(self, path: Path) -> None:
        """Take over what has changed; what is broken leaves everything as it was."""
        try:
            values = config.read(path)
            new = {name: value for name, value in values.items() if self._known.get(name) != value}
            self._control.look = changed(self._control.look, new)
        except OptionError as error:
            self._tell(f"{error}; the settings before it stay")
            return
        later = sorted(set(new) - set(CHANGEABLE))
        self._known = values
        self._tell(f"{path.name} is read again"
                   + (f"; from the next start: {', '.join(later)}" if later else ""))


def _watched(background: str | None) -> config.Watch | None:
    return config.Watch(background) if background and Path(background).is_file() else None


class WindowScreen:
    """The window as the engine's Screen: the picture, or the matte where that was asked for."""

    def __init__(self, window: Window, figures: bool) -> None:
        self._window, self._figures = window, figures
        self._lines: list[str] = []

    def show(self, finished: Finished) -> None:
        """Show it, with the figures."""
        self._window.show(finished.view or finished.picture, self._lines if self._figures else [])

    def figures(self, line: Mapping[str, Any]) -> None:
        """Take the figures of a second."""
        self._lines = figure_lines(line)

    def toggle_figures(self) -> None:
        """Show the figures, or no longer."""
        self._figures = not self._figures

    def key(self) -> str:
        """The key pressed in it; 'q' once it was closed."""
        return "q" if self._window.closed else self._window.key()

    def close(self) -> None:
        self._window.close()


class TerminalKeys:
    """Keys pressed in the terminal, one by one and without Enter. As a context manager: the terminal is
    as before at its end. Gives '' always where standard input is no terminal."""

    def __init__(self) -> None:
        self._before: list[Any] | None = None

    def __enter__(self) -> TerminalKeys:
        if sys.stdin is not None and sys.stdin.isatty() and os.name == "posix":
            import termios
            import tty
            self._before = termios.tcgetattr(sys.stdin.fileno())
            tty.setcbreak(sys.stdin.fileno())  # Ctrl-C stays Ctrl-C
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        if self._before is not None:
            import termios
            termios.tcsetattr(sys.stdin.fileno(), termios.TCSADRAIN, self._before)

    @property
    def there(self) -> bool:
        """Whether there is a terminal to press keys in."""
        return self._before is not None

    def __call__(self) -> str:
        """The next key, '' if none waits."""
        if self._before is None or not select.select([sys.stdin], [], [], 0)[0]:
            return ""
        return os.read(sys.stdin.fileno(), 1).decode(errors="ignore")


def figure_lines(line: Mapping[str, Any]) -> list[str]:
    """The figures of a second in words, for the window and the terminal."""
    latency = line["latency_ms"]
    delay = "-" if latency["p50"] is None else f"{latency['p50']:.0f} ms (95 %: {latency['p95']:.0f})"
    memory = "" if line["rss_mib"] is None else f"  {line['rss_mib']:.0f} MiB"
    state = "paused" if line["paused"] else line["step"]
    return [f"{line['fps']:.1f} fps  {delay}  {line['dropped']} dropped",
            f"CPU {line['cpu_percent']:.0f} %{memory}  {state}"]

