"""``streamseg bench``: how many frames a second each method makes here, where the time goes, what it takes.

    result = bench("in.mp4", methods=["person", "threshold"], repeats=3)
    result["rows"][1]["fps"]["median"]

Every run is `streamseg run` in a fresh process. The variants take turns, so that a drift of the machine
meets all alike; the first, "no work", decodes and encodes and does nothing between: what it leaves is all
that a method could reach.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from ...core.frames import VideoInfo
from ...errors import OptionError, StreamsegError
from ...options import Options
from ...segment import NETWORK, is_network
from ...sink import open_sink
from ...source import open_source
from ..compare import check_values
from .baseline import Change, changes, comparable
from .clip import RATE, SIZE, make_clip
from .machine import hardware, hardware_line
from .measure import LIMIT, Run, Variant, python, run_once, summarised

__all__ = ["LIMIT", "Change", "Variant", "bench", "changes", "hardware", "hardware_line", "make_clip"]

NOISY = 0.10  # spread of a variant's fps over its repeats from which on a machine counts as noisy
PROBE_SECONDS = 0.2
TURN_SECONDS = 6.0  # what a slow method's run is cut to
ALONE_FRAMES = 24  # at least: 75 MB of pictures at 1080p


def bench(clip: str | Path | None = None, *, methods: Sequence[str] = ("default",),
          devices: Sequence[str] = ("auto",), batches: Sequence[int] = (1,), repeats: int = 3,
          seconds: float = 5.0, progress: Callable[[str], None] | None = None,
          size: tuple[int, int] = SIZE, before: Mapping[str, Any] | None = None,
          **options: Any) -> dict[str, Any]:
    """Measure each method on each device with each batch, on ``clip`` or on one that is made for it.

    repeats   turns; each runs every variant once
    seconds   of the clip that are used, fewer for variants that would take longer than TURN_SECONDS
    progress  called with a line before each run
    size      (width, height) of the made clip
    before    an earlier result that this one is to be compared with: refused if it cannot be
    options   further fields of Options, the same for all

    A variant that fails has its ``error`` in its row, one whose stages fail alone its ``alone_error``;
    StreamsegError is raised only if all fail, but OptionError for values that none can run with before any
    runs. The result is plain: dicts, lists, numbers, strings.
    """
    chosen = Options.of(options)
    if repeats < 1 or not seconds > 0 or not methods or not devices or not batches:
        raise OptionError("a benchmark needs a method, a device, a batch, a repeat and some of the clip")
    # what is no network has no GPU to run on, and is measured all the same
    places = {method: list(devices) if is_network(method) else
              [device for device in devices if device in NETWORK["device"]] or ["auto"] for method in methods}
    say = progress or (lambda line: None)
    variants = [Variant(LIMIT), *(Variant(method, device, batch) for method in methods
                                  for device in places[method] for batch in batches)]
    with tempfile.TemporaryDirectory(prefix="streamseg-bench-") as folder:
        described: dict[str, Any] = {"name": Path(clip).name if clip else "made", "seconds": seconds}
        info = _info(clip) if clip else VideoInfo(*size, "yuv420p", Fraction(1, RATE), Fraction(RATE))
        _check(info, Path(folder), chosen)
        described |= {"width": info.width, "height": info.height, "rate": float(info.rate or 25),
                      "format": info.format}
        made = {"clip": described, "options": {name: _plain(value) for name, value in options.items()}}
        if before is not None:
            comparable(before, {**made, "rows": [{"name": variant.name} for variant in variants]})
        if clip is None:
            say("making a clip")
            clip = make_clip(Path(folder) / "clip.mp4", seconds=seconds, size=size)
        runs, errors = _all_runs(clip, Path(folder), variants, repeats, seconds, options, say)
        rows = [_row(clip, variant, runs, errors, options, say) for variant in variants]
    if all("error" in row for row in rows[1:]):
        raise StreamsegError("nothing could be measured: "
                             + "; ".join(f"{row['name']}: {row['error']}" for row in rows[1:]))
    return {**made, "repeats": repeats, "hardware": hardware(), "rows": rows, "warnings": _warnings(rows)}


def _info(clip: str | Path) -> VideoInfo:
    source = open_source(clip)
    try:
        info = source.info
        if info.stills or info.live:
            raise OptionError(f"{clip} is no video file: benchmarks read their clip again and again")
        return info
    finally:
        source.close()


def _check(info: VideoInfo, folder: Path, options: Options) -> None:
    """Refuse, before anything is measured, a background, a codec and the like that no run could take."""
    check_values(info, options)
    open_sink(folder / "out.mp4", info, options=options).abort()


def _all_runs(clip: str | Path, folder: Path, variants: Sequence[Variant], repeats: int, seconds: float,
              options: Mapping[str, Any], say: Callable[[str], None]
              ) -> tuple[dict[Variant, list[Run]], dict[Variant, str]]:
    runs: dict[Variant, list[Run]] = {variant: [] for variant in variants}
    errors: dict[Variant, str] = {}
    lengths: dict[Variant, float] = {}
    for turn in range(repeats):
        for variant in variants:
            if variant in errors:
                continue
            say(f"{turn + 1}/{repeats} {variant.name}")
            given = {**options, **variant.options}
            try:
                if variant not in lengths:
                    lengths[variant] = _length(clip, folder, given, seconds)
                given["duration"] = lengths[variant]
                runs[variant].append(run_once(clip, folder / "out.mp4", given))
            except StreamsegError as error:
                errors[variant] = str(error)
    return runs, errors


def _length(clip: str | Path, folder: Path, options: Mapping[str, Any], seconds: float) -> float:
    """How much of the clip a variant is given, told by a short run (which also warms the disk's cache)."""
    probe = run_once(clip, folder / "out.mp4", {**options, "duration": PROBE_SECONDS})
    slowest = max(stage["p50_ms"] for stage in probe.stages.values()) / 1e3  # seconds a frame
    rate = probe.frames / PROBE_SECONDS
    return round(max(PROBE_SECONDS, min(seconds, TURN_SECONDS / max(slowest, 1e-6) / rate)), 2)


def _row(clip: str | Path, variant: Variant, runs: Mapping[Variant, list[Run]],
         errors: Mapping[Variant, str], options: Mapping[str, Any],
         say: Callable[[str], None]) -> dict[str, Any]:
    row: dict[str, Any] = {"name": variant.name, "method": variant.method, "device": variant.device,
                           "batch": variant.batch}
    if variant in errors:
        return {**row, "error": errors[variant]}
    row |= summarised(runs[variant])
    if variant.method != LIMIT:
        say(f"stages of {variant.name}, each alone")
        try:
            row["alone_ms"] = _alone(clip, {**options, **variant.options})
        except StreamsegError as error:
            row["alone_error"] = str(error)
    return row


def _alone(clip: str | Path, options: Mapping[str, Any]) -> dict[str, float]:
    job = json.dumps({"clip": str(clip), "frames": ALONE_FRAMES, "options": options}, default=str)
    done = python(f"{__name__}.alone", job)
    try:
        found = json.loads(done.stdout)
    except ValueError:
        raise StreamsegError(f"the stages could not be measured: {done.stderr.strip()[-500:]}") from None
    if "error" in found:
        raise StreamsegError(f"the stages could not be measured: {found['error']}")
    return found


def _warnings(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    noisy = [(row["name"], row["fps"]["spread"]) for row in rows
             if row.get("fps") and row["fps"]["spread"] > NOISY]
    return [f"the machine is noisy: the fps of {name} spread over {spread:.0%} of their median; close what "
            "else runs, or take more --repeats" for name, spread in noisy]


def _plain(value: Any) -> Any:
    return value if isinstance(value, (str, int, float, bool, type(None), dict)) else str(value)
