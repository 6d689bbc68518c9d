"""Batches and clusters: python -m benchmarks.cluster [--only ROW ...] [--quick]

Speeds, on an idle machine:

    loop      pictures: `batch` against `run` once for each, a process each
    inside    the same within one process, the model loaded once, which shows what overlapping gives alone
    workers   16 short clips on Ray with 1, 2, ... workers, each held to a core of its own: speed-up over one
    split     a film in parts on 2 workers, each held to a core of its own, against the film in one piece on one:
              speed-up, and what joining takes
    ledger    rows planned a second and ends written a second
    messages  empty tasks a second through one driver, and the bytes of a task and of its answer

Counts, on any machine:

    memory    the driver's memory over 100,000 rows
    kills     20 workers of two nodes killed (-9) at random, and one node taken away
    driver    the driver killed (-9) and started again
    broken    a batch of which 5 % of the pictures are broken, killed and started again, with what --status says

On two idle cores no row takes more than about five minutes; a later call adds its rows to the result of earlier ones
on the same machine, and each says the commit that it was measured at. Fewer pictures and one turn of the film are
against us: what a batch or a cluster does once weighs more. Starting Ray and its workers is not counted, but told
(start_s): a batch of hours does it once; loading the model is counted.

A worker has a budget of one thread for the libraries, but its stages run beside each other, so that one alone uses 1.4
of two idle cores, and a second then adds only what was left. Held to a core each, workers show what another core gives;
the figures of workers that are not held stand beside them (free_s, free_cores).

The film is one of 120 s in two parts: that 4 % of it is computed twice, and that the second part therefore takes longer
than the first, is together as much against us as in a film of 10 minutes in 8 parts. --film 600 measures that, in about
10 minutes. cluster.png shows the curve of ``workers``.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.batches import Speeds
from benchmarks.common import RESULTS, Bench, Must, Table, shown, start
from benchmarks.losses import Losses
from streamseg.core.thread_budget import cores
from streamseg.tools.bench import hardware
from streamseg.tools.bench.plots import figure, png


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the table: ``about`` with the row's figures put in, a figure, and what is wanted of it."""

    about: str
    figure: str
    must: Must | None = None
    digits: int = 2

    def cells(self, row: Mapping[str, Any]) -> tuple[str, str, str]:
        """(what, figure, what is wanted and whether it is so)."""
        value = row[self.figure]
        middle = value["median"] if isinstance(value, dict) else value
        told = shown(value, self.digits) if isinstance(value, dict) else f"{value:,.0f}"
        wanted = "" if self.must is None else f"{self.must} {'yes' if self.must.met(middle) else 'no'}"
        return self.about.format(**row), told, wanted


def none(figure: str) -> Must:
    """That there are none."""
    return Must(figure, "<=", 0)


AGAIN = "{killed_at[done]} done when it was killed"
# by row: its lines, and in how many turns it is measured
ROWS: Mapping[str, tuple[int, Sequence[Line]]] = {
    "loop": (3, [Line("`batch` against `run` in a loop, {pictures} pictures: times as fast", "times_as_fast",
                      Must("times_as_fast", ">=", 1.5))]),
    "inside": (3, [Line("the same within one process, the model loaded once: what overlapping gives",
                        "times_as_fast")]),
    "workers": (3, [Line("two workers against one, {clips} short clips, each worker one thread and held to a core: "
                         "times as fast", "two", Must("two", ">=", 1.8)),
                    Line("the same, workers not held: one alone then uses {alone_uses:.2f} cores", "free_two")]),
    "split": (1, [Line("a film of {seconds:g} s in {parts} parts on 2 workers against one piece on one, each worker "
                       "held to a core: times as fast", "speed_up", Must("speed_up", ">=", 1.7)),
                  Line("of which joining takes", "joining_share", Must("joining_share", "<=", 0.02), 4)]),
    "ledger": (1, [Line("rows planned a second", "planned_a_second"), Line("ends written a second", "ended_a_second")]),
    "messages": (1, [Line("tasks through one driver a second", "tasks_a_second")]),
    "memory": (1, [Line("memory of the driver over {rows:,} list rows, MiB", "peak_rss_mib",
                        Must("peak_rss_mib", "<=", 300))]),
    "kills": (1, [Line("{items} pictures, {killed} workers killed (-9) at random, {nodes_taken} of two nodes taken "
                       "away: not done exactly once", "not_once", none("not_once")),
                  Line("the same: partial files, and files left in the temporary folder", "left", none("left"))]),
    "driver": (1, [Line(f"{{items}} pictures on Ray, the driver killed and started again, {AGAIN}: done twice",
                        "done_again", none("done_again")),
                   Line("the same: not done", "not_as_wanted", none("not_as_wanted")),
                   Line("the same: files left", "left", none("left"))]),
    "broken": (1, [Line(f"{{items}} pictures, {{broken}} of them broken, killed and started again, {AGAIN}: done twice",
                        "done_again", none("done_again")),
                   Line("the same: good ones not done, broken ones not told as failed", "not_as_wanted",
                        none("not_as_wanted")),
                   Line("the same: files left", "left", none("left"))]),
}


def tables(result: Mapping[str, Any]) -> dict[str, Table]:
    """Tables of RESULTS.md by name: what was measured beside what the project asks of itself."""
    rows = []
    for name, (_, lines) in ROWS.items():
        row = result["rows"].get(name)
        rows += [(f"{name}: not measured", "", "", "")] if row is None else [
            (*line.cells(row), str(row["commit"])) for line in lines if line.figure in row]  # older rows had fewer
    return {"cluster": Table(("", "measured (min to max)", "wanted", "at"), rows)}


def earlier(path: Path) -> dict[str, Any]:
    """The rows of a result of this machine; else none."""
    if path.exists():
        found = json.loads(path.read_text(encoding="utf-8"))
        here = hardware()
        if all(found["hardware"].get(name) == here[name] for name in ("processor", "cores")):
            return dict(found.get("rows", {}))
    return {}


def main(words: list[str] | None = None) -> Path:
    """Measure, and write cluster.json and cluster.png."""
    bench = Bench("cluster", __doc__, repeats=None)
    add = bench.parser.add_argument
    add("--only", nargs="+", choices=tuple(ROWS), default=tuple(ROWS), metavar="ROW", help="default all")
    add("--repeats", type=int, help="turns, default " + ", ".join(f"{turns} of {name}" for name, (turns, _) in
                                                                  ROWS.items() if turns > 1) + ", 1 of others")
    add("--pictures", type=int, default=40, help="of loop and inside, default %(default)s")
    add("--film", type=float, default=120.0, help="seconds of split's film, default %(default)s")
    add("--seed", type=int, default=5, help="of what is killed when, default %(default)s")
    add("--data", type=Path, metavar="DIR", help="a folder of pictures for the counts, default made ones")
    chosen = bench.parse(words)
    os.environ.setdefault("PYTHONPATH", str(Path(__file__).parents[1]))  # for Ray's workers and the processes
    rows = earlier((chosen.out or RESULTS) / "cluster.json")
    for name in chosen.only:
        with tempfile.TemporaryDirectory() as work:
            speeds = Speeds(Path(work), quick=chosen.quick, repeats=chosen.repeats or ROWS[name][0],
                            pictures=chosen.pictures, film=chosen.film)
            losses = Losses(Path(work), quick=chosen.quick, seed=chosen.seed, data=chosen.data)
            measured = {**speeds.rows, **losses.rows}[name]()
            rows[name] = {**measured, "commit": bench.commit(), "command": bench.command()}
            print(f"{name}: {rows[name]}", file=sys.stderr, flush=True)
    result = {"cores": cores(), "rows": {name: rows[name] for name in ROWS if name in rows}}
    path = bench.save(result, chosen.out)
    print(tables(result)["cluster"].markdown())
    if "workers" in chosen.only:
        _draw(rows["workers"]["points"], path.with_suffix(".png"))
    return path


def _draw(points: list[dict[str, Any]], path: Path) -> None:
    drawn = figure(6, 4)
    axes = drawn.add_subplot()
    counts = [point["workers"] for point in points]
    axes.plot(counts, [point["speed_up"]["median"] for point in points], marker="o", label="measured")
    axes.plot(counts, counts, linestyle=":", label="linear")
    axes.set_xlabel("workers, each held to a core")
    axes.set_ylabel("times as fast as one")
    axes.legend()
    path.write_bytes(png(drawn))


if __name__ == "__main__":
    start(main)
