"""Shipped nets as teachers: what they see in the very pictures that another net is trained on.

A mean of two nets is better than either, and takes the time of both. A net that is trained on what they say comes
nearer to them than one that has the truth alone (Hinton, Vinyals and Dean, Distilling the Knowledge in a Neural
Network, 2015), also where nobody knows the truth.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streamseg.segment.built_in import BUILT_IN, built_in
from streamseg.segment.known_models import OWN
from streamseg.segment.runtimes import open_net


class Teacher:
    """The mean of some nets. May be called from several threads at once.

    names: built-in models (small, medium and large; medium's file serves small, too), or files that
    ``training.export`` made. Raises OptionError where one is not there or does not load.
    """

    def __init__(self, names: Sequence[str | Path], threads: int = 1) -> None:
        paths = [built_in(name=str(name)) if name in BUILT_IN else Path(name) for name in names]
        self._nets = [open_net(path, OWN, "auto", "cpu", threads) for path in paths]

    def __call__(self, pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """uint8 ``(n, h, w)``, the probability of a person in 0..255, of RGB uint8 ``(n, h, w, 3)``, whose sides are
        multiples of 32."""
        ready = OWN.normalised(pictures)
        seen = [OWN.probability(net.run([ready])[0][0]) for net in self._nets]
        return np.rint(255 * np.mean(seen, axis=0)).astype(np.uint8)
