"""User input while running: keys, the settings file, the window and the statistics in it."""

from __future__ import annotations

import logging
import os
import re
import select
import sys
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from ..core.clock import Clock
from ..errors import OptionError
from ..sink.live.preview import PreviewWindow
from . import config
from .keymap import ALIKE, CHANGEABLE, changed, pressed
from .types import Control, Finished, Scene

LOG = logging.getLogger(__name__)

Accept = Callable[[Mapping[str, Any], Collection[str]], None]
LOOK_SECONDS = 1.0  # between two checks of the files
UNSET = Scene("blur")  # the defaults
ESCAPE_SECONDS = 0.025  # in which the other bytes of an arrow key arrive; without them it was the Escape key
# What arrows, function keys and Alt send: ESC [ ... letter, ESC O letter, ESC and the key
SEQUENCE = re.compile(r"\x1b(?:\[\[?[0-?]*[ -/]*[@-~]?|O.?|[^\x1b])", re.DOTALL)


def accept_all(values: Mapping[str, Any], edited: Collection[str]) -> None:
    """Accept all settings."""


class Controls:
    """Call it repeatedly: it reads the keys, watches the files and changes ``control``. -> whether to quit

    keys      callables that return the key pressed since the last call, '' for none
    choices   the backgrounds that the keys n and b go through
    settings  the settings file to watch, None for none
    accept    gets the settings of the file after a change, and those that changed; raises OptionError for
              settings that are not allowed
    consumers whether a program uses an output; None: always
    """

    def __init__(self, control: Control, clock: Clock, *, keys: Sequence[Callable[[], str]] = (),
                 choices: Sequence[str] = (), settings: str | None = None, accept: Accept = accept_all,
                 consumers: Callable[[], bool] | None = None) -> None:
        self._control, self._clock = control, clock
        self._keys, self._choices, self._accept, self._consumers = keys, choices, accept, consumers
        self._settings = None if settings is None else config.Watch(settings)
        self._known: Mapping[str, Any] = {} if settings is None else config.read(settings)
        self._without = {name: self._unless_named(name) for name in CHANGEABLE}
        self._background = _watched(control.scene.background)
        self._actions: dict[str, Callable[[], None]] = {"p": self._pause}
        self._looked = clock.now()

    def on_key(self, key: str, action: Callable[[], None]) -> None:
        """Register an action of ``key`` that does not change the scene."""
        self._actions[key] = action

    def __call__(self) -> bool:
        """Handle what has come since the last call. True when the user wants to quit."""
        for key in filter(None, [ask() for ask in self._keys]):
            key = ALIKE.get(key, key)
            if key == "q":
                return True
            if key in self._actions:
                self._actions[key]()
            else:
                self._control.scene = pressed(self._control.scene, key, self._choices)
        if self._clock.now() - self._looked >= LOOK_SECONDS:
            self._looked = self._clock.now()
            self._look_at_files()
            if self._consumers is not None:
                self._control.has_consumers = self._consumers()
        return False

    def _pause(self) -> None:
        paused = not self._control.paused
        self._control.paused = paused
        LOG.info("paused: only the background is shown" if paused else "resumed")

    def _unless_named(self, name: str) -> Any:
        """The value of a setting that the file no longer names: the command line's, which takes precedence, else
        the default."""
        now = getattr(self._control.scene, name)
        return getattr(UNSET, name) if self._known.get(name) == now else now

    def _look_at_files(self) -> None:
        if self._settings is not None and self._settings.changed():
            self._read_settings(self._settings.path)
        scene = self._control.scene
        watched = self._background
        if watched is None or str(watched.path) != scene.background:
            self._background = _watched(scene.background)
        elif watched.changed():
            self._control.scene = replace(scene, version=scene.version + 1)
            LOG.info(f"background {scene.background} has changed and was read again")

    def _read_settings(self, path: Path) -> None:
        """Apply settings that were changed or removed; a broken file changes nothing."""
        try:
            values = config.read(path)
            gone = {name: self._without.get(name) for name in self._known if name not in values}
            edited = {name: value for name, value in values.items() if self._known.get(name) != value}
            self._accept(values, edited)
            new = gone | edited
            self._control.scene = changed(self._control.scene, new)
        except OptionError as error:
            LOG.warning(f"{error}; the previous settings stay")
            return
        later = sorted(set(new) - set(CHANGEABLE))
        self._known = values
        LOG.info(f"{path.name} was read again"
                   + (f"; these take effect at the next start: {', '.join(later)}" if later else ""))


def _watched(background: str | None) -> config.Watch | None:
    return config.Watch(background) if background and Path(background).is_file() else None


class PreviewScreen:
    """The window as the engine's Screen: the picture, or the matte where that was asked for."""

    def __init__(self, window: PreviewWindow, stats: bool) -> None:
        self._window, self._stats = window, stats
        self._lines: list[str] = []

    def show(self, finished: Finished) -> None:
        """Show it, with the statistics."""
        self._window.show(finished.view or finished.picture, self._lines if self._stats else [])

    def show_stats(self, line: Mapping[str, Any]) -> None:
        """Take the statistics of a second."""
        self._lines = stats_lines(line)

    def toggle_stats(self) -> None:
        """Switch the statistics on or off."""
        self._stats = not self._stats

    def key(self) -> str:
        """The key pressed in the window; 'q' once it was closed."""
        return "q" if self._window.closed else self._window.key()

    def close(self) -> None:
        self._window.close()


class TerminalKeys:
    """Keys pressed in the terminal, without Enter; keys that send several bytes (arrows) are ignored. A context
    manager, which restores the terminal. Always '' where standard input is no terminal, or while this program
    runs in the background of a shell."""

    def __init__(self) -> None:
        self._before: list[Any] | None = None
        self._waiting: deque[str] = deque()

    def __enter__(self) -> TerminalKeys:
        if sys.stdin is not None and sys.stdin.isatty() and os.name == "posix" and _ours():
            import termios
            import tty
            self._before = termios.tcgetattr(sys.stdin.fileno())
            tty.setcbreak(sys.stdin.fileno())  # Ctrl-C stays Ctrl-C
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        if self._before is not None and _ours():
            import termios
            with suppress(termios.error, OSError):  # the terminal was closed
                termios.tcsetattr(sys.stdin.fileno(), termios.TCSADRAIN, self._before)

    @property
    def there(self) -> bool:
        """Whether there is a terminal that gives keys."""
        return self._before is not None

    def __call__(self) -> str:
        """The next key, '' if none waits."""
        if self._before is not None and not self._waiting and _there_is_more(0) and _ours():
            with suppress(OSError):  # the terminal was closed
                self._waiting.extend(SEQUENCE.sub("", _bytes_waiting().decode(errors="ignore")))
        return self._waiting.popleft() if self._waiting else ""


def _ours() -> bool:
    """Whether this process may use the terminal: a background process of a shell would be stopped."""
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except OSError:  # closed, or not the controlling terminal: nothing stops the process
        return True


def _there_is_more(seconds: float) -> bool:
    return bool(select.select([sys.stdin], [], [], seconds)[0])


def _bytes_waiting() -> bytes:
    found = os.read(sys.stdin.fileno(), 64)
    if found.endswith(b"\x1b") and _there_is_more(ESCAPE_SECONDS):
        found += os.read(sys.stdin.fileno(), 64)
    return found


def status_line(line: Mapping[str, Any], columns: int) -> str:
    """The statistics of a second in one line of fewer than ``columns`` characters, or a terminal would wrap it: what
    is needed least gives way first."""
    latency = line["latency_ms"]
    known = latency["p50"] is not None
    # (how much it is needed, text)
    parts = [(6, f"{line['fps']:.1f} fps"), (5, f"{latency['p50']:.0f} ms" if known else "-"),
             (1, f"(95 %: {latency['p95']:.0f})" if known else ""), (3, f"{line['dropped']} dropped"),
             (2, f"CPU {line['cpu_percent']:.0f} %"),
             (0, "" if line["rss_mib"] is None else f"{line['rss_mib']:.0f} MiB"),
             (4, "paused" if line["paused"] else line["step"])]
    parts = [part for part in parts if part[1]]
    while len(text := "  ".join(words for _, words in parts)) >= columns and len(parts) > 1:
        parts.remove(min(parts))
    return text[:max(0, columns - 1)]


def stats_lines(line: Mapping[str, Any]) -> list[str]:
    """The statistics of a second as text, for the window and the terminal."""
    latency = line["latency_ms"]
    delay = "-" if latency["p50"] is None else f"{latency['p50']:.0f} ms (95 %: {latency['p95']:.0f})"
    memory = "" if line["rss_mib"] is None else f"  {line['rss_mib']:.0f} MiB"
    state = "paused" if line["paused"] else line["step"]
    return [f"{line['fps']:.1f} fps  {delay}  {line['dropped']} dropped",
            f"CPU {line['cpu_percent']:.0f} %{memory}  {state}"]

