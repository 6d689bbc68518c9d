"""The curves between light and the numbers of pictures: ITU-T H.273, table 3 (TransferCharacteristics).

Light of 1 is white; of PQ and HLG the white of graphics, 203 cd/m2 (ITU-R BT.2408).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
SRGB, LINEAR = 13, 8
_BT709, _PQ, _HLG, _UNKNOWN = 1, 16, 18, 2
_GAMMA = {4: 2.2, 5: 2.8}
_WHITE = 203.0  # cd/m2
_A, _B, _C = 0.17883277, 0.28466892, 0.55991073  # HLG's
_HLG_WHITE = (np.exp((0.75 - _C) / _A) + _B) / 12  # 75 % is the white of graphics


def known(transfer: int, is_rgb: bool) -> int:
    """The number of the curve that is used for ``transfer``: an unknown one counts as sRGB's in RGB pictures and as
    BT.709's in films."""
    if transfer in (*_GAMMA, LINEAR, SRGB, _PQ, _HLG):
        return transfer
    return SRGB if transfer == _UNKNOWN and is_rgb else _BT709


def light_of(encoded: npt.NDArray[Any], transfer: int) -> Floats:
    """Light of ``encoded`` (0..1) by a curve that is ``known``."""
    value = encoded.astype(np.float64)
    if transfer == LINEAR:
        light = value
    elif transfer in _GAMMA:
        light = value ** _GAMMA[transfer]
    elif transfer == _PQ:
        root = value ** (1 / 78.84375)
        light = (np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)) ** (1 / 0.1593017578125)
        light *= 10000 / _WHITE
    elif transfer == _HLG:
        light = np.where(value <= 0.5, value ** 2 / 3, (np.exp((value - _C) / _A) + _B) / 12) / _HLG_WHITE
    elif transfer == SRGB:
        light = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    else:
        light = np.where(value < 0.081, value / 4.5, ((value + 0.099) / 1.099) ** (1 / 0.45))
    return light.astype(np.float32)


def encoded(light: Floats, transfer: int) -> Floats:
    """The inverse; ``light`` is not negative, and what is too bright for the curve becomes more than 1."""
    if transfer == LINEAR:
        return light
    if transfer in _GAMMA:
        made = light ** (1 / _GAMMA[transfer])
    elif transfer == _PQ:
        power = (light * np.float32(_WHITE / 10000)) ** 0.1593017578125
        made = ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375
    elif transfer == _HLG:
        scene = light * np.float32(_HLG_WHITE)
        made = np.where(scene <= 1 / 12, np.sqrt(3 * scene), _A * np.log(np.maximum(12 * scene - _B, 1e-6)) + _C)
    elif transfer == SRGB:
        made = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** np.float32(1 / 2.4) - 0.055)
    else:
        made = np.where(light < 0.018, light * 4.5, 1.099 * light ** np.float32(0.45) - 0.099)
    return made.astype(np.float32)
