"""Picture files: one, a folder of independent pictures, or a numbered sequence that is a video."""

from __future__ import annotations

import dataclasses
import fnmatch
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import av

from ..core.file_names import PICTURES, natural
from ..core.frames import Frame, VideoInfo
from ..core.words import counted
from ..errors import DamagedInputError, SourceError
from ..options import MAX_PIXELS, InputOptions
from .alpha import AlphaStream
from .api import BaseSource
from .clip_reader import DEFAULT_RATE
from .decode import Decoder
from .heif import is_heif
from .integrity import missing_in_file
from .metadata import TIFF_MARKS, PictureMetadata, is_rgb, metadata_of, stated_size
from .normalise import Normaliser
from .open import first_bytes, mode_of, open_container, reason, too_large
from .orientation import Turn, turn_of
from .probe import choice_note, is_picture, select_stream
from .series import film_format
from .tiled import is_tiled, read_tiled
from .timeline import TimeRange
from .webp import AnimatedWebp, first_of_animation

LISTED = 5  # names that a message lists
HEAD = 1 << 16  # bytes in which the mark of an animation stands, even behind a colour profile


def folder(path: Path, only: str | None) -> list[Path]:
    """The pictures in a folder, '2.png' before '10.png'; ``only``: a glob instead of known extensions.

    Raises SourceError where there is none, or where the folder cannot be read.
    """
    files = _listed(path, lambda item: item.is_file() and not item.name.startswith("."))
    if only is not None:
        found = [item for item in files if fnmatch.fnmatch(item.name, only)]
        criterion = f"matches {only!r}"
    else:
        found = [item for item in files if item.suffix.lower() in PICTURES]
        criterion = f"is a picture ({', '.join(PICTURES[:6])}, ...); --only '*.EXT' takes others"
    if not found:
        raise SourceError(f"none of the {len(files)} files in {path} {criterion}" if files else
                          f"the folder {path} has no file in it")
    return sorted(found, key=lambda item: natural(item.name))


def is_animated(path: Path) -> bool:
    """Whether a picture file is an animation: a WebP, PNG, AVIF or HEIF of several pictures. False for addresses,
    patterns, pipes and files that cannot be read: opening them reports why.

    Decided by marks in the file, as in FFmpeg's demuxers: opening a PNG decodes it, 12 megapixels in a second.
    """
    head = first_bytes(path, HEAD)
    animated_png = head.startswith(b"\x89PNG") and b"acTL" in head.partition(b"IDAT")[0]
    sequence = head[4:8] == b"ftyp" and head[8:12] in (b"avis", b"msf1", b"hevc", b"hevx")
    return animated_png or sequence or AnimatedWebp.recognises(path)


def _listed(path: Path, accept: Callable[[Path], object]) -> list[Path]:
    """The entries of a folder for which ``accept`` is true. Raises SourceError."""
    try:
        return [item for item in path.iterdir() if accept(item)]
    except OSError as error:
        raise SourceError(f"the folder {path} cannot be read: {reason(error)}") from error


def pattern(path: Path) -> list[Path]:
    """The files of frame_%05d.png, in order of their numbers. Raises SourceError where none or one of
    them is missing."""
    marks = list(re.finditer(r"%(0?)(\d*)d", path.name))
    if len(marks) != 1 or path.name.replace(marks[0][0], "").replace("%%", "").count("%"):
        raise SourceError(f"{path} does not exist; as a pattern it must have one number, as %d or %05d")
    mark = marks[0]
    before, after = (part.replace("%%", "%") for part in (path.name[:mark.start()], path.name[mark.end():]))
    digits = rf"\d{{{mark[2]},}}" if mark[1] and mark[2] else r"\d+"
    shape = re.compile(re.escape(before) + f"({digits})" + re.escape(after) + r"\Z")
    mode_of(path.parent)
    files = _listed(path.parent, lambda item: shape.match(item.name))
    found = {int(shape.sub(r"\1", item.name)): item for item in files}
    if not found:
        raise SourceError(f"no file is named as {path}")
    numbers = sorted(found)
    gaps = sorted(set(range(numbers[0], numbers[-1])) - set(numbers))
    if gaps:
        named = ", ".join(path.name.replace(mark[0], mark[0] % gap) for gap in gaps[:LISTED])
        raise SourceError(f"{path} has gaps: {len(gaps)} of {numbers[-1] - numbers[0] + 1} files are "
                          f"missing, first {named}. Number them without gaps, or give the folder")
    return [found[number] for number in numbers]


class PictureSource(BaseSource):
    """Pictures as frames, one decoded at a time; ``pts`` is the place in the list, in 1/rate seconds.

    stills    each picture keeps its size and format, and ``info.stills`` is set; otherwise they are frames of a
              video, which all get the size and format of the first
    """

    def __init__(self, paths: Sequence[Path], name: str, options: InputOptions, *, stills: bool) -> None:
        super().__init__()
        self._unread: list[str] = []
        self._unkept: dict[str, list[str]] = {}  # what no output keeps, with the files that have it
        self._other_profiles: list[str] = []
        self._bright: list[str] = []
        self._options = options
        self._normaliser: Normaliser | None = None
        self._stills = stills
        rate = options.rate or DEFAULT_RATE
        first, last = (0, len(paths)) if stills else _part(len(paths), rate, options)
        if stills and (options.start or options.duration is not None):
            self.notes.append("start and duration say nothing of single pictures: all are taken")
        self._first, self._paths = first, paths[first:last]
        self._base = 1 / rate
        frames = self._read()
        frame = next(frames, None)
        if frame is None:
            raise DamagedInputError(f"{name}: none of {len(self._paths)} pictures can be read"
                                    if self._paths else f"{name} has no picture in the requested part")
        count = len(self._paths)
        self.info = VideoInfo(frame.width, frame.height, frame.format, self._base, rate,
                              float(count * self._base), count, frame.colour,
                              has_alpha=frame.alpha is not None, stills=stills, name=name)
        self._frames = self._all(frame, frames)

    def __iter__(self) -> Iterator[Frame]:
        return self._frames

    def close(self) -> None:
        """Nothing: no file stays open between pictures."""

    def _all(self, first: Frame, rest: Iterator[Frame]) -> Iterator[Frame]:
        yield first
        yield from rest
        if self._unread:
            self.notes.append(f"{counted(len(self._unread), 'picture')} could not be read: {_few(self._unread)}")
        if self._other_profiles:
            self.notes.append("a colour profile (ICC) that is not for RGB, which pictures become, is left "
                              f"out: {_few(self._other_profiles)}")
        if self._bright:
            self.notes.append(f"what is brighter than white (1.0) is cut off: {_few(self._bright)}")
        for what, names in self._unkept.items():
            self.notes.append(f"{what} is not kept: {_few(names)}")
        if self._normaliser is not None and self._normaliser.rescaled:
            self.notes.append(f"the pictures differ in size: {self._normaliser.rescaled} were scaled to "
                              f"{self.info.width} x {self.info.height}")

    def _read(self) -> Iterator[Frame]:
        index = 0
        for place, path in enumerate(self._paths):
            try:
                frame = self._one(path, index, place)
            except SourceError as error:
                if len(self._paths) == 1:  # there is no other picture to go on with
                    raise
                self._damaged += 1
                if self._options.on_error == "stop":
                    raise DamagedInputError(f"{error}; --on-error skip leaves such pictures "
                                            "out") from error
                self._unread.append(path.name)
                continue
            index += 1
            yield frame

    def _one(self, path: Path, index: int, place: int) -> Frame:
        still = read_picture(path, self._options)
        turn, metadata = still.turn, still.metadata
        self.notes.extend(still.notes)
        if still.animated:
            self.notes.append(f"{path.name} is animated: only its first picture is taken; give it alone "
                              "to take all")
        if metadata.pages > 1:
            self.notes.append(f"{path.name} has {metadata.pages} pages: only the first is taken; save each as a "
                              "picture of its own to take all")
        for what in metadata.unkept:
            self._unkept.setdefault(what, []).append(path.name)
        normaliser = self._normaliser
        if normaliser is None or self._stills or normaliser.turn != turn:
            normaliser = self._normaliser = Normaliser(turn, fixed=not self._stills)
        before = normaliser.bright
        frame = normaliser.frame(still.picture, index, place, self._base, 1, name=path.name)
        if normaliser.bright > before:
            self._bright.append(path.name)
        if still.picture.width * still.picture.height > MAX_PIXELS:
            self.notes.append(f"{path.name} is {still.picture.width} x {still.picture.height}: it is worked on, and "
                              f"written, at {frame.width} x {frame.height}")
        if metadata.profile is not None and is_rgb(metadata.profile):
            frame = dataclasses.replace(frame, profile=metadata.profile)
        elif metadata.profile is not None:
            self._other_profiles.append(path.name)
        if self._stills and frame.alpha is not None and frame.alpha.min() == frame.pixel.peak:
            return dataclasses.replace(frame, alpha=None, owner=None)  # WebP, palettes: opaque everywhere
        return frame


def still_frame(path: Path, options: InputOptions) -> Frame | None:
    """The picture in a file as a Frame, its alpha kept even if it is opaque. None for an animation or a file that
    is no picture by its extension. Raises SourceError."""
    if path.suffix.lower() not in PICTURES or not path.is_file() or AnimatedWebp.recognises(path):
        return None
    still = read_picture(path, options)
    if still.animated:
        return None
    return Normaliser(still.turn, fixed=False).frame(still.picture, 0, 0, Fraction(1), None)


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:LISTED]) + (", ..." if len(names) > LISTED else "")


def _part(count: int, rate: Fraction, options: InputOptions) -> tuple[int, int]:
    """First and last place (exclusive) of the requested part of a sequence."""
    window = TimeRange.of(options)
    first = 0 if window.begin is None else -int(-window.begin * rate // 1)
    last = count if window.limit is None else first - int(-window.limit * rate // 1)
    return min(first, count), min(last, count)


@dataclasses.dataclass(frozen=True, slots=True)
class Still:
    """What a picture file holds: its first picture, what brings it upright, its metadata, and whether it is
    animated; ``notes``: what else there is to say."""

    picture: av.VideoFrame
    turn: Turn
    metadata: PictureMetadata
    animated: bool
    notes: tuple[str, ...] = ()


def read_picture(path: Path, options: InputOptions) -> Still:
    """The first picture of a file, with its metadata. Raises SourceError."""
    strict = dataclasses.replace(options, on_error="stop", audio=False, stream=None, hwaccel=None,
                                 start=0.0, duration=None, preview=None)
    missing = missing_in_file(path) if os.path.isfile(path) else None
    if missing:
        raise DamagedInputError(f"{path} is cut off: {missing}")
    if AnimatedWebp.recognises(path):
        first, animated = first_of_animation(path, strict)
        return Still(first, Turn(), metadata_of(path.read_bytes()), animated)
    container = open_container(str(path), strict)
    try:
        if is_tiled(container):
            whole, metadata = read_tiled(path, options.max_pixels)
            return Still(whole, Turn(), metadata, animated=False)
        stream = select_stream(container, str(path), options.stream if container.format.name == "ico" else None,
                               options.max_pixels)
        decoder = Decoder(container, stream, str(path), strict)
        decoder.remedy = ""
        pictures = iter(decoder)
        picture = next(pictures, None)
        metadata = metadata_of(decoder.first_packet)
        if metadata.raw:
            raise _undeveloped(path)
        if picture is None:
            raise DamagedInputError(f"{path}: no picture in it decodes")
        alpha = AlphaStream.beside(stream, path, strict) if is_heif(container) else None
        if alpha is not None:
            with closing(alpha):
                picture = alpha.put(picture)
        animated = stream.frames > 1 or (container.format.name == "apng" and next(pictures, None) is not None)
        turn = turn_of(picture, decoder.first_packet) or Turn()
        notes = choice_note(container, stream, path.name, options.stream)
        if not animated and is_picture(container) and film_format(path, container, decoder.first_packet):
            notes.append(f"{path.name} holds several pictures, one after another: only the first is taken; give it "
                         "alone to take all, as a film")
        return Still(picture, turn, metadata, animated, tuple(notes))
    except DamagedInputError as error:
        size = stated_size(path)  # FFmpeg calls a picture above its limit invalid
        if size is not None and size[0] * size[1] > options.max_pixels:
            raise too_large(str(path), *size, options.max_pixels) from error
        if first_bytes(path, 4) in TIFF_MARKS and metadata_of(path.read_bytes()).raw:
            raise _undeveloped(path) from error
        raise
    finally:
        container.close()


def _undeveloped(path: Path) -> SourceError:
    return SourceError(f"{path} is a camera's raw picture, which must be developed first: save it as TIFF, PNG or JPEG "
                       "with the camera's program or another one for raw pictures")
