"""Numbers with their nouns, for messages."""

from __future__ import annotations


def counted(count: int, noun: str, plural: str = "") -> str:
    """'1 frame', '2 frames', '0 frames'; ``plural`` where it is not the noun with an s."""
    return f"{count} {noun if count == 1 else plural or noun + 's'}"


def were(count: int) -> str:
    """The verb behind ``counted``: '1 frame was', '2 frames were'."""
    return "was" if count == 1 else "were"
