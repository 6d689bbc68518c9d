"""What all benchmarks share: a clip, interleaved repeats, flags, limits, the JSON, and its tables."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import av

from streamseg import segment
from streamseg.engine import StageRunner
from streamseg.errors import StreamsegError
from streamseg.tools.bench import hardware, make_clip
from streamseg.tools.bench.measure import summary

__all__ = ["FORMS", "FULL_HD", "RESULTS", "Bench", "Must", "Table", "decode", "interleaved", "make_clip", "ratios",
           "shown", "start", "summary", "transcode"]

RESULTS = Path(__file__).parent / "results"
FULL_HD, UHD = (1920, 1080), (3840, 2160)
TINY = (320, 180)
# forms of a benchmark whose results stand beside the usual ones, NAME_FORM.json, and what makes them
FORMS = {"gpu": "--device gpu", "load": "--load 2", "soak": "--seconds 1800"}
Task = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Table:
    """A table of README: ``head`` and ``rows`` of text as it is to stand there."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        """Lines of Markdown."""
        lines = [self.head, ["---"] * len(self.head), *self.rows]
        kept = ([cell.replace("|", "\\|") for cell in line] for line in lines)
        return "\n".join("| " + " | ".join(cells) + " |" for cells in kept)


@dataclass(frozen=True, slots=True)
class Must:
    """What is wanted of a figure: at least or at most ``limit``. ``of``: what the figure is divided by first, as
    "old"; "" for the figure itself."""

    figure: str
    sign: Literal[">=", "<="]
    limit: float
    of: str = ""

    def met(self, value: float) -> bool:
        """Whether a value is as wanted."""
        return value >= self.limit if self.sign == ">=" else value <= self.limit

    def __str__(self) -> str:
        return f"{self.sign} {self.limit:g}" + (f" of {self.of}" if self.of else "")


class Bench:
    """The flags that every benchmark has, and where its result goes.

    quick    a tiny form: does it run at all; its figures mean nothing
    repeats  turns; 1 if quick; not for a benchmark that has none
    device   where streamseg's model runs; not for a benchmark that has no model, or only the CPU's
    out      folder for the JSON

    ``forms``: keys of FORMS that the result is of.
    """

    def __init__(self, name: str, doc: str | None, *, repeats: int | None = 3, device: bool = False) -> None:
        self.name, self.forms = name, list[str]()
        self.parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=doc,
                                              formatter_class=argparse.RawDescriptionHelpFormatter)
        self.parser.add_argument("--quick", action="store_true", help="a tiny form: does it run at all")
        if repeats is not None:
            self.parser.add_argument("--repeats", type=int, default=repeats,
                                     help="turns, default %(default)s")
        if device:
            self.parser.add_argument("--device", default="auto", choices=("auto", "cpu", "gpu"),
                                     help="where streamseg's model runs, default %(default)s")
        self.parser.add_argument("--out", type=Path, help="folder for the JSON, default benchmarks/results")
        self._words: list[str] = []

    def parse(self, words: Sequence[str] | None) -> argparse.Namespace:
        """The flags' values; ``words``: those of the command line if None.

        Raises DeviceError for a GPU that is not there, before an hour was spent on what needs none.
        """
        self._words = list(sys.argv[1:] if words is None else words)
        chosen = self.parser.parse_args(self._words)
        if chosen.quick:
            chosen.repeats = 1
        if getattr(chosen, "device", None) == "gpu":
            self.forms.append("gpu")
            # TensorFlow takes all of the device's memory, and benchmarks start processes that need some
            os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
            segment.create_segmenter("person", device="gpu").close()
        return chosen

    def command(self) -> str:
        """The command as it was typed, without anybody's folders."""
        return " ".join([self.parser.prog, *_told(self._words)])

    def commit(self) -> str | None:
        """The commit that is measured; with -dirty where files differ from it."""
        return _commit()

    def save(self, result: Mapping[str, Any], out: Path | None) -> Path:
        """Write NAME.json, or NAME_FORM.json, with the command that made it, the commit and the hardware."""
        path = (out or RESULTS) / f"{'_'.join([self.name, *self.forms])}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        origin = {"command": self.command(), "commit": self.commit(), "hardware": hardware()}
        path.write_text(json.dumps({**origin, **result}, indent=1, allow_nan=False) + "\n")
        print(path)
        return path


def _told(words: Sequence[str]) -> Iterator[str]:
    """A command's words without --out, and of paths only the last part: where somebody's folders are is
    nobody's business."""
    left = iter(words)
    for word in left:
        flag, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
        if flag != "--out":
            yield flag + equals + (Path(value).name if Path(value).is_absolute() else value)
        elif not equals:
            next(left)


def _commit() -> str | None:
    """Results that another benchmark has just written change nothing of what is measured."""
    def said(*words: str) -> str:
        return subprocess.run(["git", *words], capture_output=True, text=True, cwd=Path(__file__).parent,
                              check=False).stdout.strip()

    changed = said("status", "--porcelain", "--untracked-files=no", "--", ":/", ":(exclude,top)benchmarks/results")
    return said("describe", "--always") + ("-dirty" if changed else "") or None


def start(main: Callable[[], object]) -> None:
    """Run a benchmark as a command: what streamseg refuses is told in a line, without a traceback."""
    try:
        main()
    except StreamsegError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


@contextmanager
def folder_and_clip(clip: Path | None, *, quick: bool, size: tuple[int, int] = FULL_HD,
                    seconds: float = 6.0) -> Iterator[tuple[Path, Path]]:
    """(a folder for outputs, the clip); the clip is made if none is given. All is removed at the end."""
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        size, seconds = (TINY, 0.5) if quick else (size, seconds)
        yield work, clip or make_clip(work / "clip.mp4", size=size, seconds=seconds)


def interleaved(tasks: Mapping[str, Task], repeats: int) -> dict[str, list[float]]:
    """Run every task in turn, ``repeats`` times: a drift of the machine hits all alike. -> values by name"""
    values: dict[str, list[float]] = {name: [] for name in tasks}
    for turn in range(repeats):
        for name, task in tasks.items():
            values[name].append(task())
            print(f"  {turn + 1}/{repeats} {name}: {values[name][-1]:.1f}", file=sys.stderr, flush=True)
    return values


def ratios(values: Sequence[float], limit: Sequence[float]) -> dict[str, float]:
    """A summary of value / limit, each of one turn."""
    return summary([value / most for value, most in zip(values, limit, strict=True)])


def shown(found: Mapping[str, float], digits: int = 2) -> str:
    """'0.68 (0.64 to 0.71)': median, min and max of a summary."""
    return f"{found['median']:.{digits}f} ({found['min']:.{digits}f} to {found['max']:.{digits}f})"


# --- the limits -------------------------------------------------------------------------------

def decode(clip: Path) -> float:
    """Frames a second of decoding alone."""
    with av.open(str(clip)) as source:
        source.streams.video[0].thread_type = "AUTO"
        begin = time.perf_counter()
        count = sum(1 for _ in source.decode(video=0))
        return count / (time.perf_counter() - begin)


def transcode(clip: Path, target: Path, *, pictures: Sequence[av.VideoFrame] = (), most: int | None = None) -> float:
    """The transcode limit: frames a second of decode + encode + mux of all packets, nothing between.

    Decode and encode run in a thread each, as in a run. ``pictures`` are encoded in place of the decoded
    ones, forth and back again and again, so that nothing jumps; grey ones as FFV1, as mattes are, others as H.264.
    ``most``: only so many of the clip's first frames.
    """
    turn = [*pictures, *pictures[-2:0:-1]]
    with av.open(str(clip)) as source, av.open(str(target), "w") as sink:
        video = source.streams.video[0]
        video.thread_type = "AUTO"
        out = _encoder(sink, video, grey=bool(pictures) and pictures[0].format.name == "gray")
        copies = {} if pictures else {stream.index: sink.add_stream_from_template(stream)
                                      for stream in source.streams.audio}
        count, begin = 0, time.perf_counter()
        with StageRunner(stall_timeout=60) as crew:
            for item in crew.thread("decode", _decoded(source, video), capacity=4):
                if isinstance(item, av.Packet):
                    if item.stream_index in copies:
                        item.stream = copies[item.stream_index]
                        sink.mux(item)
                    continue
                picture = item
                if pictures:
                    picture = turn[count % len(turn)]
                    picture.pts, picture.time_base = item.pts, item.time_base
                picture.pict_type = 0  # the encoder chooses its key frames itself
                sink.mux(out.encode(picture))
                count += 1
                if count == most:
                    break
        sink.mux(out.encode(None))
        return count / (time.perf_counter() - begin)


def _encoder(sink: Any, video: Any, *, grey: bool) -> Any:
    from streamseg.sink.encoder import DEFAULTS
    codec = "ffv1" if grey else "libx264"
    out = sink.add_stream(codec, rate=video.average_rate, options=DEFAULTS[codec])
    out.width, out.height = video.width, video.height
    out.pix_fmt = "gray" if grey else "yuv420p"
    out.codec_context.thread_type = "AUTO"  # as streamseg has it; PyAV's default is slices
    out.codec_context.time_base = video.time_base
    return out


def _decoded(source: Any, video: Any) -> Iterator[Any]:
    for packet in source.demux():
        if packet.stream is video:
            yield from packet.decode()
        elif packet.dts is not None:
            yield packet
