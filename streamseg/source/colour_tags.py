"""Colour tags of decoded pictures, completed by what only the container says.

FFmpeg's decoders begin with the container's tags and overwrite those that the codec has fields for. Two of them
overwrite with a constant: VP8's pictures become limited BT.601 (browsers record a canvas as full BT.709, which stands
in the WebM alone), MJPEG's matrix BT.601. libvpx's decoders know no primaries and no transfer. Of the formats that hold
light FFmpeg says so for OpenEXR alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import av

from ..core.pixel_formats import Colour

_CONSTANT_MATRIX, _CONSTANT_RANGE = ("vp8", "mjpeg"), ("vp8",)
_LIGHT, _LINEAR = ("exr", "hdr", "pfm", "phm"), 8  # formats whose numbers are light, and that transfer
_UNKNOWN = (0, 2, 3)  # of primaries and transfers: reserved, unspecified, reserved


@dataclass(frozen=True, slots=True)
class ColourTags:
    """What a container says of a stream's colours; ``codec``: FFmpeg's name."""

    colour: Colour
    codec: str

    @classmethod
    def of(cls, stream: Any) -> Self:
        """Of a stream of an open container, before its codec context has decoded anything."""
        context = stream.codec_context
        return cls(Colour(int(context.colorspace), int(context.color_range), int(context.color_primaries),
                          int(context.color_trc)), context.codec.canonical_name)

    def complete(self, picture: av.VideoFrame) -> None:
        """Write the container's tags into a decoded picture where the codec does not tell."""
        stated = self.colour
        if stated.matrix != 2 and (picture.colorspace == 2 or self.codec in _CONSTANT_MATRIX):
            picture.colorspace = stated.matrix
        if stated.range and (not picture.color_range or self.codec in _CONSTANT_RANGE):
            picture.color_range = stated.range
        if stated.primaries not in _UNKNOWN and picture.color_primaries in _UNKNOWN:
            picture.color_primaries = stated.primaries
        if stated.transfer not in _UNKNOWN and picture.color_trc in _UNKNOWN:
            picture.color_trc = stated.transfer
        if self.codec in _LIGHT and picture.color_trc in _UNKNOWN:
            picture.color_trc = _LINEAR
