#!/usr/bin/env sh
# libx265: a film of one or two pictures gets decoding times that nobody set.
#
# Guess: an encoder's packets have valid decoding times, however few the pictures are.
# Behaviour: x265 takes them from the pictures that it holds back for reordering. Where the film ends before that many
#   came, the first packets' dts is whatever was in memory: often 0, now and then any number. The MP4 and MOV muxers
#   then fail with "Not yet implemented in FFmpeg" (pts/dts pair unsupported), by chance. With three pictures it is right.
# Seen (PyAV 18.1.0, FFmpeg 8.1.2): of 20 films of one picture several have another dts than 0
set -eu
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q av==18.1.0
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
from fractions import Fraction

import av

print("PyAV", av.__version__, "FFmpeg", av.ffmpeg_version_info)


def times(count):
    context = av.CodecContext.create("libx265", "w")
    context.width = context.height = 64
    context.pix_fmt, context.time_base, context.framerate = "yuv420p", Fraction(1, 25), Fraction(25)
    context.options = {"preset": "veryfast", "x265-params": "log-level=error"}
    context.flags |= 1 << 8  # AV_CODEC_FLAG_FRAME_DURATION, with which it is seen more often
    packets = []
    for number in range(count):
        picture = av.VideoFrame(64, 64, "yuv420p")
        picture.pts, picture.time_base = number, context.time_base
        packets += context.encode(picture)
    return [(packet.pts, packet.dts) for packet in packets + context.encode(None)]


for count in (1, 2, 3):
    print(count, "pictures:", sorted({str(times(count)) for _ in range(20)}))
assert {str(times(1)) for _ in range(20)} != {"[(0, 0)]"}, "the behaviour has changed"
assert {str(times(3)) for _ in range(20)} == {"[(0, -2), (2, -1), (1, 0)]"}, "the behaviour has changed"
PYTHON
