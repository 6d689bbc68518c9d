#!/usr/bin/env sh
# swscale: opaque alpha of 8 bits becomes 1020 of 1023 in 10 bits if the chroma layout changes with it.
#
# Guess: alpha 255 (opaque) becomes the peak of the deeper format, as it does from RGBA.
# Behaviour: yuva420p to yuva420p10 and RGBA to any give the peak. yuva420p to yuva444p10 (what ProRes 4444 takes),
#   yuva444p to yuva420p10 and both to yuva422p12 shift the bits only: 1020, 4080. The whole picture is then a little
#   transparent, and the background shows through by 0.3 %.
# Seen (PyAV 18.1.0, FFmpeg 8.1.2): yuva420p: 1023, 1020, 4080; yuva444p: 1020, 1023, 4080; rgba: 1023, 1023, 4095
set -eu
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q av==18.1.0 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import av
import numpy as np

print("PyAV", av.__version__, "FFmpeg", av.ffmpeg_version_info)
opaque = av.VideoFrame.from_ndarray(np.full((4, 4, 4), 255, np.uint8), "rgba")
found = {}
for source in ("yuva420p", "yuva444p", "rgba"):
    frame = opaque.reformat(format=source)
    found[source] = [int(np.frombuffer(frame.reformat(format=target).planes[3], np.uint16)[0])
                     for target in ("yuva420p10le", "yuva444p10le", "yuva422p12le")]
    print(source, found[source])
assert found == {"yuva420p": [1023, 1020, 4080], "yuva444p": [1020, 1023, 4080], "rgba": [1023, 1023, 4095]}, \
    "the behaviour has changed"
PYTHON
