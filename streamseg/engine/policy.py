"""How items wait between the stages: nothing is lost (files), or the newest wins (live)."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Link:
    """One hand-over between two threads: see Channel.

    capacity  items that may wait
    newest    the newest item takes the place of the oldest, and nobody waits; else the producer waits
    handed    the producer waits until the item is taken, and so begins on nothing that would grow old
    """

    capacity: int = 1
    newest: bool = False
    handed: bool = False


@dataclass(frozen=True, slots=True)
class Policy:
    """The links of a run.

    decode   between source and method
    segment  between method (with smoothing) and compositing
    finish   between compositing and the main thread, where that hands out the pictures; None: they go to the
             outputs at once
    output   before each output
    """

    decode: Link
    segment: Link
    finish: Link | None
    output: Link

    def batched(self, batch: int) -> Policy:
        """The policy for a method that takes ``batch`` frames at once: the next batch is decoded meanwhile."""
        return replace(self, decode=replace(self.decode, capacity=2 * batch),
                       segment=replace(self.segment, capacity=batch))

    def from_live(self) -> Policy:
        """The policy for a source that cannot wait: its newest frame takes the older one's place."""
        return replace(self, decode=Link(newest=True))


# Files: nothing is lost. Four finished frames even out an encoder's I frames; they are 12 MB at 1080p.
LOSSLESS = Policy(decode=Link(2), segment=Link(), finish=None, output=Link(4))
# Live: no delay builds up. Behind the method at most one frame a stage is under way.
NEWEST = Policy(decode=Link(newest=True), segment=Link(handed=True), finish=Link(handed=True),
                output=Link(newest=True))
