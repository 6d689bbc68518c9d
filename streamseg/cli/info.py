"""`streamseg info`: what is installed and what the machine has, or what a model file says of itself; prints even
where OpenCV does not load."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Callable
from glob import glob
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .. import __version__
from ..core.thread_budget import cores
from . import show
from .flags import Command, Flag, general_flags
from .licences import OPENCV, PACKAGES, licences
from .session import Session
from .text import one_line

if TYPE_CHECKING:
    from rich.console import Console

EXAMPLES = """
    streamseg info
    streamseg info --json
    streamseg info model.onnx
    streamseg info --licenses
"""
ENCODERS = ("libx264", "libx265", "libvpx-vp9", "libsvtav1", "prores_ks", "ffv1", "qtrle", "png", "apng",
            "gif", "libwebp_anim", "h264_nvenc", "hevc_nvenc", "av1_nvenc", "h264_vaapi", "h264_qsv",
            "h264_videotoolbox", "aac", "libopus")
DECODERS = ("h264", "hevc", "av1", "libdav1d", "vp9", "libvpx-vp9", "prores", "ffv1", "mpeg2video", "mpeg4",
            "mjpeg", "webp", "gif", "apng")


@click.command("info", cls=Command, short_help="Show versions, codecs, devices and runtimes, or a model file.",
               examples=EXAMPLES)
@click.argument("model", required=False, metavar="[MODEL]", type=click.Path())
@click.option("--licenses", is_flag=True, cls=Flag,
              help="Show the licences of the code, the models, and the libraries that are installed.")
@general_flags
@click.pass_obj
def info(session: Session, model: str | None, licenses: bool) -> None:
    """Show versions, codecs, devices and runtimes: what to put into a bug report. With MODEL, show what a .tflite,
    .onnx or .keras file says of itself, and the model spec that it runs with."""
    if licenses:
        if model is not None:
            raise click.UsageError("--licenses is of streamseg and its libraries; leave MODEL out: what a file says "
                                   "of its licence stands in `streamseg info MODEL`")
        _licences(session)
        return
    found = {"model": _model(model)} if model is not None else gather()
    if session.json:
        show.json_object(found)
        return
    page(show.console(sys.stdout), found)


def _licences(session: Session) -> None:
    """Print the licences, a table a heading."""
    found = licences()
    if session.json:
        show.json_object(found)
        return
    screen = show.console(sys.stdout)
    for heading, items in found.items():
        screen.print(heading)
        screen.print(show.table((), [tuple(one_line(value) for value in item.values()) for item in items]))


def page(screen: Console, found: dict[str, dict[str, Any]]) -> None:
    """Print each heading with a table of what is under it."""
    for heading, values in found.items():
        screen.print(heading)
        screen.print(show.table((), [(name, one_line(_shown(value))) for name, value in values.items()]))


def gather() -> dict[str, dict[str, Any]]:
    """Everything, by heading. A part that fails shows its error instead."""
    return {
        "versions": {"streamseg": __version__, "python": platform.python_version(),
                     "system": platform.platform(), "opencv": _guarded(_opencv),
                     "opencv's wheel": ", ".join(filter(_version, OPENCV)) or "none",
                     **{name: _version(name) or "not installed" for name in PACKAGES},
                     "ffmpeg": _guarded(_ffmpeg)},
        "codecs": {"encoders": _guarded(lambda: _codecs(ENCODERS, "w")),
                   "decoders": _guarded(lambda: _codecs(DECODERS, "r")),
                   "hardware": _guarded(_hwaccels)},
        "devices": {"cores": cores(),
                    "gpus": sorted(glob("/dev/nvidia[0-9]*") + glob("/dev/dri/renderD*")),
                    "cameras": sorted(glob("/dev/video*"))},
        "runtimes": {"litert": _runtime("ai-edge-litert"), "keras": _runtime("tensorflow"),
                     "onnx": _runtime("onnxruntime")},
    }


def _model(name: str) -> dict[str, Any]:
    from ..segment.model_file import describe
    return describe(Path(name))


def _guarded(ask: Callable[[], Any]) -> Any:
    """The result of ``ask``, or its error as text: users need this page when nothing works."""
    try:
        return ask()
    except Exception as error:
        return f"does not load: {error}"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _runtime(package: str) -> str:
    found = _version(package)
    return f"{package} {found}" if found else f"not installed: pip install {package}"


def _opencv() -> str:
    from ..core.opencv import cv2
    return str(cv2.__version__)


def _ffmpeg() -> str:
    import av
    parts = (f"{name} {'.'.join(map(str, number))}" for name, number in av.library_versions.items())
    return f"{getattr(av, 'ffmpeg_version_info', 'inside av')} ({', '.join(parts)})"


def _codecs(names: tuple[str, ...], mode: str) -> list[str]:
    import av
    return [name for name in names if _has_codec(av, name, mode)]


def _has_codec(av: Any, name: str, mode: str) -> bool:
    try:
        av.Codec(name, mode)
    except ValueError:  # av's UnknownCodecError is one
        return False
    return True


def _hwaccels() -> list[str]:
    from av.codec.hwaccel import hwdevices_available
    return list(hwdevices_available())


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)  # a model spec, to be copied
    return (", ".join(map(str, value)) or "none") if isinstance(value, list) else str(value)
