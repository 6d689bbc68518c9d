"""Camera, virtual camera, PipeWire, microphone, GPU. Nothing of it is needed for files."""

from __future__ import annotations

import importlib.util
import sys
from contextlib import closing
from fractions import Fraction
from glob import glob
from pathlib import Path

from ...core.frames import VideoInfo
from ...core.native_stderr import native_lines_hidden
from ...errors import MissingDependencyError, StreamsegError
from .finding import FAULT, LACKING, OK, Finding

SIZE, RATE, TIMEOUT = (640, 480), Fraction(30), 5.0
_NO_CAMERA = "only `live` wants one; plug one in, or play a file: streamseg live FILE --realtime"
_CAMERA = ("close the program that uses it; on Linux: are you in the group 'video'? On macOS and Windows: allow the "
           "terminal to use the camera, in the system's privacy settings")
_MICROPHONE = ("only `live` with sound wants one: choose another with --audio NAME; on macOS and Windows allow the "
               "terminal to use the microphone")


def camera(folder: Path) -> list[Finding]:
    """A finding for each camera: one picture of it is taken."""
    from ...live.devices import cameras

    there = cameras()
    if not there:
        return [Finding("camera", LACKING, "none was found", _NO_CAMERA)]
    return [_picture_of(item.device, item.name) for item in there]


def _picture_of(device: str, name: str) -> Finding:
    from ...source.camera import DeviceSource, camera_device

    shown = f"{device} ({name})"
    try:
        with native_lines_hidden(), closing(DeviceSource(camera_device(device, SIZE, RATE, None), TIMEOUT)) as source:
            return Finding("camera", OK, f"{shown} gives pictures of {source.info.width} x {source.info.height}")
    except StreamsegError as error:
        return Finding("camera", FAULT, f"{shown}: {error}", _CAMERA)


def virtual_camera(folder: Path) -> list[Finding]:
    """Whether the virtual camera of `live --to virtual` opens."""
    from ...sink.live.virtual_camera import VirtualSink

    name, only = "virtual camera", "only `live --to virtual` wants it"
    try:
        with native_lines_hidden():
            sink = VirtualSink(None, VideoInfo(*SIZE, "yuv420p", Fraction(1, 30), RATE))
    except MissingDependencyError as error:
        return [Finding(name, LACKING, "pyvirtualcam is not installed", f"{only}: {error}")]
    except StreamsegError as error:
        there = glob("/sys/devices/virtual/video4linux/*") if sys.platform == "linux" else []
        return [Finding(name, FAULT if there else LACKING, "no device opens", f"{only}: {error}")]
    sink.abort()
    return [Finding(name, OK, f"{sink.device} opens")]


def pipewire(folder: Path) -> list[Finding]:
    """Whether the PipeWire of this user answers, for `live --to pipewire`."""
    from ...sink.live.pipewire_stream import PipeWireConnection

    try:
        with native_lines_hidden(), closing(PipeWireConnection()) as connection:
            return [Finding("PipeWire", OK, f"it answers (library {connection.version}): `live --to pipewire` shows a "
                            "camera without a driver")]
    except StreamsegError as error:
        return [Finding("PipeWire", LACKING, "it cannot be reached", f"only `live --to pipewire` wants it: {error}")]


def microphone(folder: Path) -> list[Finding]:
    """Whether the default microphone opens."""
    from ...live.microphone import DeviceBlocks, microphone_device

    try:
        with native_lines_hidden(), closing(DeviceBlocks(microphone_device("default"))) as sound:
            return [Finding("microphone", OK, f"the default one gives {sound.rate} Hz, {sound.layout}")]
    except StreamsegError as error:
        return [Finding("microphone", LACKING, str(error), _MICROPHONE)]


def gpu(folder: Path) -> list[Finding]:
    """Whether there is a GPU, and a runtime that uses it."""
    devices = sorted(glob("/dev/nvidia[0-9]*"))
    if not devices:
        others = sorted(glob("/dev/dri/renderD*"))
        told = f"no NVIDIA device ({', '.join(others)} may decode and encode)" if others else "none was found"
        return [Finding("GPU", LACKING, f"{told}; none is needed: the built-in models run on the CPU")]
    providers = _onnx_providers()
    if providers:
        return [Finding("GPU", OK, f"{', '.join(devices)}; ONNX Runtime has {', '.join(providers)}")]
    if importlib.util.find_spec("tensorflow") is not None:
        return [Finding("GPU", OK, f"{', '.join(devices)}; --device gpu takes .keras models to it by TensorFlow")]
    return [Finding("GPU", LACKING, f"{', '.join(devices)}, and no runtime that uses it",
                    "pip install 'streamseg[gpu]', or onnxruntime-gpu in the place of onnxruntime")]


def _onnx_providers() -> list[str]:
    try:
        import onnxruntime
    except Exception:  # runtimes tells of it
        return []
    known = ("CPUExecutionProvider", "AzureExecutionProvider")
    return [name for name in onnxruntime.get_available_providers() if name not in known]
