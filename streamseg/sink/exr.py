"""OpenEXR pictures: half or float, premultiplied or straight, in linear light or as the frames came.

How they are written is said by ``codec_set`` (--codec-set NAME=VALUE):

    type         half (default), float
    alpha        premultiplied (default, as EXR's specification has it), straight
    light        linear (default): 1.0 is white; of PQ and HLG the white of graphics, 203 cd/m2 (ITU-R BT.2408);
                 encoded: the numbers as they came, 0..1
    compression  zip (default), zips, piz, dwaa, dwab, none
    layers       no (default), yes: beside R, G, B and A the layers colour (R, G, B: the subject's own colours,
                 straight, carried on beyond it), matte (Y) and, where a background is given, composite (R, G, B)

A cut-out has the channels R, G, B and A, a matte Y. Needs the package OpenEXR (OpenCV's wheel has no EXR).
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..core import matrices
from ..core.frames import Frame
from ..errors import MissingDependencyError
from ..validation import choice
from .pixels import alpha_of, rgb_of

Array = npt.NDArray[np.float32]
_ALLOWED = {"type": ("half", "float"), "alpha": ("premultiplied", "straight"), "light": ("linear", "encoded"),
            "compression": ("zip", "zips", "piz", "dwaa", "dwab", "none"), "layers": ("no", "yes")}
_SRGB, _LINEAR, _PQ, _HLG = 13, 8, 16, 18  # TransferCharacteristics of ITU-T H.273
_GAMMA = {4: 2.2, 5: 2.8}
_UNKNOWN = 2
_WHITE = 203.0  # cd/m2


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
    if points is not None and frame.pixel.planes > 1:
        header["chromaticities"] = points
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
        rgb = _linear(rgb, frame.colour.transfer, frame.pixel.rgb)
    return {name: rgb[:, :, number] for number, name in enumerate("RGB")}


def _linear(encoded: Array, transfer: int, is_rgb: bool) -> Array:
    """Light of ``encoded`` (0..1): 1 is white. The inverses of the curves of ITU-T H.273, table 3; unknown ones count
    as sRGB in RGB pictures and as BT.709 in films."""
    value = encoded.astype(np.float64)
    if transfer == _LINEAR:
        return encoded
    if transfer in _GAMMA:
        light = value ** _GAMMA[transfer]
    elif transfer == _PQ:
        root = value ** (1 / 78.84375)
        light = (np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)) ** (1 / 0.1593017578125)
        light *= 10000 / _WHITE
    elif transfer == _HLG:
        light = np.where(value <= 0.5, value ** 2 / 3, (np.exp((value - 0.55991073) / 0.17883277) + 0.28466892) / 12)
        light /= (np.exp((0.75 - 0.55991073) / 0.17883277) + 0.28466892) / 12  # 75 % is the white of graphics
    elif transfer == _SRGB or (transfer == _UNKNOWN and is_rgb):
        light = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    else:
        light = np.where(value < 0.081, value / 4.5, ((value + 0.099) / 1.099) ** (1 / 0.45))
    return light.astype(np.float32)


def _library() -> Any:
    try:
        import OpenEXR
    except ImportError as error:
        raise MissingDependencyError(f".exr needs the package OpenEXR ({error}): pip install "
                                     "'streamseg[exr]'") from error
    return OpenEXR
