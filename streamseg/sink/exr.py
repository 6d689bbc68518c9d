"""OpenEXR pictures: half or float, premultiplied or straight, in linear light or as the frames came.

How they are written is said by ``codec_set`` (--codec-set NAME=VALUE):

    type         half (default), float
    alpha        premultiplied (default, as EXR's specification has it), straight
    light        linear (default): 1.0 is white; of PQ and HLG the white of graphics, 203 cd/m2 (ITU-R BT.2408);
                 encoded: the numbers as they came, 0..1
    compression  zip (default), zips, piz, dwaa, dwab, none
    layers       no (default), yes: beside R, G, B and A the layers colour (R, G, B: the subject's own colours,
                 straight, carried on beyond it), matte (Y) and, where a background is given, composite (R, G, B)

The attribute streamsegFrom tells what the numbers were made of: light, H.273's numbers of the transfer and of the
primaries. By it a film comes back as it was; other programs leave it out or leave it alone.

A cut-out has the channels R, G, B and A, a matte Y. Needs the package OpenEXR (OpenCV's wheel has no EXR).
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..core import curves, exr_header, matrices
from ..core.frames import Frame
from ..errors import MissingDependencyError
from ..validation import choice
from .pixels import alpha_of, rgb_of

Array = npt.NDArray[np.float32]
_ALLOWED = {"type": ("half", "float"), "alpha": ("premultiplied", "straight"), "light": ("linear", "encoded"),
            "compression": ("zip", "zips", "piz", "dwaa", "dwab", "none"), "layers": ("no", "yes")}


def check_exr(options: Mapping[str, str]) -> None:
    """Raise OptionError for what ``codec_set`` does not mean here, MissingDependencyError without OpenEXR."""
    for name, value in options.items():
        choice("an option of .exr", name, tuple(_ALLOWED))
        choice(f".exr's {name}", str(value), _ALLOWED[name])
    _library()


def exr_bytes(frame: Frame, kind: str, options: Mapping[str, str]) -> bytes:
    """The file of one picture."""
    library: Any = _library()
    chosen = {name: str(options.get(name, values[0])) for name, values in _ALLOWED.items()}
    sample = np.float16 if chosen["type"] == "half" else np.float32
    compression = {"none": "NO"}.get(chosen["compression"], chosen["compression"].upper())
    header = {"compression": getattr(library, f"{compression}_COMPRESSION"),
              "type": library.scanlineimage, "software": "streamseg"}
    points = matrices.chromaticities(frame.colour.primaries)
    if frame.pixel.planes > 1:
        header |= {} if points is None else {"chromaticities": points}
        curve = curves.known(frame.colour.transfer, frame.pixel.rgb)
        header[exr_header.NAME] = exr_header.told(chosen["light"], curve, frame.colour.primaries)
    channels = {name: np.ascontiguousarray(plane.astype(sample))
                for name, plane in _channels(frame, kind, chosen).items()}
    with tempfile.TemporaryDirectory(prefix="streamseg-") as folder:  # it writes to a path alone
        path = Path(folder, "picture.exr")
        with library.File(header, channels) as file:
            file.write(str(path))
        return path.read_bytes()


def exr_channels(path: Path) -> set[str]:
    """The names of a file's channels. Raises RuntimeError if it is none."""
    with _library().File(str(path), separate_channels=True) as file:
        return set(file.channels())


def layered(target: str, options: Mapping[str, str]) -> bool:
    """Whether ``target`` is an .exr that is to hold layers."""
    return target.lower().endswith(".exr") and options.get("layers") == "yes"


def _channels(frame: Frame, kind: str, chosen: Mapping[str, str]) -> dict[str, Array]:
    peak = np.float32(1 / frame.pixel.peak)
    if frame.pixel.planes == 1:
        return {"Y": frame.planes[0] * peak}
    colour = made = _colours(frame, chosen)
    if kind == "cutout":
        alpha = alpha_of(frame) * peak
        if chosen["alpha"] == "premultiplied":
            made = {name: plane * alpha for name, plane in colour.items()}
        made = made | {"A": alpha}
        if chosen["layers"] == "yes":
            over = {} if frame.composite is None else _colours(frame.composite, chosen)
            made |= {f"colour.{name}": plane for name, plane in colour.items()}
            made |= {f"composite.{name}": plane for name, plane in over.items()} | {"matte.Y": alpha}
    return made


def _colours(frame: Frame, chosen: Mapping[str, str]) -> dict[str, Array]:
    rgb: Array = rgb_of(frame, 16) * np.float32(1 / 65535)
    if chosen["light"] == "linear":
        rgb = curves.light_of(rgb, curves.known(frame.colour.transfer, frame.pixel.rgb))
    return {name: rgb[:, :, number] for number, name in enumerate("RGB")}


def _library() -> Any:
    try:
        import OpenEXR
    except ImportError as error:
        raise MissingDependencyError(f".exr needs the package OpenEXR ({error}): pip install "
                                     "'streamseg[exr]'") from error
    return OpenEXR
