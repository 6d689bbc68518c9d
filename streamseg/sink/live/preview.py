"""A window that shows the picture and takes keys. For the main thread only."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...core.frames import Frame
from ...core.opencv import cv2, pyav_came_first
from ...errors import SinkError

_FONT = cv2.FONT_HERSHEY_SIMPLEX


class PreviewWindow:
    """A resizable window called ``title``. Raises SinkError where there is no screen, or OpenCV has no
    windows (the headless wheel)."""

    def __init__(self, title: str = "streamseg") -> None:
        if sys.platform.startswith("linux"):
            _refuse_what_hangs()
            # the wheel has no fonts, and says so on stderr at each window; nothing here needs Qt's
            os.environ.setdefault("QT_LOGGING_RULES", "default.warning=false")
        self.title = title
        self._open = False
        try:
            cv2.namedWindow(title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
        except cv2.error as error:
            raise SinkError("a window cannot be shown: this OpenCV has none (opencv-python-headless?): "
                            "pip install opencv-python instead") from error
        self._open = True
        self._shown = False

    def show(self, frame: Frame, lines: Sequence[str] = ()) -> None:
        """Show a frame, with ``lines`` of text over its top left corner (in the window only)."""
        picture = cv2.cvtColor(frame.rgb(), cv2.COLOR_RGB2BGR)
        write_lines(picture, lines)
        if not self._shown:
            cv2.resizeWindow(self.title, frame.width, frame.height)
            self._shown = True
        cv2.imshow(self.title, picture)

    def key(self) -> str:
        """The key that was pressed since the last call, '' for none. Also lets the window draw itself."""
        code = cv2.pollKey()
        return chr(code & 0xFF) if code != -1 else ""

    @property
    def closed(self) -> bool:
        """Whether the user has closed it."""
        return self._shown and cv2.getWindowProperty(self.title, cv2.WND_PROP_VISIBLE) < 1

    def close(self) -> None:
        """Close the window; may be called twice."""
        if self._open:
            self._open = False
            try:
                cv2.destroyWindow(self.title)
            except cv2.error:  # the user has closed it
                return


def _refuse_what_hangs() -> None:
    """Raise SinkError where Qt would end or hang the whole process: without a screen, and where PyAV was
    loaded before OpenCV; both wheels carry X11's libraries (seen with av 18.1, opencv-python 5.0)."""
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise SinkError("a window cannot be shown: there is no screen (neither DISPLAY nor "
                        "WAYLAND_DISPLAY is set); --to virtual or --to FILE need none")
    if pyav_came_first():
        raise SinkError("a window cannot be shown: PyAV was imported before OpenCV, whose windows hang "
                        "then; put `import cv2` before `import streamseg` and `import av`")


def write_lines(picture: Any, lines: Sequence[str]) -> None:
    """Text over the top left corner of a BGR picture, in place: white on dark, 1/30 of its height each."""
    size = max(12, picture.shape[0] // 30)
    scale, width = size / 30, max(1, size // 16)
    if lines:
        longest = max(cv2.getTextSize(line, _FONT, scale, width)[0][0] for line in lines)
        corner = picture[:size * (4 * len(lines) + 2) // 3, :longest + size]
        np.copyto(corner, corner // 3)
    for number, line in enumerate(lines):
        place = (size // 2, (number + 1) * size * 4 // 3)
        cv2.putText(picture, line, place, _FONT, scale, (255, 255, 255), width, cv2.LINE_AA)
