"""Converts frames to an encoder's pixel format; planes that fit are used as they are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from ..core.frames import Frame
from ..core.matrices import kept, swscale_matrix
from ..core.opencv import cv2
from ..core.pixel_formats import FORMATS, FULL, LIMITED, yuv_from_rgb
from ..core.resampling import shrink
from ..errors import SinkError
from .containers import EncoderInput
from .encoder import Settings

# Encoders that write A/53 captions from a picture's side data
CAPTIONED = ("libx264", "libx265", "mpeg2video", "h264_nvenc", "hevc_nvenc")


def picture_for(frame: Frame, settings: Settings, alpha: bool) -> av.VideoFrame:
    """``frame`` in the encoder's pixel format and size, with ``frame``'s pts and the settings' colour tags.

    An opaque frame that fits already is handed on without a copy.
    """
    frame = extended(frame, settings.width, settings.height)
    layout = EncoderInput.of(settings.pix_fmt)
    if layout.rgb and not (frame.format == settings.pix_fmt and not alpha):
        picture = _packed(frame, settings.pix_fmt, alpha)
    elif frame.pixel.planes == 1:
        picture = _grey(frame, settings.pix_fmt, layout)
    elif alpha:
        picture = _translucent(frame, settings, layout)
    else:
        fits = frame.format == settings.pix_fmt and _same_colours(frame, settings)
        picture = frame.to_av() if fits else _converted(frame, settings)
    if frame.captions is not None and settings.codec in CAPTIONED and not layout.grey:
        picture = _captioned(picture, frame.captions)
    picture.pts, picture.time_base = frame.pts, frame.time_base
    if frame.duration:
        picture.duration = frame.duration
    picture.colorspace, picture.color_range = settings.colour.matrix, settings.colour.range
    picture.color_primaries, picture.color_trc = settings.colour.primaries, settings.colour.transfer
    # A decoded picture keeps its type (I, P or B), and encoders would take it as an instruction.
    picture.pict_type = av.video.frame.PictureType.NONE
    return picture


def _captioned(picture: av.VideoFrame, captions: av.VideoFrame) -> av.VideoFrame:
    """The picture with the captions of ``captions``, which PyAV copies only from one picture to a scaled one."""
    made = captions.reformat(width=picture.width, height=picture.height, format=picture.format.name, threads=1)
    for to, own in zip(made.planes, picture.planes, strict=True):
        target: Any = np.frombuffer(memoryview(to), np.uint8)
        source: Any = np.frombuffer(memoryview(own), np.uint8)
        width = min(to.line_size, own.line_size)
        rows = min(len(target) // to.line_size, len(source) // own.line_size)
        np.copyto(target[:rows * to.line_size].reshape(rows, -1)[:, :width],
                  source[:rows * own.line_size].reshape(rows, -1)[:, :width])
    return made


def rgb_of(frame: Frame, depth: int) -> npt.NDArray[Any]:
    """(h, w, 3) RGB: uint8 0..255 for ``depth`` 8, else uint16 0..65535. Exact to rounding."""
    if depth == 8:
        return frame.rgb()
    peak, size = frame.pixel.peak, (frame.width, frame.height)
    planes = [shrink(plane, size).astype(np.float32) for plane in frame.planes]
    merged: npt.NDArray[Any]
    if frame.pixel.planes == 1:
        merged = cv2.merge(planes * 3) * np.float32(65535 / peak)
    elif frame.pixel.rgb:
        merged = cv2.merge([planes[2], planes[0], planes[1]]) * np.float32(65535 / peak)
    else:
        forward = yuv_from_rgb(frame.colour, frame.height, frame.pixel.depth)
        inverse = np.linalg.inv(forward[:, :3])
        affine = np.concatenate([inverse, -inverse @ forward[:, 3:]], axis=1) * 65535.0
        merged = cv2.transform(cv2.merge(planes), affine)
    return np.clip(np.rint(merged), 0, 65535).astype(np.uint16)


def scaled(plane: npt.NDArray[Any], from_depth: int, to_depth: int) -> npt.NDArray[Any]:
    """Full-range samples (alpha, grey) at another depth: 0 stays 0 and peak becomes peak."""
    if from_depth == to_depth:
        return plane
    factor = ((1 << to_depth) - 1) / ((1 << from_depth) - 1)
    kind = np.uint8 if to_depth == 8 else np.uint16
    return np.rint(plane.astype(np.float32) * np.float32(factor)).astype(kind)


def rgba_of(frame: Frame, depth: int) -> npt.NDArray[Any]:
    """(h, w, 4) straight RGBA at ``depth`` 8 or 16. Raises SinkError if the frame has no alpha."""
    return cv2.merge([rgb_of(frame, depth), scaled(alpha_of(frame), frame.pixel.depth, depth)])


def alpha_of(frame: Frame) -> npt.NDArray[Any]:
    """The frame's alpha plane. Raises SinkError where there is none."""
    if frame.alpha is None:
        raise SinkError(f"frame {frame.index} was to be written with transparency and has no alpha")
    return frame.alpha


def extended(frame: Frame, width: int, height: int) -> Frame:
    """Last row and column repeated up to an even size; chroma was rounded up already."""
    if (frame.width, frame.height) == (width, height):
        return frame
    pixel = frame.pixel

    def extend(plane: npt.NDArray[Any], number: int) -> npt.NDArray[Any]:
        rows, columns = pixel.shape(number, width, height)
        return cv2.copyMakeBorder(plane, 0, rows - plane.shape[0], 0, columns - plane.shape[1],
                                  cv2.BORDER_REPLICATE)

    planes = tuple(extend(plane, number) for number, plane in enumerate(frame.planes))
    alpha = None if frame.alpha is None else extend(frame.alpha, 0)
    return replace(frame, planes=planes, alpha=alpha, owner=None)


def _same_colours(frame: Frame, settings: Settings) -> bool:
    """Whether the frame's samples mean what the settings' tags say; those that are not tagged count as limited, and
    their matrix follows the height."""
    mine, wanted = frame.colour, settings.colour
    return mine == wanted or frame.pixel.rgb or (
        mine.full_range == wanted.full_range and mine.weights(frame.height) == wanted.weights(frame.height))


def _converted(frame: Frame, settings: Settings) -> av.VideoFrame:
    """By swscale, with explicit matrices and ranges: untagged YUV would count as BT.601. Opaque: of alpha swscale
    shifts the bits where the chroma changes, too, and full becomes 1020 of 1023."""
    if not frame.pixel.rgb and kept(frame.colour.matrix) and frame.colour.matrix != settings.colour.matrix:
        frame = _as_rgb(frame)  # swscale does not know the matrix
    source_range = FULL if frame.full_range else LIMITED
    target_range = settings.colour.range or LIMITED
    to = swscale_matrix(settings.colour.matrix, frame.height)
    flags = av.video.reformatter.Interpolation.BICUBIC | av.video.reformatter.Interpolation.ACCURATE_RND
    return frame.to_av().reformat(format=settings.pix_fmt, interpolation=flags,
                                  src_colorspace=None if frame.pixel.rgb
                                  else swscale_matrix(frame.colour.matrix, frame.height), dst_colorspace=to,
                                  src_color_range=source_range, dst_color_range=target_range,
                                  threads=1)  # more corrupt slice borders where the width is not aligned


def _as_rgb(frame: Frame) -> Frame:
    """The frame in RGB of 16 bits, by its own matrix."""
    rgb = rgb_of(frame, 16)
    planes = tuple(np.ascontiguousarray(rgb[:, :, channel]) for channel in (1, 2, 0))
    alpha = None if frame.alpha is None else scaled(frame.alpha, frame.pixel.depth, 16)
    return replace(frame, planes=planes, format="gbrp16le", alpha=alpha, owner=None)


def _translucent(frame: Frame, settings: Settings, layout: EncoderInput) -> av.VideoFrame:
    """The frame with its alpha, in a format that is not RGB; alpha's 0 is 0 there, and its peak the peak."""
    if settings.pix_fmt == _name_with_alpha(frame) and _same_colours(frame, settings):
        return _with_alpha(frame)
    picture = _converted(frame, settings)
    _fill(picture, 3, scaled(alpha_of(frame), frame.pixel.depth, layout.depth))
    return picture


def _name_with_alpha(frame: Frame) -> str:
    """FFmpeg's format of the frame's kind that has alpha."""
    if frame.pixel.rgb:
        return frame.format.replace("gbrp", "gbrap")
    # FFmpeg has no yuva420p12: 12-bit samples in 16 bits, limited range scales by powers of two
    return {"yuv420p12le": "yuva420p16le"}.get(frame.format, frame.format.replace("yuv", "yuva"))


def _with_alpha(frame: Frame) -> av.VideoFrame:
    """The planes and alpha in FFmpeg's format of the same kind that has both."""
    name = _name_with_alpha(frame)
    picture = av.VideoFrame(frame.width, frame.height, name)
    alpha = alpha_of(frame)
    for number, plane in enumerate(frame.planes):
        _fill(picture, number, plane << 4 if name == "yuva420p16le" else plane)
    _fill(picture, 3, scaled(alpha, frame.pixel.depth, 16) if name == "yuva420p16le" else alpha)
    return picture


def _grey(frame: Frame, name: str, layout: EncoderInput) -> av.VideoFrame:
    """A matte: grey of another depth or byte order, or for encoders of colour full-range luma with neutral chroma."""
    if frame.format == name:
        return frame.to_av()
    picture = av.VideoFrame(frame.width, frame.height, name)
    samples = scaled(frame.planes[0], frame.pixel.depth, layout.depth)
    _fill(picture, 0, samples.byteswap() if name.endswith("be") else samples)
    for number in () if layout.grey else (1, 2):
        pixel = FORMATS[name]
        rows, columns = pixel.shape(number, frame.width, frame.height)
        _fill(picture, number, np.full((rows, columns), 1 << (pixel.depth - 1), pixel.dtype))
    return picture


def _packed(frame: Frame, name: str, alpha: bool) -> av.VideoFrame:
    """RGB(A) formats, planar or interleaved, of 8 or more bits, from straight RGB."""
    layout = EncoderInput.of(name)
    if name.startswith("gbr"):
        return _with_alpha(frame) if alpha and name == _name_with_alpha(frame) else _planar_rgb(frame, name, alpha)
    depth = 8 if layout.depth == 8 else 16
    rgba = rgba_of(frame, depth) if alpha else rgb_of(frame, depth)
    if layout.alpha and not alpha:
        rgba = np.dstack([rgba, np.full(rgba.shape[:2], (1 << depth) - 1, rgba.dtype)])
    order = {"bgra": [2, 1, 0, 3], "bgr0": [2, 1, 0, 3], "argb": [3, 0, 1, 2], "bgr24": [2, 1, 0]}.get(name)
    if name.endswith("0") and rgba.shape[2] == 3:
        rgba = np.dstack([rgba, np.zeros(rgba.shape[:2], rgba.dtype)])
    if order is not None:
        rgba = rgba[:, :, order]
    picture = av.VideoFrame(frame.width, frame.height, name)
    if name.endswith("be"):
        rgba = rgba.byteswap()
    _fill(picture, 0, np.ascontiguousarray(rgba).reshape(frame.height, -1))
    return picture


def _planar_rgb(frame: Frame, name: str, alpha: bool) -> av.VideoFrame:
    depth = EncoderInput.of(name).depth
    rgb = rgb_of(frame, 8 if depth == 8 else 16)
    picture = av.VideoFrame(frame.width, frame.height, name)
    for number, channel in enumerate((1, 2, 0)):
        _fill(picture, number, scaled(rgb[:, :, channel], 8 if depth == 8 else 16, depth))
    if alpha:
        _fill(picture, 3, scaled(alpha_of(frame), frame.pixel.depth, depth))
    return picture


def _fill(picture: av.VideoFrame, number: int, samples: npt.NDArray[Any]) -> None:
    """Copy (rows, samples) into a plane whose rows may be padded."""
    plane: Any = picture.planes[number]
    stride = plane.line_size // samples.itemsize
    rows = samples.shape[0]
    memory = np.frombuffer(plane, samples.dtype)[:rows * stride].reshape(rows, stride)
    np.copyto(memory[:, :samples.shape[1]], samples)
