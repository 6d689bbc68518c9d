"""From a shot and its matte to the output picture, and the privacy rule.

Every picture is made by ``CompositeStage._composed``. Without a matte an empty one is used, so that only the
background is shown: a colour, a picture or a video as it is. Where the background is the room itself (blur,
original), the whole picture is blurred as strongly as possible.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from ..composite import Compositor
from ..core.frames import Frame, Matte, VideoInfo
from ..core.opencv import cv2
from ..errors import StreamsegError
from ..options import CompositeOptions
from .auto_framing import AutoFraming, cropped, cropped_matte
from .types import Control, Finished, Matted, Scene

LOG = logging.getLogger(__name__)

ROOM = ("blur", "original")  # backgrounds made from the camera's own picture
PLAIN = "#202830"            # used when a background fails: it shows nothing of the room
_NOTHING = Matte(np.zeros((9, 16), np.float32))


class CompositeStage:
    """Makes pictures as ``control.scene`` says at that moment.

    A scene that cannot be made (a broken background file) is reported, and the previous one stays. A background
    video that fails while it is shown is replaced by a plain colour. Raises StreamsegError only if the first
    scene cannot be made.
    """

    def __init__(self, info: VideoInfo, options: CompositeOptions, control: Control) -> None:
        self._info, self._options, self._control = info, options, control
        self._told: set[str] = set()
        self._asked = self._shown = control.scene
        self._compositor, self._shield = self._made(control.scene)
        self._framing = AutoFraming()
        self._last: Finished | None = None

    def __call__(self, items: Iterator[Matted]) -> Iterator[Finished]:
        """One Finished for each item, in order."""
        for item in items:
            yield self._finished(item)

    def close(self) -> None:
        """Close the backgrounds' files; may be called twice."""
        self._compositor.close()
        self._shield.close()

    def _made(self, scene: Scene) -> tuple[Compositor, Compositor]:
        """(for shots with a matte, for those without)"""
        options = replace(self._options, background=scene.background, fit=scene.fit, blur=scene.blur)
        kinds = ("composite", "matte") if scene.matte_view else ("composite",)
        compositor = Compositor(self._info, kinds, options)
        for note in compositor.notes:
            if note not in self._told:
                LOG.info(note)
                self._told.add(note)
        room = (scene.background or "").strip().lower() in ROOM
        if not room and not options.invert:
            return compositor, compositor
        # inverted, an empty matte would show the whole room, and whoever is in it
        shield = replace(options, invert=False)
        if room:
            shield = replace(shield, background="blur", blur=1.0)
        return compositor, Compositor(self._info, kinds, shield)

    def _update_scene(self) -> bool:
        """Prepare the scene that is requested now. -> whether anything changed"""
        scene = self._control.scene
        if scene is self._asked:
            return False
        self._asked = scene
        same = replace(self._shown, mirror=scene.mirror, follow=scene.follow, freeze=scene.freeze)
        if same != scene:
            try:
                made = self._made(scene)
            except (StreamsegError, OSError) as error:
                LOG.warning(f"{error}; the previous one stays")
                scene = replace(same, matte_view=self._shown.matte_view)
            else:
                self.close()
                self._compositor, self._shield = made
        self._shown = scene
        return True

    def _finished(self, item: Matted) -> Finished:
        changed, last, shot = self._update_scene(), self._last, item.shot
        same = self._shown.freeze or (item.still and not changed and self._steady())
        if last is not None and shot.seen and same:
            # Planes shared with the previous picture, but no owner: an encoder may still use that one's time
            again = replace(last.picture, pts=shot.frame.pts, index=shot.frame.index, owner=None)
            return Finished(again, shot.at, last.view)
        made = self._composed(item)
        if shot.seen:
            self._last = made
        elif not self._shown.freeze:  # the frozen picture is shown again after a pause or a loss
            self._last = None
        return made

    def _steady(self) -> bool:
        """Whether the same shot and matte make the same picture."""
        return not (self._compositor.background_moves or self._shown.follow)

    def _composed(self, item: Matted) -> Finished:
        frame, matte, late = item.shot.frame, item.matte, item.computed and not item.shot.cut
        if self._shown.follow:
            view = self._framing(matte, item.shot.at)
            frame = cropped(frame, view)
            matte = None if matte is None else cropped_matte(matte, view)
        if self._shown.mirror:
            frame = mirrored(frame)
            matte = matte and replace(matte, alpha=np.ascontiguousarray(matte.alpha[:, ::-1]))
        try:
            made = self._composite(frame, matte, late)
        except (StreamsegError, OSError) as error:  # a video that is damaged further on
            what = str(error).partition(";")[0]  # the rest names a flag, which is too late now
            LOG.warning(f"{what}; a plain colour is used instead")
            self.close()
            self._compositor, self._shield = self._made(replace(self._shown, background=PLAIN))
            made = self._composite(frame, matte, late)
        return Finished(made["composite"], item.shot.at, made.get("matte"))

    def _composite(self, frame: Frame, matte: Matte | None, late: bool) -> dict[str, Frame]:
        compositor = self._shield if matte is None else self._compositor
        return compositor.finish(frame, matte or _NOTHING, late=late)


def mirrored(frame: Frame) -> Frame:
    """The frame mirrored left to right."""
    def flipped(plane: Any) -> Any:  # Any: OpenCV's stubs know no dtypes
        return cv2.flip(plane, 1)

    return replace(frame, planes=tuple(flipped(plane) for plane in frame.planes), owner=None,
                   alpha=None if frame.alpha is None else flipped(frame.alpha))
