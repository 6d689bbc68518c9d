"""A model that is loaded once and used again and again, from any number of threads."""

from __future__ import annotations

import os
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from ..core.frames import Frame, Matte
from .api import BaseSegmenter, Capabilities, parameter_values
from .person import Person
from .registry import create_segmenter


class Model(BaseSegmenter):
    """A loaded model; ``streamseg.load_model`` makes it.

        with streamseg.load_model() as model:
            streamseg.run("a.mp4", "b.mp4", background="blur", method=model)
            cutout = streamseg.remove("photo.jpg", model=model)

    May be used from several threads at once, by several runs too: each gets a session of its own, and they share the
    loaded files. Computations of one file follow one another in LiteRT and Keras, and overlap in ONNX Runtime; each
    uses the model's threads. A film's frames get one pass each, pictures several, as in ``run``.

    Pickling takes the parameters along, and the model is loaded again where it arrives; so is it in a process that
    was forked off, when it is first used there.
    """

    def __init__(self, method: Person) -> None:
        self._method = method

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (parameter_values(self._method),)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    @property
    def capabilities(self) -> Capabilities:
        """As for films."""
        return self._method.capabilities

    @property
    def closed(self) -> bool:
        """Whether ``close`` was called."""
        return self._method.closed

    def session(self, *, stills: bool = False) -> BaseSegmenter:
        """A Segmenter for one input, for one thread at a time; its ``close`` leaves the model open.

        stills   the frames are single pictures: each gets several passes
        Raises SegmentError once the model is closed.
        """
        return self._method.session(stills=stills).borrowed()

    def borrowed(self, *, stills: bool = False) -> BaseSegmenter:
        """A session."""
        return self.session(stills=stills)

    def segment(self, frames: Sequence[Frame]) -> list[Matte]:
        """One matte a frame, at the model's size. The frames of one call follow on each other, and on no others:
        take a ``session`` for a film that comes in several calls."""
        return self.session().segment(frames)

    def alpha(self, picture: Any) -> npt.NDArray[np.float32]:
        """float32 (h, w) in [0, 1], 1 = subject, at the picture's full size, its edge guided by the picture.

        picture   what ``streamseg.remove`` takes
        """
        from ..pictures import alpha  # above this package: needed by this shortcut alone

        return alpha(picture, model=self)

    def trim(self) -> None:
        """Free working memory that the next frame takes again."""
        self._method.trim()

    def close(self) -> None:
        """Free the model; may be called twice. Nothing may be at work with it."""
        self._method.close()


def load_model(name_or_path: str | os.PathLike[str] | None = None, *, spec: str | os.PathLike[str] | None = None,
               classes: str | None = None, device: str = "auto", runtime: str = "auto", threads: int | None = None,
               detail: str = "high", roi: bool = True, second_look: bool | None = None) -> Model:
    """Load a model once, for any number of runs, pictures and threads.

    name_or_path  "small", "medium", "large", "both", or a model file (.tflite, .onnx, .keras); None: medium, and
                  both for pictures
    spec          a JSON file that says what a model file wants, see streamseg/segment/README.md
    classes       of a many-class model the classes that are the subject, as "person,bicyclist"
    device        "auto", "cpu" or "gpu"
    runtime       "auto", "litert", "onnx" or "keras"
    threads       budget of threads, of which the model takes half; None: the cores
    detail        "high", "medium" or "low": how many pixels a built-in model sees
    roi           where people are small, show the model only that part of the picture (built-in models only)
    second_look   whether large is asked where medium is in doubt in a film; None: yes in LiteRT, but with detail low

    Raises OptionError, DeviceError or MissingDependencyError.
    """
    return _rebuilt({"model": _text(name_or_path), "model_spec": _text(spec), "classes": classes, "device": device,
                     "runtime": runtime, "threads": threads, "detail": detail, "roi": roi, "second_look": second_look})


def _rebuilt(parameters: dict[str, Any]) -> Model:
    method = create_segmenter("person", parameters)
    assert isinstance(method, Person)
    return Model(method)


def _text(path: str | os.PathLike[str] | None) -> str | None:
    return None if path is None else os.fspath(path)
