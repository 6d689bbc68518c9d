"""What a method is: the Segmenter protocol, and ``param``, which makes a parameter of one."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from ..core.frames import Frame, Matte


@runtime_checkable
class Segmenter(Protocol):
    """What a method is. Not shared between threads: one thread makes, calls and closes it."""

    def segment(self, frames: Sequence[Frame]) -> list[Matte]:
        """One matte a frame, in order. The frames follow on those of the call before."""

    def reset(self) -> None:
        """Forget all earlier frames: what comes next is another scene or another picture."""

    def close(self) -> None:
        """Free what is held; the object is not used again."""


def param(default: Any, help: str, *, choices: tuple[str, ...] | None = None,
          low: float | None = None, high: float | None = None, odd: bool = False) -> Any:
    """A dataclass field that is a parameter of a method: default, help, and what it may be."""
    rules = {"help": help, "choices": choices, "low": low, "high": high, "odd": odd}
    return dataclasses.field(default=default, metadata=rules)
