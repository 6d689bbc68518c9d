"""HDR10's metadata into the encoders that write it into their stream.

PyAV 18 gives no access to the side data of streams and encoders, so it goes by the way of their own options.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from ..core.pixel_formats import Mastering

# The option that holds an encoder's own, and in it the names of the display's and the content's; the units a
# chromaticity and a candela are counted in (1: as they are)
_ENCODERS = {"libx264": ("x264-params", "mastering-display", "cll", 50000, 10000),
             "libx265": ("x265-params", "master-display", "max-cll", 50000, 10000),
             "libsvtav1": ("svtav1-params", "mastering-display", "content-light", 1, 1)}


def with_mastering(codec: str, values: Mapping[str, str], mastering: Mastering) -> dict[str, str] | None:
    """The encoder's options with the metadata, what is given there already left; None if it takes none."""
    if codec not in _ENCODERS:
        return None
    key, display, content, fine, dim = _ENCODERS[codec]
    given = [values[key]] if values.get(key) else []
    if mastering.display is not None and display not in values.get(key, ""):
        given.append(f"{display}={_display(mastering.display, fine, dim)}")
    if mastering.content is not None and content not in values.get(key, ""):
        given.append(f"{content}={mastering.content[0]},{mastering.content[1]}")
    return {**values, key: ":".join(given)}


def _display(numbers: tuple[Fraction, ...], fine: int, dim: int) -> str:
    red, green, blue, white = ([_counted(number, fine) for number in numbers[at:at + 2]]
                               for at in range(0, 8, 2))
    darkest, brightest = (_counted(number, dim) for number in numbers[8:])
    pairs = (("G", green), ("B", blue), ("R", red), ("WP", white), ("L", [brightest, darkest]))
    return "".join(f"{name}({first},{second})" for name, (first, second) in pairs)


def _counted(number: Fraction, units: int) -> str:
    return f"{float(number):.6f}" if units == 1 else str(round(number * units))
