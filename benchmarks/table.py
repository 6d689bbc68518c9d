"""Writes the tables of RESULTS.md from the results: python -m benchmarks.table [--check] [--page FILE]

What stands between ``<!-- bench:NAME -->`` and ``<!-- /bench -->`` is replaced by a table of
benchmarks/results/NAME.json. benchmarks/NAME.py has ``tables(result)``, which gives {"NAME": Table,
"NAME.PART": Table, ...}; where it has none, NAME.PART is the result's ``PART``, a dict of rows of figures.
NAME_FORM and NAME_FORM.PART are the same of another form of the benchmark (common.FORMS), as on a GPU.
Under each stand the command, the commit and the machine it was measured with. --check writes nothing and
ends with code 1 if the page says something else than the results.
"""

from __future__ import annotations

import argparse
import importlib
import json
import re
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.common import FORMS, RESULTS, Table

PAGE = Path(__file__).parent / "RESULTS.md"
PLACE = re.compile(r"(<!-- bench:(?P<name>[\w.-]+) -->\n)(?P<body>.*?)(<!-- /bench -->)", re.DOTALL)


def table_of(name: str, results: Path = RESULTS) -> str:
    """Markdown of the table ``name``; a line that says so where it was not measured.

    Raises ValueError where there is no such benchmark or table.
    """
    stem = name.partition(".")[0]
    bench, *forms = stem.split("_")
    if find_spec(f"benchmarks.{bench}") is None or not FORMS.keys() >= set(forms):
        raise ValueError(f"bench:{name}: benchmarks/{bench}.py is not there, or has no such form; forms are "
                         f"{', '.join(FORMS)}")
    module: Any = importlib.import_module(f"benchmarks.{bench}")
    path = results / f"{stem}.json"
    if not path.exists():
        command = " ".join([f"python -m benchmarks.{bench}", *(FORMS[form] for form in forms)])
        return f"Not measured: `{command}`\n"
    result = json.loads(path.read_text(encoding="utf-8"))
    made: dict[str, Table] = module.tables(result) if hasattr(module, "tables") else plain(bench, result)
    wanted = name.replace(stem, bench, 1)
    if wanted not in made:
        raise ValueError(f"bench:{name}: of {stem}.json there are the tables {', '.join(made) or '(none)'}")
    return f"{made[wanted].markdown()}\n\n{origin(result, stem)}\n"


def plain(stem: str, result: dict[str, Any]) -> dict[str, Table]:
    """STEM.PART -> the table of every part of a result that is a dict of dicts."""
    found = {}
    for part, rows in result.items():
        if isinstance(rows, dict) and rows and all(isinstance(row, dict) for row in rows.values()):
            heads = list(dict.fromkeys(key for row in rows.values() for key in row))
            found[f"{stem}.{part}"] = Table(("", *heads), [
                (name, *(_cell(row.get(key, "")) for key in heads)) for name, row in rows.items()])
    return found


def _cell(value: Any) -> str:
    if isinstance(value, dict) and "median" in value:
        value = value["median"]
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def origin(result: dict[str, Any], stem: str) -> str:
    """The line under a table: command, commit, machine, and where the figures are."""
    machine = result["hardware"]
    return (f"`{result['command']}`, commit {result['commit'] or 'unknown'}, {machine['processor']}, "
            f"{machine['cores']} cores, GPU {machine.get('gpu', 'none')}; "
            f"[results](results/{stem}.json)")


def filled(text: str, results: Path = RESULTS) -> str:
    """``text`` with every place filled. Raises ValueError where a place is opened and not closed."""
    if len(PLACE.findall(text)) != text.count("<!-- bench:"):
        raise ValueError("a place for a table is not closed: each <!-- bench:NAME --> stands on a line of "
                         "its own and has its <!-- /bench -->")
    return PLACE.sub(lambda place: f"{place[1]}{table_of(place['name'], results)}{place[4]}", text)


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.table", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; is the page up to date?")
    parser.add_argument("--page", type=Path, default=PAGE)
    parser.add_argument("--results", type=Path, default=RESULTS)
    chosen = parser.parse_args(words)
    text = chosen.page.read_text(encoding="utf-8")
    made = filled(text, chosen.results)
    if chosen.check:
        if made != text:
            print(f"{chosen.page.name} does not say what the results say: python -m benchmarks.table",
                  file=sys.stderr)
        return int(made != text)
    chosen.page.write_text(made, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
