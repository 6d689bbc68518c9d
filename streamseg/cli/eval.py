"""`streamseg eval`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import click

from ..core.words import counted
from ..errors import OptionError
from ..options import Options
from . import show
from .flags import Command, Flag, general_flags, given_options, option_flags
from .session import Session
from .text import one_line

if TYPE_CHECKING:
    from ..tools.evaluation import Evaluation

EXAMPLES = """
    streamseg eval matte.mkv truth.mkv --source film.mp4
    streamseg eval mattes/ truth/ --csv frames.csv --plot frames.png
    streamseg eval cutout.webm truth.mkv --resize predicted --metrics iou,boundary_f,dtssd
    streamseg eval mattes/%05d.png truth/%05d.png --ignore 128
    streamseg eval matte.mkv --no-truth --source film.mp4
"""
FLAGS = ("start", "duration", "rate", "only", "timeout", "overwrite")


@click.command("eval", cls=Command, short_help="Score mattes against the truth.", examples=EXAMPLES)
@click.argument("predicted", type=click.Path())
@click.argument("truth", required=False, type=click.Path())
@click.option("--no-truth", is_flag=True, cls=Flag, group="Input",
              help="Measure what needs no truth: flicker, and with --source the warping error.")
@click.option("--source", "guide", metavar="VIDEO", type=click.Path(), cls=Flag, group="Input",
              help="The film that the mattes are of: tells which pixels stand still and how they move.")
@click.option("--ignore", type=click.INT, metavar="0..255", cls=Flag, group="Input",
              help="The truth's value that means 'unknown', as 128: such pixels count for nothing. Flicker "
              "and warping error look at no truth and are of all pixels.")
@click.option("--resize", type=click.Choice(["predicted"]), cls=Flag, group="Input",
              help="Bring predicted mattes to the truth's size; without it other sizes are an error.")
@click.option("--allow-missing", is_flag=True, cls=Flag, group="Input",
              help="Score what both sides have; without it, what has no partner is an error.")
@click.option("--metrics", metavar="A,B,C", cls=Flag, group="Output",
              help="Only these metrics, with commas between them; default: all that can be measured.")
@click.option("--csv", "table", metavar="FILE", type=click.Path(), cls=Flag, group="Output",
              help="Also write the numbers of each frame.")
@click.option("--plot", metavar="FILE", type=click.Path(), cls=Flag, group="Output",
              help="Also draw them over time: .png, .svg or .pdf.")
@option_flags(FLAGS)
@general_flags
@click.pass_obj
def evaluate(session: Session, predicted: str, truth: str | None, no_truth: bool, guide: str | None,
             ignore: int | None, resize: str | None, allow_missing: bool, metrics: str | None,
             table: str | None, plot: str | None, **flags: Any) -> None:
    """Score the mattes PREDICTED against the true ones, TRUTH.

    Each is a film (a file, or a pattern such as frame_%05d.png), a picture, or a folder, whose files are
    matched by stem. A matte is a grey picture, or the alpha of one that has alpha. Take lossless files:
    a lossy encoder's errors are larger than what many methods differ by.
    """
    if no_truth == (truth is not None):
        raise OptionError(f"TRUTH is {truth!r} and --no-truth is given: choose one" if no_truth else
                          "TRUTH is missing: give it, or --no-truth for what can be measured without")
    options = given_options(flags)
    Options.of(options)
    overwrite = options.pop("overwrite", False)
    names = [name.strip() for name in (metrics or "").split(",") if name.strip()]
    from ..tools.evaluation import evaluate as score
    from ..tools.evaluation.outputs import check_outputs, write_csv, write_plot
    check_outputs(table, plot, overwrite, metrics=names,
                  inputs=[path for path in (predicted, truth, guide) if path is not None],
                  only=options.get("only"))
    silent = session.quiet or session.json
    shown = nullcontext() if silent else show.progress(predicted)
    with shown as update:
        result = score(predicted, truth, guide=guide, metrics=names, ignore=ignore, resize=resize,
                       allow_missing=allow_missing, progress=update, **options)
    for path, write in ((table, write_csv), (plot, write_plot)):
        if path is not None:
            write(result, path, overwrite)
    if session.json:
        show.json_object({"predicted": predicted, "truth": truth, "source": guide, **result.to_dict()})
    elif not session.quiet:
        _print(result, [path for path in (table, plot) if path is not None])


def _print(result: Evaluation, files: Sequence[str]) -> None:
    """The numbers on standard output, the rest on standard error."""
    import sys
    screen = show.console(sys.stdout)
    screen.print(_of_one(result) if len(result.clips) == 1 else _of_several(result))
    for note in result.notes:
        click.echo(f"  note: {one_line(note)}", err=True)
    for path in files:
        click.echo(f"  {one_line(path)}", err=True)


def _of_one(result: Evaluation) -> Any:
    """A row a metric: its value, its worst frame's, and which that is."""
    clip, = result.clips
    rows = []
    for name in result.metrics:
        worst = clip.worst(name)
        rows.append((name, _number(clip.summary[name]), *(("", "") if worst is None else (
            _number(clip.values[name][worst]), one_line(clip.frame_name(worst))))))
    return show.table((counted(clip.frames, "frame"), "value", "worst", "at"), rows, right=(1, 2))


def _of_several(result: Evaluation) -> Any:
    """A row a clip, a column a metric, the mean last."""
    rows = []
    for clip in result.clips:
        numbers = (_number(clip.summary.get(name, math.nan)) for name in result.metrics)
        rows.append((one_line(clip.name), str(clip.frames), *numbers))
    rows.append(("mean", str(result.frames), *map(_number, result.summary.values())))
    return show.table(("", "frames", *result.metrics), rows, right=range(1, 2 + len(result.metrics)))


def _number(value: float) -> str:
    return f"{value:.4g}" if math.isfinite(value) else ""
