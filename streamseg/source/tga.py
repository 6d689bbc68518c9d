"""TGAs of grey with alpha, which FFmpeg (8.1) takes for RGB of 16 bits a pixel, by Pillow."""

from __future__ import annotations

import io

import av
import numpy as np

from ..errors import SourceError
from .open import too_large
from .tiff import NotDecodedError

_KIND, _DEPTH = 2, 16         # places in the head
_GREY, _GREY_RUNS = 3, 11     # kinds


def decoded(packet: av.Packet, name: str, limit: int) -> av.VideoFrame | None:
    """The picture of a TGA of grey with alpha as rgba; None of others. Raises NotDecodedError, and SourceError for more
    pixels than ``limit``."""
    data = bytes(packet)
    if len(data) <= _DEPTH or data[_KIND] not in (_GREY, _GREY_RUNS) or data[_DEPTH] != 16:
        return None
    from PIL import TgaImagePlugin

    try:
        with TgaImagePlugin.TgaImageFile(io.BytesIO(data)) as image:
            if image.width * image.height > limit:
                raise too_large(name, image.width, image.height, limit)
            made = av.VideoFrame.from_ndarray(np.ascontiguousarray(np.asarray(image.convert("RGBA"))), "rgba")
    except SourceError:
        raise
    except Exception as error:  # whatever Pillow raises
        raise NotDecodedError(str(error)) from error
    made.pts, made.time_base = packet.pts, packet.time_base
    return made
