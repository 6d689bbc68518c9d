"""A video as a Source: a file, an address, a pipe or a file object.

    open_container  ->  ClipReader: select_stream, Decoder, Timeline, PacketSync
                    ->  deinterlaced  ->  Normaliser, probe  ->  frames_of
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..core import matrices
from ..core.frames import Frame
from ..core.spatial import Spatial
from ..core.words import counted, were
from ..errors import OptionError, SourceError
from ..options import InputOptions
from .api import BaseSource
from .byte_input import ReadableFile
from .clip_reader import ClipReader
from .deinterlace import deinterlaced
from .frames import frames_of
from .heif import content_of, is_heif
from .metadata import plays_of
from .normalise import Normaliser
from .orientation import Turn, turn_of
from .probe import choice_note, is_picture, labels_of, probe, video_streams
from .series import series_of
from .side_data import mastering_of, spatial_of
from .sizes import largest_size
from .tiled import is_tiled


class VideoSource(BaseSource):
    """Frames of one video stream, with the packets of the other tracks. See ``open_source``.

    One pass: iterating again goes on where it was. Closes ``container``, never a file object.
    """

    def __init__(self, container: Any, spec: str | ReadableFile, name: str, options: InputOptions, *,
                 truncated: str | None = None) -> None:
        super().__init__()
        if options.on_resize == "split":
            raise OptionError("on_resize is 'split', which only `run` of a film into films does: give fit or largest")
        self._frames: Iterator[Frame] = iter(())
        self._reader: ClipReader | None = None
        self._still = False
        try:
            if is_tiled(container):
                raise SourceError(f"{name} is a picture in tiles: give it as a file, not as a stream")
            reader = self._reader = ClipReader(container, spec, name, options, truncated=truncated)
            self._counts, self.has_times = reader, reader.has_times
            pictures = reader.pictures()
            if options.deinterlace:
                pictures = deinterlaced(pictures, reader.time_base)
            first = next(pictures, None)
            if first is None:
                raise reader.nothing_found()
            if is_picture(container):
                pictures, self._still = series_of(pictures, reader.decoder.first_packet)
            canvas = largest_size(spec, options) if options.on_resize == "largest" and not self._still else None
            normaliser = Normaliser(self._turn(first[0], reader), fixed=True, canvas=canvas)
            self._probe(first[0], reader, normaliser, options)
        except BaseException:
            container.close()
            self.close()
            raise
        self._frames = self._run(frames_of(first, pictures, reader, normaliser), reader, normaliser)

    @property
    def damaged(self) -> int:
        """Damaged parts and pictures so far."""
        return self._counts.damaged

    def __iter__(self) -> Iterator[Frame]:
        return self._frames

    def close(self) -> None:
        """Close the container. Frames that were given out stay valid."""
        reader, self._reader = self._reader, None
        self._frames = iter(())  # the generator refers to the reader, and holds pictures
        if reader is not None:
            reader.close()

    def _run(self, frames: Iterator[Frame], reader: ClipReader, normaliser: Normaliser) -> Iterator[Frame]:
        yield from frames
        self.notes.extend(reader.remarks())
        if normaliser.rescaled:
            self.notes.append(f"the picture changes its size: {counted(normaliser.rescaled, 'frame')} "
                              f"{were(normaliser.rescaled)} scaled to "
                              f"{self.info.width} x {self.info.height}")
        if normaliser.reduced:
            width, height = normaliser.reduced
            self.notes.append(f"pictures of {width} x {height} were reduced to {self.info.width} x {self.info.height}")

    def _turn(self, picture: Any, reader: ClipReader) -> Turn:
        turn = turn_of(picture, reader.decoder.first_packet)
        if turn is None:
            self.notes.append(f"the container turns the picture by {picture.rotation} degrees; only "
                              "multiples of 90 are applied")
        return turn or Turn()

    def _probe(self, picture: Any, reader: ClipReader, normaliser: Normaliser, options: InputOptions) -> None:
        """Set ``info``, and note what the options leave out."""
        self._note_choices(picture, reader, options)
        mastering, dynamic = mastering_of(picture)
        if dynamic:
            self.notes.append("the HDR metadata of single pictures (HDR10+, Dolby Vision) is left out")
        self.notes.extend(matrices.remarks(int(picture.colorspace)))
        tracks = reader.decoder.tracks + reader.decoder.attached
        self.info = probe(reader.container, reader.stream, tracks, reader.part,
                          frame=normaliser.frame(picture, 0, 0, reader.time_base, None), rate=reader.rate,
                          stills=self._still, transposed=normaliser.turn.transpose, end=reader.end,
                          mastering=mastering, name=reader.name)
        self.info = replace(self.info, spatial=self._spatial(picture, normaliser), labels=labels_of(reader.stream))
        normaliser.rescaled = 0  # the first picture comes once more
        if reader.container.format.name in ("gif", "apng") and os.path.isfile(reader.name):
            self.info = replace(self.info, plays=plays_of(Path(reader.name)))
        elif is_heif(reader.container) and (content := content_of(Path(reader.name))) is not None:
            self.info = replace(self.info, plays=content.plays)

    def _spatial(self, picture: Any, normaliser: Normaliser) -> Spatial | None:
        found = spatial_of(picture)
        if found is not None and normaliser.turn:
            self.notes.append("the marks of stereoscopic 3D and of VR are left out: the picture is turned")
            return None
        return found

    def _note_choices(self, picture: Any, reader: ClipReader, options: InputOptions) -> None:
        """Note what was decided that an option decides otherwise."""
        if picture.interlaced_frame and not options.deinterlace:
            self.notes.append("interlaced; --deinterlace makes it progressive")
        if self._still:
            self.notes.extend(choice_note(reader.container, reader.stream, reader.decoder.name, options.stream))
            return
        if reader.part.late and not reader.part.wraps and reader.part.begin is None:
            self.notes.append(f"the input's clock begins at {float(reader.part.zero):.0f} s; times count from there")
        streams = len(video_streams(reader.container))
        if is_heif(reader.container):
            self.notes.extend(reader.alpha_notes())
        elif streams > 1 and options.stream is None:
            self.notes.append(f"there are {streams} video streams, of which one is taken; --stream 0 to "
                              f"{streams - 1} says which")
        if not (reader.has_times or options.rate):
            kind = reader.container.format.name.removesuffix("_pipe")
            self.notes.append(f"raw {kind} has no times: {float(reader.rate or 0):g} frames a second are assumed; "
                              "--rate sets another rate")
