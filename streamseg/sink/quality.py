"""Rate control: what ``quality`` and ``bitrate`` mean for each encoder.

``quality`` 0..100 becomes: crf 51 - q/2 (libx264, libx265), 63 - 0.6 q (libvpx, libaom, SVT-AV1);
cq or global_quality 51 - q/2 (NVENC, QSV, VAAPI); a quantiser 31 - 0.3 q (MPEG-2 and -4, MJPEG,
ProRes); q (WebP). Without it each encoder's usual value holds: crf 23 (x264), 28 (x265), 32 (VP9), 90 (WebP).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..errors import OptionError
from ..options import OutputOptions
from .containers import ContainerFormat

LOSSLESS = ("ffv1", "png", "apng", "gif", "rawvideo", "wrapped_avframe", "qtrle", "huffyuv", "ffvhuff")


def rate_control(name: str, usual: Mapping[str, str], container_format: ContainerFormat,
                 options: OutputOptions, notes: list[str]) -> tuple[dict[str, str], int, int]:
    """(options, bit rate, quantiser) of the encoder ``name``: its ``usual`` options, with ``quality``,
    ``bitrate`` and ``codec_set`` put into them; the last has the last word."""
    values, bit_rate, quantiser = dict(usual), 0, 0
    if options.bitrate is not None and options.quality is not None:
        raise OptionError(f"bitrate {options.bitrate} and quality {options.quality} exclude each other")
    if container_format.muxer == "avi" and name in ("libx264", "libx265", "mpeg4"):
        values["bf"] = "0"  # AVI stores no presentation times, so frames must come in their order
    if name in LOSSLESS and (options.bitrate is not None or options.quality is not None):
        notes.append(f"{name} is lossless: quality and bitrate change nothing there")
    elif options.bitrate is not None:
        bit_rate = parse_bitrate(options.bitrate)
        for key in ("crf", "b"):
            values.pop(key, None)
    elif options.quality is not None:
        extra, quantiser = _quality(name, options.quality)
        values.update(extra)
    values.update({str(key): str(value) for key, value in options.codec_set.items()})
    return values, bit_rate, quantiser


def _quality(name: str, quality: int) -> tuple[dict[str, str], int]:
    """(encoder options, quantiser) that ``quality`` 0..100 stands for."""
    steep, gentle = str(round(51 - 0.5 * quality)), str(round(63 - 0.6 * quality))
    if name in ("libx264", "libx265"):
        return {"crf": steep}, 0
    if name in ("libvpx-vp9", "libvpx", "libaom-av1", "libsvtav1"):
        return {"crf": gentle}, 0
    if name.endswith("_nvenc"):
        return {"rc": "vbr", "cq": steep}, 0
    if name.endswith(("_qsv", "_vaapi")):
        return {"global_quality": steep}, 0
    quantiser = max(1, round(31 - 0.3 * quality))
    if name in ("mpeg4", "mjpeg", "mpeg2video"):  # PyAV sets each picture's own quality over global_quality
        return {"qmin": str(quantiser), "qmax": str(quantiser)}, 0
    if name == "prores_ks":
        return {}, quantiser
    if name.startswith("libwebp"):
        return {"quality": str(quality)}, 0
    raise OptionError(f"what quality {quality} means is not known for the encoder {name}; give --bitrate, or "
                      "its own options with --codec-set")


def parse_bitrate(text: str) -> int:
    """Bits a second from '4M', '800k' or '2500000'. Raises OptionError."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([kKmM]?)", text.strip())
    value = float(match[1]) * {"": 1, "k": 1e3, "m": 1e6}[match[2].lower()] if match else 0
    if not 1000 <= value <= 2e9:
        raise OptionError(f"bitrate is {text!r}; it must be bits a second from 1k to 2000M, as 4M or 800k")
    return round(value)
