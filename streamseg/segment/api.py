"""What a method is: the Segmenter protocol, what it may declare beyond that, and how a foreign object is adapted."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from ..core.frames import Frame, Matte
from ..errors import OptionError


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a method declares about itself. All fields have defaults.

    expensive   a matte costs more than moving the one before along with the picture, so that --every auto may
                leave frames out
    stateful    what it gives for a frame depends on the frames before: it must be given every frame, in order
    takes_clip  it reads the whole clip before the first frame
    reducible   ``reduce(True)`` makes it faster and less exact
    copies      another one may be made to work beside it, on another picture: that costs little memory, and no device
                that they would share
    runs_on     runtime and device in words, as "LiteRT (CPU, 1 thread for the net)"
    """

    expensive: bool = False
    stateful: bool = False
    takes_clip: bool = False
    reducible: bool = False
    copies: bool = True
    runs_on: str = "the CPU"


@runtime_checkable
class Segmenter(Protocol):
    """What a method must have. Not shared between threads: one thread at a time makes, calls and closes it.

    A class that has more to declare derives from BaseSegmenter, or has an attribute ``capabilities``.
    """

    def segment(self, frames: Sequence[Frame]) -> list[Matte]:
        """One matte a frame, in order. The frames follow on those of the call before."""

    def reset(self) -> None:
        """Forget all earlier frames: what comes next is another scene or another picture."""

    def close(self) -> None:
        """Free what is held; the object is not used again."""


@runtime_checkable
class _Declaring(Protocol):
    """A foreign segmenter that declares its capabilities, and nothing else."""

    @property
    def capabilities(self) -> Capabilities: ...


class BaseSegmenter:
    """A Segmenter with everything that one may declare, at its default. Derive from it and override."""

    @property
    def capabilities(self) -> Capabilities:
        """What the method declares about itself; may be read at any time, before ``close``."""
        return Capabilities()

    @property
    def name(self) -> str:
        """What the report calls the method."""
        return type(self).__name__

    @property
    def statistics(self) -> Mapping[str, int]:
        """Counts for the report, as {"computed": 10, "carried": 20}; empty where there is nothing to count."""
        return {}

    def reduce(self, on: bool) -> None:
        """Work faster and less exactly from now on (True), or as before (False); nothing unless ``reducible``."""

    def segment(self, frames: Sequence[Frame]) -> list[Matte]:
        """One matte a frame, in order."""
        raise NotImplementedError

    def separate(self, frames: Sequence[Frame]) -> list[Matte]:
        """One matte of each of some pictures that have nothing to do with each other, or with earlier frames; their
        sizes may differ."""
        mattes = []
        for frame in frames:
            self.reset()
            mattes += self.segment([frame])
        return mattes

    def reset(self) -> None:
        """Forget all earlier frames."""

    def trim(self) -> None:
        """Free memory that the next frame takes again: nobody waits for one just now."""

    def close(self) -> None:
        """Free what is held."""

    def borrowed(self, *, stills: bool = False) -> BaseSegmenter:
        """What a run uses where the caller gave it this object: closing it leaves the object open.

        stills   the input is single pictures
        """
        return Borrowed(self)


class ParameterSegmenter(BaseSegmenter):
    """Base of the registered methods: dataclasses whose fields, made by ``param``, are the parameters.

    A copy, or an object that is pickled and loaded, is made anew with the same parameters: model files are
    opened again, and what was learnt from earlier frames is not taken along.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (type(self), parameter_values(self))


def parameter_values(method: Any) -> dict[str, Any]:
    """name -> value of the parameters of a method that is a dataclass."""
    return {item.name: getattr(method, item.name) for item in dataclasses.fields(method) if item.init}


def _rebuilt(cls: type[Any], values: Mapping[str, Any]) -> Any:
    return cls(**values)


class Adapted(BaseSegmenter):
    """A foreign object (``original``) with segment(), reset() and close() as a BaseSegmenter. ``capabilities`` is
    the object's where it has one."""

    def __init__(self, segmenter: Segmenter) -> None:
        self.original = segmenter

    @property
    def capabilities(self) -> Capabilities:
        """As the object declares. Raises OptionError where that is no Capabilities."""
        if not isinstance(self.original, _Declaring):
            return Capabilities()
        found: Any = self.original.capabilities
        if not isinstance(found, Capabilities):
            raise OptionError(f"the capabilities of {type(self.original).__name__} are {found!r}; they must be "
                              "a streamseg.segment.Capabilities")
        return found

    @property
    def name(self) -> str:
        """The object's class, or what it calls itself where it is a BaseSegmenter."""
        return self.original.name if isinstance(self.original, BaseSegmenter) else type(self.original).__name__

    @property
    def statistics(self) -> Mapping[str, int]:
        """As the object counts, where it is a BaseSegmenter."""
        return self.original.statistics if isinstance(self.original, BaseSegmenter) else {}

    def reduce(self, on: bool) -> None:
        """As the object, where it is a BaseSegmenter."""
        if isinstance(self.original, BaseSegmenter):
            self.original.reduce(on)

    def segment(self, frames: Sequence[Frame]) -> list[Matte]:
        """As the object."""
        return self.original.segment(frames)

    def separate(self, frames: Sequence[Frame]) -> list[Matte]:
        """As the object, where it is a BaseSegmenter."""
        if isinstance(self.original, BaseSegmenter):
            return self.original.separate(frames)
        return super().separate(frames)

    def reset(self) -> None:
        """As the object."""
        self.original.reset()

    def trim(self) -> None:
        """As the object, where it is a BaseSegmenter."""
        if isinstance(self.original, BaseSegmenter):
            self.original.trim()

    def close(self) -> None:
        """As the object."""
        self.original.close()


class Borrowed(Adapted):
    """A caller's own object: it stays open when the run closes its method."""

    def close(self) -> None:
        """Nothing: the caller closes it."""

    def borrowed(self, *, stills: bool = False) -> BaseSegmenter:
        """Itself."""
        return self


def adapt(segmenter: Segmenter, *, owned: bool = False, stills: bool = False) -> BaseSegmenter:
    """Any Segmenter as a BaseSegmenter. This is the only place that looks at what an object declares.

    owned    ``close`` of what is returned closes ``segmenter``, too; by default it remains the caller's (Borrowed)
    stills   the input is single pictures; read where it is not owned
    """
    if owned:
        return segmenter if isinstance(segmenter, BaseSegmenter) else Adapted(segmenter)
    return segmenter.borrowed(stills=stills) if isinstance(segmenter, BaseSegmenter) else Borrowed(segmenter)


def param(default: Any, help: str, *, choices: tuple[str, ...] | None = None,
          low: float | None = None, high: float | None = None, odd: bool = False) -> Any:
    """A dataclass field that is a parameter of a method: default, help, and what it may be."""
    rules = {"help": help, "choices": choices, "low": low, "high": high, "odd": odd}
    return dataclasses.field(default=default, metadata=rules)
