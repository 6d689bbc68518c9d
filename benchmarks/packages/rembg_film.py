"""rembg's `remove` on every picture of a film: python rembg_film.py CLIP TARGET MODEL R,G,B

The pictures come from PyAV and go to libx264 with streamseg's settings; all between is rembg's.
"""

import sys

import av
from rembg import new_session, remove


def main(clip: str, target: str, model: str, colour: str) -> None:
    """A film before one colour."""
    session = new_session("u2net_custom", model_path=model)
    red, green, blue = (int(value) for value in colour.split(","))
    with av.open(clip) as source, av.open(target, "w") as sink:
        video = source.streams.video[0]
        video.thread_type = "AUTO"
        out = sink.add_stream("libx264", rate=video.average_rate, options={"preset": "veryfast"})
        out.width, out.height, out.pix_fmt = video.width, video.height, "yuv420p"
        out.codec_context.thread_type = "AUTO"
        for picture in source.decode(video):
            made = remove(picture.to_image(), session=session, bgcolor=(red, green, blue, 255))
            sink.mux(out.encode(av.VideoFrame.from_image(made.convert("RGB"))))
        sink.mux(out.encode(None))


if __name__ == "__main__":
    main(*sys.argv[1:])
