#!/usr/bin/env sh
# swscale: a picture tagged YCgCo or ICtCp cannot even be made smaller.
#
# Guess: a conversion that needs no matrix (YUV to its own grey, to another size or depth) works whatever matrix the
#   picture is tagged with.
# Behaviour: sws_scale_frame refuses every tag that it has no coefficients for with EOPNOTSUPP (errno 95), the reserved 3
#   too, also where no matrix is used. RGB and grey sources pass. With an explicit matrix on both sides it works.
# Seen (PyAV 18.1.0, FFmpeg 8.1.2): refused are 3, 8 and 10 to 17
set -eu
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q av==18.1.0
"$work/venv/bin/python" - <<'PYTHON'
import av

refused = []
for matrix in range(18):
    frame = av.VideoFrame(64, 64, "yuv420p")
    frame.colorspace = matrix
    try:
        frame.reformat(32, 32, "gray")
    except OSError:
        refused.append(matrix)
        frame.reformat(32, 32, "gray", src_colorspace=5, dst_colorspace=5)
print("refused:", refused)
assert refused == [3, 8, *range(10, 18)], "the behaviour has changed"
PYTHON
