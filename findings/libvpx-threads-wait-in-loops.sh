#!/usr/bin/env sh
# libvpx: on a machine with other work VP8 in two threads is many times slower than in one.
#
# Guess: two threads are at worst as fast as one; the work is shared, or done by one of them.
# Behaviour: the threads of the VP8 encoder wait for each other's rows in loops. Where another process holds the second
#   core, a thread spends its time slice waiting for one that does not run.
# Seen (PyAV 18.1.0, FFmpeg 8.1.2, two cores, four processes beside it), 1280 x 720, realtime, cpu-used -8:
#   one thread 113 ms a picture, two threads 716 ms (other work ran on that machine beside the four)
set -eu
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q av==18.1.0 numpy==2.4.6
cd "$work"
cat > measure.py <<'PYTHON'
import os
import subprocess
import sys
import time
from fractions import Fraction

import av
import numpy as np

os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
print("PyAV", av.__version__, "FFmpeg", av.ffmpeg_version_info)
rng = np.random.default_rng(0)
base = rng.integers(0, 256, (90, 160, 3), np.uint8).repeat(8, axis=0).repeat(8, axis=1)
frames = []
for index in range(30):
    frame = av.VideoFrame.from_ndarray(np.roll(base, 4 * index, axis=1), "rgb24").reformat(format="yuv420p")
    frame.pts, frame.time_base = 3000 * index, Fraction(1, 90_000)
    frames.append(frame)


def wall_ms(threads):
    codec = av.CodecContext.create("libvpx", "w")
    codec.width, codec.height, codec.pix_fmt = 1280, 720, "yuv420p"
    codec.time_base, codec.framerate, codec.bit_rate = Fraction(1, 90_000), Fraction(30), 2_800_000
    codec.options = {"deadline": "realtime", "cpu-used": "-8", "lag-in-frames": "0"}
    codec.thread_count = threads
    begin = time.perf_counter()
    for frame in frames:
        codec.encode(frame)
    return round(1e3 * (time.perf_counter() - begin) / len(frames), 1)


others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(4)]  # on the same two cores
try:
    found = {threads: wall_ms(threads) for threads in (1, 2)}
finally:
    for other in others:
        other.kill()
print("ms a picture, by threads:", found)
assert found[2] > 2 * found[1], "the behaviour has changed"
PYTHON
"$work/venv/bin/python" measure.py
