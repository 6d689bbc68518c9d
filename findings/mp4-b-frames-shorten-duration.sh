#!/usr/bin/env sh
# MP4: with B frames the stream says that it is shorter than its frames.
#
# Guess: 91 frames of 1001/30000 s make a stream of 91091 ticks of 1/30000 s, however they are encoded.
# Behaviour: with B frames the muxer writes an edit list, whose lengths are in the movie time scale (1/1000 s by
#   default): the stated duration is cut to a millisecond. movie_timescale=90000 makes it exact. Who places parts
#   of a film one after another by their stated durations loses up to a millisecond a part.
# Seen (PyAV 18.1.0, FFmpeg 8.1.2): bf=0: 91091, bf=2: 91080, bf=2 with movie_timescale=90000: 91091
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

RATE, FRAMES = Fraction(30000, 1001), 91
print("PyAV", av.__version__, "FFmpeg", av.ffmpeg_version_info)


def stated(b_frames, **muxer):
    file = io.BytesIO()
    with av.open(file, "w", format="mp4", options=muxer) as container:
        stream = container.add_stream("libx264", rate=RATE)
        stream.width = stream.height = 64
        stream.pix_fmt, stream.options = "yuv420p", {"bf": str(b_frames)}
        for i in range(FRAMES):
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), i, np.uint8), "rgb24")
            frame.pts, frame.time_base = i, 1 / RATE
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    file.seek(0)
    with av.open(file) as container:
        stream = container.streams.video[0]
        assert stream.time_base == Fraction(1, 30000)
        assert sum(1 for _ in container.decode(stream)) == FRAMES
        return stream.duration


found = {"bf=0": stated(0), "bf=2": stated(2), "bf=2, movie_timescale=90000": stated(2, movie_timescale="90000")}
print(found)
assert list(found.values()) == [91091, 91080, 91091], "the behaviour has changed"
PYTHON
