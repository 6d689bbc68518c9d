"""A batch's report: a line for each item, written as the ledger is read, so that its length takes no memory."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

from ..errors import OptionError
from ..sink.commit import appearing
from .ledger import STATES, Ledger

COLUMNS = ("input", "output", "state", "frames", "fps", "subject", "seconds", "damaged", "attempts", "worker", "reason",
           "content")
FORMATS = (".csv", ".jsonl", ".json")


def check_name(path: str) -> None:
    """Raise OptionError unless the extension says how a report is to be written."""
    if os.path.splitext(path)[1].lower() not in FORMATS:
        raise OptionError(f"report is {path!r}; it must end with {', '.join(FORMATS)}")


def write(ledgers: Sequence[Ledger], path: str, *, whole: bool = False) -> None:
    """Write the lines of ``ledgers`` to ``path``, whose extension says how; what is there is replaced.

    whole  all that the ledgers know, not only their last round
    """
    check_name(path)
    ending = os.path.splitext(path)[1].lower()
    with appearing(path, overwrite=True) as place, Path(place).open("w", encoding="utf-8", newline="") as stream:
        lines = (line for ledger in ledgers for line in _lines(ledger, whole))
        if ending == ".csv":
            table = csv.DictWriter(stream, COLUMNS)
            table.writeheader()
            table.writerows(lines)
        else:
            _as_json(stream, lines, several=ending == ".json")


def _lines(ledger: Ledger, whole: bool) -> Iterator[dict[str, Any]]:
    for line in ledger.lines(whole=whole):
        named = {"input": line.pop("source"), "output": line.pop("target")}
        yield {name: {**named, **line}[name] for name in COLUMNS}


def _as_json(stream: TextIO, lines: Iterable[dict[str, Any]], *, several: bool) -> None:
    """A line each, in a list if ``several``."""
    before = "[\n" if several else ""
    for line in lines:
        stream.write(before + json.dumps(line, ensure_ascii=False))
        before = ",\n" if several else "\n"
    stream.write(("\n]\n" if before != "[\n" else "[]\n") if several else "\n" if before else "")


def status(ledgers: Sequence[Ledger], failures: int = 20) -> dict[str, Any]:
    """What ``--status`` says, for JSON: counts and sums over ``ledgers``, and the first ``failures``."""
    counts = {state: sum(ledger.counts(whole=True)[state] for ledger in ledgers) for state in STATES}
    totals = [ledger.totals(whole=True) for ledger in ledgers]
    failed = [{"input": line["source"], "reason": line["reason"], "attempts": line["attempts"]}
              for ledger in ledgers for line in _first(ledger.lines(whole=True, state="failed"), failures)]
    return {"items": sum(counts.values()), **counts, "frames": sum(total["frames"] for total in totals),
            "seconds": round(sum(total["seconds"] for total in totals), 1),
            "last_finished": max((total["finished"] for total in totals if total["finished"]), default=None),
            "failures": failed[:failures]}


def _first(lines: Iterator[dict[str, Any]], count: int) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(lines):
        if number >= count:
            return
        yield line
