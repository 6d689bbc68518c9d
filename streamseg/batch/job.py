"""One call of ``streamseg.run``, with the outputs it has beside the first ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

NULL = "null:"  # the output that writes nothing
EXTRA = ("matte", "cutout", "foreground")  # fields of Options that name an output of their own


@dataclass(frozen=True, slots=True)
class Job:
    """One call of ``streamseg.run``."""

    source: str
    sinks: list[str]
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def targets(self) -> list[str]:
        """Every path that the job writes."""
        return [*self.sinks, *(self.options[name] for name in EXTRA if name in self.options)]
