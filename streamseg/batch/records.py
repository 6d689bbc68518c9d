"""What the ledger keeps of an item: what is to be done, how it ended, and what was written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Written:
    """An output that is in its place. ``stamp``: what shows at a glance that it is still the same."""

    path: str
    kind: str
    bytes: int | None
    stamp: str | None
    digest: str | None


@dataclass(frozen=True, slots=True)
class Row:
    """An item as the ledger has it. ``real``: the source with links followed. ``job``: source, sinks and options."""

    id: int
    source: str
    real: str
    target: str
    job: dict[str, Any]
    options: str
    state: str
    round: int
    stamp: str | None
    content: str | None
    attempts: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an item ended. ``state``: done or failed; ``reason``: why it failed, or what else is to be said."""

    state: str
    stamp: str | None = None
    content: str | None = None
    frames: int | None = None
    damaged: int | None = None
    fps: float | None = None
    seconds: float | None = None
    subject: str | None = None
    reason: str | None = None
    worker: str | None = None
    outputs: Sequence[Written] = field(default_factory=tuple)
