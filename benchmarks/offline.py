"""How much of the transcode limit a run keeps: python -m benchmarks.offline [--quick] [--clip FILE]

The transcode limit of a clip is the fps of the same decode and the same encode settings with nothing
between them, decode and encode each in a thread as in a run. All rows are measured in turn, repeatedly,
in one process; a row's ratio is taken within the same turn, and the median over the turns is told.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import av

import streamseg
from benchmarks.common import interleaved, make_clip, save, summary
from streamseg.channel import Crew

ROWS: dict[str, dict[str, object]] = {
    "threshold, solid": {"method": "threshold", "background": "green"},
    "threshold, blur": {"method": "threshold", "background": "blur"},
    "default, solid": {"background": "green"},
    "default, blur": {"background": "blur"},
}


def transcode(clip: Path, target: Path) -> float:
    """Frames a second of decode + libx264 veryfast + mux of all packets, nothing between."""
    with av.open(str(clip)) as source, av.open(str(target), "w") as sink:
        video = source.streams.video[0]
        video.thread_type = "AUTO"
        out = sink.add_stream("libx264", rate=video.average_rate, options={"preset": "veryfast"})
        out.width, out.height, out.pix_fmt = video.width, video.height, "yuv420p"
        out.codec_context.time_base = video.time_base
        sound = sink.add_stream_from_template(source.streams.audio[0])

        def decoded() -> Iterator[av.VideoFrame | av.Packet]:
            for packet in source.demux():
                if packet.stream is video:
                    yield from packet.decode()
                elif packet.dts is not None:
                    yield packet

        count, begin = 0, time.perf_counter()
        with Crew(stall_timeout=60) as crew:
            for item in crew.thread("decode", decoded(), capacity=4):
                if isinstance(item, av.Packet):
                    item.stream = sound
                    sink.mux(item)
                    continue
                item.pict_type = 0  # the encoder chooses its key frames itself
                sink.mux(out.encode(item))
                count += 1
        sink.mux(out.encode(None))
        return count / (time.perf_counter() - begin)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clip", type=Path, help="measure with this clip instead of a made one")
    parser.add_argument("--quick", action="store_true", help="a tiny clip, one turn: does it run at all")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, help="folder for the JSON, default benchmarks/results")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        size, seconds = ((320, 180), 1.0) if arguments.quick else ((1920, 1080), 6.0)
        clip = arguments.clip or make_clip(work / "clip.mp4", size=size, seconds=seconds)

        def row(options: dict[str, object]) -> Callable[[], float]:
            return lambda: streamseg.run(clip, work / "out.mp4", overwrite=True, **options).fps

        tasks = {"transcode limit": lambda: transcode(clip, work / "limit.mp4"),
                 **{name: row(options) for name, options in ROWS.items()}}
        values = interleaved(tasks, 1 if arguments.quick else arguments.repeats)
        limit = values["transcode limit"]
        rows = {name: {"fps": summary(fps),
                       "ratio": summary([a / b for a, b in zip(fps, limit, strict=True)])}
                for name, fps in values.items()}
        stages = {name: {stage: times.p50_ms for stage, times in streamseg.run(
            clip, work / "out.mp4", overwrite=True, **options).stages.items()}
            for name, options in ROWS.items()}
    for name, numbers in rows.items():
        print(f"{name:24} {numbers['fps']['median']:8.1f} fps   ratio {numbers['ratio']['median']:.2f} "
              f"({numbers['ratio']['min']:.2f} to {numbers['ratio']['max']:.2f})   {stages.get(name, '')}")
    print(save("offline", {"size": list(size) if not arguments.clip else None, "rows": rows,
                           "stage_ms_p50": stages}, arguments.out))


if __name__ == "__main__":
    main()
