"""What happened between a frame and the one before it: found once, carried with the frame, used by all stages.

``tracked`` puts a ``Motion`` into each frame of a stream. A stage asks its own ``MotionTracker`` for the motion of
a frame: it gives the one that the frame carries, or finds it where the frame carries none or one that begins at
another frame than this stage saw last. So every stage also works by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..core.frames import Frame
from .arrays import Array
from .cuts import Cuts
from .flow import FlowField, OpticalFlow, moved_by, through

Size = tuple[int, int]


class Picture:
    """The brightness of a frame, each size of it made once."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._lumas: dict[Size, Array] = {}

    def luma(self, size: Size) -> Array:
        """uint8 (h, w) of ``size`` (width, height)."""
        if size not in self._lumas:
            self._lumas[size] = self._frame.luma(size)
        return self._lumas[size]


class Motion:
    """From one picture of a stream (``before``; None: there is none) to a later one (``now``).

    ``cut``: another shot begins at ``now`` or in between, or it is the first picture of all. Flow is computed when
    it is asked for, once for each size; sizes are (width, height) in pixels, at least 16 x 16. Not thread-safe
    but for ``cut``.
    """

    def __init__(self, before: Picture | None, now: Picture, cut: bool, flow: OpticalFlow) -> None:
        self.before, self.now, self.cut = before, now, cut
        self._flow = flow
        self._displacements: dict[Size, Array] = {}
        self._fields: dict[tuple[Size, bool], FlowField] = {}

    def displacement(self, size: Size) -> Array:
        """float32 (h, w, 2): what is to be added to x and y of a pixel of ``now`` to find it in ``before``.

        Raises ValueError if there is no picture before."""
        if size not in self._displacements:
            if self.before is None:
                raise ValueError("there is no picture before the first one")
            self._displacements[size] = self._flow.displacement(self.before.luma(size), self.now.luma(size))
        return self._displacements[size]

    def back(self, size: Size) -> FlowField:
        """From ``now`` to ``before``: its ``carry`` brings a matte of ``before`` to ``now``."""
        return self._field(size, forth=False)

    def forth(self, size: Size) -> FlowField:
        """From ``before`` to ``now``, of the same flow: its ``carry`` brings a matte of ``now`` to ``before``."""
        return self._field(size, forth=True)

    def then(self, later: Motion, size: Size) -> Motion:
        """This motion and the one that follows it as one, with the flow of ``size`` put together of theirs."""
        joined = Motion(self.before, later.now, self.cut or later.cut, self._flow)
        joined._displacements[size] = through(self.displacement(size), later.displacement(size))
        return joined

    def _field(self, size: Size, forth: bool) -> FlowField:
        key = size, forth
        if key not in self._fields:
            displacement = self.displacement(size)
            assert self.before is not None  # displacement() has seen to it
            old, new = self.before.luma(size), self.now.luma(size)
            self._fields[key] = moved_by(-displacement, new, old) if forth else moved_by(displacement, old, new)
        return self._fields[key]


class MotionTracker:
    """Gives the motion of each frame of a stream, in order, relative to the frame that it was asked about last."""

    def __init__(self) -> None:
        self._cuts, self._flow = Cuts(), OpticalFlow()
        self._last: Picture | None = None

    def of(self, frame: Frame) -> Motion:
        """The motion that the frame carries if it begins at the last frame, else a new one."""
        carried = frame.motion if isinstance(frame.motion, Motion) else None
        last, now = self._last, Picture(frame) if carried is None else carried.now
        self._last = now
        if carried is not None and carried.before is last:
            return carried
        cut = last is None or self._cuts.between(last.luma(Cuts.size), now.luma(Cuts.size))
        return Motion(last, now, cut, self._flow)

    def tracked(self, frame: Frame) -> Frame:
        """The frame, with its motion."""
        return frame.with_motion(self.of(frame))

    def forget(self) -> None:
        """The next frame is the first."""
        self._last = None


def tracked(frames: Iterable[Frame]) -> Iterator[Frame]:
    """The frames of a video, each with its ``Motion``."""
    tracker = MotionTracker()
    for frame in frames:
        yield tracker.tracked(frame)


def working_size(shape: tuple[int, ...]) -> Size:
    """(width, height) at which motion is looked for, and mattes of ``shape`` are compared: half of theirs.

    At half size all costs a quarter, and the flow is as good: at matte size it is sought at a quarter of the
    resolution, at half size at half of it, which is the same grid (see flow.py).
    """
    return max(16, shape[1] // 2), max(16, shape[0] // 2)  # optical flow takes nothing smaller


__all__ = ["Motion", "MotionTracker", "Picture", "tracked", "working_size"]
