"""Outputs: ``open_sink`` gives an object that takes Frames and leaves a finished file, or none.

    target                      becomes
    NAME.mp4 .m4v .mov .mkv     H.264 (libx264 veryfast) at the frames' depth and chroma, tracks copied; HDR as H.265
    .avi .ts .nut               the same; .avi stores no times and wants a constant rate
    NAME.webm                   VP9
    NAME.gif .apng .webp        animations
    NAME.png .jpg .tiff .exr    one picture
    frame_%05d.png              a picture for each frame, with the numbers of the input's sequence, else from 1; of one
                                picture the name as it is
    FOLDER/                     a picture for each frame: the input's names, or frame_%05d.png of a video
    -                           standard output: Y4M (8-bit, opaque, constant rate, no --codec), else NUT, or
                                Matroska for an encoder whose alpha NUT drops; of one picture a PNG
    null:                       nothing; frames are counted

    kind          is
    composite     the opaque result, with the input's sound, subtitles, chapters
    cutout        the subject with straight alpha: .mov ProRes 4444, .webm VP9, .mkv FFV1, .gif (1 bit), ...
    matte         grey: FFV1 in .mkv, grey PNG; lossy in other videos. --codec, --quality and the like are
                  the picture's own and do not touch it
    foreground    opaque colours, without sound

With ``options.packed`` a cutout is an opaque video with the colour above or beside the matte: see ``packed``.
"""

from __future__ import annotations

import os
from dataclasses import replace

from ..core.frames import Frame, VideoInfo
from ..errors import OptionError
from ..options import OutputOptions
from ..validation import choice, format_value, named
from .base import BaseSink, Sink, adapt_sink, commit_together
from .containers import ALPHA_PICTURES, CONTAINERS, PICTURES, extension, numbered
from .exr import layered
from .file_object import FileObject, FileObjectSink, extension_for
from .packed import PackedSink, check_packed
from .piped_still import PicturePipe
from .stills import PictureSink, is_folder, one_still
from .video import VideoSink

# Modules that other packages import, beside the names here
PUBLIC = ("commit", "containers", "join", "live", "picture_file", "pixels")

__all__ = [
    "KINDS",
    "NULL",
    "PUBLIC",
    "BaseSink",
    "FileObject",
    "NullSink",
    "PictureSink",
    "Sink",
    "Target",
    "VideoSink",
    "adapt_sink",
    "alpha_by_default",
    "check_packed",
    "check_target",
    "commit_together",
    "extension_for",
    "holds_alpha",
    "layered",
    "open_sink",
    "path_text",
]

KINDS = ("composite", "cutout", "matte", "foreground")
NULL = "null:"


class NullSink(BaseSink):
    """Counts the frames and lets them go, for measuring everything before the output."""

    target = NULL

    def __init__(self) -> None:
        super().__init__()
        self.frames = 0

    def write(self, frame: Frame) -> None:
        """Count it."""
        self.frames += 1


Target = str | os.PathLike[str] | Sink | FileObject


def open_sink(target: Target, info: VideoInfo, *, kind: str = "composite", format: str | None = None,
              options: OutputOptions | None = None) -> Sink:
    """The sink for ``target``, for frames of a source with ``info``. ``kind``: one of KINDS.

    target  a path as text or os.PathLike, '-', 'null:', a file object that takes bytes (an io.BytesIO, a file
            opened with mode 'wb'), or an object that is a Sink already, which comes back as it is
    format  of a file object, as an extension: mp4, mkv, webm, png, ...; None: that of its name

    What cannot work is refused here, before anything is computed: OptionError for an extension, codec
    or encoder option that is not there, or that cannot hold transparency; SinkError for a target that
    exists (without ``options.overwrite``) or a folder that is missing or read-only; DeviceError for
    hardware that is not there. Files appear under their names only at ``close``, once read back; a file
    object is written to only then, and stays open.
    """
    choice("kind", kind, KINDS)
    check_target(target)
    options = options or OutputOptions()
    if isinstance(target, (str, os.PathLike)):
        return _open_path(path_text(target), info, kind, options)
    if isinstance(target, Sink):
        return target
    inner = replace(options, overwrite=True)
    return FileObjectSink(target, format, lambda path: _open_path(path, info, kind, inner))


def check_target(target: object) -> None:
    """Raise OptionError for what ``open_sink`` does not take."""
    if not isinstance(target, (str, os.PathLike, Sink, FileObject)):
        raise OptionError(f"the output is {format_value(target)}; it must be a path (str or os.PathLike; os.fsdecode "
                          "makes one of bytes), a file object that takes bytes, or a Sink")


def path_text(target: str | os.PathLike[str]) -> str:
    """A path as text. Raises OptionError for an empty one, and for one of bytes."""
    text = os.fspath(target)
    if not isinstance(text, str):
        raise OptionError(f"the output is {text!r}, a path of bytes: os.fsdecode makes text of it")
    named("output", text)
    return text


def _open_path(target: str, info: VideoInfo, kind: str, options: OutputOptions) -> BaseSink:
    if target == NULL:
        return NullSink()
    if _is_piped_picture(target, info, options):
        return PicturePipe(info, kind, options)
    if options.packed is not None and kind == "cutout":
        if _is_pictures(target, info) or extension(target) in (".gif", ".apng", ".webp"):
            raise OptionError(f"{target}: packed {options.packed} is a layout of videos, a picture has its own alpha: "
                              "write .mp4, .mov, .mkv or .webm, or leave --packed out")
        return PackedSink(target, info, options)
    if _is_pictures(target, info):
        return PictureSink(target, info, kind, options)
    return VideoSink(target, info, kind, options)


def holds_alpha(target: str | os.PathLike[str]) -> bool:
    """Whether ``target`` can carry transparency: by extension; folders, '-' and 'null:' can."""
    target = os.fspath(target)
    ext = extension(target)
    if target in ("-", NULL) or is_folder(target) or ext in ALPHA_PICTURES:
        return True
    return ext in CONTAINERS and CONTAINERS[ext].alpha is not None


def alpha_by_default(target: str | os.PathLike[str], info: VideoInfo | None = None) -> bool:
    """Whether transparency is what is expected of ``target`` when no background was named.

    Of all that can hold it but .mkv, .nut and standard output: there it would mean a lossless codec or
    raw frames, many times the size of the H.264 that one looks for. One picture (``info``) is a PNG there.
    """
    name = os.fspath(target)
    if name == "-" and info is not None and one_still(info):
        return True
    usual = name not in ("-", NULL) and extension(name) not in (".mkv", ".nut")
    return usual and holds_alpha(target)


def _is_piped_picture(target: str, info: VideoInfo, options: OutputOptions) -> bool:
    return target == "-" and one_still(info) and options.codec is None


def _is_pictures(target: str, info: VideoInfo) -> bool:
    """.webp is a picture of a still, and an animation of a video."""
    if target == "-":
        return False
    if is_folder(target) or (not one_still(info) and numbered(target)):
        return True
    return extension(target) in PICTURES and (extension(target) != ".webp" or info.stills)
