"""Stereoscopic layout and spherical projection into Matroska, WebM and MP4.

FFmpeg's muxers write them from a stream's side data, to which PyAV 18 gives no access. A stream that is made after one
of an input takes the input's: so a header of Matroska with the marks in it is made and opened, and the encoder, which
is a context of its own, hands its packets to the stream that is made after that.
"""

from __future__ import annotations

import io
import struct
from typing import Any

import av

from ..core.spatial import Spatial
from .containers import ContainerFormat
from .encoder import Settings, open_encoder

# Matroska's StereoMode (RFC 9559, 5.1.4.1.28.3) of FFmpeg's layouts, and of the inverted ones
_STEREO = {(0, False): 0, (1, False): 1, (1, True): 11, (2, False): 3, (2, True): 2, (3, False): 13, (3, True): 14,
           (4, False): 5, (4, True): 4, (6, False): 7, (6, True): 6, (7, False): 9, (7, True): 8}
_PROJECTION = {4: 0, 0: 1, 2: 1, 1: 2}  # Matroska's ProjectionType; 3 (half a sphere) and 5 (fisheye) have none
_CODECS = {"h264": b"V_MPEG4/ISO/AVC", "hevc": b"V_MPEGH/ISO/HEVC", "vp9": b"V_VP9", "vp8": b"V_VP8", "av1": b"V_AV1",
           "ffv1": b"V_FFV1"}
_HOLDING = ("matroska", "webm", "mp4")
_GLOBAL_HEADER = 1 << 22


def not_kept(spatial: Spatial | None, muxer: str, codec: str) -> list[str]:
    """What a file of that muxer and codec (its canonical name) does not hold of ``spatial``, as notes."""
    if spatial is None:
        return []
    possible = muxer in _HOLDING and codec in _CODECS
    lost = []
    if spatial.layout is not None and not (possible and _holds_layout(spatial, muxer)):
        lost.append("the layout of the two views (stereoscopic 3D) is left out")
    if spatial.projection is not None and not (possible and spatial.projection in _PROJECTION):
        lost.append("the projection (360 degrees, VR) is left out")
    return [f"{what}; .mkv, .webm and .mp4 hold the usual ones" for what in lost]


def encoding_stream(container: Any, settings: Settings, container_format: ContainerFormat, spatial: Spatial
                    ) -> tuple[Any, Any] | None:
    """(the encoder's context, open; the stream for its packets), with what the container holds of ``spatial``; None if
    that is nothing, or if the encoder is hardware."""
    codec = av.Codec(settings.codec, "w").canonical_name
    held = Spatial(spatial.layout if _holds_layout(spatial, container_format.muxer) else None, spatial.inverted,
                   spatial.projection if spatial.projection in _PROJECTION else None, spatial.angles, spatial.bounds,
                   spatial.padding)
    nothing = held.layout is None and held.projection is None
    if nothing or container_format.muxer not in _HOLDING or codec not in _CODECS or settings.device() is not None:
        return None
    context: Any = av.CodecContext.create(settings.codec, "w")
    settings.apply(context)
    context.flags |= _GLOBAL_HEADER
    open_encoder(context)
    with av.open(io.BytesIO(_header(_CODECS[codec], settings.width, settings.height, held))) as template:
        stream = container.add_stream_from_template(template.streams.video[0], opaque=True)
    stream.time_base = settings.time_base
    made = stream.codec_context
    made.extradata = context.extradata
    made.width, made.height, made.pix_fmt = settings.width, settings.height, settings.pix_fmt
    made.sample_aspect_ratio, made.framerate = settings.sample_aspect, settings.rate
    made.colorspace, made.color_range = settings.colour.matrix, settings.colour.range
    made.color_primaries, made.color_trc = settings.colour.primaries, settings.colour.transfer
    if settings.tag:
        made.codec_tag = settings.tag
    return context, stream


def _holds_layout(spatial: Spatial, muxer: str) -> bool:
    if muxer == "mp4":  # st3d: one view, one above the other, side by side
        return spatial.layout in (0, 1, 2) and not spatial.inverted
    return (spatial.layout, spatial.inverted) in _STEREO


def _header(codec: bytes, width: int, height: int, spatial: Spatial) -> bytes:
    """A Matroska file of one track and one empty block (RFC 9559)."""
    video = _number("b0", width) + _number("ba", height)
    if spatial.layout is not None:
        video += _number("53b8", _STEREO[spatial.layout, spatial.inverted])
    if spatial.projection is not None:
        private = {2: struct.pack(">5I", 0, spatial.bounds[1], spatial.bounds[3], spatial.bounds[0], spatial.bounds[2]),
                   1: struct.pack(">3I", 0, 0, spatial.padding)}.get(spatial.projection, b"")
        angles = [_element(name, struct.pack(">d", angle / 65536))
                  for name, angle in zip(("7673", "7674", "7675"), spatial.angles, strict=True)]
        video += _element("7670", _number("7671", _PROJECTION[spatial.projection]),
                          _element("7672", private) if private else b"", *angles)
    track = _element("ae", _number("d7", 1), _number("73c5", 1), _number("83", 1), _element("86", codec),
                     _element("e0", video))
    return (_element("1a45dfa3", _element("4282", b"matroska"), _number("4287", 4), _number("4285", 2))
            + _element("18538067", _element("1549a966", _number("2ad7b1", 1_000_000)), _element("1654ae6b", track),
                       _element("1f43b675", _number("e7", 0), _element("a3", b"\x81\0\0\x80\0"))))


def _element(name: str, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return bytes.fromhex(name) + (len(body) | 1 << 56).to_bytes(8, "big") + body


def _number(name: str, value: int) -> bytes:
    return _element(name, value.to_bytes(max(1, -(-value.bit_length() // 8)), "big"))
