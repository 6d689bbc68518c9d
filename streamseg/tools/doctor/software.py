"""The libraries, the runtimes, the model files, encoders and decoders."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import io
import subprocess
import sys
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

from ...core.native_stderr import native_lines_hidden
from ...core.scheduling import scheduling_kept
from .finding import FAULT, LACKING, OK, Finding

WEIGHTS = Path(__file__).parents[2] / "weights"
TIMEOUT = 120.0  # seconds; TensorFlow takes ten on a slow machine
# what is shown -> the module that is loaded, its package, and whether the built-in models run in it
RUNTIMES = {"LiteRT": ("ai_edge_litert.interpreter", "ai-edge-litert", True),
            "ONNX Runtime": ("onnxruntime", "'streamseg[onnx]'", False),
            "Keras": ("keras", "tensorflow keras", False)}
# encoder -> pixel format, and what it is for; "" where a plain run needs it
ENCODERS = {"libx264": ("yuv420p", ""), "libx265": ("yuv420p", "HDR and --codec libx265"),
            "libvpx-vp9": ("yuv420p", ".webm"), "libsvtav1": ("yuv420p", "--codec libsvtav1"),
            "prores_ks": ("yuva444p10le", "a cut-out in .mov"), "ffv1": ("gray", "a cut-out or matte in .mkv")}
DECODERS = {"h264": "", "hevc": "a telephone's film", "libdav1d": "AV1", "vp9": "WebM", "prores": "ProRes",
            "mjpeg": "a webcam", "mpeg2video": "a DVD or broadcast", "aac": "sound that does not fit as it is"}
_FFMPEG = "pip install --force-reinstall av: its wheel from PyPI has all codecs"


def libraries(folder: Path) -> list[Finding]:
    """Whether the libraries that every run needs load."""
    from ...core.opencv import cv2

    loaded = [importlib.import_module(name) for name in ("numpy", "av", "PIL")]
    shown = [f"{item.__name__} {item.__version__}" for item in loaded]
    return [Finding("libraries", OK, ", ".join([*shown, f"cv2 {cv2.__version__}"]), needed=True)]


def runtimes(folder: Path) -> list[Finding]:
    """Whether the libraries that run models load, each in a process of its own: one that is made for another processor
    ends the process."""
    return [_runtime(name, *rules) for name, rules in RUNTIMES.items()]


def _runtime(name: str, module: str, package: str, needed: bool) -> Finding:
    if importlib.util.find_spec(module.partition(".")[0]) is None:
        remedy = f"pip install {package}"
        if needed:
            return Finding(name, FAULT, "not installed", remedy, needed)
        return Finding(name, LACKING, "not installed", f"only models of your own want it: {remedy}")
    failure = _loading_failed(module)
    if failure:
        return Finding(name, FAULT, f"does not load: {failure}", f"pip install --force-reinstall {package}", needed)
    return Finding(name, OK, "loads", needed=needed)


def _loading_failed(module: str) -> str:
    """Why a module does not load; '' where it does."""
    if getattr(sys, "frozen", False):  # sys.executable is the program, and no Python
        importlib.import_module(module)
        return ""
    try:
        done = subprocess.run([sys.executable, "-c", f"import {module}"], capture_output=True, text=True,
                              errors="replace", timeout=TIMEOUT, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        return f"it is not ready after {TIMEOUT:g} s"
    if done.returncode == 0:
        return ""
    return (done.stderr.strip().splitlines() or [f"it ends the process with {done.returncode}"])[-1]


def model_files(folder: Path) -> list[Finding]:
    """Whether the built-in models' files are there, and are what was shipped."""
    sums = [line.split() for line in (WEIGHTS / "SHA256SUMS").read_text("utf-8").splitlines()]
    wrong = [name for wanted, name in sums if _sum(WEIGHTS / name) != wanted]
    if wrong:
        return [Finding("model files", FAULT, f"not as shipped: {', '.join(wrong)}",
                        "pip install --force-reinstall streamseg", True)]
    return [Finding("model files", OK, f"{len(sums)} files are as shipped", needed=True)]


def _sum(path: Path) -> str:
    with suppress(OSError):
        return hashlib.sha256(path.read_bytes()).hexdigest()
    return ""


def codecs(folder: Path) -> list[Finding]:
    """Each encoder makes three pictures, which its decoder reads; further decoders are looked for."""
    found = []
    with native_lines_hidden():
        failed = {name: _round_trip(name, pix_fmt) for name, (pix_fmt, _) in ENCODERS.items()}
    working = [name for name in ENCODERS if not failed[name]]
    found.append(Finding("encoders", OK, f"{', '.join(working) or 'none'} made pictures that were read back"))
    for name, (_, use) in ENCODERS.items():
        if failed[name]:
            remedy = f"only {use} wants it: {_FFMPEG}" if use else _FFMPEG
            found.append(Finding(f"encoder {name}", LACKING if use else FAULT, failed[name], remedy, not use))
    missing = [name for name in DECODERS if not _known(name)]
    there = ", ".join(name for name in DECODERS if name not in missing)
    found.append(Finding("decoders", OK, f"{there or 'none'} are there"))
    for name in missing:
        use = DECODERS[name]
        remedy = f"only {use} wants it: {_FFMPEG}" if use else _FFMPEG
        found.append(Finding(f"decoder {name}", LACKING if use else FAULT, "not in this FFmpeg", remedy, not use))
    return found


def _known(decoder: str) -> bool:
    import av

    try:
        av.Codec(decoder, "r")
    except ValueError:  # av's UnknownCodecError is one
        return False
    return True


def _round_trip(encoder: str, pix_fmt: str) -> str:
    """Why three pictures of 128 x 96 do not go through an encoder and back; '' where they do."""
    import av

    file, options = io.BytesIO(), {"x265-params": "log-level=none"} if encoder == "libx265" else {}
    try:
        with av.open(file, "w", format="matroska") as container:
            stream: Any = container.add_stream(encoder, rate=25, options=options)
            stream.width, stream.height, stream.pix_fmt = 128, 96, pix_fmt
            with scheduling_kept():
                stream.codec_context.open()
            for number in range(3):  # of fewer x265 knows no times to decode them at
                picture = av.VideoFrame(128, 96, "gray").reformat(format=pix_fmt)
                picture.pts, picture.time_base = number, Fraction(1, 25)
                container.mux(stream.encode(picture))
            container.mux(stream.encode(None))
        file.seek(0)
        with av.open(file, "r") as reader:
            count = len(list(reader.decode(video=0)))
    except (ValueError, OSError, RuntimeError) as error:  # av's own errors are all of these
        return f"{type(error).__name__}: {error}"
    return "" if count == 3 else f"{count} of 3 pictures came back"
