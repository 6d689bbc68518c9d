"""Peak RSS of a 1-minute and a 10-minute clip: python -m benchmarks.memory [--quick]

Each run is a process of its own, so that the peak is its own; both clips are cut from the same pictures.

What grows is the index of an .mp4, of the input as of the output: about 0.4 KiB a frame, sound included.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from benchmarks.common import FULL_HD, TINY, Bench, Table, make_clip, start
from streamseg.tools.bench.measure import run_once


def lengthen(clip: Path, target: Path, times: int) -> Path:
    """The clip ``times`` times in a row, packet by packet."""
    period = _period(clip)
    with av.open(str(target), "w") as sink:
        streams: dict[int, Any] = {}
        for turn in range(times):
            with av.open(str(clip)) as source:
                for stream in source.streams:
                    if stream.index not in streams:
                        streams[stream.index] = sink.add_stream_from_template(stream)
                for packet in source.demux():
                    if packet.dts is None or packet.pts is None or packet.time_base is None:
                        continue
                    shift = round(turn * period / packet.time_base)
                    packet.dts += shift
                    packet.pts += shift
                    packet.stream = streams[packet.stream.index]
                    sink.mux(packet)
    return target


def _period(clip: Path) -> Fraction:
    """Seconds from the first packet to the end of the last: sound may begin before and end after the
    pictures."""
    with av.open(str(clip)) as source:
        spans = [(packet.dts * packet.time_base, (packet.duration or 0) * packet.time_base)
                 for packet in source.demux() if packet.dts is not None and packet.time_base is not None]
    return max(begin + length for begin, length in spans) - min(begin for begin, _ in spans)


def peak(clip: Path, target: Path, method: str) -> float:
    """Peak RSS in MiB of one `streamseg run` in its own process."""
    found = run_once(clip, target, {"method": method, "background": "blur"}).peak_rss_mib
    if found is None:
        raise RuntimeError("this system does not tell how much memory a process has taken")
    return found


def tables(result: Mapping[str, Any]) -> dict[str, Table]:
    """RESULTS.md's tables: ``memory``."""
    peaks = result["peak_rss_mib"]
    return {"memory": Table(("1 minute", "10 minutes", "ratio"), [
        (f"{peaks['short']:.1f} MiB", f"{peaks['long']:.1f} MiB", f"{result['ratio']:.3f}")])}


def main(words: Sequence[str] | None = None) -> None:
    bench = Bench("memory", __doc__, repeats=None)
    bench.parser.add_argument("--method", default="threshold")
    bench.parser.add_argument("--size", type=int, nargs=2, default=FULL_HD, metavar=("WIDTH", "HEIGHT"))
    chosen = bench.parse(words)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        size = TINY if chosen.quick else tuple(chosen.size)
        piece = make_clip(work / "piece.mp4", size=size, seconds=1.0 if chosen.quick else 10.0)
        short = lengthen(piece, work / "short.mp4", 1 if chosen.quick else 6)
        long = lengthen(piece, work / "long.mp4", 10 if chosen.quick else 60)
        peaks = {name: peak(clip, work / "out.mp4", chosen.method)
                 for name, clip in (("short", short), ("long", long))}
    ratio = round(peaks["long"] / peaks["short"], 4)
    print(f"peak RSS {peaks['short']:.1f} MiB, ten times as long {peaks['long']:.1f} MiB: {ratio:.3f}")
    bench.save({"peak_rss_mib": peaks, "ratio": ratio, "method": chosen.method, "size": size}, chosen.out)


if __name__ == "__main__":
    start(main)
