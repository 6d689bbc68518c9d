"""Methods that are made once and used for many inputs: a network is loaded when the first of its kind comes."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import fields
from typing import Any

from ..core.frames import Frame, Matte
from ..options import MethodOptions, Options
from ..segment import (
    READING,
    BaseSegmenter,
    Borrowed,
    Segmenter,
    adapt,
    create_segmenter,
    method_class,
    method_name,
    parameters,
)

# Which options make a method, and are not for ``run`` when it is given one.
MAKING = ("method", "set", "model", "model_spec", "classes", "device", "runtime")
STATEFUL = ("mog2", "knn")  # they learn from all frames since the beginning
KEPT = 4  # methods held at a time: pictures and films, of two settings


class TakesTurns(Borrowed):
    """A method that others use, too, each for single pictures: it works for one at a time, and forgets the others'
    frames before. Whoever made it closes it. ``turn`` is held while it is at work."""

    def __init__(self, segmenter: Segmenter, turn: AbstractContextManager[object]) -> None:
        super().__init__(segmenter)
        self._turn, self._fresh = turn, True

    def reset(self) -> None:
        """When it is this one's turn."""
        self._fresh = True

    def segment(self, frames: Sequence[Frame]) -> list[Matte]:
        """As the method."""
        with self._turn:
            if self._fresh:
                super().reset()
            self._fresh = False
            return super().segment(frames)


class OnDemand(BaseSegmenter):
    """The method that one input's options call for: which object that is, is known when ``run`` has opened the
    input and says whether it is single pictures."""

    def __init__(self, methods: Methods, options: Mapping[str, Any], source: str) -> None:
        self._methods, self._options, self._source = methods, options, source

    @property
    def name(self) -> str:
        """Of the method."""
        return method_name(self._options.get("method", "default"))

    def borrowed(self, *, stills: bool = False) -> BaseSegmenter:
        """The object. Raises what making it raises."""
        made = self._methods.get(self._options, self._source, stills=stills)
        return TakesTurns(made, self._methods.turn) if stills else adapt(made)


class Methods:
    """The methods of a batch; ``close`` frees them all. One thread asks for them and uses them; of pictures with the
    same method several do, and ``turn`` lets one work at a time."""

    def __init__(self) -> None:
        self.turn = threading.RLock()
        self._made: OrderedDict[str, BaseSegmenter] = OrderedDict()
        self._own: BaseSegmenter | None = None  # of the input in hand alone
        self.loaded = 0

    def get(self, options: Mapping[str, Any], source: str, *, stills: bool) -> BaseSegmenter:
        """The method that ``options`` call for. It is good until the next is asked for. Raises what making it
        raises."""
        with self.turn:
            return self._get(options, source, stills)

    def _get(self, options: Mapping[str, Any], source: str, stills: bool) -> BaseSegmenter:
        whole = MethodOptions.of({name: value for name, value in options.items() if name in _KNOWN})
        made = {name: getattr(whole, name) for name in MAKING}
        if not isinstance(whole.method, str):
            return adapt(whole.method, stills=stills)
        if self._own is not None:
            self._own.close()
            self._own = None
        if _looks_at_the_clip(whole.method):
            self._own = _created(made, whole.threads, stills, clip=source, reading=options)
            return self._own
        key = json.dumps([made, whole.threads, stills], default=str, sort_keys=True)
        if key not in self._made:
            while len(self._made) >= KEPT:
                self._made.popitem(last=False)[1].close()
            self._made[key] = _created(made, whole.threads, stills)
            self.loaded += 1
        self._made.move_to_end(key)
        return self._made[key]

    def lent(self, options: Mapping[str, Any], source: str) -> dict[str, Any]:
        """``options`` for ``run`` on ``source``, with a method of these."""
        rest = {name: value for name, value in options.items() if name not in MAKING}
        return {**rest, "method": OnDemand(self, options, source)}

    def check(self, options: Mapping[str, Any]) -> None:
        """Raise what making the method of ``options`` would raise, before any input is opened."""
        name = options.get("method", "default")
        if isinstance(name, str) and not _looks_at_the_clip(name):
            self.get(options, "", stills=False)

    def close(self) -> None:
        """Free all methods; may be called twice."""
        if self._own is not None:
            self._own.close()
            self._own = None
        while self._made:
            self._made.popitem()[1].close()


def shared_by_pictures(options: Mapping[str, Any]) -> bool:
    """Whether pictures that are under way together may take turns with one method."""
    name = options.get("method", "default")
    return isinstance(name, str) and ":" not in name and not _looks_at_the_clip(name)


def splittable(options: Mapping[str, Any]) -> bool:
    """Whether the method gives for a frame what does not depend on all frames before it, nor on the whole film."""
    name = options.get("method", "default")
    if not isinstance(name, str) or ":" in name:
        return False  # nobody knows
    return not _looks_at_the_clip(name) and method_name(name) not in STATEFUL


def _looks_at_the_clip(name: str) -> bool:
    """Whether a method reads the input itself, so that each input needs its own."""
    return "clip" in parameters(method_class(name))


_KNOWN = {item.name for item in fields(MethodOptions)}


def _created(made: Mapping[str, Any], threads: int | None, stills: bool, *, clip: str | None = None,
             reading: Mapping[str, Any] | None = None) -> BaseSegmenter:
    whole = Options.of(reading) if reading is not None else Options()
    how = {name: getattr(whole, name) for name in READING} if clip is not None else {}
    context = {name: value for name, value in made.items() if name not in ("method", "set")}
    return create_segmenter(made["method"], made["set"], clip=clip, threads=threads, stills=stills, **context, **how)
