#!/usr/bin/env sh
# VP8: FFmpeg's decoder replaces the container's colours by its own, MJPEG's replaces the matrix.
#
# Guess: a codec without a field for a colour tag leaves what the container says.
# Behaviour: VP8's decoder sets limited BT.601 with every picture, MJPEG's sets BT.601 as matrix. Browsers record a canvas
#   as full-range BT.709 VP8, which the WebM's header alone says: (200, 40, 40) comes out as (193, 9, 28). Before the first
#   picture the codec context still has the container's tags. FFV1 and others leave them.
# Seen (PyAV 18.1.0, FFmpeg 8.1.2): libvpx (1, 2) -> (5, 1), mjpeg (1, 2) -> (5, 2), ffv1 (1, 2) -> (1, 2)
set -eu
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q av==18.1.0
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import av


def tags(codec, format):
    with av.open("clip.mkv", "w") as out:
        stream = out.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, format
        stream.codec_context.colorspace, stream.codec_context.color_range = 1, 2
        for number in range(3):
            frame = av.VideoFrame(64, 64, format)
            for plane in frame.planes:
                plane.update(bytes([100]) * plane.buffer_size)
            frame.pts, frame.colorspace, frame.color_range = number, 1, 2
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    with av.open("clip.mkv") as source:
        context = source.streams.video[0].codec_context
        stated = int(context.colorspace), int(context.color_range)
        picture = list(source.decode(video=0))[-1]
        return stated, (int(picture.colorspace), int(picture.color_range))


found = {codec: tags(codec, format)
         for codec, format in (("libvpx", "yuv420p"), ("mjpeg", "yuvj420p"), ("ffv1", "yuv420p"))}
for codec, (stated, decoded) in found.items():
    print(f"{codec}: the container says {stated}, the decoder {decoded}")
assert found == {"libvpx": ((1, 2), (5, 1)), "mjpeg": ((1, 2), (5, 2)), "ffv1": ((1, 2), (1, 2))}, \
    "the behaviour has changed"
PYTHON
