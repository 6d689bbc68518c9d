"""Pictures made of tiles, as phones write HEIC: FFmpeg reads each tile as a stream of its own, so Pillow (AVIF)
and libheif (HEIC, the extra ``heif``) decode them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
from av.stream import Disposition

from ..errors import DamagedInputError, MissingDependencyError
from ..options import MAX_PIXELS
from .metadata import PictureMetadata, has_exif, valid_profile
from .open import too_large

DEPENDENT = Disposition(1 << 19)  # AV_DISPOSITION_DEPENDENT, which PyAV 18 does not name


def is_tiled(container: Any) -> bool:
    """Whether an open input is a picture in tiles. Beside the tiles there may be pictures of one piece: a thumbnail, a
    depth map."""
    return any(Disposition(stream.disposition) & DEPENDENT for stream in container.streams.video)


def read_tiled(path: Path, limit: int = MAX_PIXELS) -> tuple[av.VideoFrame, PictureMetadata]:
    """The whole picture in 8 bits, upright, as rgb24 or rgba, and its metadata.

    Raises MissingDependencyError where there is no decoder, SourceError and DamagedInputError.
    """
    with path.open("rb") as file:
        brand = file.read(12)[8:12]
    avif = brand in (b"avif", b"avis")
    image = _avif(path) if avif else _heif(path)
    if image.size[0] * image.size[1] > limit:
        raise too_large(str(path), image.size[0], image.size[1], limit)
    alpha = image.mode in ("RGBA", "RGBa", "LA", "La")  # a small a: multiplied in, which Pillow undoes
    try:
        picture = image if image.mode in ("RGB", "RGBA") else image.convert("RGBA" if alpha else "RGB")
        if avif:  # Pillow tells its turn as EXIF's; libheif has turned a HEIC already, whose EXIF may repeat the turn
            from PIL import ImageOps

            picture = ImageOps.exif_transpose(picture)
        pixels = np.ascontiguousarray(np.asarray(picture))
    except Exception as error:  # whatever the decoder raises
        raise DamagedInputError(f"{path} does not decode: {error}") from error
    depth = image.info.get("bit_depth", 8)
    unkept = ("EXIF (camera, time, place)",) * has_exif(image.info.get("exif")) + (
        f"the {depth} bits of a tiled picture (8 are read)",) * (depth > 8)
    return (av.VideoFrame.from_ndarray(pixels, "rgba" if alpha else "rgb24"),
            PictureMetadata(profile=valid_profile(image.info.get("icc_profile")), unkept=unkept))


def _avif(path: Path) -> Any:
    try:
        from PIL import AvifImagePlugin
    except ImportError as error:
        raise MissingDependencyError(f"{path} is an AVIF in tiles, which needs Pillow 11.3 or newer: pip install -U "
                                     "pillow") from error
    try:
        return AvifImagePlugin.AvifImageFile(path)
    except Exception as error:
        raise DamagedInputError(f"{path} cannot be read: {error}") from error


def _heif(path: Path) -> Any:
    try:
        import pi_heif
    except ImportError as error:
        raise MissingDependencyError(
            f"{path} is a HEIC in tiles, which needs libheif: pip install 'streamseg[heif]' (in a checkout: pip "
            "install -e '.[heif]'), or convert it to JPEG or PNG") from error
    try:
        image = pi_heif.open_heif(path)
        made = image.to_pillow()
        made.info["bit_depth"] = image.info.get("bit_depth", 8)
        return made
    except Exception as error:
        raise DamagedInputError(f"{path} cannot be read: {error}") from error
