"""Colours of sRGB in films of high dynamic range (HDR), as bright as they are meant.

sRGB and ordinary films tell light as a share of diffuse white; PQ tells it in cd/m2, up to 10000. ITU-R
BT.2408 lays diffuse white at 203 cd/m2: 58 % of PQ's signal, 75 % of HLG's.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..opencv import cv2
from ..pixelformats import Colour

Floats = npt.NDArray[Any]

_PQ, _HLG = 16, 18  # AVColorTransferCharacteristic
_WHITE = 203.0  # cd/m2
_LUMINANCE = np.array([[0.2126, 0.7152, 0.0722]])  # of BT.709's primaries
# ITU-R BT.2087, from BT.709's primaries to BT.2020's
_WIDE = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])


def is_hdr(colour: Colour) -> bool:
    """Whether the transfer is PQ or HLG."""
    return colour.transfer in (_PQ, _HLG)


def signal(rgb: Floats, colour: Colour) -> Floats:
    """(h, w, 3) R'G'B' in [0, 1] of sRGB as those of ``colour``, whose transfer is PQ or HLG."""
    light = _linear(np.clip(rgb, 0, 1))
    luminance = cv2.transform(light, _LUMINANCE)
    if colour.primaries == 9 or (colour.primaries == 2 and colour.matrix in (9, 10)):
        light = cv2.transform(light, _WIDE)
    return _pq(light) if colour.transfer == _PQ else _hlg(light, luminance)


def _linear(rgb: Floats) -> Floats:
    """Light as a share of white (IEC 61966-2-1)."""
    return np.where(rgb <= 0.04045, rgb / 12.92, cv2.pow((rgb + 0.055) / 1.055, 2.4))


def _pq(light: Floats) -> Floats:
    """E' = ((c1 + c2 Y^m1) / (1 + c3 Y^m1))^m2 with Y in 10000 cd/m2 (SMPTE ST 2084, ITU-R BT.2100)."""
    power = cv2.pow(light * (_WHITE / 10000), 2610 / 16384)
    return cv2.pow((3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power), 2523 / 32)


def _hlg(light: Floats, luminance: Floats) -> Floats:
    """E' = sqrt(3 E), from E = 1/12 on a ln(12 E - b) + c (ARIB STD-B67, ITU-R BT.2100).

    E is the scene's light that a display of L = 1000 cd/m2 shows as F: E = (Y / L)^(1 / 1.2 - 1) F / L,
    where Y is the luminance of F (BT.2100's inverse OOTF).
    """
    peak = 1000 / _WHITE
    boost = cv2.pow(np.maximum(luminance / peak, 1e-6), 1 / 1.2 - 1)  # black has no E to boost
    scene = light / peak * boost[..., None]
    bright = 0.17883277 * cv2.log(np.maximum(12 * scene, 1) - 0.28466892) + 0.55991073
    return np.where(scene <= 1 / 12, cv2.sqrt(3 * scene), bright)
