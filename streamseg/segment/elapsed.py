"""How much of a film has gone by between two frames that a method is given: with --every it is not given all."""

from __future__ import annotations

from ..core.frames import Frame


class ElapsedFrames:
    """Counts frames of the source by their ``index``, not calls."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the frame before."""
        self._index: int | None = None

    def since_last(self, frame: Frame) -> int:
        """Frames from the last that was asked about to this one: at least 1, and 1 for the first."""
        gone = 1 if self._index is None else max(1, frame.index - self._index)
        self._index = frame.index
        return gone
