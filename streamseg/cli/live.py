"""`streamseg live`."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Collection, Mapping
from contextlib import nullcontext, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from ..core.file_names import expanded
from ..core.words import counted
from ..errors import OptionError, SinkError
from ..live.options import SHARED, LiveOptions
from ..options import Options
from ..validation import named
from . import show
from .flags import Command, Flag, general_flags, given_options, option_flags
from .messages import messages_shown
from .session import Session
from .streams import refuse_closed_output
from .text import one_line

if TYPE_CHECKING:
    from ..live.controls import Accept
    from ..live.stats import LiveReport

EXAMPLES = """
    streamseg live --to virtual --background blur
    streamseg live --to virtual --to window --background office.jpg
    streamseg live --camera 1 --size 1920x1080 --to window
    streamseg live --to talk.mkv --to window --audio default
    streamseg live clip.mp4 --realtime --to null --json-stats - --duration 10
    streamseg live rtsp://camera.local/stream --to virtual --reconnect
    streamseg live --to whip:https://media.example/whip/talk --audio default
    streamseg live --config live.toml
"""
DEFAULT_TO = "virtual"
# permission to replace a file holds for one run only; a token is no setting
NOT_SAVED = ("config", "overwrite", "whip_token")


@click.command("live", cls=Command, short_help="Replace the background of a camera live, for calls.",
               examples=EXAMPLES)
@click.argument("source", required=False, metavar="[SOURCE]")
@click.option("--to", "to", multiple=True, metavar="SINK", cls=Flag, group="Output",
              help="virtual[:DEVICE] (default), pipewire[:NAME] (a camera without a driver, on Linux desktops), "
              "window, null, an address (rtmp, rtsp, srt, udp, whip:https://...) or a file (.mkv, .mp4). May be given "
              "several times; the statistics are about the first.")
@option_flags(SHARED, text="live")
@option_flags(of=LiveOptions)
@click.option("--save-config", metavar="FILE", type=click.Path(), cls=Flag, group="Control",
              help="Write the settings of this command line, except --overwrite, to FILE for --config, and exit.")
@general_flags
@click.pass_obj
def live(session: Session, source: str | None, to: tuple[str, ...], save_config: str | None,
         **flags: Any) -> int:
    """Replace the background of a camera, a screen or a stream, live.

    SOURCE is a camera's device, an address, 'screen', or with --realtime a file; default: the first camera.
    Ctrl-C, SIGTERM, the key q or closing the window end the run, with exit code 0.

    Keys, in the window and the terminal: n and b next and previous background, + and - blur, m mirror, v matte,
    f freeze, p pause, r record, s statistics, q quit.
    """
    for name, path in (("--config", flags["config"]), ("--save-config", save_config)):
        named(name, path, "a file")
    given = _given(flags) | ({"source": source} if source else {}) | ({"to": list(to)} if to else {})
    settings = _with_file(given)
    from ..core import opencv  # noqa: F401 - before PyAV, or the window hangs: see sink/live/preview.py
    options, live_options = _options(_effective(settings, given))
    if save_config is not None:
        _save(save_config, settings, options, live_options)
        return 0
    session.streaming = live_options.json_stats == "-"
    if session.streaming and session.json:
        raise OptionError("--json and --json-stats - both want standard output: choose one, or give "
                          "--json-stats a file")

    def accept(values: Mapping[str, Any], edited: Collection[str]) -> None:
        """Refuse what the start would refuse. ``edited`` settings take precedence over the command line."""
        lasting = {name: value for name, value in given.items() if name not in edited}
        _check({**values, **lasting}, lasting)

    report = _run(session, settings.get("source"), _targets(settings), options, live_options, accept)
    return 1 if any(output["failed"] for output in report.outputs) else 0


def _given(flags: dict[str, Any]) -> dict[str, Any]:
    return given_options({name: flags[name] for name in SHARED}) | given_options(
        {name: value for name, value in flags.items() if name not in SHARED}, of=LiveOptions)


def _with_file(given: dict[str, Any]) -> dict[str, Any]:
    """The values of the settings file, overridden by the command line."""
    if "config" not in given:
        return given
    from ..live.config import read
    return read(given["config"]) | given


def _effective(settings: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """The settings without those of the file that have no effect now: a file may serve several sources. Those
    ``given`` on the command line stay: there they are a mistake, which is refused."""
    from ..live.endpoints import unused_settings
    unused = unused_settings(settings, settings.get("source"), _targets(settings))
    return {name: value for name, value in settings.items() if name in given or name not in unused}


def _targets(settings: dict[str, Any]) -> list[str]:
    return settings.get("to") or [DEFAULT_TO]


def _check(settings: dict[str, Any], given: dict[str, Any]) -> None:
    """Raise OptionError for settings that no run takes."""
    from ..live.run import check_settings
    check_settings(settings.get("source"), _targets(settings), *_options(_effective(settings, given)))


def _save(path: str, settings: dict[str, Any], options: Options, live_options: LiveOptions) -> None:
    """Write the settings if a run would accept them."""
    from ..live.config import save
    from ..live.run import check_settings
    check_settings(settings.get("source"), _targets(settings), options, live_options, save_config=path)
    kept = {name: value for name, value in settings.items() if name not in NOT_SAVED}
    save(path, kept, overwrite=options.overwrite)


def _options(settings: dict[str, Any]) -> tuple[Options, LiveOptions]:
    own = {name: value for name, value in settings.items() if name not in (*SHARED, "to", "source")}
    return Options.of({name: settings[name] for name in SHARED if name in settings}), LiveOptions.of(own)


def _run(session: Session, source: str | None, to: list[str], options: Options, live_options: LiveOptions,
         accept: Accept) -> LiveReport:
    from ..core.opencv import opencv_threads
    from ..live.run import check_settings, run
    check_settings(source, to, options, live_options)  # before the file of statistics is checked
    silent = session.quiet or session.json
    status = None if silent or session.streaming or not show.is_terminal(sys.stderr) else _status_line
    clear = _CLEAR if status else ""
    shown = nullcontext() if session.quiet else messages_shown(clear)
    # every stage has a thread already; OpenCV's own would only take turns with them
    with opencv_threads(1), _Stats(live_options.json_stats, options.overwrite) as stats, shown:
        def on_stats(line: dict[str, Any]) -> None:
            stats.write(line)
            if status is not None:
                status(line)

        report = run(source, to, options=options, live=live_options, on_begin=stats.begin,
                     on_stats=on_stats, accept=accept)
    if session.json:
        show.json_object(asdict(report))
    elif not session.quiet:
        click.echo(f"{clear}streamseg: {one_line(_summary(report))}", err=True)
    return report


_CLEAR = "\r\x1b[K"
_USUAL_COLUMNS = 80


def _status_line(line: dict[str, Any]) -> None:
    from ..live.controls import status_line
    click.echo(_CLEAR + status_line(line, _columns()), err=True, nl=False)


def _columns() -> int:
    """Those of the terminal at standard error; standard output may go elsewhere."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or _USUAL_COLUMNS
    except OSError:
        return _USUAL_COLUMNS


def _summary(report: LiveReport) -> str:
    latency = report.latency_ms
    delay = "" if latency["p50"] is None else f", delay {latency['p50']:.1f} ms (95 %: {latency['p95']:.1f})"
    parts = f"{counted(report.damaged, 'damaged part')} skipped"
    damaged = f", {parts}" if report.damaged else ""
    return (f"{counted(report.frames, 'frame')} in {report.seconds:.1f} s, {report.fps:.1f} fps{delay}, "
            f"{report.dropped} dropped{damaged}, CPU {report.cpu_percent:.0f} % of a core")


class _Stats:
    """Writes the lines of statistics to a file, to standard output (-) or nowhere (None).

    The file is checked at once and opened by ``begin``: a run that cannot start creates none and leaves an old one
    as it was. Each line is flushed, so that a reader of the file sees it.
    """

    def __init__(self, path: str | None, overwrite: bool) -> None:
        named("json_stats", path, "a file, or - for standard output")
        if path == "-":
            refuse_closed_output("--json-stats -")
        self._stream: TextIO | None = sys.stdout if path == "-" else None
        self._path: Path | None = None
        self._replaces = overwrite
        if path not in (None, "-"):
            self._path = self._checked(expanded(path), overwrite)

    def _checked(self, path: Path, overwrite: bool) -> Path:
        from ..sink.commit import checked_target, writing
        with writing(path):
            if path.is_dir():
                raise SinkError(f"json_stats is {str(path)!r}, a folder; name a file in it, or - for "
                                "standard output")
            if path.exists() and not path.is_file():
                self._replaces = True  # a pipe or a device, as /dev/stderr: nothing is replaced there
                return path
            return checked_target(str(path), overwrite)

    def begin(self) -> None:
        """Open the file. Raises SinkError."""
        if self._path is not None:
            from ..sink.commit import writing
            with writing(self._path):
                self._stream = self._path.open("w" if self._replaces else "x", encoding="utf-8")

    def write(self, line: dict[str, Any]) -> None:
        """Write a line. Raises SinkError."""
        if self._stream is None:
            return
        try:
            self._stream.write(json.dumps(line) + "\n")
            self._stream.flush()
        except OSError as error:
            raise SinkError(f"the statistics cannot be written to {self._path or 'standard output'}: "
                            f"{error.strerror}; give --json-stats another place (recordings are whole)"
                            ) from error

    def __enter__(self) -> _Stats:
        return self

    def __exit__(self, *failure: object) -> None:
        if self._path is not None and self._stream is not None:
            with suppress(OSError):  # each line was flushed; what could not be has raised there
                self._stream.close()
