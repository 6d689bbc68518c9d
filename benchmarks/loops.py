"""How other programs take a video's background out, loop by loop: each turns a clip into a file in which the
person stands before one colour, and gives back the frames a second.

None of their code is here. Each is the shape of the loop (what is converted, at which size, in which type,
in which order) as their sources show it, around a net that is given to it.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from streamseg.core.geometry import Size, nearest_size, net_size
from streamseg.core.opencv import cv2
from streamseg.core.thread_budget import cores
from streamseg.segment.model_file import spec_of
from streamseg.segment.person import built_in
from streamseg.segment.runtimes import open_net

Array = npt.NDArray[Any]
COLOUR = (0, 255, 0)
SPECS = Path(__file__).parent / "specs"


class LoopNet:
    """A model file as a loop sees it: ``net(small)`` is the person's alpha, float32 (h, w).

    ``small`` is float32 (h, w, 3) in 0..1 of ``size``, chosen for a picture of ``like``.
    """

    def __init__(self, path: Path | None, like: Size) -> None:
        """``path`` None: the model that streamseg ships."""
        file = path or built_in()
        spec = SPECS / f"{file.stem}.json"
        self.name = file.stem
        self._spec = spec_of(file, spec if path and spec.exists() else None)
        self._net = open_net(file, self._spec, "auto", "cpu", cores())
        self.size = nearest_size(*like, self._net.sizes) if self._net.sizes else net_size(*like)

    def __call__(self, small: Array) -> Array:
        given = self._spec.normalised(small * np.float32(255))
        return self._spec.alpha(self._net.run([given[None]])[0][0])[0]


Load = Callable[[], LoopNet]  # the time it takes is the loop's, as it is streamseg's


class H264:
    """A file written by PyAV with the settings that streamseg has: libx264 veryfast, frame threads."""

    def __init__(self, path: Path, rate: Any, size: tuple[int, int]) -> None:
        self._container = av.open(str(path), "w")
        self._stream = self._container.add_stream("libx264", rate=rate, options={"preset": "veryfast"})
        self._stream.width, self._stream.height = size
        self._stream.codec_context.thread_type = "AUTO"

    def write(self, picture: Array, format: str) -> None:
        """uint8 (h, w, 3) in 'rgb24' or 'bgr24'."""
        self._container.mux(self._stream.encode(av.VideoFrame.from_ndarray(picture, format)))

    def close(self) -> None:
        """Write what the encoder still holds."""
        self._container.mux(self._stream.encode(None))
        self._container.close()


@contextmanager
def decoded(clip: Path) -> Iterator[tuple[Any, Iterator[av.VideoFrame]]]:
    """(the video stream, its pictures)."""
    with av.open(str(clip)) as source:
        video = source.streams.video[0]
        video.thread_type = "AUTO"
        yield video, source.decode(video)


def usual(clip: Path, target: Path, load: Load, *, mp4v: bool = False) -> float:
    """The loop that everybody writes: OpenCV reads BGR, the net sees a small RGB, float32 arithmetic blends
    at full size. Written as H.264 through PyAV, or by OpenCV's own MPEG-4 writer."""
    began, count, net = time.perf_counter(), 0, load()
    capture = cv2.VideoCapture(str(clip))
    size = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
    rate = capture.get(cv2.CAP_PROP_FPS)
    theirs = cv2.VideoWriter(str(target), cv2.VideoWriter.fourcc(*"mp4v"), rate, size) if mp4v else None
    ours = None if mp4v else H264(target, round(rate), size)
    background = np.full((size[1], size[0], 3), COLOUR, np.float32)
    while True:
        there, bgr = capture.read()
        if not there:
            break
        small = cv2.resize(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), net.size[::-1]).astype(np.float32) / 255
        alpha = cv2.resize(net(small), size)[..., None]
        made = (bgr.astype(np.float32) * alpha + background * (1 - alpha)).astype(np.uint8)
        if theirs is not None:
            theirs.write(made)
        elif ours is not None:
            ours.write(made, "bgr24")
        count += 1
    capture.release()
    for writer in (theirs and theirs.release, ours and ours.close):
        if writer:
            writer()
    return count / (time.perf_counter() - began)


def float_tensors(clip: Path, target: Path, load: Load) -> float:
    """RobustVideoMatting's: one thread, one frame at a time, the whole picture as three planes of float32
    RGB from the decoder to the encoder; foreground and alpha at full size."""
    began, count, net = time.perf_counter(), 0, load()
    with decoded(clip) as (video, pictures):
        out = H264(target, video.average_rate, (video.width, video.height))
        background = np.array(COLOUR, np.float32)[:, None, None] / 255
        for picture in pictures:
            source = picture.to_ndarray(format="rgb24").transpose(2, 0, 1).astype(np.float32) / 255
            small = cv2.resize(np.ascontiguousarray(source.transpose(1, 2, 0)), net.size[::-1])
            alpha = cv2.resize(net(small), (video.width, video.height))[None]
            foreground = np.clip(source, 0, 1)
            made = foreground * alpha + background * (1 - alpha)
            out.write(np.ascontiguousarray((made * 255).astype(np.uint8).transpose(1, 2, 0)), "rgb24")
            count += 1
        out.close()
    return count / (time.perf_counter() - began)


def pillow(clip: Path, target: Path, load: Load) -> float:
    """rembg's: Pillow pictures, Lanczos resizing both ways, each picture and each answer stretched by its own
    extremes, an RGBA cut-out that is pasted onto the colour."""
    from PIL import Image
    began, count, net = time.perf_counter(), 0, load()
    with decoded(clip) as (video, pictures):
        out = H264(target, video.average_rate, (video.width, video.height))
        for picture in pictures:
            image = Image.fromarray(picture.to_ndarray(format="rgb24"))
            small = np.array(image.resize(net.size[::-1], Image.Resampling.LANCZOS))
            answer = net((small / max(float(small.max()), 1e-6)).astype(np.float32))
            answer = (answer - answer.min()) / max(float(np.ptp(answer)), 1e-6)
            mask = Image.fromarray((answer * 255).astype(np.uint8)).resize(image.size,
                                                                          Image.Resampling.LANCZOS)
            cutout = Image.composite(image.convert("RGBA"), Image.new("RGBA", image.size, 0), mask)
            coloured = Image.new("RGBA", image.size, (*COLOUR, 255))
            coloured.paste(cutout, cutout)
            out.write(np.asarray(coloured.convert("RGB")), "rgb24")
            count += 1
        out.close()
    return count / (time.perf_counter() - began)


def matte_file(clip: Path, target: Path, load: Load) -> float:
    """backgroundremover's: first all mattes, 320 rows high, piped into a lossy MPEG-4 file, then ffmpeg
    enlarges them and merges them with the clip."""
    began, count, net = time.perf_counter(), 0, load()
    matte = target.with_name("matte.mp4")
    with decoded(clip) as (video, pictures):
        width = round(video.width * 320 / video.height / 2) * 2
        pipe = subprocess.Popen(
            ["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "gray", "-s", f"{width}x320", "-r",
             str(video.average_rate), "-i", "-", "-c:v", "mpeg4", "-b:v", "2000k", str(matte)],
            stdin=subprocess.PIPE)
        assert pipe.stdin is not None
        for picture in pictures:
            small = picture.to_ndarray(format="rgb24", width=width, height=320)
            answer = net(cv2.resize(small, net.size[::-1]).astype(np.float32) / 255)
            pipe.stdin.write((cv2.resize(answer, (width, 320)) * 255).astype(np.uint8).tobytes())
            count += 1
        pipe.stdin.close()
        if pipe.wait():
            raise RuntimeError(f"ffmpeg ended with code {pipe.returncode} while it wrote the matte file")
        merge = (f"[1:v]scale={video.width}:{video.height},format=gray[m];[0:v][m]alphamerge[p];"
                 f"[2:v][p]overlay=shortest=1,format=yuv420p")
        _ffmpeg(clip, target, merge, video, "-i", str(matte))
    return count / (time.perf_counter() - began)


def chroma_key(clip: Path, target: Path) -> float:
    """ffmpeg alone, no net: a key colour and an overlay in its own filters; the sound copied."""
    began = time.perf_counter()
    with decoded(clip) as (video, _):
        frames = video.frames
        _ffmpeg(clip, target, "[0:v]chromakey=0x605040:0.1:0.1[p];[1:v][p]overlay=shortest=1,format=yuv420p",
                video, "-map", "0:a?", "-c:a", "copy")
    return frames / (time.perf_counter() - began)


def has_ffmpeg() -> bool:
    """Whether the program is there: the product needs none, two of the peers do."""
    return shutil.which("ffmpeg") is not None


def _ffmpeg(clip: Path, target: Path, graph: str, video: Any, *more: str) -> None:
    inputs = [*more[:2]] if more[0] == "-i" else []
    colour = f"color=c=0x{bytes(COLOUR).hex()}:s={video.width}x{video.height}:r={video.average_rate}"
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", str(clip), *inputs, "-f", "lavfi", "-i", colour,
                    "-filter_complex", graph, *more[len(inputs):], "-c:v", "libx264", "-preset", "veryfast",
                    str(target)], check=True, stdin=subprocess.DEVNULL)
