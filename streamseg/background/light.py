"""Colours brought between ordinary films (SDR) and those of high dynamic range (HDR), as bright as they are
meant.

sRGB and ordinary films tell light as a share of diffuse white; PQ tells it in cd/m2, up to 10000, HLG up to a
display's peak, here 1000. ITU-R BT.2408 lays diffuse white at 203 cd/m2: 58 % of PQ's signal, 75 % of HLG's.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..core.opencv import cv2
from ..core.pixel_formats import Colour

Floats = npt.NDArray[Any]

_PQ, _HLG = 16, 18  # AVColorTransferCharacteristic
_WHITE = 203.0  # cd/m2
_PEAK = 1000 / _WHITE  # of HLG's display
_LUMINANCE = np.array([[0.2126, 0.7152, 0.0722]])  # of BT.709's primaries
_WIDE_LUMINANCE = np.array([[0.2627, 0.6780, 0.0593]])  # of BT.2020's
# ITU-R BT.2087, from BT.709's primaries to BT.2020's
_WIDE = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])
_NARROW = np.linalg.inv(_WIDE)

_SRGB = Colour()
_NAMES = {1: "BT.709", 2: "untagged", 6: "BT.601", 13: "sRGB", 14: "BT.2020", 15: "BT.2020", _PQ: "PQ",
          _HLG: "HLG"}


def is_hdr(colour: Colour) -> bool:
    """Whether the transfer is PQ or HLG."""
    return colour.transfer in (_PQ, _HLG)


def differs(colour: Colour, other: Colour) -> bool:
    """Whether the same signal is other light in the two, of which one is HDR."""
    return colour.transfer != other.transfer and (is_hdr(colour) or is_hdr(other))


def remarks(name: str, colour: Colour, behind: Colour) -> list[str]:
    """What is to be said of the background ``name`` of ``colour`` behind films of the other."""
    if not is_hdr(colour) or is_hdr(behind):
        return []
    own, other = (_NAMES.get(item.transfer, f"transfer {item.transfer}") for item in (colour, behind))
    return [f"background {name} is HDR ({own}), the input is not ({other}): what is brighter than white in "
            "it is cut off; to keep it, map its tones down first, as ffmpeg's filter tonemap does"]


def signal(rgb: Floats, colour: Colour, of: Colour = _SRGB) -> Floats:
    """(h, w, 3) R'G'B' in [0, 1] of ``of``, by default sRGB, as those of ``colour``. Light beyond what it can
    tell is cut off."""
    light = _light(np.clip(rgb, 0, 1), of)
    if _wide(of) != _wide(colour):
        light = cv2.transform(light, _WIDE if _wide(colour) else _NARROW)
    light = np.maximum(light, 0)  # what was outside BT.709's gamut
    if colour.transfer == _PQ:
        made = _pq(light)
    elif colour.transfer == _HLG:
        made = _hlg(light, _weights(colour))
    else:
        made = _srgb(np.minimum(light, 1))
    return np.clip(made, 0, 1)


def _wide(colour: Colour) -> bool:
    """Whether the primaries are BT.2020's."""
    return colour.primaries == 9 or (colour.primaries == 2 and colour.matrix in (9, 10, 14))


def _weights(colour: Colour) -> npt.NDArray[np.float64]:
    return _WIDE_LUMINANCE if _wide(colour) else _LUMINANCE


def _light(rgb: Floats, colour: Colour) -> Floats:
    """Light that a display shows for R'G'B' in [0, 1], as a share of diffuse white."""
    if colour.transfer == _PQ:
        return _from_pq(rgb)
    return _from_hlg(rgb, _weights(colour)) if colour.transfer == _HLG else _from_srgb(rgb)


def _from_srgb(rgb: Floats) -> Floats:
    """IEC 61966-2-1."""
    return np.where(rgb <= 0.04045, rgb / 12.92, cv2.pow((rgb + 0.055) / 1.055, 2.4))


def _srgb(light: Floats) -> Floats:
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * cv2.pow(light, 1 / 2.4) - 0.055)


def _pq(light: Floats) -> Floats:
    """E' = ((c1 + c2 Y^m1) / (1 + c3 Y^m1))^m2 with Y in 10000 cd/m2 (SMPTE ST 2084, ITU-R BT.2100)."""
    power = cv2.pow(light * (_WHITE / 10000), 2610 / 16384)
    return cv2.pow((3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power), 2523 / 32)


def _from_pq(rgb: Floats) -> Floats:
    power = cv2.pow(rgb, 32 / 2523)
    share = np.maximum(power - 3424 / 4096, 0) / (2413 / 128 - 2392 / 128 * power)
    return cv2.pow(share, 16384 / 2610) * (10000 / _WHITE)


def _hlg(light: Floats, weights: Floats) -> Floats:
    """E' = sqrt(3 E), from E = 1/12 on a ln(12 E - b) + c (ARIB STD-B67, ITU-R BT.2100).

    E is the scene's light that a display of L = 1000 cd/m2 shows as F: E = (Y / L)^(1 / 1.2 - 1) F / L,
    where Y is the luminance of F (BT.2100's inverse OOTF).
    """
    luminance = cv2.transform(light, weights)
    boost = cv2.pow(np.maximum(luminance / _PEAK, 1e-6), 1 / 1.2 - 1)  # black has no E to boost
    scene = light / _PEAK * boost[..., None]
    bright = 0.17883277 * cv2.log(np.maximum(12 * scene, 1) - 0.28466892) + 0.55991073
    return np.where(scene <= 1 / 12, cv2.sqrt(3 * scene), bright)


def _from_hlg(rgb: Floats, weights: Floats) -> Floats:
    """The inverse: F = L Ys^(1.2 - 1) E, where Ys is the luminance of E."""
    bright = (cv2.exp((rgb - 0.55991073) / 0.17883277) + 0.28466892) / 12
    scene = np.where(rgb <= 0.5, rgb * rgb / 3, bright)
    return scene * (_PEAK * cv2.pow(cv2.transform(scene, weights), 1.2 - 1))[..., None]
