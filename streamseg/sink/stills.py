"""Pictures: one file, a numbered pattern (frame_%05d.png), or a folder with the inputs' names."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path, PurePath

import numpy as np

from ..core.file_names import resolved
from ..core.frames import Frame, VideoInfo
from ..core.opencv import cv2
from ..core.pixel_formats import FORMATS
from ..errors import OptionError, SinkError
from ..options import OutputOptions
from .base import BaseSink
from .coding import untold
from .commit import (
    Placement,
    checked_target,
    refuse_address,
    refuse_existing,
    refuse_no_folder,
    temporary_folder,
    writing,
)
from .containers import ALPHA_PICTURES, PATTERN, PICTURES, extension, no_alpha, numbered
from .exr import check_exr, exr_bytes, exr_channels
from .picture_file import DEEP, encode_picture, profile_of
from .profile import HOLDING
from .spatial import not_kept

_FRAME = "frame_%05d"


class PictureSink(BaseSink):
    """Writes each frame as a file of its own. See ``open_sink`` for the names.

    All files are written into a hidden folder beside their places and renamed at ``commit``: a run that
    fails leaves everything as it was. ``frames``: pictures written so far. ``path``: the file, the pattern
    or the folder.
    """

    path: Path

    def __init__(self, target: str, info: VideoInfo, kind: str, options: OutputOptions) -> None:
        super().__init__()
        self.target, self.kind = target, kind
        self.frames = 0
        self._options, self._info = options, info
        self._folder = is_folder(target)
        self._pattern = not self._folder and not one_still(info) and numbered(target)
        self._ext = "" if self._folder else extension(target)
        self._check(info)
        self._earlier: list[Path] = []  # numbered pictures that are there already
        with writing(target):
            self.path = self._place()
        self._root = self.path if self._folder else self.path.parent
        self._new_root = self._folder and not self._root.exists()
        # inside the folder if it exists: its parent may be on another disk
        self._made = temporary_folder(self._root if self._new_root else self._root / "pictures", target)
        self._sizes: dict[str, int] = {}
        self._lost_profile = False
        self._finished = self._done = False

    def write(self, frame: Frame) -> None:
        """Encode one picture. Raises SinkError for a second one where the target names one file."""
        if self._done or self._finished:
            raise SinkError(f"{self.target}: closed already, frame {frame.index} comes too late")
        name = self._name(frame)
        if name in self._sizes:
            if not self._folder:
                raise SinkError(self._too_many())
            raise SinkError(f"{self.target}: two pictures would be written as {name}; rename one input")
        refuse_existing(self._root / name, self._root / name, self._options.overwrite)
        data = self._encoded(frame, extension(name))
        with writing(self.target, self._made.parent):
            (self._made / name).write_bytes(data)
        if not self._sizes:
            self._first_remarks(frame, extension(name))
        if not self._lost_profile and profile_of(frame) and extension(name) not in HOLDING:
            self._lost_profile = True
            self.notes.append(f"the picture's colour profile (ICC) is lost: streamseg writes none into "
                              f"{extension(name)}; {', '.join(HOLDING)} keep it")
        self._sizes[name] = len(data)
        self.frames += 1

    def finish(self) -> None:
        """Verify all pictures. Raises SinkError, and then nothing is left."""
        if self._done or self._finished:
            return
        try:
            if not self._sizes:
                raise SinkError(f"{self.target}: no frames came, so there is nothing to write")
            self._verify()
        except BaseException:
            self.abort()
            raise
        self.size = sum(self._sizes.values())
        self._finished = True

    def placements(self) -> Sequence[Placement]:
        """The pictures, once they are finished."""
        if not self._finished or self._done:
            return ()
        return [Placement(self._made / name, self._root / name, self._root / name, self._options.overwrite)
                for name in self._sizes]

    def settle(self) -> None:
        """Remove the hidden folder, complete the notes."""
        if not self._done:
            self._done = True
            self._leftovers()
            shutil.rmtree(self._made, ignore_errors=True)

    def abort(self) -> None:
        """Remove what this run wrote, or keep it as NAME.partial/ if it is to be kept. Never raises."""
        if self._done:
            return
        self._done = True
        with contextlib.suppress(OSError):
            if self._options.keep_partial and self._sizes:
                stem = self._root.name if self._folder else self.path.stem
                if self._pattern:
                    stem = PATTERN.sub("", stem).strip("_-.")
                kept = (self._root.parent if self._folder else self._root) / f"{stem or 'frames'}.partial"
                shutil.rmtree(kept, ignore_errors=True)
                self._made.rename(kept)
                self.kept = kept
        shutil.rmtree(self._made, ignore_errors=True)

    def _check(self, info: VideoInfo) -> None:
        if not self._folder and self._ext not in PICTURES:
            raise OptionError(f"output {self.target!r} is no picture; those are: {' '.join(PICTURES)}")
        if self.kind == "cutout" and not self._folder and self._ext not in ALPHA_PICTURES:
            raise no_alpha(self.target)
        whole = self._options.duration is None and self._options.preview is None
        if not (self._folder or self._pattern) and (info.frames or 0) > 1 and whole:
            raise OptionError(self._too_many())
        self.notes += not_kept(info.spatial, "image2", "")
        if self._ext == ".exr":
            check_exr(self._options.codec_set)
        if info.sample_aspect != 1:
            self.notes.append(no_aspect(info))

    def _encoded(self, frame: Frame, ext: str) -> bytes:
        if ext == ".exr":
            return exr_bytes(frame, self.kind, self._options.codec_set)
        return encode_picture(frame, ext, self.kind, self._options.quality)

    def _place(self) -> Path:
        """The folder, the file, or the pattern's path. Raises SinkError if it may not be written."""
        if not self._folder and not self._pattern:
            return checked_target(self.target, self._options.overwrite)
        refuse_address(self.target)
        path = resolved(self.target)
        refuse_no_folder(path.parent, self.target)
        if self._folder and path.exists() and not path.is_dir():
            raise SinkError(f"{self.target} is a file, not a folder; give another name")
        pattern = path if self._pattern else path / (_FRAME + ".png")
        if self._pattern or not self._info.stills:
            self._earlier = _numbered_as(pattern)
            for there in self._earlier:
                refuse_existing(there, there, self._options.overwrite)
        return path

    def _name(self, frame: Frame) -> str:
        """The file's name: from the pattern, the single name, or the input's name with a suitable extension."""
        if not self._folder:
            return _filled(self.path.name, self._number(frame)) if self._pattern else self.path.name
        if frame.name is None:
            return _filled(_FRAME + ".png", self._number(frame))
        old = extension(frame.name)
        fits = old in PICTURES and old != ".exr" and self.kind not in ("cutout", "matte") and (
            frame.pixel.depth == 8 or old in DEEP)
        return PurePath(frame.name).stem + (old if fits else ".png")

    def _number(self, frame: Frame) -> int:
        """The picture's number: that of the input's sequence, or counted."""
        if self._options.start_number is not None:
            return self._options.start_number + self.frames
        source = PurePath(self._info.name).name
        if frame.name is not None and len(PATTERN.findall(source)) == 1:
            head, tail = PATTERN.split(source)
            found = re.fullmatch(re.escape(head) + r"(\d+)" + re.escape(tail), frame.name)
            if found:
                return int(found[1])
        return self.frames + 1

    def _too_many(self) -> str:
        path = PurePath(self.target)
        return (f"{self.target} is one picture and the input has more; number them, "
                f"{path.stem}_%05d{path.suffix}, or name a folder, {path.stem}/")

    def _first_remarks(self, frame: Frame, ext: str) -> None:
        if FORMATS[frame.format].depth > 8 and ext not in DEEP:
            self.notes.append(f"{frame.pixel.depth} bits become 8: {ext} holds no more; .png, .tiff hold 16")
        if frame.pixel.planes > 1 and frame.profile is None:
            self.notes += untold(frame.colour, ext)
        if frame.captions is not None and self.kind in ("composite", "cutout"):
            self.notes.append("the closed captions' track inside the pictures (A/53) is left out: pictures hold none")
        if self.kind == "matte" and ext in (".jpg", ".jpeg"):
            self.notes.append("the matte in JPEG is lossy; .png, .tiff and .webp keep it as it is")
        if self._options.quality is not None and ext not in (".jpg", ".jpeg", ".webp"):
            self.notes.append(f"{ext} is lossless: quality changes nothing there")

    def _leftovers(self) -> None:
        """Note pictures of an earlier, longer run: a reader of the pattern would read them, too."""
        left = [path.name for path in self._earlier if path.name not in self._sizes and path.exists()]
        if left:
            span = left[0] if len(left) == 1 else f"{left[0]} to {left[-1]}"
            self.notes.append(f"numbered pictures of another run ({len(left)}: {span}) are left in "
                              f"{self._root}, and would be taken for frames of this one: remove them")

    def _verify(self) -> None:
        """Check that every file has the size that was written, and that the first decodes, with its alpha."""
        for name, size in self._sizes.items():
            path = self._made / name
            found = path.stat().st_size if path.exists() else 0
            if found != size:
                raise SinkError(f"{self.target}: {name} has {found} bytes on the disk, written were {size}; "
                                "the disk may be failing or full")
        first = next(iter(self._sizes))
        if extension(first) == ".exr":
            self._verify_exr(first)
            return
        read = cv2.imdecode(np.frombuffer((self._made / first).read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
        if read is None or (self.kind == "cutout" and (read.ndim != 3 or read.shape[2] != 4)):
            raise SinkError(f"{self.target}: {first} does not read back"
                            + ("" if read is None else " with its transparency"))

    def _verify_exr(self, name: str) -> None:
        try:
            found = exr_channels(self._made / name)
        except RuntimeError as error:
            raise SinkError(f"{self.target}: {name} does not read back ({error})") from error
        if self.kind == "cutout" and "A" not in found:
            raise SinkError(f"{self.target}: {name} does not read back with its transparency")


def no_aspect(info: VideoInfo) -> str:
    """What is said of a film whose pixels are not square."""
    return f"pictures hold no pixel aspect: theirs, {info.sample_aspect}, is lost; stretch them, or write a video"


def one_still(info: VideoInfo) -> bool:
    """Whether the input is one picture, and no folder with one: its output's name may hold what looks like a
    number, as those of downloads do."""
    return info.stills and (info.frames or 1) == 1 and not Path(info.name or ".").is_dir()


def _numbered_as(pattern: Path) -> list[Path]:
    """The files that are there with a number in the pattern's place, in order."""
    head, tail = PATTERN.split(pattern.name, maxsplit=1)
    taken = re.compile(re.escape(head) + r"(\d+)" + re.escape(tail))
    found = [(int(match[1]), path) for path in (pattern.parent.iterdir() if pattern.parent.is_dir() else ())
             if (match := taken.fullmatch(path.name))]
    return [path for _, path in sorted(found)]


def _filled(pattern: str, number: int) -> str:
    return PATTERN.sub(lambda mark: f"{number:{mark[0][1:]}}", pattern)


def is_folder(target: str) -> bool:
    """Whether ``target`` means a folder: it ends with a slash, or is one."""
    return target.endswith(("/", "\\")) or os.path.isdir(os.path.expanduser(target))
