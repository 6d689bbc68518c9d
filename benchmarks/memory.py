"""Peak RSS of a 1-minute and a 10-minute clip: python -m benchmarks.memory [--quick]

Each run is a process of its own, so that the peak is its own; both clips are cut from the same pictures.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import av

from benchmarks.common import make_clip, save


def lengthen(clip: Path, target: Path, times: int) -> Path:
    """The clip ``times`` times in a row, packet by packet."""
    with av.open(str(target), "w") as sink:
        streams: dict[int, av.stream.Stream] = {}
        for turn in range(times):
            with av.open(str(clip)) as source:
                for stream in source.streams:
                    if stream.index not in streams:
                        streams[stream.index] = sink.add_stream_from_template(stream)
                for packet in source.demux():
                    if packet.dts is None:
                        continue
                    shift = round(turn * source.duration / av.time_base / packet.time_base)
                    packet.dts += shift
                    packet.pts += shift
                    packet.stream = streams[packet.stream.index]
                    sink.mux(packet)
    return target


def peak(clip: Path, target: Path, method: str) -> float:
    """Peak RSS in MiB of one `streamseg run` in its own process."""
    command = [sys.executable, "-m", "streamseg", "run", str(clip), "-o", str(target), "--overwrite",
               "--method", method, "--background", "blur", "--json", "--quiet"]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(json.loads(answer.stdout)["runs"][0]["peak_rss_mib"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="1 s against 10 s: does it run at all")
    parser.add_argument("--method", default="threshold")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        piece = make_clip(work / "piece.mp4", size=(320, 180), seconds=1.0 if arguments.quick else 10.0)
        short = lengthen(piece, work / "short.mp4", 1 if arguments.quick else 6)
        long = lengthen(piece, work / "long.mp4", 10 if arguments.quick else 60)
        peaks = {name: peak(clip, work / "out.mp4", arguments.method)
                 for name, clip in (("short", short), ("long", long))}
    ratio = peaks["long"] / peaks["short"]
    print(f"peak RSS {peaks['short']:.1f} MiB, ten times as long {peaks['long']:.1f} MiB: {ratio:.3f}")
    print(save("memory", {"peak_rss_mib": peaks, "ratio": round(ratio, 4), "method": arguments.method},
               arguments.out))


if __name__ == "__main__":
    main()
