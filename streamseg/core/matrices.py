"""Matrices between R'G'B' and the planes Y, Cb and Cr: ITU-T H.273, table 4 (MatrixCoefficients).

Numbers are H.273's, which are FFmpeg's. Where H.273 takes a curve beside the matrix (constant luminance, ICtCp) no
matrix is exact; the nearest one here is right for greys and near for pale colours; ``remarks`` says so.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.float64]

_WEIGHTS = {1: (0.2126, 0.0722), 4: (0.30, 0.11), 5: (0.299, 0.114), 6: (0.299, 0.114), 7: (0.212, 0.087),
            9: (0.2627, 0.0593), 10: (0.2627, 0.0593)}  # Kr, Kb
_PRIMARIES = {  # x and y of red, green, blue and white: H.273, table 2
    1: (0.64, 0.33, 0.30, 0.60, 0.15, 0.06, 0.3127, 0.3290), 4: (0.67, 0.33, 0.21, 0.71, 0.14, 0.08, 0.310, 0.316),
    5: (0.64, 0.33, 0.29, 0.60, 0.15, 0.06, 0.3127, 0.3290), 6: (0.63, 0.34, 0.31, 0.595, 0.155, 0.07, 0.3127, 0.3290),
    7: (0.63, 0.34, 0.31, 0.595, 0.155, 0.07, 0.3127, 0.3290),
    8: (0.681, 0.319, 0.243, 0.692, 0.145, 0.049, 0.310, 0.316),
    9: (0.708, 0.292, 0.170, 0.797, 0.131, 0.046, 0.3127, 0.3290),
    11: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, 0.314, 0.351),
    12: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, 0.3127, 0.3290),
    22: (0.630, 0.340, 0.295, 0.605, 0.155, 0.077, 0.3127, 0.3290)}
_YCGCO = np.array([[0.25, 0.5, 0.25], [-0.25, 0.5, -0.25], [0.5, 0.0, -0.5]])
_LMS = np.array([[1688, 2146, 262], [683, 2951, 462], [99, 309, 3688]]) / 4096
_ICTCP = np.array([[2048, 2048, 0], [6610, -13613, 7003], [17933, -17390, -543]]) / 4096
_ICTCP_HLG = np.array([[2048, 2048, 0], [3625, -7465, 3840], [9500, -9212, -288]]) / 4096
_HLG = 18  # TransferCharacteristics
_APPROXIMATE = {10: "BT.2020 with constant luminance", 13: "constant luminance of the primaries", 14: "ICtCp",
                15: "IPT-PQ-C2"}
_SWSCALE = (0, 1, 2, 4, 5, 6, 7, 9)  # what it takes; others, 3 (reserved) too, it refuses with EOPNOTSUPP


def rows(matrix: int, primaries: int, transfer: int, height: int) -> Rows:
    """(3, 3) from R'G'B' in [0, 1] to Y in [0, 1] and Cb, Cr in [-0.5, 0.5]. Unknown ones count as BT.601 below 720
    lines, else BT.709."""
    if matrix == 8:
        return _YCGCO
    if matrix in (16, 17):  # YCgCo-Re and -Ro: lossless, by 2 or 1 more bits than R'G'B' has; chroma by twice the step
        scale: Rows = np.array([[1.0], [2.0], [2.0]]) * {16: 0.25, 17: 0.5}[matrix]
        return _YCGCO * scale
    if matrix == 11:  # Y'D'zD'x, of X'Y'Z'
        return np.array([[0.0, 1.0, 0.0], [0.0, -0.5, 0.986566 / 2], [0.5, -0.991902 / 2, 0.0]])
    if matrix in (14, 15):
        made: Rows = (_ICTCP_HLG if transfer == _HLG else _ICTCP) @ _LMS
        return made
    if matrix in (12, 13) and primaries in _PRIMARIES:
        return _of_weights(*derived_weights(_PRIMARIES[primaries]))
    return _of_weights(*_WEIGHTS.get(matrix, _WEIGHTS[1] if height >= 720 else _WEIGHTS[6]))


def remarks(matrix: int) -> list[str]:
    """What is to be said of pictures of that matrix: that ``rows`` is an approximation."""
    if matrix not in _APPROXIMATE:
        return []
    return [f"the colours are {_APPROXIMATE[matrix]}, which no matrix turns into RGB exactly: strong colours of "
            "backgrounds and of RGB outputs are approximate; the subject of a film in YUV keeps its own"]


def swscale_matrix(matrix: int, height: int) -> int:
    """PyAV's number (swscale's: 1 BT.709, 4 FCC, 5 BT.601, 7 SMPTE 240M, 9 BT.2020) of a matrix, or of one like it
    for a conversion that leaves the matrix as it is."""
    known = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9, 10: 9, 14: 9, 15: 9}
    return known.get(matrix, 1 if height >= 720 else 5)


def kept(matrix: int) -> dict[str, int]:
    """Arguments for PyAV's ``reformat`` of a picture with that tag, to a format with the same colours: swscale refuses
    pictures of some matrices even where none is used."""
    return {} if matrix in _SWSCALE else {"src_colorspace": 5, "dst_colorspace": 5}


def chromaticities(primaries: int) -> tuple[float, ...] | None:
    """x and y of red, green, blue and white of H.273's ColourPrimaries; None if unknown."""
    return _PRIMARIES.get(primaries)


def derived_weights(primaries: Sequence[float]) -> tuple[float, float]:
    """(Kr, Kb) of the x and y of red, green, blue and white: the shares of luminance that make white (H.273)."""
    points = np.array(primaries).reshape(4, 2)
    xyz = np.column_stack([points[:, 0] / points[:, 1], np.ones(4), (1 - points.sum(axis=1)) / points[:, 1]])
    shares = np.linalg.solve(xyz[:3].T, xyz[3])
    return float(shares[0]), float(shares[2])


def _of_weights(kr: float, kb: float) -> Rows:
    kg = 1.0 - kr - kb
    return np.array([[kr, kg, kb],
                     [-kr / (2 - 2 * kb), -kg / (2 - 2 * kb), 0.5],
                     [0.5, -kg / (2 - 2 * kr), -kb / (2 - 2 * kr)]])
