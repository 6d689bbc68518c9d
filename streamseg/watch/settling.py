"""Which files have stood still for long enough. Nothing here asks a clock or a disk."""

from __future__ import annotations

from dataclasses import dataclass

Stamp = tuple[int, int]  # bytes, and the time of the last change in nanoseconds
LONGEST = 30.0  # seconds between two looks at a file that is not whole


@dataclass(slots=True)
class _Waiting:
    stamp: Stamp
    since: float      # when it was first seen so
    due: float        # when it is to be looked at
    tries: int = 0    # how often it was not whole


class Settling:
    """Files by their names. ``settle``: seconds that a file must stand still; times are any clock's seconds."""

    def __init__(self, settle: float) -> None:
        self._settle = settle
        self._files: dict[str, _Waiting] = {}

    def __len__(self) -> int:
        return len(self._files)

    def __contains__(self, name: object) -> bool:
        return name in self._files

    def seen(self, name: str, stamp: Stamp, now: float) -> bool:
        """A file was seen so. -> whether that is news; then it must stand still from now on."""
        known = self._files.get(name)
        if known is not None and known.stamp == stamp:
            return False
        self._files[name] = _Waiting(stamp, now, now + self._settle)
        return True

    def gone(self, name: str) -> None:
        """It is not there any more, or it was done."""
        self._files.pop(name, None)

    def names(self) -> list[str]:
        """All that wait."""
        return list(self._files)

    def ready(self, now: float) -> tuple[str, Stamp] | None:
        """The file that has waited longest of those that have stood still; None if none has."""
        due = [(item.due, name) for name, item in self._files.items() if item.due <= now]
        if not due:
            return None
        name = min(due)[1]
        return name, self._files[name].stamp

    def not_whole(self, name: str, now: float) -> float:
        """It has stood still and is not whole: it is looked at again later, and later each time.
        -> seconds that it has stood still"""
        item = self._files[name]
        item.tries += 1
        item.due = now + min(LONGEST, max(self._settle, 0.1) * 2 ** (item.tries - 1))
        return now - item.since
