"""Text for people, without any library."""

from __future__ import annotations


def one_line(message: object) -> str:
    """A message on one line, control characters (a file's name may hold some) written as escapes."""
    flat = " ".join(str(message).splitlines())
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in flat)


def shortened(text: str, most: int) -> str:
    """``text``, of ``most`` characters at most: what is left out is marked."""
    return text if len(text) <= most else text[:most - 1] + "…"


def notes_of(error: BaseException | None) -> list[str]:
    """The notes on ``error``, or on the first of its causes that has any: click wraps KeyboardInterrupt."""
    while error is not None:
        if notes := getattr(error, "__notes__", None):
            return list(notes)
        error = error.__cause__
    return []


def clock(seconds: float) -> str:
    """'0:07' or '1:02:03'."""
    whole = round(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def size(count: int | None) -> str:
    """Bytes as '512 B', '1.2 MB'; '' where there is no size."""
    if count is None:
        return ""
    for power, unit in ((3, "GB"), (2, "MB"), (1, "kB")):
        if count >= 1000 ** power:
            return f"{count / 1000 ** power:.1f} {unit}"
    return f"{count} B"
