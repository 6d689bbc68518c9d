"""``on_resize="split"``: a film whose picture changes its size becomes several files, one for each size in turn.

The film is read once before, so that all names are known, and refused if they exist, before anything is computed. Then
each section is a run of its own, from its first picture to the next one's; the files appear together at the end.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from fractions import Fraction
from pathlib import PurePath
from typing import Any, Protocol

from .errors import OptionError
from .options import Options
from .report import Progress, Report, Subject
from .sink import BaseSink, commit_together
from .sink.commit import checked_target
from .sink.containers import CONTAINERS, extension
from .source.sizes import Section, sections_of
from .subject import require

SLACK = Fraction(1, 2000)  # seconds: no two pictures are closer, and no option rounds by so much
TARGETS = ("matte", "cutout", "foreground")


class OneRun(Protocol):
    """A run of the film's part that its options say."""

    def __call__(self, source: Any, sink: Any, options: Options, progress: Callable[[Progress], None] | None,
                 finish: Callable[[Sequence[BaseSink]], bool]) -> Report:
        """``finish`` gets the outputs at the end, in place of their commit."""


def run_in_sections(one: OneRun, source: Any, sink: Any, options: Options,
                    progress: Callable[[Progress], None] | None) -> Report:
    """Make each section with ``one``; its files are named by ``numbered``. All appear together, or none.

    Raises OptionError for outputs that are no films, and for an input that can be read only once.
    """
    began = time.perf_counter()
    targets = _listed(sink)
    for target in (*targets, *(value for name in TARGETS if (value := getattr(options, name)) is not None)):
        _check(target)
    sections = sections_of(os.fspath(source) if isinstance(source, os.PathLike) else source, options)
    parts = [_part(options, sections, number) for number in range(len(sections))] or [replace(options, on_resize="fit")]
    for number in range(1, len(parts)):
        for target in (*targets, *(getattr(options, name) for name in TARGETS)):
            if target is not None:
                checked_target(numbered(target, number), options.overwrite)
    made: list[BaseSink] = []
    reports: list[Report] = []

    def kept(sinks: Sequence[BaseSink]) -> bool:
        for item in sinks:
            item.finish()
            aborts.callback(item.abort)
        made.extend(sinks)
        return False

    with ExitStack() as aborts:
        for number, part in enumerate(parts):
            done = sum(report.frames for report in reports)
            told = None if progress is None else _telling(progress, done, sum(item.frames for item in sections), began)
            reports.append(one(source, [numbered(target, number) for target in targets] or None, part, told, kept))
        found, frames = _subject(reports), sum(report.frames for report in reports)
        if options.require_subject and found is not None:
            require(found, frames, reports[0].method)
        commit_together(made)
    return _joined(reports, made, sections, round(time.perf_counter() - began, 3))


def numbered(target: str | os.PathLike[str], number: int) -> str:
    """The name of the section ``number``, from 0: out.mp4, out.2.mp4, out.3.mp4, ..."""
    path = PurePath(target)
    return os.fspath(target) if number == 0 else str(path.with_name(f"{path.stem}.{number + 1}{path.suffix}"))


def _listed(sink: Any) -> list[Any]:
    return [] if sink is None else list(sink) if isinstance(sink, (list, tuple)) else [sink]


def _check(target: Any) -> None:
    if not isinstance(target, (str, os.PathLike)) or extension(os.fspath(target)) not in CONTAINERS:
        raise OptionError(f"on_resize is 'split', which begins a new film at each size, and an output is {target!r}: "
                          f"give a path that ends with one of {' '.join(CONTAINERS)}, or another on_resize")


def _part(options: Options, sections: Sequence[Section], number: int) -> Options:
    """The options of one section."""
    targets: dict[str, Any] = {name: numbered(value, number) for name in TARGETS
                               if (value := getattr(options, name)) is not None}
    section = sections[number]
    start = options.start if number == 0 else float(section.begin - SLACK)
    last = number + 1 == len(sections)
    limits = [length for length in (options.duration, options.preview) if length is not None]
    left = [Fraction(str(min(limits))) - (section.first - sections[0].first)] if limits else []
    if not last:
        left.append(sections[number + 1].first - section.first - SLACK)
    return replace(options, on_resize="fit", require_subject=False, start=start, preview=None,
                   duration=max(float(min(left)), 0.001) if left else None, **targets)


def _telling(progress: Callable[[Progress], None], done: int, total: int, began: float) -> Callable[[Progress], None]:
    """``progress`` for a section, told of all of them."""
    def tell(now: Progress) -> None:
        progress(replace(now, frames=done + now.frames, total=total, elapsed=time.perf_counter() - began,
                         expected_bytes=None))
    return tell


def _joined(reports: Sequence[Report], sinks: Sequence[BaseSink], sections: Sequence[Section], elapsed: float
            ) -> Report:
    first, frames = reports[0], sum(report.frames for report in reports)
    notes = dict.fromkeys(note for report in reports for note in report.notes)
    notes |= dict.fromkeys(note for sink in sinks for note in sink.notes)
    if len(reports) > 1:
        where = ", ".join(f"{section.width} x {section.height} from {float(section.first):.3f} s on"
                          for section in sections)
        notes[f"the picture changes its size, and the output is split: {where}"] = None
    return replace(first, frames=frames, elapsed=elapsed, fps=round(frames / elapsed, 2),
                   outputs=[sink.result() for sink in sinks], damaged=sum(report.damaged for report in reports),
                   dropped=sum(report.dropped for report in reports), subject=_subject(reports), notes=list(notes))


def _subject(reports: Sequence[Report]) -> Subject | None:
    """What was found in all of them."""
    found = [(report.subject, report.frames) for report in reports if report.subject is not None]
    if not found:
        return None
    state = next((name for name in ("found", "grey") if any(subject.state == name for subject, _ in found)), "none")
    share = sum(subject.frames * frames for subject, frames in found) / max(1, sum(frames for _, frames in found))
    return Subject(state, round(share, 4), max(subject.largest for subject, _ in found))
