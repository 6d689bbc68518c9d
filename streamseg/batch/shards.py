"""Machines that share a list without talking to each other: each does the Ith of N parts."""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from ..errors import OptionError


@dataclass(frozen=True, slots=True)
class Shard:
    """The part ``number`` (counted from 0) of ``count``. An item's part follows from its name alone, so that
    every machine agrees, whatever the order, and a list that grows leaves the others where they are."""

    number: int = 0
    count: int = 1

    def has(self, name: str) -> bool:
        """Whether the item of this name is in the part."""
        return self.count == 1 or zlib.crc32(name.encode(errors="surrogateescape")) % self.count == self.number

    @property
    def label(self) -> str:
        """'3-of-8', '' of the whole."""
        return "" if self.count == 1 else f"{self.number}-of-{self.count}"


def shard_of(text: str | None, environment: Mapping[str, str] | None = None) -> Shard:
    """The Shard of 'I/N', of 'auto' (number and count as the environment says) or 'auto/N'.

    auto reads Slurm's SLURM_ARRAY_TASK_ID, _MIN, _STEP and _COUNT, AWS Batch's AWS_BATCH_JOB_ARRAY_INDEX and _SIZE,
    and Kubernetes' JOB_COMPLETION_INDEX, which comes without a count. Raises OptionError.
    """
    if text is None:
        return Shard()
    found = re.fullmatch(r"\s*(auto|\d+)\s*(?:/\s*(\d+)\s*)?", text)
    if found is None or (found[1] != "auto" and found[2] is None):
        raise OptionError(f"shard is {text!r}; it must be I/N, as 0/8 to 7/8, or auto or auto/N")
    if found[1] == "auto":
        number, count, name = _told(os.environ if environment is None else environment)
        count = count if found[2] is None else int(found[2])
        if count is None:
            raise OptionError(f"shard is {text!r}, and {name} comes without a count: give --shard auto/N")
    else:
        number, count = int(found[1]), int(found[2])
    if not 1 <= count <= 1_000_000:
        raise OptionError(f"shard is {number}/{count}; allowed are 1 to 1000000 parts, as 0/8 to 7/8")
    if number >= count:
        raise OptionError(f"shard is {number}/{count}; allowed is 0/{count} to {count - 1}/{count}: parts are counted "
                          "from 0")
    return Shard(number, count)


def array_task(environment: Mapping[str, str] | None = None) -> str | None:
    """The variable that says that this process is one of an array of tasks, None if it is not."""
    there = os.environ if environment is None else environment
    return next((name for name in ("SLURM_ARRAY_TASK_ID", "AWS_BATCH_JOB_ARRAY_INDEX", "JOB_COMPLETION_INDEX")
                 if there.get(name)), None)


def _told(environment: Mapping[str, str]) -> tuple[int, int | None, str]:
    """(number, count, variable) of an array's task."""
    name = array_task(environment)
    if name is None:
        raise OptionError("shard is 'auto', and none of SLURM_ARRAY_TASK_ID, AWS_BATCH_JOB_ARRAY_INDEX and "
                          "JOB_COMPLETION_INDEX is set: give --shard I/N")
    number = _whole(environment, name)
    assert number is not None
    if name == "SLURM_ARRAY_TASK_ID":
        first = _whole(environment, "SLURM_ARRAY_TASK_MIN") or 0
        step = _whole(environment, "SLURM_ARRAY_TASK_STEP") or 1
        return (number - first) // step, _whole(environment, "SLURM_ARRAY_TASK_COUNT"), name
    if name == "AWS_BATCH_JOB_ARRAY_INDEX":
        return number, _whole(environment, "AWS_BATCH_JOB_ARRAY_SIZE"), name
    return number, None, name


def _whole(environment: Mapping[str, str], name: str) -> int | None:
    text = environment.get(name)
    if not text:
        return None
    if not text.strip().isdigit():
        raise OptionError(f"{name} is {text!r}; it must be a whole number: give --shard I/N")
    return int(text)
