#!/usr/bin/env sh
# Matroska: 60000/1001 frames a second comes back as 19001/317, 30000/1001 as itself.
#
# Guess: NTSC rates survive Matroska, or none does.
# Behaviour: the rate is stored as a duration in whole nanoseconds (16683333 for 60000/1001), and the reader looks
#   for a fraction near it. 24000/1001 and 30000/1001 are found again; 60000/1001 and 120000/1001 are not. The error
#   is 5e-8, but a test for equality fails, and so does a table of known rates.
# Seen (PyAV 18.1.0, FFmpeg 8.1.2): 24000/1001, 30000/1001, 19001/317, 29011/242
set -eu
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q av==18.1.0 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import io
from fractions import Fraction

import av
import numpy as np

print("PyAV", av.__version__, "FFmpeg", av.ffmpeg_version_info)


def read_back(rate):
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for i in range(90):
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), i, np.uint8), "rgb24")
            frame.pts, frame.time_base = i, 1 / rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    file.seek(0)
    with av.open(file) as container:
        return container.streams.video[0].average_rate


rates = [Fraction(count, 1001) for count in (24000, 30000, 60000, 120000)]
found = [read_back(rate) for rate in rates]
for rate, back in zip(rates, found):
    print(f"{rate} -> {back} ({float(back / rate - 1):.1e})")
assert found == [rates[0], rates[1], Fraction(19001, 317), Fraction(29011, 242)], "the behaviour has changed"
PYTHON
