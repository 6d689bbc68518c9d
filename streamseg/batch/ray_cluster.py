"""Ray, connected: how many workers there are to be, and the cluster that they run on."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import DeviceError, MissingDependencyError, OptionError
from ..sink.commit import writer
from .options import BatchOptions

STARTS = 4
_STORE = 80 * 2 ** 20  # bytes of Ray's object store of a cluster of our own: nothing large goes through it


@dataclass(frozen=True, slots=True)
class Crew:
    """How many workers there are and what each gets."""

    address: str | None
    workers: int | None
    cpus: int
    gpus: float
    split: float | None

    @classmethod
    def of(cls, told: BatchOptions) -> Crew:
        """From the options. Raises OptionError."""
        if told.on is None or not (told.on == "ray" or told.on.startswith("ray://")):
            raise OptionError(f"on is {told.on!r}; it must be ray, or ray://HEAD:10001 of a cluster")
        return cls(None if told.on == "ray" else told.on, told.workers, told.cpus_per_worker, told.gpus_per_worker,
                   told.split or None)


@contextlib.contextmanager
def connected(crew: Crew) -> Iterator[Any]:
    """Ray, connected: to the cluster of the address, to the one that this process already belongs to, or to one of
    its own on this machine, which ends with the block and leaves nothing behind.

    Raises MissingDependencyError, or DeviceError where the cluster does not answer.
    """
    try:
        import ray
    except ImportError as error:
        raise MissingDependencyError("--on ray needs Ray, which is not installed: "
                                     "pip install 'streamseg[cluster]'") from error
    if ray.is_initialized():
        yield ray
        return
    logger = logging.getLogger("ray")
    level, own = logger.level, None
    told: dict[str, Any] = {"log_to_driver": False, "logging_level": "error", "configure_logging": False}
    if crew.address is not None or os.environ.get("RAY_ADDRESS"):
        told["address"] = crew.address or "auto"
    else:
        own = tempfile.mkdtemp(prefix=f".s.{writer()}-", suffix=".part")  # short: sockets lie in it
        told |= {"num_cpus": (crew.workers or 0) * crew.cpus or None, "include_dashboard": False, "address": "local",
                 "object_store_memory": _STORE, "_temp_dir": own,
                 "_system_config": {"agent_register_timeout_ms": 120_000}}  # 15 s are too few on a busy machine
    logger.setLevel(logging.ERROR)
    hears = signal.getsignal(signal.SIGTERM)
    try:
        _start(ray, told, own=own is not None)
        hear_sigterm(hears)
        yield ray
    finally:
        ray.shutdown()
        logger.setLevel(level)
        if own is not None:
            shutil.rmtree(own, ignore_errors=True)


def hear_sigterm(how: Any) -> None:
    """Have SIGTERM do ``how`` again, which Ray has put handlers of its own over: one of Python's and one below, which
    writes a trace. Only the main thread may; in another nothing is done."""
    with contextlib.suppress(ValueError, TypeError):  # TypeError: it was not set by Python
        signal.signal(signal.SIGTERM, how)


def lost(ray: Any) -> tuple[type[Exception], ...]:
    """What Ray raises where a worker has died, alone or with its machine."""
    errors = ray.exceptions
    return errors.RayActorError, errors.WorkerCrashedError, errors.NodeDiedError, errors.OutOfMemoryError


def _start(ray: Any, told: Mapping[str, Any], *, own: bool) -> None:
    """Connect. Where a busy machine was too slow it is tried again: Ray gives a cluster of our own 30 s to start, and
    the head of ray:// as much to the process that it starts for a client. A head that does not answer is asked once."""
    for left in reversed(range(STARTS)):
        try:
            ray.init(**told)
            return
        except Exception as error:
            ray.shutdown()
            if left and (own or isinstance(error, ConnectionAbortedError)):
                continue
            raise DeviceError(f"Ray does not start or does not answer ({type(error).__name__}: {_ends(str(error))}): "
                              "check the address, set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN where the cluster wants a "
                              "token, or wait until the machine is less busy") from error


def _ends(text: str) -> str:
    """The first and the last line: between them stands the head's traceback."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " ".join(dict.fromkeys([*lines[:1], *lines[-1:]]))
