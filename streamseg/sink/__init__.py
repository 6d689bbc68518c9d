"""Outputs: ``open_sink`` gives an object that takes Frames and leaves a finished file, or none.

    target                      becomes
    NAME.mp4 .m4v .mov .mkv     H.264 (libx264 veryfast) at the frames' depth and chroma, tracks copied
    .avi .ts .nut               the same; .avi stores no times and wants a constant rate
    NAME.webm                   VP9
    NAME.gif .apng .webp        animations
    NAME.png .jpg .tiff ...     one picture
    frame_%05d.png              a picture for each frame, counted from 1; of one picture the name as it is
    FOLDER/                     a picture for each frame: the input's names, or frame_%05d.png of a video
    -                           standard output: Y4M (8-bit, opaque, constant rate, no --codec), else NUT
    null:                       nothing; frames are counted

    kind          is
    composite     the opaque result, with the input's sound, subtitles, chapters
    cutout        the subject with straight alpha: .mov ProRes 4444, .webm VP9, .mkv FFV1, .gif (1 bit), ...
    matte         grey: FFV1 in .mkv, grey PNG; lossy in other videos. --codec, --quality and the like are
                  the picture's own and do not touch it
    foreground    opaque colours, without sound
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, runtime_checkable

from ..core.frames import Frame, VideoInfo
from ..options import OutputOptions
from ..validation import choice, named
from .containers import ALPHA_PICTURES, CONTAINERS, PICTURES, extension, numbered
from .stills import PictureSink, is_folder, one_still
from .video import VideoSink

# Modules that other packages import, beside the names here
PUBLIC = ("commit", "containers", "live")

KINDS = ("composite", "cutout", "matte", "foreground")
NULL = "null:"


@runtime_checkable
class Sink(Protocol):
    """What takes the frames of one output, in order. ``notes``: remarks for the user."""

    notes: list[str]

    def write(self, frame: Frame) -> None:
        """Take one frame. Raises SinkError."""

    def close(self) -> None:
        """Finish, verify and put into place. Raises SinkError, and then nothing is left behind."""

    def abort(self) -> None:
        """Leave nothing behind (or the partial file, if asked for). At any moment, any number of times."""


class NullSink:
    """Counts the frames and lets them go, for measuring everything before the output."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.path: None = None
        self.target = NULL  # what the report calls it
        self.frames, self.size = 0, 0

    def write(self, frame: Frame) -> None:
        self.frames += 1

    def close(self) -> None:
        """Nothing to finish."""

    def abort(self) -> None:
        """Nothing to remove."""


def open_sink(target: str | Path | Sink, info: VideoInfo, *, kind: str = "composite",
              options: OutputOptions | None = None) -> Sink:
    """The sink for ``target``, for frames of a source with ``info``. ``kind``: one of KINDS.

    An object that is a Sink already comes back as it is.

    What cannot work is refused here, before anything is computed: OptionError for an extension, codec
    or encoder option that is not there, or that cannot hold transparency; SinkError for a target that
    exists (without ``options.overwrite``) or a folder that is missing or read-only; DeviceError for
    hardware that is not there. Files appear under their names only at ``close``, once read back.
    """
    choice("kind", kind, KINDS)
    if not isinstance(target, (str, Path)):
        return target
    named("output", target)
    target, options = str(target), options or OutputOptions()
    if target == NULL:
        return NullSink()
    if _is_pictures(target, info):
        return PictureSink(target, info, kind, options)
    return VideoSink(target, info, kind, options)


def holds_alpha(target: str | Path) -> bool:
    """Whether ``target`` can carry transparency: by extension; folders, '-' and 'null:' can."""
    target = str(target)
    ext = extension(target)
    if target in ("-", NULL) or is_folder(target) or ext in ALPHA_PICTURES:
        return True
    return ext in CONTAINERS and CONTAINERS[ext].alpha is not None


def alpha_by_default(target: str | Path) -> bool:
    """Whether transparency is what is expected of ``target`` when no background was named.

    Of all that can hold it but .mkv, .nut and standard output: there it would mean a lossless codec or
    raw frames, many times the size of the H.264 that one looks for.
    """
    usual = str(target) not in ("-", NULL) and extension(str(target)) not in (".mkv", ".nut")
    return usual and holds_alpha(target)


def _is_pictures(target: str, info: VideoInfo) -> bool:
    """.webp is a picture of a still, and an animation of a video."""
    if target == "-":
        return False
    if is_folder(target) or (not one_still(info) and numbered(target)):
        return True
    return extension(target) in PICTURES and (extension(target) != ".webp" or info.stills)
