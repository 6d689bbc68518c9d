"""The screen of an X11 display, captured by a process of its own.

PyAV's and OpenCV's wheels both carry X11's libraries. Where OpenCV was loaded first, as streamseg does for its windows,
FFmpeg's x11grab ends the process (seen with av 18.1.0, opencv-python 5.0.0.93). The child loads PyAV alone and writes
the pictures into a pipe. As rgb24: what x11grab gives, bgr0, NUT reads back as another format.
"""

from __future__ import annotations

import json
import select
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import av

from ..errors import SourceError
from .open import FAILURES

_CHILD = """
import json, sys, av
with av.open(sys.argv[1], "r", format="x11grab", options=json.loads(sys.argv[2])) as screen:
    shown = screen.streams.video[0]
    with av.open(sys.stdout.buffer, "w", format="nut", options={"flush_packets": "1"}) as out:
        raw = out.add_stream("rawvideo", rate=shown.average_rate)
        raw.width, raw.height, raw.pix_fmt = shown.width, shown.height, "rgb24"
        for picture in screen.decode(shown):
            picture = picture.reformat(format="rgb24")
            picture.pts = None
            out.mux(raw.encode(picture))
"""
_END_SECONDS = 5.0


class ScreenCapture:
    """A child that captures ``display``. ``container``: its packets, an av InputContainer; ``poll``: tells when there
    is something to read. Raises SourceError where the display cannot be captured."""

    def __init__(self, display: str, options: Mapping[str, str], timeout: float) -> None:
        self._process = subprocess.Popen([sys.executable, "-c", _CHILD, display, json.dumps(dict(options))], bufsize=0,
                                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert self._process.stdout is not None
        self.poll: Any = select.poll()
        self.poll.register(self._process.stdout.fileno(), select.POLLIN)
        try:
            if not self.poll.poll(timeout * 1000):
                raise SourceError(f"the screen {display} cannot be captured: nothing came for {timeout:g} s")
            self.container: Any = av.open(self._process.stdout, "r", format="nut")
        except FAILURES as error:
            raise SourceError(f"the screen {display} cannot be captured: {self._said() or error}") from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the child; may be called twice."""
        self._process.kill()
        self._process.wait(_END_SECONDS)
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()

    def _said(self) -> str:
        """The last line of the child's error."""
        _, errors = self._process.communicate(timeout=_END_SECONDS)
        lines = errors.decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""
