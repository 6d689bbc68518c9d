"""What a job is to make, and what its files are called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .tasks import Target

SOURCE, BACKGROUND = "source", "background"  # files in a job's folder, until its film has ended


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a job is to make. ``name``: what the client calls the film; ``url``: where it is to be read."""

    options: dict[str, Any]
    targets: tuple[Target, ...]
    bundle: str | None = None
    name: str = "the film"
    url: str | None = None
    background: bool = False

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"options": self.options, "targets": [[item.name, item.kind] for item in self.targets],
                "bundle": self.bundle, "name": self.name, "url": self.url, "background": self.background}

    @classmethod
    def of(cls, values: dict[str, Any]) -> Wanted:
        """From JSON."""
        return cls(**{**values, "targets": tuple(Target(*item) for item in values["targets"])})

    @property
    def names(self) -> list[str]:
        """The names of the outputs."""
        return [self.bundle] if self.bundle is not None else [item.name for item in self.targets]
