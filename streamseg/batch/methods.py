"""Methods that are made once and used for many inputs: a network is loaded when the first of its kind comes."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from typing import Any

from ..core.frames import Frame, Matte
from ..core.thread_budget import Threads, cores
from ..options import MethodOptions, Options
from ..segment import (
    READING,
    BaseSegmenter,
    Borrowed,
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


class Copies:
    """A method for pictures that are under way together: each is lent to one at a time, and where all are lent another
    is made, ``most`` in all."""

    def __init__(self, first: BaseSegmenter, make: Callable[[], BaseSegmenter], most: int) -> None:
        self.first = first
        self._make, self._most = make, most
        self._all, self._free = [first], [first]
        self._last: dict[int, object] = {}  # which copy -> who had it last
        self._changed = threading.Condition()

    @contextmanager
    def lent(self, to: object) -> Iterator[BaseSegmenter]:
        """One that nobody else uses meanwhile, and that remembers nobody else's frames. Raises what making it
        raises."""
        with self._changed:
            while not self._free and len(self._all) >= self._most:
                self._changed.wait()
            if not self._free:
                self._free.append(self._make())
                self._all.append(self._free[-1])
            segmenter = self._free.pop()
        try:
            if self._last.get(id(segmenter)) is not to:
                segmenter.reset()
            self._last[id(segmenter)] = to
            yield segmenter
        finally:
            with self._changed:
                self._free.append(segmenter)
                self._changed.notify()

    def trim(self) -> None:
        """Give the working memory of those that nobody uses back."""
        with self._changed:
            for segmenter in self._free:
                segmenter.trim()

    def close(self) -> None:
        """Free them all. Nobody may use one."""
        for segmenter in self._all:
            segmenter.close()


class TakesTurns(Borrowed):
    """A method that others use, too, each for single pictures: whichever copy is free looks at a picture. Whoever made
    them closes them."""

    def __init__(self, copies: Copies) -> None:
        super().__init__(copies.first)
        self._copies, self._fresh = copies, True

    def reset(self) -> None:
        """With the next picture."""
        self._fresh = True

    def segment(self, frames: Sequence[Frame]) -> list[Matte]:
        """As the method."""
        with self._copies.lent(self) as segmenter:
            if self._fresh:
                segmenter.reset()
            self._fresh = False
            return segmenter.segment(frames)


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
        return TakesTurns(made) if stills else adapt(made.first)


class Methods:
    """The methods of a batch; ``close`` frees them all. One thread asks for them and uses them; of pictures with the
    same method several do."""

    def __init__(self) -> None:
        self._turn = threading.RLock()
        self._made: OrderedDict[str, Copies] = OrderedDict()
        self._own: Copies | None = None  # of the input in hand alone
        self.loaded = 0

    def get(self, options: Mapping[str, Any], source: str, *, stills: bool) -> Copies:
        """The method that ``options`` call for. It is good until the next is asked for. Raises what making it
        raises."""
        with self._turn:
            return self._get(options, source, stills)

    def _get(self, options: Mapping[str, Any], source: str, stills: bool) -> Copies:
        whole = MethodOptions.of({name: value for name, value in options.items() if name in _KNOWN})
        made = {name: getattr(whole, name) for name in MAKING}
        if not isinstance(whole.method, str):
            own = adapt(whole.method, stills=stills)
            return Copies(own, lambda: own, 1)
        if self._own is not None:
            self._own.close()
            self._own = None
        if _looks_at_the_clip(whole.method):
            reader = _created(made, whole.threads, stills, clip=source, reading=options)
            self._own = Copies(reader, lambda: reader, 1)
            return self._own
        key = json.dumps([made, whole.threads, stills], default=str, sort_keys=True)
        if key not in self._made:
            while len(self._made) >= KEPT:
                self._made.popitem(last=False)[1].close()
            first = _created(made, whole.threads, stills)
            self._made[key] = Copies(first, lambda: _created(made, whole.threads, stills),
                                     side_by_side(whole.threads, first))
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


def side_by_side(threads: int | None, method: BaseSegmenter | None = None) -> int:
    """How many copies of a method the budget keeps busy; 1 where ``method`` may not be copied."""
    if method is not None and (method.capabilities.stateful or not method.capabilities.copies):
        return 1
    return max(1, (threads or cores()) // Threads.of(threads).net)


_KNOWN = {item.name for item in fields(MethodOptions)}


def _created(made: Mapping[str, Any], threads: int | None, stills: bool, *, clip: str | None = None,
             reading: Mapping[str, Any] | None = None) -> BaseSegmenter:
    whole = Options.of(reading) if reading is not None else Options()
    how = {name: getattr(whole, name) for name in READING} if clip is not None else {}
    context = {name: value for name, value in made.items() if name not in ("method", "set")}
    return create_segmenter(made["method"], made["set"], clip=clip, threads=threads, stills=stills, **context, **how)
