"""One model for several cameras in one process."""

from __future__ import annotations

from ..options import Options
from ..segment import BaseSegmenter
from ..segment.model import Model
from ..segment.person import Person
from .run import model_of


class SharedModel:
    """The model of several live runs: a net is loaded once and has one set of threads for all of them. Its computations
    follow one another; what is known of earlier pictures is each run's own.

    A method without a net has nothing to share: each run gets its own. Raises as ``segment.create_segmenter``.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        made = model_of(options)
        self._model = Model(made) if isinstance(made, Person) else None
        if self._model is None:
            made.close()

    def session(self) -> BaseSegmenter:
        """What one run uses and closes; from any thread."""
        return model_of(self._options) if self._model is None else self._model.session()

    def close(self) -> None:
        """Free the net, when all runs have ended; may be called twice."""
        if self._model is not None:
            self._model.close()
