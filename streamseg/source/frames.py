"""Pictures and the packets beside them become Frames."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ..core.frames import Frame
from ..errors import StreamsegError
from .clip_reader import ClipReader
from .deinterlace import Timed
from .normalise import Normaliser
from .side_data import captions_of


def frames_of(first: Timed, pictures: Iterator[Timed], reader: ClipReader, normaliser: Normaliser
              ) -> Iterator[Frame]:
    """A Frame for ``first`` and for each of ``pictures``. Where there are other tracks one frame is held back:
    the last frame carries the packets that follow it."""
    hold = bool(reader.decoder.tracks)
    pending: Timed | None = first
    failure: StreamsegError | None = None
    packets = reader.packets() if hold else ()
    index = 0
    while pending is not None:
        following = None
        try:
            following = next(pictures, None) if hold else None
        except StreamsegError as error:  # the frame that is held back was whole before it
            failure = error
        carried = packets if following is not None or not hold else packets + reader.packets(rest=True)
        picture, pts = pending
        duration = reader.duration_of(picture, None if following is None else following[1] - pts)
        frame = normaliser.frame(picture, index, pts - reader.part.shift(reader.time_base), reader.time_base,
                                 duration, packets=carried)
        yield replace(frame, captions=captions_of(picture)) if reader.decoder.captioned else frame
        index += 1
        packets = reader.packets() if hold else ()
        pending = following if hold else next(pictures, None)
    if failure is not None:
        raise failure
