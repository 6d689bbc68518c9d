"""`streamseg bench`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..core.folders import made_folder
from ..errors import OptionError
from ..options import Options
from ..validation import choice
from . import show
from .flags import Command, Flag, MethodName, general_flags, given_options, option_flags
from .session import Session
from .text import one_line

if TYPE_CHECKING:
    from ..tools.bench import Change

EXAMPLES = """
    streamseg bench
    streamseg bench --quick
    streamseg bench my-clip.mp4 --methods person,threshold -o before/
    streamseg bench my-clip.mp4 --methods person,threshold --compare before/bench.json --fail-over 10%
    streamseg bench --methods person --device cpu,gpu --batch 1,8,32
"""
GROUPS = ("Method", "Matte", "Background")
FLAGS = (*(item.name for item in fields(Options) if item.metadata["group"] in GROUPS
           and item.name not in ("method", "device", "batch")),
         "codec", "codec_set", "quality", "bitrate", "hwaccel", "overwrite")
QUICK, USUAL = (2, 1.5), (3, 5.0)  # repeats, seconds
ALLOWED = 0.1  # how much worse a figure may be


class Percent(click.ParamType):
    """10% or 10 as 0.1."""

    name = "PERCENT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """A share of 1."""
        try:
            share = float(str(value).removesuffix("%")) / 100
        except ValueError:
            share = -1.0
        if not 0 <= share < float("inf"):
            self.fail(f"{value!r} is no percentage, as 10%", param, ctx)
        return share


@click.command("bench", cls=Command, short_help="Measure speed, memory and start-up on this machine.",
               examples=EXAMPLES)
@click.argument("clip", required=False, type=click.Path())
@click.option("--methods", metavar="A,B,C", type=MethodName(), cls=Flag, group="Method",
              help="The methods to measure, with commas between them. [default: all; with --quick the "
              "default one]")
@click.option("--device", "devices", default="auto", metavar="A,B", cls=Flag, group="Method",
              help="Where the model runs: auto, cpu, gpu, with commas between several. [default: auto]")
@click.option("--batch", "batches", default="1", metavar="N,M", cls=Flag, group="Method",
              help="Frames the method is given at once; several with commas. [default: 1]")
@click.option("-o", "--output", "folder", metavar="FOLDER", type=click.Path(), cls=Flag, group="Output",
              help="Write bench.json and the plots (PNG) there.")
@click.option("--repeats", type=click.IntRange(1, 1000), metavar="N", cls=Flag, group="Measuring",
              help="Turns; each runs everything once. [default: 3; with --quick 2]")
@click.option("--seconds", type=click.FloatRange(0, min_open=True), metavar="S", cls=Flag, group="Measuring",
              help="How much of the clip is used. [default: 5; with --quick 1.5]")
@click.option("--quick", is_flag=True, cls=Flag, group="Measuring", help="Under a minute.")
@click.option("--compare", "old", metavar="OLD.json", type=click.Path(), cls=Flag, group="Measuring",
              help="Compare with an earlier bench.json; exit code 1 if a figure is worse, or if a method "
              "fails that worked.")
@click.option("--fail-over", "allowed", metavar="PERCENT", type=Percent(), cls=Flag, group="Measuring",
              help=f"How much worse is allowed with --compare. [default: {ALLOWED:.0%}]")
@option_flags(FLAGS)
@general_flags
@click.pass_obj
def bench(session: Session, clip: str | None, methods: str | None, devices: str, batches: str,
          folder: str | None, repeats: int | None, seconds: float | None, quick: bool, old: str | None,
          allowed: float | None, **flags: Any) -> int:
    """Measure what this machine makes of CLIP, or of a clip that is made (1080p, 30 fps, with sound).

    For each method, device and batch: frames a second end to end, the time of each stage, memory, processor
    use, start-up. Every run is a process of its own; they take turns, and the best, the median and the
    spread are told. "no work" decodes and encodes and does nothing else: the limit of all the others.
    """
    options = given_options(flags)
    overwrite = bool(options.pop("overwrite", False))
    Options.of(options)
    if allowed is not None and old is None:
        raise OptionError(f"--fail-over {allowed:.0%} says how much worse than an earlier result is allowed: "
                          "name that with --compare OLD.json, or leave it out")
    before = None if old is None else read_result(old)
    usual = QUICK if quick else USUAL
    from ..segment import METHODS
    names = _listed("methods", methods) if methods else ["default"] if quick else list(METHODS)
    wanted: dict[str, Any] = {"methods": names, "devices": _devices(devices), "batches": _batches(batches)}
    from ..tools.bench import bench as measure
    with nullcontext() if folder is None else _writable(folder, overwrite) as place:
        result = measure(clip, **wanted, repeats=repeats or usual[0], seconds=seconds or usual[1],
                         progress=None if session.quiet or session.json else _say, before=before,
                         **options)
        failed = _compared(before, result, ALLOWED if allowed is None else allowed, session)
        if session.json:
            show.json_object(result)
        elif not session.quiet:
            _print(result)
        if place is not None:
            _write(place, result, overwrite)
    # what was asked for by name and could not be measured is an error; of "all methods" one may be missing
    lacking = bool(methods or devices != "auto") and any("error" in row for row in result["rows"])
    return 1 if failed or lacking else 0


def read_result(path: str) -> dict[str, Any]:
    """A bench.json. Raises OptionError where it is none."""
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise OptionError(f"--compare {path!r} cannot be read ({error}): give the bench.json of an earlier "
                          "`streamseg bench -o FOLDER`") from error
    if not isinstance(found, dict) or "rows" not in found:
        raise OptionError(f"--compare {path!r} is no bench.json: `streamseg bench -o FOLDER` writes one")
    return found


def _listed(flag: str, text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names or len(set(names)) != len(names):
        raise OptionError(f"--{flag} is {text!r}; name each once, with commas between them")
    return names


def _devices(text: str) -> list[str]:
    devices = _listed("device", text)
    for device in devices:
        choice("device", device, ("auto", "cpu", "gpu"))
    return devices


def _batches(text: str) -> list[int]:
    words = _listed("batch", text)
    if not all(word.isdigit() and 1 <= int(word) <= 256 for word in words):
        raise OptionError(f"--batch is {text!r}; it must be numbers from 1 to 256, with commas between them")
    return [int(word) for word in words]


def _say(line: str) -> None:
    click.echo(f"streamseg: {one_line(line)} ...", err=True)


@contextmanager
def _writable(folder: str, overwrite: bool) -> Iterator[Path]:
    """The folder, made. Refuses, before anything is measured, what could not be written after it."""
    from ..sink.commit import checked_target, temporary_file
    from ..tools.bench.plots import NAMES, figure
    figure(1, 1)
    with made_folder(folder) as place:
        for name in ("bench.json", *NAMES):
            temporary_file(checked_target(str(place / name), overwrite)).unlink()
        yield place


def _write(folder: Path, result: Mapping[str, Any], overwrite: bool) -> None:
    from ..sink.commit import appearing
    from ..tools.bench.plots import draw
    files = {"bench.json": (json.dumps(result, indent=1) + "\n").encode(), **draw(result)}
    for name, data in files.items():
        with appearing(folder / name, overwrite) as made:
            made.write_bytes(data)


def _compared(before: dict[str, Any] | None, result: dict[str, Any], allowed: float,
              session: Session) -> bool:
    """Put the comparison into ``result`` and tell what became worse or fails. -> whether it is too much"""
    if before is None:
        return False
    from dataclasses import asdict

    from ..tools.bench import changes
    from ..tools.bench.baseline import doubts, lost
    found = changes(before, result, allowed)
    result["changes"] = [asdict(change) for change in found]
    result["warnings"] += doubts(before, result, found, allowed)
    failed = [change for change in found if change.failed]
    if not (session.quiet or session.json):
        _print_changes(found)
    for change in failed:
        click.echo(f"streamseg: {change.variant}: {change.figure} {change.old:g} -> {change.new:g}, "
                   f"{change.worse:.0%} worse, more than {allowed:.0%}", err=True)
    gone = lost(before, result)
    for name, error in gone.items():
        click.echo(f"streamseg: {name}: it worked then and fails now: {one_line(error)}", err=True)
    return bool(failed or gone)


def _print_changes(found: Sequence[Change]) -> None:
    rows = [(change.variant, change.figure, f"{change.old:g}", f"{change.new:g}", f"{-change.worse:+.0%}",
             "WORSE" if change.failed else "") for change in found]
    show.console().print(show.table(("method", "figure", "then", "now", "better by", ""), rows,
                                    right=(2, 3, 4)))


def _print(result: Mapping[str, Any]) -> None:
    from ..tools.bench import LIMIT, hardware_line
    screen = show.console()
    limit = next((row["fps"]["median"] for row in result["rows"] if row["method"] == LIMIT and "fps" in row),
                 None)
    rows = [_line(row, limit) for row in result["rows"]]
    head = ("method", "runs on", "fps", "min to max", "of no work", "start s", "CPU %", "RSS MiB", "GPU %",
            "GPU MiB")
    screen.print(show.table(head, rows, right=tuple(range(2, len(head)))))
    _print_stages(result["rows"])
    screen.print(hardware_line(result["hardware"]))
    for warning in result["warnings"]:
        click.echo(f"streamseg: warning: {one_line(warning)}", err=True)


def _line(row: Mapping[str, Any], limit: float | None) -> tuple[str, ...]:
    if "error" in row:
        return row["name"], "failed: " + one_line(row["error"]), *[""] * 8
    fps = row["fps"]
    return (row["name"], row["runs_on"], f"{fps['median']:.1f}", f"{fps['min']:.1f} to {fps['max']:.1f}",
            f"{fps['median'] / limit:.2f}" if limit else "",
            *(_middle(row[name]) for name in ("start_s", "cpu_percent", "peak_rss_mib", "gpu_percent",
                                              "gpu_memory_mib")))


def _middle(found: Mapping[str, float] | None) -> str:
    return "none" if found is None else f"{found['median']:.3g}" if found["median"] < 100 \
        else f"{found['median']:.0f}"


def _print_stages(rows: Sequence[Mapping[str, Any]]) -> None:
    """Milliseconds a frame: in the run, where stages share the cores, p50 (p95); and each alone."""
    lines = []
    for row in rows:
        if "error" not in row:
            lines += [(row["name"], stage, f"{times['p50_ms']['median']:.2f}",
                       f"{times['p95_ms']['median']:.2f}", "") for stage, times in row["stages"].items()]
            lines += [(row["name"], stage, "", "", f"{value:.2f}")
                      for stage, value in row.get("alone_ms", {}).items()]
            if "alone_error" in row:
                lines.append((row["name"], "alone: failed: " + one_line(row["alone_error"]), "", "", ""))
    show.console().print(show.table(("method", "stage", "p50 ms", "p95 ms", "alone ms"), lines,
                                    right=(2, 3, 4)))
