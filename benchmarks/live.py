"""Does it keep up: python -m benchmarks.live [--seconds 600] [--load 2] [--selfie FILE] [--quick]

A file of 1280 x 720 at 30 frames a second is played in real time, again and again, to 'null' and to a fake
of the virtual camera (it takes the same I420 bytes; the kernel's copy is not in it). What is told: rate,
drops, latency from capture to write (a histogram), CPU without the decoding of the test file, resident
memory over time, the steps of quality. With --load N so many processes compute beside it in the second
third of the time.

In the same run, on the same machine, the usual loop of Linux-Fake-Background-Webcam and of the examples of
MediaPipe with OpenCV: one thread, selfie_256x256 (--selfie FILE.tflite) in LiteRT, the matte enlarged,
float32 blend in RGB. It gets the same paced frames and the same background.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import sys
import time
import types
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import Bench, Table, folder_and_clip, start
from streamseg.core.clock import SystemClock
from streamseg.core.frames import Frame, VideoInfo
from streamseg.core.opencv import cv2
from streamseg.live.meters import Latencies
from streamseg.live.options import LiveOptions
from streamseg.live.run import run
from streamseg.options import Options
from streamseg.source import Source, open_source
from streamseg.source.realtime import Realtime

HD = (1280, 720)
SOAK = 1800  # seconds from which a run counts as one
SHORTEST = 2.0


class Loop:
    """A clip again and again, its times going on. ``decoding``: CPU seconds that went into decoding it."""

    def __init__(self, clip: Path) -> None:
        self._clip = clip
        first = open_source(clip, Options(audio=False, threads=1))
        first.close()
        self.info: VideoInfo = first.info
        self.notes: list[str] = []
        self.damaged = 0
        self.decoding = 0.0

    def __iter__(self) -> Iterator[Frame]:
        index = 0
        base, rate = self.info.time_base, self.info.rate or 30
        while True:
            source = open_source(self._clip, Options(audio=False, threads=1))
            frames = iter(source)
            while True:
                begin = time.thread_time()  # one thread decodes: this one
                frame = next(frames, None)
                self.decoding += time.thread_time() - begin
                if frame is None:
                    break
                yield replace(frame, index=index, pts=round(index / rate / base))
                index += 1
            source.close()

    def close(self) -> None:
        """Nothing is open between two frames that matters at the end."""


class FakeCamera:
    """pyvirtualcam's interface; keeps the bytes of the last picture."""

    def __init__(self, width: int, height: int, fps: float, **rest: Any) -> None:
        self.device = "fake"
        self._last = np.empty(width * height * 3 // 2, np.uint8)

    def send(self, picture: np.ndarray) -> None:
        np.copyto(self._last, picture)

    def close(self) -> None:
        """Nothing is held."""


def fake_pyvirtualcam() -> None:
    """Put the fake in the place of the package, in this process."""
    module: Any = types.ModuleType("pyvirtualcam")
    module.Camera, module.PixelFormat = FakeCamera, types.SimpleNamespace(I420="I420")
    sys.modules["pyvirtualcam"] = module


def burn(until: float) -> None:
    """Keep a core busy up to a moment of time.time()."""
    value = 1.0
    while time.time() < until:
        for _ in range(10_000):
            value = value * 1.000001 % 7.0


def busy_beside(count: int, seconds: float) -> list[BaseProcess]:
    until = time.time() + seconds
    made: list[BaseProcess] = [multiprocessing.get_context("spawn").Process(target=burn, args=(until,))
                               for _ in range(count)]
    for process in made:
        process.start()
    return made


class Curves:
    """What is kept of each second's figures: as numbers side by side: the lines themselves, 1.5 kB a second, were
    all that grew in two hours."""

    def __init__(self) -> None:
        self.numbers = {name: array("d") for name in ("time", "fps", "rss_mib", "p95")}
        self.steps: list[str] = []

    def add(self, line: Mapping[str, Any]) -> None:
        for name in ("time", "fps", "rss_mib"):
            self.numbers[name].append(line[name])
        self.numbers["p95"].append(line["latency_ms"]["p95"])
        self.steps.append(sys.intern(line["step"]))


def ours(clip: Path, seconds: float, options: Options, load: int) -> dict[str, Any]:
    """streamseg live, with its figures of each second."""
    source, curves = Loop(clip), Curves()
    beside: list[BaseProcess] = []

    def on_stats(line: dict[str, Any]) -> None:
        curves.add(line)
        if load and not beside and line["time"] > seconds / 3:
            beside.extend(busy_beside(load, seconds / 3))

    logging.basicConfig(format="  %(message)s", level=logging.INFO)
    report = run(source, ["virtual", "null"], options=options,
                 live=LiveOptions(realtime=True, duration=seconds), on_stats=on_stats)
    for process in beside:
        process.join()
    decode = 100 * source.decoding / report.seconds
    rss = curves.numbers["rss_mib"]
    minute = min(60, len(rss)) - 1
    return {"report": asdict(report), "cpu_percent_without_decoding": round(report.cpu_percent - decode, 1),
            "dropped_percent": round(100 * report.dropped / max(1, report.frames + report.dropped), 3),
            "rss_mib": {"after_a_minute": rss[minute], "at_the_end": rss[-1]},
            "curves": {**{name: list(curves.numbers[name]) for name in ("time", "fps", "rss_mib")},
                       "step": curves.steps},
            "latency_p95_ms": list(curves.numbers["p95"])}


def usual_loop(clip: Path, seconds: float, background: str, model: Path) -> dict[str, Any]:
    """Capture, model, float32 blend in RGB, hand over: one after the other in one thread."""
    from ai_edge_litert.interpreter import Interpreter
    interpreter: Any = Interpreter(model_path=str(model), num_threads=os.cpu_count())
    interpreter.allocate_tensors()
    given, taken = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    size = int(given["shape"][2]), int(given["shape"][1])
    source, latencies, clock = Loop(clip), Latencies(), SystemClock()
    info = source.info
    camera = FakeCamera(info.width, info.height, 30.0)
    arrived, began, spent = 0, clock.now(), time.process_time()
    for frame in newest(Realtime(source, clock), clock, lambda: clock.now() - began > seconds):
        arrived, at, picture = frame
        rgb = picture.rgb()
        small = cv2.resize(rgb, size).astype(np.float32) / 255
        interpreter.set_tensor(given["index"], small[None])
        interpreter.invoke()
        matte = cv2.resize(interpreter.get_tensor(taken["index"])[0, ..., -1], (info.width, info.height))
        alpha = matte[..., None]
        if background == "blur":
            behind = cv2.GaussianBlur(rgb, (0, 0), 18).astype(np.float32)
        else:
            behind = np.full(rgb.shape, (0, 255, 0), np.float32)
        made = (rgb.astype(np.float32) * alpha + behind * (1 - alpha)).astype(np.uint8)
        camera.send(cv2.cvtColor(made, cv2.COLOR_RGB2YUV_I420).reshape(-1))
        latencies.add(clock.now() - at)
    passed = clock.now() - began
    cpu = 100 * (time.process_time() - spent - source.decoding) / passed
    return {"seconds": round(passed, 1), "frames": latencies.count, "fps": round(latencies.count / passed, 2),
            "dropped": arrived - latencies.count, "latency_ms": latencies.overall(),
            "cpu_percent_without_decoding": round(cpu, 1)}


def newest(frames: Source, clock: SystemClock, over: Callable[[], bool]
           ) -> Iterator[tuple[int, float, Frame]]:
    """(frames that came so far, when, the newest), as a camera's driver gives them to one thread: what came
    while it was busy is dropped but for the newest."""
    from streamseg.engine import EndOfChannel, StageRunner, WaitedTooLong
    count = 0

    def stamped() -> Iterator[tuple[int, float, Frame]]:
        nonlocal count
        for frame in frames:
            count += 1
            yield count, clock.now(), frame

    with StageRunner(stall_timeout=None) as crew:
        channel = crew.channel("camera", stamped(), capacity=1, newest=True)
        while not over():
            try:
                yield channel.get(0.1)
            except WaitedTooLong:
                continue
            except EndOfChannel:
                return


def tables(result: Mapping[str, Any]) -> dict[str, Table]:
    """RESULTS.md's table: ``live``."""
    head = ("loop", "frames a second", "latency p50", "p95", "dropped", "CPU, of one core", "RSS")
    rows = []
    for name, row in rows_of(result).items():
        latency = row["latency_ms"]
        rss = row.get("rss_mib_at_end")
        rows.append((name, f"{row['fps']:.1f}", f"{latency['p50']:.1f} ms", f"{latency['p95']:.1f} ms",
                     str(row["dropped"]), f"{row['cpu_percent_without_decoding']:.0f} %",
                     "" if rss is None else f"{rss:.0f} MiB"))
    return {"live": Table(head, rows)}


def rows_of(result: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The figures of each loop that was measured."""
    made = result["streamseg"]
    rows = {"streamseg live": {**made["report"], **made, "rss_mib_at_end": made["rss_mib"]["at_the_end"]}}
    if "usual loop" in result:
        rows["the usual loop, selfie model"] = result["usual loop"]
    return rows


def main(words: Sequence[str] | None = None) -> None:
    bench = Bench("live", __doc__, repeats=None, device=True)
    add = bench.parser.add_argument
    add("--clip", type=Path, help="measure with this clip instead of a made one")
    add("--seconds", type=float, default=600.0, help="of ours; 1800 is the soak")
    add("--usual-seconds", type=float, default=60.0, help="of the usual loop")
    add("--selfie", type=Path, help="selfie_256x256.tflite, for the usual loop")
    add("--background", default="blur")
    add("--load", type=int, default=0, help="processes that compute beside it, a third of the time")
    chosen = bench.parse(words)
    if not chosen.seconds >= SHORTEST:
        bench.parser.error(f"--seconds is {chosen.seconds:g}; it must be at least {SHORTEST:g}: there is a "
                           "figure of memory a second")
    bench.forms += ["load"] if chosen.load else ["soak"] if chosen.seconds >= SOAK else []
    seconds, usual = (SHORTEST, SHORTEST) if chosen.quick else (chosen.seconds, chosen.usual_seconds)
    fake_pyvirtualcam()
    with folder_and_clip(chosen.clip, quick=chosen.quick, size=HD, seconds=10.0) as (_, clip):
        result: dict[str, Any] = {
            "clip": chosen.clip.name if chosen.clip else "made", "load": chosen.load,
            "background": chosen.background, "device": chosen.device, "cores": os.cpu_count()}
        if chosen.selfie:
            result["usual loop"] = usual_loop(clip, usual, chosen.background, chosen.selfie)
        options = Options(background=chosen.background, device=chosen.device)
        result["streamseg"] = ours(clip, seconds, options, chosen.load)
    print(tables(result)["live"].markdown())
    print(f"steps: {result['streamseg']['report']['steps']}")
    bench.save(result, chosen.out)


if __name__ == "__main__":
    start(main)
