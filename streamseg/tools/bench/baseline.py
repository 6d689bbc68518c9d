"""Is it slower than it was? Two results of ``bench`` side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import OptionError
from .measure import LIMIT

# name -> whether more is better
FIGURES = {"fps": True, "start_s": False, "peak_rss_mib": False}
LEAST_MS = 0.2  # a stage's change by less is nothing: a scheduler's tick is larger


@dataclass(frozen=True, slots=True)
class Change:
    """A figure of a variant, then and now: each the best of its repeats.

    worse    by how much it is worse than it was: 0.25 is a quarter; below 0 it is better
    failed   whether that is more than was allowed and no accident: no repeat now is as good as the worst
             one then; never of LIMIT, which is the machine's own speed
    """

    variant: str
    figure: str
    old: float
    new: float
    worse: float
    failed: bool


def changes(old: Mapping[str, Any], new: Mapping[str, Any], allowed: float) -> list[Change]:
    """Every figure that both results have; ``allowed``: by how much one may be worse, 0.1 for 10 %.

    Raises OptionError as ``comparable`` does.
    """
    comparable(old, new)
    before, now = _measured(old), _measured(new)
    return [change for name in now if name in before
            for change in _row_changes(name, before[name], now[name], allowed)]


def comparable(old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """Raise OptionError where two results were not made alike: no difference would mean anything. Of ``new``
    only ``clip``, ``options`` and the ``name`` of each row are looked at, which are known beforehand."""
    if not {"rows", "clip", "options", "hardware"} <= set(old):
        raise OptionError("the file to compare with is no result of `streamseg bench --json`")
    for part in ("clip", "options"):
        if old[part] != new[part]:
            raise OptionError(f"the benchmark to compare with had {part} {old[part]}, now it is {new[part]}: "
                              "measure both alike")
    asked = {row["name"] for row in new["rows"]}  # one that failed is told of in its row
    if not asked & set(_measured(old)) - {LIMIT}:
        raise OptionError("the two benchmarks have no method, device and batch in common: measure "
                          "the same ones")


def _measured(result: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {row["name"]: row for row in result["rows"] if "error" not in row}


def lost(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, str]:
    """name -> error of each variant that could be measured then and cannot now."""
    before = _measured(old)
    return {row["name"]: row["error"] for row in new["rows"] if "error" in row and row["name"] in before}


def doubts(old: Mapping[str, Any], new: Mapping[str, Any], found: Sequence[Change],
           allowed: float) -> list[str]:
    """Why the comparison may mean nothing: another machine, or one that is itself slower now."""
    said = [f"the machine itself is slower now than then: {change.figure} of '{LIMIT}' went from "
            f"{change.old:g} to {change.new:g}; measure both again, side by side" for change in found
            if change.variant == LIMIT and change.figure == "fps" and change.worse > allowed]
    other = _other_machine(old, new)
    return [other, *said] if other else said


def _other_machine(old: Mapping[str, Any], new: Mapping[str, Any]) -> str | None:
    then, now = old["hardware"], new["hardware"]
    parts = [f"{name} {then.get(name)}, now {now[name]}" for name in ("processor", "cores", "gpu")
             if then.get(name) != now[name]]
    return "another machine then: " + ", ".join(parts) if parts else None


def _row_changes(name: str, old: Mapping[str, Any], new: Mapping[str, Any],
                 allowed: float) -> Iterator[Change]:
    for figure, more in FIGURES.items():
        if old.get(figure) and new.get(figure):
            yield _change(name, figure, old[figure], new[figure], allowed, more=more)
    for stage, times in new["stages"].items():
        if stage in old["stages"]:
            then, now = old["stages"][stage]["p50_ms"], times["p50_ms"]
            yield _change(name, f"{stage} ms", then, now, allowed, least=LEAST_MS)


def _change(name: str, figure: str, old: Mapping[str, float], new: Mapping[str, float], allowed: float, *,
            more: bool = False, least: float = 0.0) -> Change:
    best, worst = ("max", "min") if more else ("min", "max")
    then, now = old[best], new[best]
    small, large = sorted((then, now))
    declined = now < then if more else now > then
    worse = (large / max(small, 1e-9) - 1) * (1 if declined else -1)
    apart = now < old[worst] if more else now > old[worst]
    return Change(name, figure, then, now, round(worse, 4),
                  worse > allowed and apart and large - small > least and name != LIMIT)
