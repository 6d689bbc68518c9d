"""Training on several devices and machines at once: Keras's DataParallel on JAX, a process for each machine.

All processes take the same steps. What depends on the clock (when to score, when to save, when it is over) the first
process decides for all, or they would wait for each other for ever. Only the first scores, and writes files.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from streamseg.errors import DeviceError, OptionError


@dataclass(frozen=True)
class Group:
    """The processes that train together, and which of them this one is, counted from 0. ``shared``: a batch is shared
    by several devices, of this process or of all."""

    number: int = 0
    count: int = 1
    shared: bool = False

    @property
    def first(self) -> bool:
        """Whether this process decides, and writes."""
        return self.number == 0

    def own(self, batch: NDArray[Any]) -> NDArray[Any]:
        """This process's part of a batch, along its first axis."""
        size = len(batch) // self.count
        return batch[self.number * size : (self.number + 1) * size]

    def agreed(self, value: float) -> float:
        """The first process's ``value``. All processes must ask at the same point."""
        if self.count == 1:
            return value
        from jax.experimental import multihost_utils

        # as bytes: JAX would make 32 bits of a float64
        data = np.frombuffer(np.float64(value).tobytes(), np.uint8)
        found = np.asarray(multihost_utils.broadcast_one_to_all(data), np.uint8)
        return float(np.frombuffer(found.tobytes(), np.float64)[0])

    @contextmanager
    def alone(self) -> Iterator[None]:
        """For the block, nets are this process's alone: what one sees, or writes, the others need not."""
        distribution = keras.distribution.distribution()
        keras.distribution.set_distribution(None)
        try:
            yield
        finally:
            keras.distribution.set_distribution(distribution)


def join(args: argparse.Namespace) -> Group:
    """The group that ``args`` (parallel, head, processes, process, batch) ask for. Before any net is made.

    Raises OptionError, or DeviceError where the other processes do not come.
    """
    if args.processes == 1 and args.process == 0 and args.head is None:
        if args.parallel:
            share_batches(args.batch)
        return Group(shared=args.parallel)
    if not args.parallel or args.head is None or args.process >= args.processes:
        raise OptionError(f"--processes is {args.processes}, --process {args.process}, --head {args.head}: several "
                          "processes want --parallel, each its number from 0 on, and the first's HOST:PORT as --head")
    _on_jax()
    try:
        keras.distribution.initialize(args.head, args.processes, args.process)
    except RuntimeError as error:
        raise DeviceError(f"the {args.processes} processes do not come together at {args.head}: {error}") from error
    share_batches(args.batch)
    return Group(args.process, args.processes, True)


def share_batches(batch: int) -> None:
    """Lets every device take its part of each batch, by Keras's DataParallel. Raises OptionError."""
    _on_jax()
    devices = keras.distribution.list_devices()
    if batch % len(devices):
        raise OptionError(f"--batch is {batch}; it must be a multiple of the {len(devices)} devices")
    keras.distribution.set_distribution(keras.distribution.DataParallel(devices=devices))


def _on_jax() -> None:
    if keras.backend.backend() != "jax":
        raise OptionError("--parallel works on JAX, where Keras can share a batch: KERAS_BACKEND=jax")
