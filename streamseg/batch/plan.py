"""Items become rows of the ledger, and everything that can be refused is refused before the first frame."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from tempfile import gettempdir
from typing import Any

from ..errors import OptionError, SinkError, SourceError, StreamsegError
from ..options import Options
from ..sink.commit import remove_leftovers
from . import files, remote
from .addresses import is_address
from .inputs import Item
from .job import EXTRA, NULL, Job
from .ledger import Ledger
from .names import job
from .options import BatchOptions
from .records import Row
from .shards import Shard

# Of Options what leaves the result as it is: how fast, how patient, and where to.
_IDLE = ("threads", "timeout", "retry", "stall_timeout", "overwrite", "keep_partial", "matte", "cutout", "foreground",
         "batch", "only")
# Options that may name a file, whose change changes the result
FILES = ("background", "model", "model_spec", "matte_in")
SHOWN = 3  # cases that a refusal names


@dataclass(slots=True)
class Refused:
    """What stands against a batch, by reason: how many, and the first cases."""

    counts: dict[str, int] = field(default_factory=dict)
    cases: dict[str, list[str]] = field(default_factory=dict)

    def add(self, reason: str, case: str) -> None:
        """Count a case."""
        self.counts[reason] = self.counts.get(reason, 0) + 1
        known = self.cases.setdefault(reason, [])
        if len(known) < SHOWN:
            known.append(case)

    def __bool__(self) -> bool:
        return bool(self.counts)

    def error(self) -> StreamsegError:
        """All of it as one error: an OptionError if nothing but what was said stands against it."""
        parts = []
        for reason, count in self.counts.items():
            named = "; ".join(self.cases[reason])
            parts.append(f"{reason}: {named}" + (f"; and {count - SHOWN} more" if count > SHOWN else ""))
        kind = SinkError if set(self.counts) & {EXISTS, OTHER} else OptionError
        return kind(f"nothing was done. {'. '.join(parts)}")


EXISTS = "outputs exist (--overwrite replaces them, --skip-existing leaves whole ones out)"
OTHER = "outputs were made with other options (--overwrite makes them anew; or take another folder)"
TWICE = "two inputs would be written to one path (rename one, or give its row an output)"
OWN = "an output is one of the inputs (write to another folder)"


@dataclass(slots=True)
class Planned:
    """What a plan came to, in items."""

    waiting: int = 0
    """To be done."""
    known: int = 0
    """Done before, and both input and outputs are as they were."""
    failed: int = 0
    """Failed before, with the same input, and left."""
    twice: int = 0
    """Named again: done once."""
    others: int = 0
    """Of other shards."""
    made: int = 0
    """Outputs of an earlier batch, which are no inputs."""

    def to_dict(self) -> dict[str, int]:
        """For JSON."""
        return asdict(self)


class Planner:
    """Puts Items into a ledger. ``outputs`` and, of ``options``, those of EXTRA are folders. ``refusal``: says of a
    job with the options of this key what stands against it, as Rehearsal does."""

    def __init__(self, ledger: Ledger, outputs: Sequence[str], options: Mapping[str, Any],
                 batch: BatchOptions | None = None, shard: Shard | None = None,
                 refusal: Callable[[Job, str], StreamsegError | None] | None = None) -> None:
        self._ledger, self._outputs, self._options = ledger, list(outputs), dict(options)
        self._batch, self._shard = batch or BatchOptions(), shard or Shard()
        self._overwrite, self._refusal = bool(options.get("overwrite")), refusal
        self._keys: dict[str, str] = {}
        self._killed, self._swept = ledger.writers(), set[str]()
        self._parts: list[str] = []  # folders with parts of films that are to be done otherwise

    def plan(self, items: Iterable[Item], *, keep: bool = True) -> Planned:
        """Take all items in, or raise what stands against them, and then the ledger is as it was; so it is without
        ``keep``, too."""
        planned, refused = Planned(), Refused()
        with self._ledger.planning(keep=keep):
            for item in items:
                self._take(item, planned, refused)
            for source, path in self._ledger.inputs_that_are_outputs(SHOWN + 1):
                refused.add(OWN, source if source == path else f"{path}, as {source}")
            if refused:
                raise refused.error()
            for folder in self._parts if keep else ():
                shutil.rmtree(folder, ignore_errors=True)
            self._sweep([os.path.join(gettempdir(), "of remote inputs and outputs")])
            self._ledger.sign_off(*self._killed)
        return planned

    def _take(self, item: Item, planned: Planned, refused: Refused) -> None:
        if not self._shard.has(item.output or item.name):
            planned.others += 1
            return
        try:
            made = job(item, self._outputs, self._options, self._batch)
            key, targets = self._key(made), targets_of(made.sinks, made.options)
        except OptionError as error:
            if not item.about:
                raise
            raise OptionError(f"{item.about}: {error}") from error
        real = made.source if is_address(made.source) else os.path.realpath(made.source.removeprefix("file://"))
        known = next((row for path, _ in targets if (row := self._ledger.of_target(path)) is not None), None)
        if known is not None and known.round == self._ledger.round:
            if (known.real, known.options) == (real, key):
                planned.twice += 1
            else:
                refused.add(TWICE, f"{known.source} and {made.source} to {targets[0][0]}")
        elif known is not None and self._settled(known, made, real, key, planned, refused):
            pass
        elif known is None and self._ledger.is_output(real):
            planned.made += 1
        elif self._refusal is not None and (against := self._refusal(made, key)) is not None:
            refused.add(str(against), made.source)
        else:
            self._put(made, known, key, real, targets, refused)
            planned.waiting += 1

    def _put(self, made: Job, known: Row | None, key: str, real: str, targets: Sequence[tuple[str, str]],
             refused: Refused) -> None:
        """A new item, or one that is to be done again."""
        there = [path for path, _ in targets if _there(path)]
        if known is not None:
            self._ledger.forget(known.id)
            if not self._batch.resume or known.options != key:
                self._parts += filter(None, [self._ledger.films.forget(known.target)])
            self._sweep(path for path, _ in targets)
        elif not (self._overwrite or self._batch.skip_existing):
            for path in there:
                refused.add(EXISTS, path)
        # killed between an output's last step and the ledger's: looked at before it is made again
        cut_short = known is not None and known.state == "waiting" and known.options == key
        told = {**asdict(made), "judge": bool(there) and (cut_short or (known is None and self._batch.skip_existing)),
                "replace": known is not None or self._overwrite}
        self._ledger.add(made.source, real, told, key, targets, ours=known is not None)

    def _sweep(self, targets: Iterable[str]) -> None:
        """Remove what killed processes left beside these outputs."""
        for folder in {place for path in targets for place in (os.path.dirname(path), path)}:
            if self._killed and folder not in self._swept and not is_address(folder):
                self._swept.add(folder)
                remove_leftovers(Path(folder), self._killed)

    def _settled(self, known: Row, made: Job, real: str, key: str, planned: Planned, refused: Refused) -> bool:
        """Whether an item of an earlier round stays as it is, done or failed, or is refused."""
        same = known.options == key and known.real == real
        if not same and known.state == "done" and not self._overwrite:
            if any(_there(path) for path, _ in targets_of(made.sinks, made.options)):
                refused.add(OTHER if known.options != key else EXISTS, known.target)
            return False
        if not same or not self._batch.resume or not self._as_it_was(known):
            return False
        if known.state == "failed" and not self._batch.retry_failed:
            planned.failed += 1
        elif known.state == "done" and self._verified(known):
            planned.known += 1
        else:
            return False
        self._ledger.keep(known.id, known.state)
        return True

    def _as_it_was(self, known: Row) -> bool:
        """Whether an item's input is the one that was read. Only one that has another stamp is read again."""
        now = files.stamp(known.real)
        if now == known.stamp:
            return True
        if is_address(known.real) or known.content is None or now is None:
            return False
        if files.digest(known.real) != known.content:
            return False
        self._ledger.restamp(known.id, now)
        return True

    def _verified(self, known: Row) -> bool:
        """Whether all outputs of an item are there as they were written."""
        outputs = self._ledger.outputs(known.id)
        now = [files.unchanged(made) for made in outputs]
        if None in now:
            return False
        changed = [made for made, before in zip(now, outputs, strict=True) if made is not None and made != before]
        if changed:
            self._ledger.restamp(known.id, None, changed)
        return True

    def _key(self, made: Job) -> str:
        """What the result depends on beside the input, as one text; options are checked on the way."""
        kinds = [kind for _, kind in targets_of(made.sinks, made.options)]
        shared = {name: value for name, value in made.options.items() if name not in EXTRA}
        group = json.dumps([shared, kinds], default=str, sort_keys=True)
        if group not in self._keys:
            if len(self._keys) > 4096:
                self._keys.clear()
            self._keys[group] = options_key(made.options, kinds)
        return self._keys[group]


def options_key(options: Mapping[str, Any], kinds: Sequence[str]) -> str:
    """A digest of all options that the result depends on, defaults too. Raises OptionError."""
    whole = Options.of(options)
    told = {item.name: getattr(whole, item.name) for item in fields(Options) if item.name not in _IDLE}
    told = {name: dict(value) if isinstance(value, Mapping) else value for name, value in told.items()}
    for name in FILES:
        if isinstance(told[name], str) and os.path.isfile(told[name]):
            told[name] = [told[name], files.stamp(told[name])]
    text = json.dumps([told, list(kinds)], default=str, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def targets_of(sinks: Sequence[str], options: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(path, kind) of what a job writes; the path as the ledger knows it."""
    named = [(path, "output") for path in sinks]
    named += [(options[kind], kind) for kind in EXTRA if options.get(kind) is not None]
    return [(_place(path), kind) for path, kind in named if path != NULL]


def _place(path: str) -> str:
    """One spelling for one place, links followed: what writes there would follow them too."""
    return path.rstrip("/") if is_address(path) else os.path.realpath(os.path.expanduser(path))


def _there(path: str) -> bool:
    """Whether something lies where an output is to go: a file, a folder with something in it, numbered pictures."""
    if is_address(path):
        return "%" not in path and remote.exists(path)
    if os.path.isdir(path):
        with os.scandir(path) as found:
            return any(found)
    if "%" in os.path.basename(path) and not os.path.lexists(path):
        try:
            return files.stamp(path) is not None
        except SourceError:
            return False
    return os.path.lexists(path)
