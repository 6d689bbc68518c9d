"""What a check found."""

from __future__ import annotations

from dataclasses import dataclass

OK, LACKING, FAULT = "ok", "not there", "fault"


@dataclass(frozen=True, slots=True)
class Finding:
    """``name``: what was looked at. ``state``: OK, LACKING (it is optional and not there) or FAULT. ``told``: what was
    found. ``remedy``: what to do, '' where nothing is. ``needed``: a plain ``streamseg run`` needs it."""

    name: str
    state: str
    told: str
    remedy: str = ""
    needed: bool = False
