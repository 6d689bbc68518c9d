#!/usr/bin/env sh
# VP9 with alpha: only WebM and Matroska keep the alpha; the others drop it, and no error says so.
#
# Guess: a muxer that cannot store the alpha of a yuva420p VP9 stream refuses it.
# Behaviour: the encoder puts the alpha beside the packet as side data (BlockAdditional). MP4, NUT, AVI and IVF
#   write the packet without it. The file plays, opaque. Also: the native decoder of FFmpeg never gives alpha, from
#   WebM either; libvpx-vp9 does.
# Seen (PyAV 18.1.0, FFmpeg 8.1.2): webm and matroska: yuva420p with libvpx-vp9; mp4, nut, avi, ivf: yuv420p
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
picture = np.full((64, 64, 4), 200, np.uint8)
picture[:, :32, 3] = 0


def read_back(container_format):
    file = io.BytesIO()
    with av.open(file, "w", format=container_format) as container:
        stream = container.add_stream("libvpx-vp9", rate=25)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuva420p"
        for i in range(3):
            frame = av.VideoFrame.from_ndarray(picture, "rgba").reformat(format="yuva420p")
            frame.pts, frame.time_base = i, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    file.seek(0)
    decoder = av.CodecContext.create("libvpx-vp9", "r")
    with av.open(file) as container:
        native = next(container.decode(video=0)).format.name
    file.seek(0)
    with av.open(file) as container:
        library = next(frame for packet in container.demux(video=0) for frame in decoder.decode(packet)).format.name
    return native, library


found = {name: read_back(name) for name in ("webm", "matroska", "mp4", "nut", "avi", "ivf")}
for name, formats in found.items():
    print(f"{name}: native decoder {formats[0]}, libvpx-vp9 {formats[1]}")
assert [formats[1] for formats in found.values()] == ["yuva420p"] * 2 + ["yuv420p"] * 4, "the behaviour has changed"
assert {formats[0] for formats in found.values()} == {"yuv420p"}, "the behaviour has changed"
PYTHON
